// SPDX-License-Identifier: MIT
//
// Source: what two texts of one C file differ in, told from their top-level
// pieces: directives, declarations, and function definitions with head and
// body. It knows comments, strings, continued lines and braces, and no C
// beyond that; white space and comments are no difference. Where it is in
// doubt it says that more than bodies changed: a changed body that has
// directives in it, or whose static variables differ; two static variables of
// one name in one function; a changed static function that a macro mentions.
// A function that a macro defines has the macro's name here, and is found in no
// object. Traded away: telling a harmless change of a declaration from
// another.

#ifndef GRAFT_NATIVE_SOURCE_H
#define GRAFT_NATIVE_SOURCE_H

#include "base/array.h"

typedef struct SourceText {
  const char *text;
  size_t size;
} SourceText;

typedef struct SourceDifference {
  Arena arena;
  bool bodies_only; // nothing else differs; then
  // the functions to replace, by name: those whose bodies differ, in the order
  // of the new text, and then those that may have had the code of a
  // static one of these put into theirs, directly or by way of a constant.
  ARRAY(const char *) functions;
  size_t changed; // so many of `functions` have different bodies
} SourceDifference;

// Clears and fills `difference`. Time is linear in the texts, but for static
// functions that changed: each takes one more look at all bodies.
// GRAFT_ENOMEM. Any thread.
GraftStatus source_compare(const GraftAllocator *allocator, SourceText old,
                           SourceText changed, SourceDifference *difference);
void source_difference_clear(SourceDifference *self);

#endif
