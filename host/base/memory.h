// SPDX-License-Identifier: MIT
//
// Memory: the allocator hook and the arena. Nothing outside base/ calls
// malloc. An arena gives memory that is freed all at once; units live in one
// each. Traded away: freeing single blocks of an arena.

#ifndef GRAFT_BASE_MEMORY_H
#define GRAFT_BASE_MEMORY_H

#include <stddef.h>

#include "graft.h"

// The allocator of the C library.
extern const GraftAllocator memory_default;

// `size` bytes set to zero, or NULL.
void *memory_new(const GraftAllocator *allocator, size_t size);

// Like realloc; new bytes are not set. NULL leaves `block` as it was.
void *memory_resize(const GraftAllocator *allocator, void *block, size_t size);

// NULL-safe.
void memory_free(const GraftAllocator *allocator, void *block);

// A terminated copy of `size` bytes, or NULL.
char *memory_copy_string(const GraftAllocator *allocator, const char *text,
                         size_t size);

typedef struct ArenaBlock ArenaBlock;

typedef struct Arena {
  const GraftAllocator *allocator;
  ArenaBlock *blocks;
  char *next;
  char *limit;
  size_t used; // bytes taken from the allocator
} Arena;

void arena_init(Arena *self, const GraftAllocator *allocator);
void arena_clear(Arena *self);

// `size` bytes aligned for any type and set to zero, or NULL.
void *arena_new(Arena *self, size_t size);

// A terminated copy, or NULL.
char *arena_copy_string(Arena *self, const char *text, size_t size);

#endif
