// SPDX-License-Identifier: MIT
//
// Literals: the string literals of all objects, each text once, read-only, at
// an address that stays: a pointer to one may be kept anywhere, whatever
// becomes of the code. Traded away: they are never freed; memory is bounded by
// the distinct texts that ever were.

#ifndef GRAFT_NATIVE_LITERAL_H
#define GRAFT_NATIVE_LITERAL_H

#include <stdint.h>

#include "native/region.h"

typedef struct LiteralPool LiteralPool;

// NULL when out of memory. The region must outlive it.
LiteralPool *literal_pool_new(const GraftAllocator *allocator,
                              NativeRegion *region);
void literal_pool_free(LiteralPool *self); // NULL-safe

// The pool's copy of `size` bytes, aligned to `align` (a power of two, at most
// a page). NULL when out of memory. One thread at a time. The pool is writable
// from then on until literal_pool_seal.
const void *literal_add(LiteralPool *self, const void *bytes, size_t size,
                        size_t align);
void literal_pool_seal(LiteralPool *self);

#endif
