// SPDX-License-Identifier: MIT

#include "base/array.h"

#include <stdint.h>
#include <string.h>

bool array_reserve(const GraftAllocator *allocator, void **items,
                   size_t *capacity, size_t count, size_t item_size) {
  if (count <= *capacity) return true;
  size_t grown = *capacity ? *capacity * 2 : 8;
  if (grown < count) grown = count;
  if (grown > SIZE_MAX / item_size) return false;
  char *moved = memory_resize(allocator, *items, grown * item_size);
  if (moved == NULL) return false;
  memset(moved + *capacity * item_size, 0, (grown - *capacity) * item_size);
  *items = moved;
  *capacity = grown;
  return true;
}
