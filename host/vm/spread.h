// SPDX-License-Identifier: MIT
//
// Spread: a flat sweep over all objects of the heap, in steps that end at a
// deadline. The program runs between the steps, and no barrier tells what it
// writes. So a pass over the heap may miss a reference that was moved from
// where the pass had not been to where it had; passes follow one another until
// one has found nothing. Objects that are made meanwhile are for the next pass.
//
// The place of the walk is an object that is held from step to step, and inside
// of a table a number: nothing else is remembered of objects that the collector
// may free.

#ifndef GRAFT_VM_SPREAD_H
#define GRAFT_VM_SPREAD_H

#include "vm/heap.h"
#include "vm/sweep.h"

struct Vm;

// How far a table was looked through. Where its parts have moved since, fields
// may have gone from one to the other: then the nodes are begun again. What is
// added to the array meanwhile is for the next pass.
typedef struct SpreadPlace {
  const void *array;
  const void *nodes;
  size_t item, item_end;
  size_t node;
  int begun; // how often
} SpreadPlace;

typedef struct Spread {
  Sweep *sweep; // flat
  const Heap *heap;
  // Told of the prototype of each Lua function in the heap; whether that is to
  // be given a new one although no reference was met. May be NULL.
  bool (*met)(void *context, const void *proto);
  // What is not looked through, besides what the sweep skips: Graft's weak
  // tables, and those with this metatable, which sweeps give their own. Some
  // may be left of earlier ones, with all that they replaced.
  const void *skips[2];
  const void *own;
  // The pass.
  bool begun;
  int list;
  const void *object; // where it rests, held by the walker
  SpreadPlace place;  // in it
  size_t found_before;
  int passes; // complete ones
  bool done;  // the last of them found nothing
  // Of the step under way.
  uint64_t deadline; // in nanoseconds
  long left;         // slots to look at until the clock is read
  bool late;
  long near_left; // slots that spread_near may still look at
  int holder;     // for heap_push
  unsigned white;
  const void *unconcerned;
} Spread;

// `sweep` is flat; it may be one that is to be initialised. May raise.
void spread_init(Spread *self, struct Vm *vm, lua_State *L, Sweep *sweep);

// What the sweep's description has for `step`.
int spread_step(lua_State *W);

// For so many nanoseconds, or until it is done. LUA_OK or an error status, with
// the error value on the stack of the sweep's `desc.L`; then the pass begins
// again.
int spread_run(Spread *self, uint64_t budget_ns);

// Before the first step, inside the walk of the flat sweep, on its walker:
// spread_near replaces what the table on top of the stack holds, and the tables
// in it, `depth` levels of them, as long as slots last; it pops the table.
// spread_begin_near comes first. They may raise.
void spread_begin_near(Spread *self);
void spread_near(Spread *self, int depth);
void spread_near_threads(Spread *self);

#endif
