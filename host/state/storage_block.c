// SPDX-License-Identifier: MIT

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "state/storage_inner.h"

enum { HUGE_PAGES = 1 << 22 }; // from here on they pay

static void *system_take(void *context, size_t size) {
  (void)context;
  void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) return NULL;
#ifdef MADV_HUGEPAGE
  if (size >= HUGE_PAGES) madvise(pages, size, MADV_HUGEPAGE);
#endif
  return pages;
}

static void system_give(void *context, void *pages, size_t size) {
  (void)context;
  munmap(pages, size);
}

// Mapped anew, which drops the bytes at once and keeps the addresses.
static void system_hide(void *context, void *pages, size_t size) {
  (void)context;
  void *same =
      mmap(pages, size, PROT_NONE,
           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
  (void)same;
}

void block_pool_init(BlockPool *self, const GraftAllocator *allocator,
                     const StoragePages *pages, size_t hidden_most) {
  *self = (BlockPool){.allocator = allocator,
                      .pages = *pages,
                      .page_size = (size_t)sysconf(_SC_PAGESIZE),
                      .hidden_most = hidden_most};
  if (pages->take == NULL) {
    self->pages = (StoragePages){system_take, system_give, system_hide, NULL};
  }
}

static void give_pages(BlockPool *self, Block block) {
  self->pages.give(self->pages.context, block.address, block.size);
}

void block_pool_clear(BlockPool *self) {
  for (size_t i = 0; i < self->chunks.count; i++) {
    give_pages(self, (Block){self->chunks.items[i], BLOCK_CHUNK});
  }
  for (size_t i = 0; i < self->hidden.count; i++) {
    give_pages(self, self->hidden.items[i]);
  }
  memory_free(self->allocator, self->chunks.items);
  memory_free(self->allocator, self->hidden.items);
  block_pool_init(self, self->allocator, &self->pages, self->hidden_most);
}

static size_t round_up(size_t size, size_t to) {
  return (size + to - 1) / to * to;
}

static bool take_pages(BlockPool *self, size_t size, Block *block) {
  size = round_up(size, self->page_size);
  *block = (Block){self->pages.take(self->pages.context, size), size};
  return block->address != NULL;
}

static bool take_small(BlockPool *self, size_t size, Block *block) {
  BlockFree **list = &self->free[size / BLOCK_GRAIN];
  if (*list != NULL) {
    *block = (Block){*list, size};
    *list = (*list)->next;
    memset(block->address, 0, size);
    return true;
  }
  if (self->chunks.count == 0 || self->chunk_used + size > BLOCK_CHUNK) {
    void **chunk = ARRAY_PUSH(self->allocator, &self->chunks);
    if (chunk == NULL) return false;
    *chunk = self->pages.take(self->pages.context, BLOCK_CHUNK);
    if (*chunk == NULL) {
      self->chunks.count--;
      return false;
    }
    self->chunk_used = 0;
  }
  char *chunk = self->chunks.items[self->chunks.count - 1];
  *block = (Block){chunk + self->chunk_used, size};
  self->chunk_used += size;
  return true;
}

bool block_take(BlockPool *self, size_t size, size_t align, Block *block) {
  *block = (Block){0};
  if (size > SIZE_MAX / 2 || align > self->page_size) return false;
  size_t padded = round_up(size + 1, BLOCK_GRAIN);
  if (padded <= BLOCK_LARGEST && align <= BLOCK_GRAIN) {
    return take_small(self, padded, block);
  }
  return take_pages(self, size + 1, block);
}

static bool is_small(const BlockPool *self, Block block) {
  return block.size <= BLOCK_LARGEST && block.size % self->page_size != 0;
}

void block_give(BlockPool *self, Block block) {
  if (block.address == NULL) return;
  if (!is_small(self, block)) {
    give_pages(self, block);
    return;
  }
  BlockFree *item = block.address;
  BlockFree **list = &self->free[block.size / BLOCK_GRAIN];
  item->next = *list;
  *list = item;
}

// The oldest go when there are too many.
static void trim_hidden(BlockPool *self) {
  size_t gone = 0;
  while (gone < self->hidden.count && self->hidden_size > self->hidden_most) {
    self->hidden_size -= self->hidden.items[gone].size;
    give_pages(self, self->hidden.items[gone++]);
  }
  self->hidden.count -= gone;
  if (gone == 0) return;
  memmove(self->hidden.items, self->hidden.items + gone,
          self->hidden.count * sizeof *self->hidden.items);
}

void block_retire(BlockPool *self, Block block) {
  Block *place = NULL;
  if (block.address != NULL && !is_small(self, block)) {
    place = ARRAY_PUSH(self->allocator, &self->hidden);
  }
  if (place == NULL) {
    block_give(self, block);
    return;
  }
  *place = block;
  self->hidden_size += block.size;
  self->pages.hide(self->pages.context, block.address, block.size);
  trim_hidden(self);
}
