// SPDX-License-Identifier: MIT
//
// Sweep: replaces functions wherever the VM holds them. One walk over all that
// is reachable, with raw access only, so no metamethod runs; without recursion
// beyond a small fixed depth, so a list of any length is fine; the garbage
// collector rests meanwhile, so addresses identify objects. Any number of
// functions is replaced in one walk. Traded away: objects that only the VM
// itself can reach, such as LuaJIT's FFI callbacks, are found only when the VM
// shows them.
//
//   sweep_init(&sweep, &desc);
//   status = sweep_run(&sweep);
//   sweep_clear(&sweep);
//
// The walk works on the stack of a thread of its own, so it may be run from
// inside a call of a script, and sees the frames of all threads.

#ifndef GRAFT_VM_SWEEP_H
#define GRAFT_VM_SWEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/memory.h"
#include "vm/compat.h"

typedef struct PointerSet {
  const void **items;
  size_t capacity; // a power of two, or 0
  size_t count;
} PointerSet;

// What is known of a function that the walk met.
typedef struct SweepFunction {
  const void *function;
  int replacement; // place in the table of replacements, 0: none
  bool judged;     // `judge` was asked
  bool entered;
} SweepFunction;

// Tells at a glance of most pointers that they are not in a set.
typedef struct PointerFilter {
  uint64_t bits[256];
} PointerFilter;

struct Sweep;
struct Vm;

typedef struct SweepDesc {
  struct Vm *vm;
  const GraftAllocator *allocator;
  lua_State *L;      // the thread that runs now
  lua_State *main;   // the main thread
  lua_State *walker; // an empty thread, anchored by the caller
  const void *skip;  // an object that is not entered, may be NULL
  bool raw;          // settle_check has found that memory may be read
  // What references lead to is not entered: the caller finds the objects, and
  // calls the functions below for each (spread.h).
  bool flat;
  lua_CFunction step; // of a flat one, see sweep_step
  // Called first, inside the walk: adds pairs with `sweep_add_pair`. NULL:
  // none.
  void (*begin)(void *context, struct Sweep *sweep, lua_State *L);
  // Called once for each Lua function that a reference leads to, with the
  // function on top of L: pushes the function that replaces it and returns
  // true, or leaves the stack alone. NULL: only pairs are replaced.
  bool (*judge)(void *context, lua_State *L, const void *proto);
  // Whether `judge` is to see closures of this prototype; false is final. NULL:
  // all.
  bool (*concerns)(void *context, const void *proto);
  // Prototypes that `concerns` may want; all functions that are replaced are
  // of these. NULL: not known.
  const PointerFilter *filter;
  // Called for the function of each running frame.
  void (*running)(void *context, lua_State *L, const void *proto);
  void *context;
} SweepDesc;

typedef struct Sweep {
  SweepDesc desc;
  PointerSet visited;
  SweepFunction *functions;
  size_t function_capacity;
  size_t function_count;
  int pair_count;          // functions that have a replacement
  const void *unconcerned; // the last prototype that `concerns` did not want
  const void **settled;   // functions that this walk has found settled, by hash
  size_t reference_count; // places that were changed
  int pending_count;
  int rename_count;
  bool resting; // the collector, until the walk or step ends
} Sweep;

// A description of a sweep over all of a VM, without callbacks. Leaves L as it
// was.
SweepDesc sweep_describe(const struct Vm *vm, lua_State *L);

// May raise on `desc->L`. The walker's stack belongs to the sweep until
// `sweep_clear`, which is to be called in any case.
void sweep_init(Sweep *self, const SweepDesc *desc);
void sweep_clear(Sweep *self);

// Only from `begin` and `judge`: replaces the function below the top of the
// walker's stack by the one on top, and pops both. May raise.
void sweep_add_pair(Sweep *self);

// Only from `begin`: the same for the value on top of the walker's stack as for
// any that the walk finds; pops it. May raise.
void sweep_offer(Sweep *self);

// Walks. LUA_OK or a Lua error status; the error value is then on the stack of
// `desc.L`. After an error some references are replaced and others are not:
// `sweep_reverse` and another `sweep_run` put all of them back.
int sweep_run(Sweep *self);

// A part of a flat sweep, of which there may be any number; between two of them
// the program and the collector run. `desc.step` finds on its stack SWEEP_FIXED
// values of the sweep's own, `context`, and the two values that the last step
// returned, nil at first. Status as above; after an error they are nil again.
enum { SWEEP_FIXED = 4, SWEEP_KEPT = 2 };
int sweep_step(Sweep *self, void *context);

// Only in a flat sweep, and for what is on top of the walker's stack.
// Puts its replacement in its place; false when it has none.
bool sweep_substitute(Sweep *self);
// Replaces what the object holds in itself. Tables are better read in place.
void sweep_enter(Sweep *self);
// Replaces this key when sweep_rename_keys is called for its table; pops it.
void sweep_add_rename(Sweep *self);
void sweep_rename_keys(Sweep *self);

// The rest of the walk goes along references, over all of the VM, and `begin`
// offers values only.
void sweep_follow(Sweep *self,
                  void (*begin)(void *context, Sweep *sweep, lua_State *L));

// Exchanges the sides of all pairs and forgets what was visited; `judge` and
// `running` are not called again, and `begin` is to offer values only. The next
// run replaces only pairs whose mark in `marks` (by pair, NULL: none is marked)
// is `which`.
void sweep_reverse(Sweep *self, const bool *marks, bool which);

// The pair that replaces a function, 0 for none.
int sweep_find_pair(const Sweep *self, const void *function);

// Pushes both functions of a pair, 1 to `pair_count`, on `L`: old, new.
void sweep_push_pair(Sweep *self, lua_State *L, int pair);

#endif
