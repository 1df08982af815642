// SPDX-License-Identifier: MIT

#include "base/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_ALIGN = 16, ARENA_FIRST = 4096, ARENA_LARGEST = 1 << 20 };

struct ArenaBlock {
  ArenaBlock *previous;
  size_t size; // of the bytes behind the header
};

static const size_t arena_header =
    (sizeof(ArenaBlock) + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;

static void *default_resize(void *context, void *block, size_t size) {
  (void)context;
  if (size == 0) {
    free(block);
    return NULL;
  }
  return realloc(block, size);
}

const GraftAllocator memory_default = {default_resize, NULL};

void *memory_resize(const GraftAllocator *allocator, void *block, size_t size) {
  return allocator->resize(allocator->context, block, size);
}

void *memory_new(const GraftAllocator *allocator, size_t size) {
  void *block = memory_resize(allocator, NULL, size ? size : 1);
  if (block != NULL) memset(block, 0, size);
  return block;
}

void memory_free(const GraftAllocator *allocator, void *block) {
  if (block != NULL) allocator->resize(allocator->context, block, 0);
}

char *memory_copy_string(const GraftAllocator *allocator, const char *text,
                         size_t size) {
  char *copy = memory_resize(allocator, NULL, size + 1);
  if (copy == NULL) return NULL;
  if (size > 0) memcpy(copy, text, size);
  copy[size] = '\0';
  return copy;
}

void arena_init(Arena *self, const GraftAllocator *allocator) {
  *self = (Arena){.allocator = allocator};
}

void arena_clear(Arena *self) {
  for (ArenaBlock *block = self->blocks; block != NULL;) {
    ArenaBlock *previous = block->previous;
    memory_free(self->allocator, block);
    block = previous;
  }
  arena_init(self, self->allocator);
}

// Blocks double from ARENA_FIRST to ARENA_LARGEST, so that memory stays
// proportional to what is asked for.
static bool add_block(Arena *self, size_t size) {
  size_t room = self->used < ARENA_FIRST     ? ARENA_FIRST
                : self->used > ARENA_LARGEST ? ARENA_LARGEST
                                             : self->used;
  if (room < size) room = size;
  ArenaBlock *block = memory_resize(self->allocator, NULL, arena_header + room);
  if (block == NULL) return false;
  *block = (ArenaBlock){.previous = self->blocks, .size = room};
  self->blocks = block;
  self->next = (char *)block + arena_header;
  self->limit = self->next + room;
  self->used += arena_header + room;
  return true;
}

void *arena_new(Arena *self, size_t size) {
  if (size > SIZE_MAX / 2) return NULL;
  size = (size + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
  if ((size_t)(self->limit - self->next) < size && !add_block(self, size)) {
    return NULL;
  }
  void *block = self->next;
  self->next += size;
  memset(block, 0, size);
  return block;
}

char *arena_copy_string(Arena *self, const char *text, size_t size) {
  char *copy = arena_new(self, size + 1);
  if (copy != NULL && size > 0) memcpy(copy, text, size);
  return copy;
}
