// SPDX-License-Identifier: MIT
//
// Cache: compiled objects by content. The key of an entry is a text, its path,
// the compiler and its flags; an entry holds the object, what the compiler
// wrote, and each header with the hash of its contents, so that it answers only
// while all headers are as they were. Entries lie in memory and, for the next
// run, in a folder, written beside and renamed, so that two programs may share
// it; what is not readable or damaged counts as not there. The folder holds at
// most CACHE_LIMIT bytes: the oldest entries go first. Where it cannot be
// written the cache is in memory alone, which is no error. Traded away: a new
// header that hides another of its name further along the search path (worker.h
// recompiles then), and texts with __DATE__ or __TIME__, which are not kept.

#ifndef GRAFT_NATIVE_CACHE_H
#define GRAFT_NATIVE_CACHE_H

#include "native/compiler.h"

typedef struct Cache Cache;

// `folder`: NULL: $XDG_CACHE_HOME/graft or ~/.cache/graft; "": memory alone.
// Creates nothing yet. GRAFT_ENOMEM.
GraftStatus cache_new(const GraftAllocator *allocator, const char *folder,
                      Cache **cache, GraftError *error);
void cache_free(Cache *self); // NULL-safe

// Finds what an earlier compilation gave, headers unchanged; `output` is then
// the caller's to clear. False: none. Any thread.
bool cache_find(Cache *self, uint64_t key, CompilerOutput *output);

// Keeps a copy of a success. Whatever goes wrong is no loss but time. Any
// thread.
void cache_add(Cache *self, uint64_t key, const CompilerOutput *output);

#endif
