// SPDX-License-Identifier: MIT

#include "unit/symbol.h"

#include <string.h>

enum { FIRST_CAPACITY = 256 };

bool symbol_table_init(SymbolTable *self, const GraftAllocator *allocator,
                       Arena *arena) {
  *self = (SymbolTable){.allocator = allocator, .arena = arena};
  self->entries = memory_new(allocator, FIRST_CAPACITY * sizeof(SymbolEntry));
  if (self->entries == NULL) return false;
  self->capacity = FIRST_CAPACITY;
  return true;
}

void symbol_table_clear(SymbolTable *self) {
  memory_free(self->allocator, self->entries);
  self->entries = NULL;
}

uint64_t symbol_hash(const char *text, size_t size) {
  const uint64_t factor = 0x9e3779b97f4a7c15u;
  uint64_t hash = size;
  for (; size > 8; size -= 8, text += 8) {
    uint64_t word;
    memcpy(&word, text, 8);
    hash = (hash ^ word) * factor;
    hash ^= hash >> 29;
  }
  if (size > 0) { // 1 to 8 bytes; those behind them are masked out
    uint64_t word;
    memcpy(&word, text, 8);
    hash ^= word & (~(uint64_t)0 >> (8 - size) * 8);
  }
  hash *= factor;
  return hash ^ (hash >> 32);
}

static SymbolEntry *find_entry(SymbolTable *self, const char *text, size_t size,
                               uint64_t hash) {
  size_t mask = self->capacity - 1;
  for (size_t i = hash & mask;; i = (i + 1) & mask) {
    SymbolEntry *entry = &self->entries[i];
    if (entry->symbol == NULL) return entry;
    // Up to 8 bytes and their number can be told from the hash.
    if (entry->hash == hash && entry->symbol->size == size &&
        (size <= 8 || memcmp(entry->symbol->text, text, size) == 0)) {
      return entry;
    }
  }
}

static bool grow(SymbolTable *self) {
  size_t capacity = self->capacity * 2;
  SymbolEntry *entries =
      memory_new(self->allocator, capacity * sizeof(SymbolEntry));
  if (entries == NULL) return false;
  for (size_t i = 0; i < self->capacity; i++) {
    if (self->entries[i].symbol == NULL) continue;
    size_t at = self->entries[i].hash & (capacity - 1);
    while (entries[at].symbol != NULL) at = (at + 1) & (capacity - 1);
    entries[at] = self->entries[i];
  }
  memory_free(self->allocator, self->entries);
  self->entries = entries;
  self->capacity = capacity;
  return true;
}

static Symbol *add(SymbolTable *self, SymbolEntry *entry, const char *text,
                   size_t size) {
  Symbol *symbol = arena_new(self->arena, sizeof(Symbol) + size + 1);
  if (symbol == NULL) return NULL;
  char *copy = (char *)(symbol + 1);
  if (size > 0) memcpy(copy, text, size);
  symbol->text = copy;
  symbol->size = (uint32_t)size;
  symbol->hash = entry->hash;
  symbol->local = -1;
  entry->symbol = symbol;
  self->count++;
  return symbol;
}

Symbol *symbol_intern(SymbolTable *self, const char *text, size_t size,
                      uint64_t hash) {
  SymbolEntry *entry = find_entry(self, text, size, hash);
  if (entry->symbol != NULL) return entry->symbol;
  if (self->count * 2 >= self->capacity) {
    if (!grow(self)) return NULL;
    entry = find_entry(self, text, size, hash);
  }
  entry->hash = hash;
  return add(self, entry, text, size);
}
