// SPDX-License-Identifier: MIT
//
// What the fuzz targets share. They are built with clang and
// -fsanitize=fuzzer,address,undefined; `-runs=N` bounds a run, and a folder of
// .lua files as argument is the corpus.

#ifndef GRAFT_SPEC_FUZZ_SUPPORT_H
#define GRAFT_SPEC_FUZZ_SUPPORT_H

#include <stdio.h>
#include <stdlib.h>

#include "patch/diff.h"

#define FUZZ_CHECK(condition)                                                  \
  do {                                                                         \
    if (!(condition)) {                                                        \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);          \
      abort();                                                                 \
    }                                                                          \
  } while (false)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// NULL where the bytes are no Lua; then there is an error with a place.
static inline GraftUnit *fuzz_compile(const char *source, size_t size) {
  GraftUnit *unit = NULL;
  GraftError error = {0};
  // A size of 0 means a terminated text.
  GraftUnitDesc desc = {
      .source = size > 0 ? source : "", .size = size, .module = "m"};
  if (graft_unit_compile(&desc, &unit, &error) < 0) {
    FUZZ_CHECK(error.status == GRAFT_ESYNTAX);
    FUZZ_CHECK(error.line > 0 && error.column > 0 && error.message[0] != '\0');
  }
  return unit;
}

#endif
