// SPDX-License-Identifier: MIT
//
// Source: what two texts of one C file differ in, told from their top-level
// pieces: directives, declarations, and function definitions with head and
// body. It knows comments, strings, continued lines and braces, and no C
// beyond that; white space and comments are no difference. Where it is in
// doubt (a body with directives in it, a static variable in a changed body,
// a name that it cannot find) it says that more than bodies changed. Traded
// away: telling a harmless change of a declaration from another.

#ifndef GRAFT_NATIVE_SOURCE_H
#define GRAFT_NATIVE_SOURCE_H

#include "base/array.h"

typedef struct SourceDifference {
  Arena arena;
  bool bodies_only;        // nothing else differs; then
  ARRAY(char *) functions; // their names, in the order of the new text
} SourceDifference;

void source_difference_clear(SourceDifference *self);

typedef struct SourceText {
  const char *text;
  size_t size;
} SourceText;

// Time is linear. GRAFT_ENOMEM. Any thread.
GraftStatus source_compare(const GraftAllocator *allocator, SourceText old,
                           SourceText changed, SourceDifference *difference);

#endif
