// SPDX-License-Identifier: MIT
//
// Map: string → pointer, keys borrowed from the caller for as long as the
// entry lives (they usually sit in the value). Order is not kept.

#ifndef GRAFT_BASE_MAP_H
#define GRAFT_BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"

typedef struct MapEntry {
  const char *key; // NULL: free, or deleted when `hash` is 1
  uint64_t hash;
  void *value;
} MapEntry;

typedef struct Map {
  const GraftAllocator *allocator;
  MapEntry *entries;
  size_t capacity; // a power of two, or 0
  size_t count;
  size_t used; // with deleted entries
} Map;

void map_init(Map *self, const GraftAllocator *allocator);
void map_clear(Map *self);

// The value, or NULL.
void *map_find(const Map *self, const char *key);

// Adds or replaces. False when out of memory, and then nothing has changed.
bool map_set(Map *self, const char *key, void *value);

// The value that was there, or NULL.
void *map_remove(Map *self, const char *key);

#endif
