// Compiled to objects that native_link.c places, by each compiler and at each
// level, and once more with EDIT defined, as a later version of the file.
// Results are numbers that the rules of C give.

#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __TINYC__
#define PER_THREAD
#else
#define PER_THREAD __thread
#endif

#ifdef EDIT
#define STEP 1000
#else
#define STEP 1
#endif

typedef struct Body {
  double x, y;
  int mass;
} Body;

#ifdef SHIFT
// What comes before moves all that follows, and changes nothing of it.
static int shifted = 12;
static const char *const more[] = {"epsilon", "beta"};
int fixture_shift(int value) {
  static int inner = 5;
  static const int labels[] = {3, 4};
  inner += labels[value & 1];
  switch (value) {
  case 0:
    return puts("one more");
  case 1:
    return inner + ++shifted;
  case 2:
    return (int)strlen(more[value & 1]);
  case 3:
    return 9 * (int)(1.75 * value);
  case 4:
    return puts("a text to keep");
  case 5:
    return -7;
  default:
    return shifted;
  }
}
#endif

extern int fixture_shared; // of fixture_other.c
int fixture_other(int value);
int fixture_host(int value);
int fixture_absent(void) __attribute__((weak));

// --- Variables ---------------------------------------------------------------

static int calls = 40;
int fixture_global = 4;
static Body bodies[3] = {{1.5, 2.5, 10}, {3.5, 4.5, 20}, {5.5, 6.5, 30}};
static Body *chosen = &bodies[1];
static const char *const names[] = {"alpha", "beta", "gamma", "delta"};
static const int primes[] = {2, 3, 5, 7, 11, 13, 17, 19};
static char buffer[64];
static PER_THREAD int mine = 7;
PER_THREAD long fixture_each;

int fixture_count(void) {
  calls += STEP;
  return calls;
}

int fixture_inner(void) {
  static int inner = 100;
  inner += STEP;
  return inner;
}

// No function of this version writes it.
static int unwritten = 3;
int fixture_unwritten(void) {
  return unwritten;
}

int fixture_set(int value) {
  fixture_global = value;
  return fixture_global + fixture_shared;
}

double fixture_body(int index) {
  bodies[index].x += 0.5;
  return bodies[index].x + chosen->y;
}

void *fixture_address(int which) {
  switch (which) {
  case 0:
    return &calls;
  case 1:
    return &fixture_global;
  case 2:
    return bodies;
  case 3:
    return &bodies[2].y;
  case 4:
    return &mine;
  case 5:
    return &fixture_each;
  case 6:
    return &fixture_shared;
  default:
    return buffer;
  }
}

int fixture_local(int value) {
  mine += value;
  fixture_each += mine;
  return mine + (int)fixture_each;
}

// --- Constants and literals --------------------------------------------------

const char *fixture_name(int index) {
  return names[index & 3];
}

const char *fixture_text(void) {
  return "a text to keep";
}

int fixture_wide(int index) {
  return L"wide \u00e9\u4e00"[index];
}

const char *fixture_word(int value) {
  switch (value) {
  case 0:
    return "zero";
  case 1:
    return "one";
  case 2:
    return "two";
  case 3:
    return "three";
  case 4:
    return "four";
  default:
    return "many";
  }
}

int fixture_prime(int index) {
  return primes[index & 7];
}

double fixture_number(double value) {
  return value * 3.25 + 1.5;
}

const char *fixture_function(void) {
  return __func__;
}

int fixture_compound(int index) {
  const int copy[] = {9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 11, 12};
  int sum = 0;
  for (int i = 0; i <= index; i++) sum += copy[i];
  return sum;
}

// --- Calls -------------------------------------------------------------------

static int compare(const void *a, const void *b) {
  int x = *(const int *)a, y = *(const int *)b;
#ifdef EDIT
  return (y > x) - (y < x);
#else
  return (x > y) - (x < y);
#endif
}

int fixture_sort(void) {
  int list[] = {3, 1, 2};
  qsort(list, 3, sizeof *list, compare);
  return list[0] * 100 + list[1] * 10 + list[2];
}

typedef int (*Compare)(const void *a, const void *b);
static Compare order = compare;
Compare fixture_order(void) {
  return order;
}

#ifndef __TINYC__
__attribute__((noinline))
#endif
static int
helper(int value) {
  return value * 2 + STEP;
}

int fixture_helped(int value) {
  return helper(value) + helper(value + 1);
}

int fixture_line(void) {
  return __LINE__ + 2;
}
int fixture_callee(int value) {
  return value + STEP;
}

int fixture_caller(int value) {
  return fixture_callee(value) * 10;
}

int (*fixture_pointer(void))(int) {
  return fixture_callee;
}

int fixture_across(int value) {
  return fixture_other(value) + 1;
}

int fixture_outside(int value) {
  return fixture_host(value) + 1;
}

int fixture_weak(void) {
  return fixture_absent != 0;
}

double fixture_math(double value) {
  return floor(pow(value, 2.0)) + fabs(-1.0);
}

const char *fixture_print(int value, double number) {
  snprintf(buffer, sizeof buffer, "%d %s %.2f", value, "and", number);
  return buffer;
}

// A recursion, and a tail call.
int fixture_depth(int value) {
  return value <= 0 ? 0 : 1 + fixture_depth(value - 1);
}

// --- Control -----------------------------------------------------------------

int fixture_switch(int value) {
  switch (value) {
  case 0:
    return fixture_callee(7) - STEP;
  case 1:
    return 11;
  case 2:
    return fixture_other(1);
  case 3:
    return 13;
  case 4:
    return helper(0) - STEP + 14;
  case 5:
    return 15;
  case 6:
    return (int)strlen(names[1]) + 12;
  default:
    return -1;
  }
}

#if defined(__GNUC__) || defined(__TINYC__) // not cppcheck, which fails
int fixture_goto(int which) {
  static void *const labels[] = {&&first, &&second, &&third};
  goto *labels[which];
first:
  return 1;
second:
  return 2;
third:
  return 3;
}
#endif

#ifndef __TINYC__
__attribute__((cold, noinline))
#endif
static int
fail(int value) {
  calls = 0;
  return -value;
}

int fixture_cold(int value) {
  if (value > 1000000) return fail(value) + bodies[0].mass;
  return value + 1;
}

#ifndef __TINYC__
static volatile int constructed;
__attribute__((constructor)) static void construct(void) {
  constructed += 5;
}
__attribute__((destructor)) static void destruct(void) {
  constructed += 100;
}
int fixture_constructed(void) {
  return constructed;
}
#endif

// --- Through other frames ----------------------------------------------------

int fixture_through(int (*callback)(int), int value) {
  int result = callback(value);
  return result + 1;
}
