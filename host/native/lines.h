// SPDX-License-Identifier: MIT
//
// Lines: which code comes from which line, decoded from the debug information
// before anybody asks, so that a signal handler can look it up. Traded away:
// columns, and the calls that were inlined (the innermost line is given).

#ifndef GRAFT_NATIVE_LINES_H
#define GRAFT_NATIVE_LINES_H

#include "native/object.h"

typedef struct LineTable LineTable;

// Reads the lines of a debug image with fake addresses. GRAFT_EIO (bad debug
// information), GRAFT_ENOMEM. Any thread.
GraftStatus lines_read(const GraftAllocator *allocator,
                       const ObjectImage *image, LineTable **lines,
                       GraftError *error);
void lines_free(LineTable *self); // NULL-safe

// The line of a fake address; false, and nothing set, when there is none.
// `file` is absolute where the compiler said so, borrowed until lines_free.
// Safe in signal handlers.
bool lines_find(const LineTable *self, uint64_t address, const char **file,
                int *line);

#endif
