// SPDX-License-Identifier: MIT
//
// What sweep.c and settle.c share: looking up what the walk has met.

#ifndef GRAFT_VM_SWEEP_INNER_H
#define GRAFT_VM_SWEEP_INNER_H

#include <stdbool.h>

#include "vm/sweep.h"

static inline size_t pointer_hash(const void *pointer) {
  return (size_t)(((uintptr_t)pointer >> 4) * 0x9e3779b97f4a7c15u >> 20);
}

// The place of the object, or the free one where it belongs.
static inline const void **set_place(const PointerSet *set,
                                     const void *object) {
  size_t mask = set->capacity - 1;
  size_t at = pointer_hash(object) & mask;
  while (set->items[at] != NULL && set->items[at] != object) {
    at = (at + 1) & mask;
  }
  return &set->items[at];
}

static inline bool set_has(const PointerSet *set, const void *object) {
  return set->capacity > 0 && *set_place(set, object) != NULL;
}

static inline SweepFunction *function_place(SweepFunction *functions,
                                            size_t capacity,
                                            const void *function) {
  size_t at = pointer_hash(function) & (capacity - 1);
  while (functions[at].function != NULL && functions[at].function != function) {
    at = (at + 1) & (capacity - 1);
  }
  return &functions[at];
}

static inline void filter_add(PointerFilter *self, const void *pointer) {
  size_t hash = pointer_hash(pointer);
  self->bits[hash >> 6 & 255] |= (uint64_t)1 << (hash & 63);
}

static inline bool filter_may_have(const PointerFilter *self,
                                   const void *pointer) {
  size_t hash = pointer_hash(pointer);
  return (self->bits[hash >> 6 & 255] >> (hash & 63) & 1) != 0;
}

// The walk leads to a function by its module's table, and again by its slot.
// The last function of each hash is known, which is enough.
enum { SETTLED_COUNT = 1 << 14 };

static inline const void **settled_place(const Sweep *self,
                                         const void *function) {
  return &self->settled[pointer_hash(function) & (SETTLED_COUNT - 1)];
}

// True when the object was not there yet. May raise on the walker.
bool sweep_add_visited(Sweep *self, const void *object);

#endif
