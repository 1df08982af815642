// SPDX-License-Identifier: MIT
//
// In the place of lines.c, for a processor that has no libdw here.

#include "native/lines.h"

GraftStatus lines_read(const GraftAllocator *allocator,
                       const ObjectImage *image, LineTable **lines,
                       GraftError *error) {
  (void)allocator, (void)image, (void)error;
  *lines = NULL;
  return GRAFT_OK;
}

void lines_free(LineTable *self) {
  (void)self;
}

bool lines_find(const LineTable *self, uint64_t address, const char **file,
                int *line) {
  (void)self, (void)address, (void)file, (void)line;
  return false;
}
