// SPDX-License-Identifier: MIT

#include "native/thunk.h"

#include <sys/mman.h>
#include <unistd.h>

_Static_assert(sizeof(ThunkCell) <= THUNK_SIZE, "cells keep step with entries");

void thunk_table_init(ThunkTable *self, const GraftAllocator *allocator,
                      NativeRegion *region) {
  *self = (ThunkTable){.allocator = allocator, .region = region};
  self->page_size = (size_t)sysconf(_SC_PAGESIZE);
}

static void give_block(ThunkTable *self, char *block) {
  if (self->region != NULL) {
    region_give(self->region, block, 2 * self->page_size);
  } else {
    munmap(block, 2 * self->page_size);
  }
}

// Writable pages, or NULL when the system has none.
static char *take_block(ThunkTable *self) {
  if (self->region != NULL) {
    return region_take(self->region, 2 * self->page_size);
  }
  char *block = mmap(NULL, 2 * self->page_size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (block == MAP_FAILED) return NULL;
  return block;
}

void thunk_table_clear(ThunkTable *self) {
  for (size_t i = 0; i < self->blocks.count; i++) {
    give_block(self, self->blocks.items[i]);
  }
  memory_free(self->allocator, self->blocks.items);
  thunk_table_init(self, self->allocator, self->region);
}

static bool write_entry(unsigned char *entry, size_t distance) {
  return thunk_write_x86_64(entry, distance) ||
         thunk_write_aarch64(entry, distance);
}

// Two pages: jumps, then cells. NULL when the system has none.
static char *make_block(ThunkTable *self) {
  char *block = take_block(self);
  if (block == NULL) return NULL;
  for (size_t at = 0; at < self->page_size; at += THUNK_SIZE) {
    if (!write_entry((unsigned char *)block + at, self->page_size)) break;
  }
  __builtin___clear_cache(block, block + self->page_size);
  if (mprotect(block, self->page_size, PROT_READ | PROT_EXEC) != 0) {
    give_block(self, block);
    return NULL;
  }
  return block;
}

static bool add_block(ThunkTable *self) {
  char **place = ARRAY_PUSH(self->allocator, &self->blocks);
  if (place == NULL) return false;
  *place = make_block(self);
  if (*place == NULL) {
    self->blocks.count--;
    return false;
  }
  self->used = 0;
  return true;
}

bool thunk_table_add(ThunkTable *self, GraftNative code, Thunk *thunk) {
  bool full = (self->used + 1) * THUNK_SIZE > self->page_size;
  if ((self->blocks.count == 0 || full) && !add_block(self)) return false;
  char *entry =
      self->blocks.items[self->blocks.count - 1] + self->used++ * THUNK_SIZE;
  ThunkCell *cell = (ThunkCell *)(entry + self->page_size);
  atomic_store_explicit(&cell->code, code, memory_order_release);
  unsigned char probe[THUNK_SIZE];
  bool known = write_entry(probe, self->page_size);
  *thunk = (Thunk){
      .entry = known ? (GraftNative)(uintptr_t)entry : NULL,
      .cell = &cell->code,
  };
  return true;
}
