// SPDX-License-Identifier: MIT
//
// Dwarf: the functions of an object and their C types, read from its DWARF
// (versions 2 to 5, gcc's and clang's) with libdw. Types come out in the terms
// of registry/signature.h. Traded away: debug information in files of its own
// (split DWARF, .debug files).

#ifndef GRAFT_NATIVE_DWARF_H
#define GRAFT_NATIVE_DWARF_H

#include "base/array.h"
#include "registry/signature.h"

// One non-static function with code. Texts live in the list's arena.
typedef struct DwarfFunction {
  const char *symbol;
  const char *unit;      // source file of its compile unit, as given
  const char *directory; // where the compiler ran, or ""
  const char *file;      // where it is written; absolute where that is known
  int line;
  Signature *signature; // owned by the list; NULL when
  const char *why_not;  // says so: "parameter 1 is struct Body by value"
} DwarfFunction;

typedef struct DwarfFunctions {
  Arena arena;
  ARRAY(DwarfFunction) list; // by compile unit, then by line
} DwarfFunctions;

// Reads the object open as `descriptor`; `path` is for messages. On failure
// the list is empty: GRAFT_ENOTFOUND (no debug information), GRAFT_EIO,
// GRAFT_ENOMEM. Clear with dwarf_functions_clear. Any thread.
GraftStatus dwarf_functions_read(const GraftAllocator *allocator,
                                 int descriptor, const char *path,
                                 DwarfFunctions *functions, GraftError *error);
void dwarf_functions_clear(DwarfFunctions *self);

#endif
