// SPDX-License-Identifier: MIT

#include "native/literal.h"

#include <assert.h>
#include <string.h>

#include "base/array.h"
#include "base/hash.h"

typedef struct Literal {
  const char *bytes; // NULL: free
  size_t size;
  uint64_t hash;
} Literal;

// A run of pages; the last one is filled.
typedef struct LiteralBlock {
  char *start;
  size_t size;
} LiteralBlock;

struct LiteralPool {
  const GraftAllocator *allocator;
  NativeRegion *region;
  ARRAY(LiteralBlock) blocks;
  size_t used;     // bytes of the last block
  size_t sealed;   // blocks before this one are read-only
  Literal *table;  // open addressing
  size_t capacity; // a power of two, or 0
  size_t count;
};

enum { LITERAL_BLOCK = 1 << 16 };

LiteralPool *literal_pool_new(const GraftAllocator *allocator,
                              NativeRegion *region) {
  LiteralPool *self = memory_new(allocator, sizeof *self);
  if (self == NULL) return NULL;
  self->allocator = allocator;
  self->region = region;
  return self;
}

void literal_pool_free(LiteralPool *self) {
  if (self == NULL) return;
  for (size_t i = 0; i < self->blocks.count; i++) {
    LiteralBlock *block = &self->blocks.items[i];
    region_give(self->region, block->start, block->size);
  }
  memory_free(self->allocator, self->blocks.items);
  memory_free(self->allocator, self->table);
  memory_free(self->allocator, self);
}

// --- Finding -----------------------------------------------------------------

static Literal *find(const LiteralPool *self, const Literal *wanted,
                     size_t align) {
  size_t mask = self->capacity - 1;
  for (size_t i = wanted->hash & mask;; i = (i + 1) & mask) {
    Literal *literal = &self->table[i];
    if (literal->bytes == NULL) return literal;
    // One that is not aligned enough is passed over; so there may be two.
    if (literal->hash == wanted->hash && literal->size == wanted->size &&
        ((uintptr_t)literal->bytes & (align - 1)) == 0 &&
        memcmp(literal->bytes, wanted->bytes, wanted->size) == 0) {
      return literal;
    }
  }
}

static bool grow(LiteralPool *self) {
  size_t capacity = self->capacity > 0 ? self->capacity * 2 : 256;
  Literal *table = memory_new(self->allocator, capacity * sizeof *table);
  if (table == NULL) return false;
  for (size_t i = 0; i < self->capacity; i++) {
    const Literal *literal = &self->table[i];
    if (literal->bytes == NULL) continue;
    size_t place = literal->hash & (capacity - 1);
    while (table[place].bytes != NULL) place = (place + 1) & (capacity - 1);
    table[place] = *literal;
  }
  memory_free(self->allocator, self->table);
  self->table = table;
  self->capacity = capacity;
  return true;
}

// --- Storing -----------------------------------------------------------------

static bool add_block(LiteralPool *self, size_t size) {
  LiteralBlock *block = ARRAY_PUSH(self->allocator, &self->blocks);
  if (block == NULL) return false;
  *block = (LiteralBlock){.size = size > LITERAL_BLOCK ? size : LITERAL_BLOCK};
  block->start = region_take(self->region, block->size);
  if (block->start == NULL) {
    self->blocks.count--;
    return false;
  }
  self->used = 0;
  return true;
}

static char *place_of(LiteralPool *self, size_t size, size_t align) {
  size_t start = (self->used + align - 1) & ~(align - 1);
  if (self->blocks.count > 0) {
    const LiteralBlock *last = &self->blocks.items[self->blocks.count - 1];
    if (start <= last->size && size <= last->size - start) {
      self->used = start + size;
      return last->start + start;
    }
  }
  if (!add_block(self, size)) return NULL;
  self->used = size;
  return self->blocks.items[self->blocks.count - 1].start;
}

// Pages stay readable while they are written: other threads read the literals
// beside the new one.
static bool unseal(LiteralPool *self) {
  size_t last = self->blocks.count - 1;
  if (self->sealed <= last) return true;
  const LiteralBlock *block = &self->blocks.items[last];
  if (!region_protect(self->region, block->start, block->size, REGION_WRITE)) {
    return false;
  }
  self->sealed = last;
  return true;
}

void literal_pool_seal(LiteralPool *self) {
  for (; self->sealed < self->blocks.count; self->sealed++) {
    const LiteralBlock *block = &self->blocks.items[self->sealed];
    region_protect(self->region, block->start, block->size, REGION_READ);
  }
}

static const char *store(LiteralPool *self, const void *bytes, size_t size,
                         size_t align) {
  char *place = place_of(self, size, align);
  if (place == NULL || !unseal(self)) return NULL;
  if (size > 0) memcpy(place, bytes, size);
  return place;
}

const void *literal_add(LiteralPool *self, const void *bytes, size_t size,
                        size_t align) {
  assert(align != 0 && (align & (align - 1)) == 0);
  if (self->count * 4 >= self->capacity * 3 && !grow(self)) return NULL;
  Literal wanted = {
      .bytes = bytes, .size = size, .hash = hash_bytes(0, bytes, size)};
  Literal *place = find(self, &wanted, align);
  if (place->bytes != NULL) return place->bytes;
  wanted.bytes = store(self, bytes, size, align);
  if (wanted.bytes == NULL) return NULL;
  *place = wanted;
  self->count++;
  return place->bytes;
}
