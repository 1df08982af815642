// SPDX-License-Identifier: MIT

#include "base/pointer_map.h"

#include <stdint.h>

static size_t home(const PointerMap *self, const void *key) {
  uint64_t hash = (uint64_t)(uintptr_t)key * 0x9e3779b97f4a7c15u;
  return (size_t)(hash >> 32) & (self->capacity - 1);
}

void pointer_map_init(PointerMap *self, const GraftAllocator *allocator) {
  *self = (PointerMap){.allocator = allocator};
}

void pointer_map_clear(PointerMap *self) {
  memory_free(self->allocator, self->entries);
  pointer_map_init(self, self->allocator);
}

// The entry with the key, or the free one where it belongs.
static PointerEntry *place(const PointerMap *self, const void *key) {
  size_t at = home(self, key);
  while (self->entries[at].key != NULL && self->entries[at].key != key) {
    at = (at + 1) & (self->capacity - 1);
  }
  return &self->entries[at];
}

void *pointer_map_find(const PointerMap *self, const void *key) {
  return self->capacity > 0 ? place(self, key)->value : NULL;
}

static bool grow(PointerMap *self) {
  PointerMap grown = {.allocator = self->allocator,
                      .capacity = self->capacity ? self->capacity * 2 : 16,
                      .count = self->count};
  grown.entries =
      memory_new(self->allocator, grown.capacity * sizeof *grown.entries);
  if (grown.entries == NULL) return false;
  for (size_t i = 0; i < self->capacity; i++) {
    if (self->entries[i].key == NULL) continue;
    *place(&grown, self->entries[i].key) = self->entries[i];
  }
  memory_free(self->allocator, self->entries);
  *self = grown;
  return true;
}

bool pointer_map_set(PointerMap *self, const void *key, void *value) {
  if ((self->count + 1) * 2 > self->capacity && !grow(self)) return false;
  PointerEntry *entry = place(self, key);
  if (entry->key == NULL) self->count++;
  *entry = (PointerEntry){.key = key, .value = value};
  return true;
}

// Moves later entries of the run into the gap, so that no mark is needed.
void pointer_map_remove(PointerMap *self, const void *key) {
  if (self->capacity == 0) return;
  PointerEntry *gap = place(self, key);
  if (gap->key == NULL) return;
  self->count--;
  size_t mask = self->capacity - 1;
  size_t hole = (size_t)(gap - self->entries);
  for (size_t at = (hole + 1) & mask; self->entries[at].key != NULL;
       at = (at + 1) & mask) {
    size_t distance = (at - home(self, self->entries[at].key)) & mask;
    if (distance < ((at - hole) & mask)) continue;
    self->entries[hole] = self->entries[at];
    hole = at;
  }
  self->entries[hole] = (PointerEntry){0};
}
