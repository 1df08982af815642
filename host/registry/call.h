// SPDX-License-Identifier: MIT
//
// Call: calling a native by its signature, and the conversions between
// GraftValue and C. Two levels:
//
//   call_native       words in, word out; a few nanoseconds, no checks
//   graft_fn_call     values in, values out, checked (declared in graft.h)
//
// The VM layer fills words straight from the Lua stack, and uses
// convert_argument only for what its fast path does not know, and so for every
// message. On x86-64 (System V) and aarch64 (AAPCS64) integers and floats
// travel in two separate rows of registers whatever their order, so a call
// whose arguments all fit in registers needs no code of its own:
// call_registers.c. libffi makes the others.

#ifndef GRAFT_REGISTRY_CALL_H
#define GRAFT_REGISTRY_CALL_H

#include "registry/signature.h"

// One argument or result.
//
// As an argument: integers, bool, strings and pointers fill all 64 bits, sign
// or zero extended as their type is; a `double` is `number`; a `float` is set
// with call_float (its bits in the low half).
// As a result: every integer and bool is in `integer`, extended (a uint64_t
// as its bits), `float` and `double` are in `number`, pointers and strings
// in `pointer`.
typedef union CallWord {
  int64_t integer;
  uint64_t bits;
  double number;
  const void *pointer;
} CallWord;

static inline CallWord call_float(float value) {
  union {
    float value;
    uint32_t bits;
  } pun = {value};
  return (CallWord){.bits = pun.bits};
}

// Calls `code`, a C function of exactly this signature, which is not `lua`.
// `args` has at least one word even when there is no parameter (its value
// does not matter, but it must be readable and set). Any thread.
void call_native(const Signature *signature, GraftNative code,
                 const CallWord *args, CallWord *result);

// Converts argument `index` (from 0) of the function called `name`. Exact or
// not at all: an integer type takes integers in its range and numbers that
// are such integers; `float` and `double` take both (float rounds); bool takes
// booleans; `const char *` takes strings without a zero inside; pointers take
// pointers of the same or of no type name, and nil for NULL.
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
GraftValue convert_word(TypeCode type, const char *type_name, CallWord word);

// What a script returned, as the C result. As convert_argument, with "bad
// result of 'physics.step' (double expected, got nil)"; for void anything
// will do. The word has the form of an argument.
GraftStatus convert_result(const Signature *signature, const char *name,
                           const GraftValue *value, CallWord *word,
                           GraftError *error);

#endif
