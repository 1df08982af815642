// SPDX-License-Identifier: MIT
//
// Remnants: what a spread sweep may have missed, because the program moved a
// reference from where a pass had not been to where it had, in each of its
// passes. The collector tells: every old closure is a key of a weak table, and
// one that is still there after two collections is held by somebody. Then
// passes look for those alone, at the same safe points and under the same
// budget; where some are left after several of those, one walk along references
// ends it.
//
// Traded away: a program that makes no garbage learns nothing of this. Old
// versions that Graft keeps (histories) are copies, which nothing else holds.

#ifndef GRAFT_VM_REMNANT_H
#define GRAFT_VM_REMNANT_H

#include "base/pointer_map.h"
#include "vm/spread.h"

struct Vm;

typedef struct Remnant {
  bool active;     // there may be old closures that somebody holds
  int table_ref;   // weak: old closure → new one
  int copies_ref;  // weak: set of those that histories keep
  int canary_ref;  // weak: 1 → what goes with the next collection
  int collections; // to come until those that are left are held by somebody
  int rounds;      // of passes
  bool found;      // one of them has replaced something
  // Of a round.
  bool passing;
  PointerMap protos; // of those that are left → themselves
  int walker_ref;
  Sweep sweep;
  Spread spread;
} Remnant;

// May raise.
void remnant_init(struct Vm *vm, lua_State *L);
// Stops watching. May be called when the state has closed.
void remnant_clear(struct Vm *vm);

// stack: …, old closure, new closure. Only when the new one is there for good
// and has all its variables. May raise. Leaves the stack as it was.
void remnant_add(struct Vm *vm, lua_State *L);
// The closure on top is not old after all; pops it.
void remnant_remove(struct Vm *vm, lua_State *L);

// A sweep has ended: from now on the collector is watched.
void remnant_watch(struct Vm *vm);

// Whether the closure on top is a copy for a history.
bool remnant_is_copy(struct Vm *vm, lua_State *L);

// In the place of the closure with this reference, leaves a copy of it. May
// raise.
void remnant_copy(struct Vm *vm, lua_State *L, int ref);

#endif
