// SPDX-License-Identifier: MIT
//
// Array: a growing array of one type. Declare with ARRAY(Type), start with
// zeroes, free `items` with memory_free.
//
//   ARRAY(int) numbers = {0};
//   int *slot = ARRAY_PUSH(allocator, &numbers);   // NULL: out of memory

#ifndef GRAFT_BASE_ARRAY_H
#define GRAFT_BASE_ARRAY_H

#include <stddef.h>

#include "base/memory.h"

#define ARRAY(Type)                                                            \
  struct {                                                                     \
    Type *items;                                                               \
    size_t count;                                                              \
    size_t capacity;                                                           \
  }

// A pointer to a new item at the end, set to zero, or NULL.
#define ARRAY_PUSH(allocator, array)                                           \
  (array_reserve((allocator), (void **)&(array)->items, &(array)->capacity,    \
                 (array)->count + 1, sizeof *(array)->items)                   \
       ? &(array)->items[(array)->count++]                                     \
       : NULL)

// Grows `*items` to hold `count` items at least; new items are zero. False
// when out of memory, and then nothing has changed.
bool array_reserve(const GraftAllocator *allocator, void **items,
                   size_t *capacity, size_t count, size_t item_size);

#endif
