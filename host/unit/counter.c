// SPDX-License-Identifier: MIT

#include "unit/counter.h"

#include <string.h>

enum { FIRST_CAPACITY = 64 };

void counter_init(Counter *self, const GraftAllocator *allocator) {
  *self = (Counter){.allocator = allocator};
}

void counter_clear(Counter *self) {
  memory_free(self->allocator, self->entries);
  counter_init(self, self->allocator);
}

void counter_reset(Counter *self, size_t expected) {
  if (self->count == 0) return;
  if (self->capacity / 8 > expected + FIRST_CAPACITY) {
    counter_clear(self);
    return;
  }
  memset(self->entries, 0, self->capacity * sizeof *self->entries);
  self->count = 0;
}

static CounterEntry *find_entry(const Counter *self, uint64_t key) {
  size_t mask = self->capacity - 1;
  size_t i = (key ^ key >> 32) & mask;
  while (self->entries[i].key != 0 && self->entries[i].key != key) {
    i = (i + 1) & mask;
  }
  return &self->entries[i];
}

bool counter_reserve(Counter *self, size_t count) {
  Counter grown = {.allocator = self->allocator, .count = self->count};
  grown.capacity = self->capacity ? self->capacity : FIRST_CAPACITY;
  while (grown.capacity < count * 2) grown.capacity *= 2;
  if (grown.capacity == self->capacity) return true;
  grown.entries =
      memory_new(self->allocator, grown.capacity * sizeof *grown.entries);
  if (grown.entries == NULL) return false;
  for (size_t i = 0; i < self->capacity; i++) {
    if (self->entries[i].key == 0) continue;
    *find_entry(&grown, self->entries[i].key) = self->entries[i];
  }
  memory_free(self->allocator, self->entries);
  *self = grown;
  return true;
}

int *counter_at(Counter *self, uint64_t key) {
  if (key == 0) key = 1;
  if (self->count * 2 >= self->capacity &&
      !counter_reserve(self, self->count + 1)) {
    return NULL;
  }
  CounterEntry *entry = find_entry(self, key);
  if (entry->key == 0) {
    entry->key = key;
    self->count++;
  }
  return &entry->value;
}

int *counter_find(const Counter *self, uint64_t key) {
  if (self->capacity == 0) return NULL;
  CounterEntry *entry = find_entry(self, key != 0 ? key : 1);
  return entry->key != 0 ? &entry->value : NULL;
}
