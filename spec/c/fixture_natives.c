// SPDX-License-Identifier: MIT
//
// What registry_library.c opens: one function for each thing that R2 and the
// reading of C types have to get right. Built with -g, by several compilers
// and in several versions of DWARF.

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct lua_State lua_State;
typedef double Real;
typedef const char *Text;
typedef struct Body {
  double x, y;
} Body;
struct Bird {
  int id;
};
typedef struct Bird *BirdRef;
typedef enum Mood { CALM, WILD } Mood;
enum Kind { BIG, SMALL };
typedef int Callback(int);
typedef union Either {
  int a;
  float b;
} Either;

double fixture_natives_add(double a, int b);
double fixture_natives_add(double a, int b) {
  return a + b;
}
void fixture_natives_step_all(Real dt);
void fixture_natives_step_all(Real dt) {
  (void)dt;
}
Text fixture_natives_name(Text text, const bool loud);
Text fixture_natives_name(Text text, const bool loud) {
  return loud ? text : "";
}
char *fixture_natives_buffer(char *buffer, const char **list);
char *fixture_natives_buffer(char *buffer, const char **list) {
  (void)list;
  return buffer;
}
Body *fixture_natives_body(const Body *body, BirdRef bird, const void *any);
Body *fixture_natives_body(const Body *body, BirdRef bird, const void *any) {
  (void)bird, (void)any;
  return (Body *)body;
}
Mood fixture_natives_mood(Mood mood, enum Kind kind);
Mood fixture_natives_mood(Mood mood, enum Kind kind) {
  return kind == BIG ? mood : WILD;
}
size_t fixture_natives_sizes(int8_t a, uint8_t b, int16_t c, uint16_t d,
                             int32_t e, uint32_t f, int64_t g, uint64_t h,
                             long i, unsigned long long j, float k,
                             volatile int l);
size_t fixture_natives_sizes(int8_t a, uint8_t b, int16_t c, uint16_t d,
                             int32_t e, uint32_t f, int64_t g, uint64_t h,
                             long i, unsigned long long j, float k,
                             volatile int l) {
  return (size_t)(a + b + c + d + e + (int64_t)f + g + (int64_t)h + i +
                  (int64_t)j + (int64_t)k + l);
}
int fixture_natives_lua(lua_State *state);
int fixture_natives_lua(lua_State *state) {
  return state != NULL;
}
double fixture_natives_values(Real values[4], const unsigned char *bytes);
double fixture_natives_values(Real values[4], const unsigned char *bytes) {
  return values[0] + bytes[0];
}

// What cannot be called from Lua.
Body fixture_natives_make(void);
Body fixture_natives_make(void) {
  return (Body){1, 2};
}
void fixture_natives_take(int a, struct Bird bird);
void fixture_natives_take(int a, struct Bird bird) {
  (void)a, (void)bird;
}
void fixture_natives_either(Either either);
void fixture_natives_either(Either either) {
  (void)either;
}
int fixture_natives_each(Callback *callback);
int fixture_natives_each(Callback *callback) {
  return callback(1);
}
int fixture_natives_print(const char *format, ...);
int fixture_natives_print(const char *format, ...) {
  va_list list;
  va_start(list, format);
  va_end(list);
  return 0;
}
long double fixture_natives_long(long double value);
long double fixture_natives_long(long double value) {
  return value;
}

// Structs by value: in registers, in memory, and one that no call can take.
Body fixture_natives_scale(Body body, double by);
Body fixture_natives_scale(Body body, double by) {
  return (Body){body.x * by, body.y * by};
}
typedef struct Mixed {
  float real;
  int numbers[3];
  char letter;
  struct Bird bird;
} Mixed;
Mixed fixture_natives_mix(int more, Mixed mixed);
Mixed fixture_natives_mix(int more, Mixed mixed) {
  mixed.real += (float)more;
  mixed.numbers[2] += more;
  mixed.letter++;
  mixed.bird.id -= more;
  return mixed;
}
struct __attribute__((packed)) Tight {
  char letter;
  int number;
};
int fixture_natives_tight(struct Tight tight);
int fixture_natives_tight(struct Tight tight) {
  return tight.number;
}
typedef enum Flags { RED = 1, GREEN = 2, BLUE = 4 } Flags;
Flags fixture_natives_flags(Flags flags);
Flags fixture_natives_flags(Flags flags) {
  return flags == RED ? (Flags)9 : flags;
}

// What is no native of this file.
int other_function(void);
int other_function(void) {
  return 1;
}
int fixture_natives(void);
int fixture_natives(void) {
  return 1;
}
int fixture_natives_(void);
int fixture_natives_(void) {
  return 1;
}
static int fixture_natives_static(int a) {
  return a + 1;
}
__attribute__((visibility("hidden"))) int fixture_natives_hidden(int a);
int fixture_natives_hidden(int a) {
  return fixture_natives_static(a);
}

// Inlined at -O2 as well as exported.
int fixture_natives_twice(int value);
int fixture_natives_twice(int value) {
  return 2 * value;
}
int fixture_natives_four(int value);
int fixture_natives_four(int value) {
  return fixture_natives_twice(fixture_natives_twice(value)) +
         fixture_natives_hidden(0) * 0;
}
