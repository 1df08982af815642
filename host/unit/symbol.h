// SPDX-License-Identifier: MIT
//
// Symbols: the names of one source text, each once, so that names compare by
// address. A symbol also holds what the parser knows of the name at the
// current place, which makes finding a variable one load instead of a search.

#ifndef GRAFT_UNIT_SYMBOL_H
#define GRAFT_UNIT_SYMBOL_H

#include <stdint.h>

#include "base/memory.h"

typedef struct Symbol {
  const char *text; // terminated, in the arena
  uint32_t size;
  uint32_t keyword; // a TokenKind, 0 for names
  uint64_t hash;
  int local;        // the innermost visible local of that name, or -1
  int global_level; // the innermost open function that lists it as a global
} Symbol;

typedef struct SymbolEntry {
  uint64_t hash;
  Symbol *symbol; // NULL: free
} SymbolEntry;

typedef struct SymbolTable {
  const GraftAllocator *allocator;
  Arena *arena; // where symbols live
  SymbolEntry *entries;
  size_t capacity; // a power of two
  size_t count;
} SymbolTable;

// False when out of memory.
bool symbol_table_init(SymbolTable *self, const GraftAllocator *allocator,
                       Arena *arena);
void symbol_table_clear(SymbolTable *self);

// The symbol for these bytes, made when there is none; NULL when out of
// memory. `hash` is symbol_hash of them. Bytes up to 8 behind `text + size`
// must be readable.
Symbol *symbol_intern(SymbolTable *self, const char *text, size_t size,
                      uint64_t hash);

uint64_t symbol_hash(const char *text, size_t size);

#endif
