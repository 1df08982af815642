// SPDX-License-Identifier: MIT
//
// CacheStore: blocks of bytes by number, in a folder, or in memory while there
// is no folder that can be written. A block is written beside and renamed, so
// that two programs may share the folder; what is cut short or damaged counts
// as not there. The folder holds about 128 MiB at most, memory 32: blocks that
// nobody has asked for longest go first (in memory, all). The folder must
// belong to the user alone, since what is in it will be run.

#ifndef GRAFT_NATIVE_CACHE_STORE_H
#define GRAFT_NATIVE_CACHE_STORE_H

#include "base/array.h"

typedef struct CacheStore CacheStore;

// `folder` as of cache_new. NULL when out of memory.
CacheStore *cache_store_new(const GraftAllocator *allocator,
                            const char *folder);
void cache_store_free(CacheStore *self); // NULL-safe

// The block, the caller's to free, or NULL. Not thread-safe, like the next.
char *cache_store_get(CacheStore *self, uint64_t number, size_t *size);
void cache_store_put(CacheStore *self, uint64_t number, const char *bytes,
                     size_t size);

#endif
