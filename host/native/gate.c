// SPDX-License-Identifier: MIT

#include "native/gate.h"

#include <sys/mman.h>
#include <unistd.h>

#include "native/machine.h"

_Static_assert(sizeof(GateCell) <= GATE_SIZE, "cells keep step with entries");

void gate_table_init(GateTable *self, const GraftAllocator *allocator) {
  *self = (GateTable){.allocator = allocator};
  self->page_size = (size_t)sysconf(_SC_PAGESIZE);
}

void gate_table_clear(GateTable *self) {
  for (size_t i = 0; i < self->blocks.count; i++) {
    munmap(self->blocks.items[i], 2 * self->page_size);
  }
  memory_free(self->allocator, self->blocks.items);
  gate_table_init(self, self->allocator);
}

// Two pages: jumps, then cells. NULL when the system has none.
static char *map_block(size_t page_size) {
  char *block = mmap(NULL, 2 * page_size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (block == MAP_FAILED) return NULL;
  for (size_t at = 0; at < page_size; at += GATE_SIZE) {
    machine_write_gate((unsigned char *)block + at, page_size);
  }
  __builtin___clear_cache(block, block + page_size);
  if (mprotect(block, page_size, PROT_READ | PROT_EXEC) != 0) {
    munmap(block, 2 * page_size);
    return NULL;
  }
  return block;
}

static bool add_block(GateTable *self) {
  char **place = ARRAY_PUSH(self->allocator, &self->blocks);
  if (place == NULL) return false;
  *place = map_block(self->page_size);
  if (*place == NULL) {
    self->blocks.count--;
    return false;
  }
  self->used = 0;
  return true;
}

bool gate_table_add(GateTable *self, Gate *gate) {
  if (!machine_is_known()) return false;
  bool full = (self->used + 1) * GATE_SIZE > self->page_size;
  if ((self->blocks.count == 0 || full) && !add_block(self)) return false;
  char *entry =
      self->blocks.items[self->blocks.count - 1] + self->used++ * GATE_SIZE;
  *gate = (Gate){
      .entry = (GraftNative)(uintptr_t)entry,
      .cell = (GateCell *)(entry + self->page_size),
  };
  return true;
}
