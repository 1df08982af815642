// SPDX-License-Identifier: MIT
//
// Region: one stretch of reserved address space in which everything of an
// engine's natives lies: code, entries, literals, variables. So each can reach
// each by the short offsets of compiled code. Reserving costs no memory;
// blocks of whole pages are taken and given back. No page is ever writable
// and executable at once. Traded away: blocks smaller than a page (who wants
// them divides a block), and growing beyond what was reserved.

#ifndef GRAFT_NATIVE_REGION_H
#define GRAFT_NATIVE_REGION_H

#include <stddef.h>

#include "base/memory.h"

typedef struct NativeRegion NativeRegion;

typedef enum RegionAccess {
  REGION_NONE, // touching it is a fault
  REGION_READ,
  REGION_WRITE,   // and read
  REGION_EXECUTE, // and read
} RegionAccess;

// Reserves `size` bytes, or as many as the system gives: 0 means 1 GiB, and
// each refusal halves it, down to 16 MiB. GRAFT_EIO (no address space: the
// message says so), GRAFT_ENOMEM. Any thread, like all functions here: the
// region has a lock of its own.
GraftStatus region_open(const GraftAllocator *allocator, size_t size,
                        NativeRegion **region, GraftError *error);

// Nobody may touch what lies in it any more. NULL-safe.
void region_close(NativeRegion *self);

size_t region_page_size(const NativeRegion *self);

// `size` bytes, rounded up to pages, zero and writable; the lowest free place,
// so that what is loaded lies close together. NULL when the region is full or
// the system has no memory.
void *region_take(NativeRegion *self, size_t size);

// Gives back a block, or whole pages of one; its memory is released and the
// place may be taken again. NULL-safe.
void region_give(NativeRegion *self, void *block, size_t size);

// Releases the memory of whole pages but keeps the place: whoever follows a
// stale pointer crashes there instead of reading something else. It stays
// kept until region_give.
void region_retire(NativeRegion *self, void *block, size_t size);

// False when the system refuses, as some do for executable pages.
bool region_protect(NativeRegion *self, void *block, size_t size,
                    RegionAccess access);

// Whether an address lies in the reserved range. Safe in signal handlers.
bool region_contains(const NativeRegion *self, const void *address);

// Bytes of the blocks that are taken, for specs of bounded memory.
size_t region_used(NativeRegion *self);

#endif
