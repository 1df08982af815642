// SPDX-License-Identifier: MIT
//
// Collector: lets a VM's garbage collector rest, and wakes it so that its next
// step is due when it would have been. The public interface alone makes it due
// at once, and one step may take longer than all else at a safe point: it goes
// through a large table in one piece. How far off the step is, is read where
// `collector_check` found it; where it did not, the public interface has to do.

#ifndef GRAFT_VM_COLLECTOR_H
#define GRAFT_VM_COLLECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vm/compat.h"
#include "vm/heap.h"

typedef struct Collector {
  char *pace;      // what tells when the next step is due, or NULL
  int64_t due;     // LuaJIT: its value when the rest began
  int depth;       // rests under way
  bool has_rested; // it ran when the first of them began
} Collector;

// May raise; leaves the stack as it was.
void collector_check(Collector *self, const Heap *heap, lua_State *L);

// Each rest is followed by one wake; only the last one wakes.
void collector_rest(Collector *self, lua_State *L);
void collector_wake(Collector *self, lua_State *L);

// Wakes it for what may make much garbage, and back. Returns what the second
// is to be given.
int collector_interrupt_rest(Collector *self, lua_State *L);
void collector_resume_rest(Collector *self, lua_State *L, int depth);

#endif
