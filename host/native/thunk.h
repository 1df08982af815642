// SPDX-License-Identifier: MIT
//
// Thunk: entry points that stay, in pages of jumps. Beside a page of code lies
// a page of cells; entry n jumps to where cell n points, and nothing else, so
// a call costs one predicted jump and a switch is one atomic store into the
// cell. Code pages are written once and then made executable and read-only;
// no page is ever both writable and executable. Traded away: entries are
// never freed one by one, and a processor without its thunk_*.c has cells
// only.
//
// An entry whose own address is in its cell jumps to itself: whoever calls it
// waits there until the cell holds code again. So several functions switch
// together: first all wait, then all go on.

#ifndef GRAFT_NATIVE_THUNK_H
#define GRAFT_NATIVE_THUNK_H

#include <stdatomic.h>

#include "base/array.h"
#include "native/region.h"

enum { THUNK_SIZE = 16 }; // of an entry and of a cell alike

typedef struct ThunkCell {
  _Atomic(GraftNative) code;
  void *unused; // so that cells are as far apart as entries
} ThunkCell;

typedef struct Thunk {
  GraftNative entry; // NULL where the processor is not known
  _Atomic(GraftNative) *cell;
} Thunk;

typedef struct ThunkTable {
  const GraftAllocator *allocator;
  NativeRegion *region; // may be NULL
  ARRAY(char *) blocks; // a code page and a cell page each
  size_t page_size;
  size_t used; // entries of the last block
} ThunkTable;

// With a region, entries lie in it, near the code that calls them.
void thunk_table_init(ThunkTable *self, const GraftAllocator *allocator,
                      NativeRegion *region);

// Nobody may call an entry any more.
void thunk_table_clear(ThunkTable *self);

// A new entry whose cell holds `code`. False when out of memory. The caller
// sees to it that one thread at a time comes here.
bool thunk_table_add(ThunkTable *self, GraftNative code, Thunk *thunk);

// For thunk.c, one of thunk_*.c each: writes THUNK_SIZE bytes of code at
// `entry` that jump to where the cell `distance` bytes behind it points.
// False, and nothing written, when this is another processor.
bool thunk_write_x86_64(unsigned char *entry, size_t distance);
bool thunk_write_aarch64(unsigned char *entry, size_t distance);

#endif
