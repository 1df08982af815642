// SPDX-License-Identifier: MIT
//
// N5: arguments and results of every shape pass through the guard of a native
// on probation, and reach the code before it when it crashes.

#include <math.h>
#include <stdarg.h>

#include "guard_support.h"

typedef struct Big {
  double values[5];
} Big;

typedef struct Pair {
  int64_t whole;
  double part;
} Pair;

typedef double Many(int, double, int64_t, float, const char *, int, int, int,
                    int, double, double, double, double, double, double, double,
                    double);

NATIVE double many(int a, double b, int64_t c, float d, const char *e, int f,
                   int g, int h, int i, double j, double k, double l, double m,
                   double n, double o, double p, double q) {
  return a + 2 * b + 3 * (double)c + 4 * (double)d + 5 * e[0] + 6 * f + 7 * g +
         8 * h + 9 * i + j + k + l + m + n + o + 10 * p + 11 * q;
}

// Writes over its arguments on the stack and crashes.
NATIVE double many_crash(int a, double b, int64_t c, float d, const char *e,
                         int f, int g, int h, int i, double j, double k,
                         double l, double m, double n, double o, double p,
                         double q) {
  volatile int *stack[] = {&g, &h, &i};
  for (int at = 0; at < 3; at++) *stack[at] = -1;
  *(volatile double *)&q = NAN;
  AT(0) = a + f + (int)(b + j + k + l + m + n + o + p) + (int)c + (int)d + *e;
  return q;
}

typedef Big BigFunction(Pair, Big, int);

NATIVE Big big(Pair pair, Big values, int factor) {
  for (int i = 0; i < 5; i++) values.values[i] *= factor;
  values.values[0] += (double)pair.whole + pair.part;
  return values;
}

NATIVE Big big_crash(Pair pair, Big values, int factor) {
  AT(0) = factor + (int)pair.whole;
  return values;
}

NATIVE Pair pair(double part) {
  return (Pair){7, part};
}

NATIVE long double precise(long double value) {
  return value / 3;
}

NATIVE double sum(int count, ...) {
  va_list list;
  va_start(list, count);
  double result = 0;
  for (int i = 0; i < count; i++) result += va_arg(list, double);
  va_end(list);
  return result;
}

static double call_many(const Native *native) {
  return CALL(*native, Many)(1, 2, 3, 4, "A", 6, 7, 8, 9, 10, 11, 12, 13, 14,
                             15, 16, 17);
}

static const double many_result = 1 + 4 + 9 + 16 + 5 * 65 + 36 + 49 + 64 + 81 +
                                  10 + 11 + 12 + 13 + 14 + 15 + 160 + 187;

static void passing(void) {
  open_usual();
  Native native = new_version(CODE(many), NULL);
  CHECK("on probation the cell leads to the gate",
        *native.thunk.cell == guard_fn_gate(native.fn));
  CHECK("arguments in registers and on the stack",
        call_many(&native) == many_result);
  CHECK("after the first return the cell holds the code",
        *native.thunk.cell == CODE(many) && !guard_fn_on_probation(native.fn));
  CHECK("the gate is still good", ((Many *)guard_fn_gate(native.fn))(
                                      1, 2, 3, 4, "A", 6, 7, 8, 9, 10, 11, 12,
                                      13, 14, 15, 16, 17) == many_result);
  native = new_version(CODE(big), NULL);
  Big in = {{1, 2, 3, 4, 5}};
  Big out = CALL(native, BigFunction)((Pair){1, 0.5}, in, 3);
  CHECK("structs by value", out.values[0] == 4.5 && out.values[4] == 15);
  native = new_version(CODE(pair), NULL);
  Pair two = CALL(native, Pair(double))(0.25);
  CHECK("a struct in two registers", two.whole == 7 && two.part == 0.25);
  native = new_version(CODE(precise), NULL);
  CHECK("long double",
        CALL(native, long double(long double))(1.0L) == 1.0L / 3);
  native = new_version(CODE(sum), NULL);
  CHECK("variable arguments",
        CALL(native, double(int, ...))(3, 1.0, 2.0, 4.0) == 7);
  CHECK("nothing crashed", !guard_take_crash(guard, &(GuardCrash){0}));
  CHECK("nobody is in a call", guard_is_idle(guard));
  close_guard();
}

static void passing_again(void) {
  open_usual();
  Native native = new_version(CODE(many_crash), CODE(many));
  CHECK("the code before gets the arguments as they were",
        call_many(&native) == many_result);
  CHECK("it is in the cell", *native.thunk.cell == CODE(many));
  native = new_version(CODE(big_crash), CODE(big));
  Big in = {{1, 2, 3, 4, 5}};
  Big out = CALL(native, BigFunction)((Pair){1, 0.5}, in, 3);
  CHECK("structs by value too", out.values[0] == 4.5 && out.values[4] == 15);
  native = new_native(false);
  switch_one(&(GuardChange){.fn = native.fn,
                            .code = CODE(big_crash),
                            .probation = true,
                            .result_size = sizeof(Big)});
  out = CALL(native, BigFunction)((Pair){1, 0.5}, in, 3);
  CHECK("a struct of zeroes where there is no code",
        out.values[0] == 0 && out.values[4] == 0);
  close_guard();
}

int main(int count, char **arguments) {
  only_child = count > 1 ? arguments[1] : NULL;
  if (!guard_is_supported()) {
    printf("ok no gates on this processor, nothing is guarded\n");
    return 0;
  }
  check_child("passing", passing);
  check_child("passing again", passing_again);
  return check_status();
}
