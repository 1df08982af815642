// SPDX-License-Identifier: MIT
//
// Counter: how often each 64-bit key was seen, and a number kept for each.
// Keys are hashes that nobody checks further.

#ifndef GRAFT_UNIT_COUNTER_H
#define GRAFT_UNIT_COUNTER_H

#include <stdint.h>

#include "base/memory.h"

typedef struct CounterEntry {
  uint64_t key; // 0: free
  int value;
} CounterEntry;

typedef struct Counter {
  const GraftAllocator *allocator;
  CounterEntry *entries;
  size_t capacity; // a power of two, or 0
  size_t count;
} Counter;

void counter_init(Counter *self, const GraftAllocator *allocator);
void counter_clear(Counter *self);

// Makes room for this many keys; false when out of memory.
bool counter_reserve(Counter *self, size_t count);

// Forgets all keys. Memory is kept if it is not far too much for `expected`
// keys, so that many small rounds after a large one are cheap.
void counter_reset(Counter *self, size_t expected);

// The number of a key, 0 at first, to read or set; NULL when out of memory.
// It is valid until the next call.
int *counter_at(Counter *self, uint64_t key);

// The same, or NULL when the key was never seen.
int *counter_find(const Counter *self, uint64_t key);

#endif
