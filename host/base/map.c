// SPDX-License-Identifier: MIT

#include "base/map.h"

#include <string.h>

#include "base/hash.h"

enum { HASH_DELETED = 1, HASH_FIRST = 2 };

static uint64_t hash_key(const char *key) {
  uint64_t hash = hash_bytes(0, key, strlen(key));
  return hash < HASH_FIRST ? hash + HASH_FIRST : hash;
}

void map_init(Map *self, const GraftAllocator *allocator) {
  *self = (Map){.allocator = allocator};
}

void map_clear(Map *self) {
  memory_free(self->allocator, self->entries);
  map_init(self, self->allocator);
}

static MapEntry *find_entry(const Map *self, const char *key, uint64_t hash) {
  if (self->capacity == 0) return NULL;
  size_t mask = self->capacity - 1;
  for (size_t i = hash & mask;; i = (i + 1) & mask) {
    MapEntry *entry = &self->entries[i];
    if (entry->key == NULL && entry->hash != HASH_DELETED) return NULL;
    if (entry->key != NULL && entry->hash == hash &&
        strcmp(entry->key, key) == 0) {
      return entry;
    }
  }
}

// The key is known not to be there.
static void insert(Map *self, MapEntry added) {
  size_t mask = self->capacity - 1;
  size_t i = added.hash & mask;
  while (self->entries[i].key != NULL) i = (i + 1) & mask;
  if (self->entries[i].hash != HASH_DELETED) self->used++;
  self->entries[i] = added;
  self->count++;
}

static bool grow(Map *self) {
  Map grown = {.allocator = self->allocator};
  grown.capacity = self->count < 4 ? 8 : self->capacity;
  while (grown.capacity < self->count * 2) grown.capacity *= 2;
  grown.entries =
      memory_new(self->allocator, grown.capacity * sizeof *grown.entries);
  if (grown.entries == NULL) return false;
  for (size_t i = 0; i < self->capacity; i++) {
    if (self->entries[i].key != NULL) insert(&grown, self->entries[i]);
  }
  memory_free(self->allocator, self->entries);
  *self = grown;
  return true;
}

void *map_find(const Map *self, const char *key) {
  MapEntry *entry = find_entry(self, key, hash_key(key));
  return entry != NULL ? entry->value : NULL;
}

bool map_set(Map *self, const char *key, void *value) {
  uint64_t hash = hash_key(key);
  MapEntry *entry = find_entry(self, key, hash);
  if (entry != NULL) {
    entry->key = key;
    entry->value = value;
    return true;
  }
  if ((self->used + 1) * 4 > self->capacity * 3 && !grow(self)) return false;
  insert(self, (MapEntry){.key = key, .hash = hash, .value = value});
  return true;
}

void *map_remove(Map *self, const char *key) {
  MapEntry *entry = find_entry(self, key, hash_key(key));
  if (entry == NULL) return NULL;
  void *value = entry->value;
  *entry = (MapEntry){.key = NULL, .hash = HASH_DELETED};
  self->count--;
  return value;
}
