// SPDX-License-Identifier: MIT
//
// What native_layout.c reads: every kind of type and variable, built by
// several compilers, at several levels, in several versions of DWARF.

#include <stdbool.h>
#include <stdint.h>

typedef struct Vec {
  double x, y;
} Vec;

enum Mood { CALM, WILD = 7, LOST = -1 };
typedef enum { LOW, HIGH = 0xF0000000u } Level;
typedef int Callback(int, const char *);
struct Unknown;

typedef struct Node *NodeRef;
struct Node {
  NodeRef next;
  struct Unknown *unknown;
  Callback *each;
  union {
    int number;
    float real;
  };
  struct {
    uint8_t red, green;
  } colour;
};

struct Bits {
  unsigned a : 3;
  int b : 7;
  unsigned : 2;
  uint64_t c : 40;
  bool d : 1;
};

struct __attribute__((packed)) Packed {
  char tag;
  int value;
};

int fixture_count = 3;
static struct Node nodes[4];
static double grid[2][3] = {{1, 2, 3}};
static const int limits[2] = {10, 20};
static const char *const names[] = {"one", "two"};
static struct Bits bits;
static struct Packed packed;
static enum Mood mood;
static Level level;
static Callback *callbacks[2];
static double (*(*maker)(int))[3];
_Thread_local int fixture_local = 5;
extern int fixture_elsewhere;

int fixture_use(int index, Vec at, struct Node *node, void (*done)(void));
int fixture_use(int index, Vec at, struct Node *node, void (*done)(void)) {
  static int calls;
  calls++;
  if (index > 3) {
    static long seen = 1;
    seen += index;
    fixture_count += (int)seen;
  } else {
    static long seen = 2;
    seen -= index;
    fixture_count -= (int)seen;
  }
  nodes[index & 3].next = node;
  grid[index & 1][0] += at.x + limits[index & 1] + names[index & 1][0];
  bits.b += index, bits.c += 5, bits.a++, bits.d = !bits.d;
  packed.value += index, packed.tag++;
  mood = mood == CALM ? WILD : index > 9 ? LOST : CALM;
  level = level == LOW && index != 4 ? HIGH : LOW;
  if (callbacks[index & 1]) callbacks[index & 1](index, "");
  if (maker) grid[1][1] += (*maker(1))[2];
  if (done) done();
  return calls + fixture_local++ + fixture_elsewhere;
}

static int twice(int value) {
  static int hits;
  return value * ++hits;
}
int fixture_inlined(int value);
int fixture_inlined(int value) {
  return twice(value) + twice(value + 1);
}
int fixture_poke(Callback *callback, int mood_, int index);
int fixture_poke(Callback *callback, int mood_, int index) {
  // cppcheck-suppress AssignmentAddressToInteger
  callbacks[index & 1] = callback;
  mood = (enum Mood)mood_;
  level = (Level)mood_;
  maker = (double(*(*)(int))[3])(uintptr_t)index;
  bits.a = 1, bits.c = (unsigned)index;
  return (int)mood + (int)level + (int)bits.c + bits.b + bits.a + bits.d +
         packed.value + packed.tag;
}
