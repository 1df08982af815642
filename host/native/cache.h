// SPDX-License-Identifier: MIT
//
// Cache: compiled objects by content. A text, its path, the compiler and its
// flags are one key; it leads to the headers that were included then, and with
// the contents that these have now, to the object and what the compiler wrote.
// Entries outlast the program (cache_store.h). Traded away: a new header that
// hides another of its name further along the search path, and texts and
// headers with __DATE__ or __TIME__, which are not kept.

#ifndef GRAFT_NATIVE_CACHE_H
#define GRAFT_NATIVE_CACHE_H

#include <time.h>

#include "native/compiler.h"

typedef struct Cache Cache;

// `folder`: NULL: $XDG_CACHE_HOME/graft or ~/.cache/graft; "": memory alone.
// Creates nothing yet. GRAFT_ENOMEM. Not while others change the environment.
GraftStatus cache_new(const GraftAllocator *allocator, const char *folder,
                      Cache **cache, GraftError *error);
void cache_free(Cache *self); // NULL-safe

// Finds what an earlier compilation gave; `output` is then the caller's to
// clear, and its nanoseconds are 0. False: none. Any thread.
bool cache_find(Cache *self, uint64_t key, CompilerOutput *output);

// When a compilation started.
typedef struct timespec CacheMoment;
CacheMoment cache_now(void);

// Keeps a copy of a success. Not if a header has been written to since
// `started`: the compiler may have seen either text. Whatever goes wrong is no
// loss but time. Any thread.
void cache_add(Cache *self, uint64_t key, CacheMoment started,
               const CompilerOutput *output);

// Whether a text's object depends on the time.
bool cache_is_dated(const char *text);

#endif
