// SPDX-License-Identifier: MIT
//
// Calls in registers, for x86-64 (System V) and aarch64 (AAPCS64). Integers
// and pointers take one row of registers in their order, floats another, and
// a callee looks at those of its parameters alone; so one prototype with more
// parameters than the callee has reaches it with all its own in place. A float
// is the low half of a double's register. This is outside of C, and inside of
// both ABIs. It is also why no sanitizer that checks function types may look.

#include "registry/call.h"

#if CALL_REGISTERS

#define INTEGER(n) args[signature->integers[n]].integer
#define NUMBER(n) args[signature->floats[n]].number

#define TWO_TWO(Result)                                                        \
  ((Result(*)(int64_t, int64_t, double, double))code)(INTEGER(0), INTEGER(1),  \
                                                      NUMBER(0), NUMBER(1))

#define NO_FLOATS(Result)                                                      \
  ((Result(*)(int64_t, int64_t, int64_t, int64_t, int64_t, int64_t))code)(     \
      INTEGER(0), INTEGER(1), INTEGER(2), INTEGER(3), INTEGER(4), INTEGER(5))

#define ALL(Result)                                                            \
  ((Result(*)(int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, double,    \
              double, double, double, double, double, double, double))code)(   \
      INTEGER(0), INTEGER(1), INTEGER(2), INTEGER(3), INTEGER(4), INTEGER(5),  \
      NUMBER(0), NUMBER(1), NUMBER(2), NUMBER(3), NUMBER(4), NUMBER(5),        \
      NUMBER(6), NUMBER(7))

// A call in the narrowest shape that holds its arguments.
#define CALL(Result)                                                           \
  (signature->shape == CALL_TWO_TWO     ? TWO_TWO(Result)                      \
   : signature->shape == CALL_NO_FLOATS ? NO_FLOATS(Result)                    \
                                        : ALL(Result))

__attribute__((no_sanitize("undefined"))) void
call_registers(const Signature *signature, GraftNative code,
               const CallWord *args, CallWord *result) {
  if (signature->result == TYPE_DOUBLE) {
    result->number = CALL(double);
  } else if (signature->result == TYPE_FLOAT) {
    result->number = (double)CALL(float);
  } else {
    result->integer = CALL(int64_t);
  }
}

#else

#include <assert.h>

void call_registers(const Signature *signature, GraftNative code,
                    const CallWord *args, CallWord *result) {
  (void)signature, (void)code, (void)args, (void)result;
  assert(!"every shape is CALL_LIBFFI on this processor");
}

#endif
