// SPDX-License-Identifier: MIT
//
// Pointer map: address → pointer, for telling objects apart by identity.

#ifndef GRAFT_BASE_POINTER_MAP_H
#define GRAFT_BASE_POINTER_MAP_H

#include <stddef.h>

#include "base/memory.h"

typedef struct PointerEntry {
  const void *key; // NULL: free
  void *value;
} PointerEntry;

typedef struct PointerMap {
  const GraftAllocator *allocator;
  PointerEntry *entries;
  size_t capacity; // a power of two, or 0
  size_t count;
} PointerMap;

void pointer_map_init(PointerMap *self, const GraftAllocator *allocator);
void pointer_map_clear(PointerMap *self);

// The value, or NULL.
void *pointer_map_find(const PointerMap *self, const void *key);

// Adds or replaces. False when out of memory, and then nothing has changed.
bool pointer_map_set(PointerMap *self, const void *key, void *value);

void pointer_map_remove(PointerMap *self, const void *key);

#endif
