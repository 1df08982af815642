// SPDX-License-Identifier: MIT
//
// Convert: between GraftValue and the words of a C call, exactly or not at
// all, with the messages that users see. The VM layer uses it for what its own
// fast path does not know, and so for every message. Any thread.

#ifndef GRAFT_REGISTRY_CONVERT_H
#define GRAFT_REGISTRY_CONVERT_H

#include "registry/call.h"

// Converts argument `index` (from 0) of the function called `name`. Exact or
// not at all: an integer type takes integers in its range and numbers that
// are such integers; `float` and `double` take both (float rounds); bool takes
// booleans; `const char *` takes strings without a zero inside; pointers take
// pointers of the same or of no type name, and nil for NULL; an enum takes
// integers between its enumerators; a struct by value takes a pointer to one,
// which must stay until the call has been made.
// GRAFT_EARG: "bad argument #2 to 'physics.step' (int expected, got string)".
GraftStatus convert_argument(const Signature *signature, const char *name,
                             int index, const GraftValue *value, CallWord *word,
                             GraftError *error);

// "physics.step: expected 2 arguments, got 1".
GraftStatus convert_count_error(const Signature *signature, const char *name,
                                int count, GraftError *error);

// The value of a result or (for calls from C into a script) of an argument
// word in the form of a result. A uint64_t beyond INT64_MAX is a number; NULL
// is nil; strings and pointer names are borrowed.
// A struct is a pointer to where it is.
GraftValue convert_word(TypeCode type, const char *type_name, CallWord word);

// What a script returned, as the C result. As convert_argument, with "bad
// result of 'physics.step' (double expected, got nil)"; for void anything
// will do. The word has the form of a result; that of a struct leads to the
// value's own bytes.
GraftStatus convert_result(const Signature *signature, const char *name,
                           const GraftValue *value, CallWord *word,
                           GraftError *error);

#endif
