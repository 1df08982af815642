// SPDX-License-Identifier: MIT
//
// Call: calling a native by its signature, words in, word out: a few
// nanoseconds, no checks. graft_fn_call (fn.c) puts values and their checks
// (convert.h) on top; the VM layer fills words straight from the Lua stack.
//
// On x86-64 (System V) and aarch64 (AAPCS64) integers and floats
// travel in two separate rows of registers whatever their order, so a call
// whose arguments all fit in registers needs no code of its own:
// call_registers.c. libffi makes the others.

#ifndef GRAFT_REGISTRY_CALL_H
#define GRAFT_REGISTRY_CALL_H

#include "registry/signature.h"

// Whether call_registers.c knows this processor's calls.
#if defined(__LP64__) && (defined(__x86_64__) || defined(__aarch64__))
#define CALL_REGISTERS 1
#else
#define CALL_REGISTERS 0
#endif

// One argument or result.
//
// As an argument: integers, bool, strings and pointers fill all 64 bits, sign
// or zero extended as their type is; a `double` is `number`; a `float` is set
// with call_float (its bits in the low half).
// As a result: every integer and bool is in `integer`, extended (a uint64_t
// as its bits), `float` and `double` are in `number`, pointers and strings
// in `pointer`.
// A struct by value is in memory that `pointer` leads to, as an argument and as
// a result; for a result the caller sets it, before the call.
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

// The same through registers alone, for shapes other than CALL_LIBFFI.
// Integers in the result are not extended. For call.c.
void call_registers(const Signature *signature, GraftNative code,
                    const CallWord *args, CallWord *result);

#endif
