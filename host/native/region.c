// SPDX-License-Identifier: MIT

#include "native/region.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/array.h"
#include "base/error.h"

// Free pages, counted from the region's start.
typedef struct Gap {
  size_t first;
  size_t count;
} Gap;

struct NativeRegion {
  const GraftAllocator *allocator;
  pthread_mutex_t lock; // for gaps and used
  char *start;
  size_t size;
  size_t page_size;
  size_t used;     // pages
  ARRAY(Gap) gaps; // by place; no two touch
};

static const size_t region_default = (size_t)1 << 30;
static const size_t region_least = (size_t)16 << 20;

// PROT_NONE pages with nothing in them, at `place` or anywhere.
static void *reserve(void *place, size_t size) {
  int fixed = place != NULL ? MAP_FIXED : 0;
  void *start =
      mmap(place, size, PROT_NONE,
           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | fixed, -1, 0);
  if (start == MAP_FAILED) return NULL;
  return start;
}

static GraftStatus reserve_all(NativeRegion *self, size_t size,
                               GraftError *error) {
  if (size == 0) size = region_default;
  size = (size + self->page_size - 1) / self->page_size * self->page_size;
  while ((self->start = reserve(NULL, size)) == NULL) {
    if (size / 2 < region_least) {
      return error_set(error, GRAFT_EIO,
                       "no address space for natives: the system refused %zu "
                       "MB (%s); see ulimit -v",
                       size >> 20, strerror(errno));
    }
    size /= 2;
  }
  self->size = size;
  Gap *gap = ARRAY_PUSH(self->allocator, &self->gaps);
  if (gap == NULL) return error_memory(error);
  gap->count = size / self->page_size;
  return GRAFT_OK;
}

GraftStatus region_open(const GraftAllocator *allocator, size_t size,
                        NativeRegion **region, GraftError *error) {
  *region = NULL;
  NativeRegion *self = memory_new(allocator, sizeof *self);
  if (self == NULL) return error_memory(error);
  self->allocator = allocator;
  self->page_size = (size_t)sysconf(_SC_PAGESIZE);
  if (pthread_mutex_init(&self->lock, NULL) != 0) {
    memory_free(allocator, self);
    return error_memory(error);
  }
  GraftStatus status = reserve_all(self, size, error);
  if (status < 0) {
    region_close(self);
  } else {
    *region = self;
  }
  return status;
}

void region_close(NativeRegion *self) {
  if (self == NULL) return;
  if (self->start != NULL) munmap(self->start, self->size);
  pthread_mutex_destroy(&self->lock);
  memory_free(self->allocator, self->gaps.items);
  memory_free(self->allocator, self);
}

size_t region_page_size(const NativeRegion *self) {
  return self->page_size;
}

bool region_contains(const NativeRegion *self, const void *address) {
  const char *at = address;
  return at >= self->start && at < self->start + self->size;
}

size_t region_used(NativeRegion *self) {
  pthread_mutex_lock(&self->lock);
  size_t used = self->used * self->page_size;
  pthread_mutex_unlock(&self->lock);
  return used;
}

// --- Taking and giving -------------------------------------------------------

static void remove_gap(NativeRegion *self, size_t index) {
  Gap *gap = &self->gaps.items[index];
  self->gaps.count--;
  memmove(gap, gap + 1, (self->gaps.count - index) * sizeof *gap);
}

// The first page of a free run, or SIZE_MAX.
static size_t take_pages(NativeRegion *self, size_t count) {
  for (size_t i = 0; i < self->gaps.count; i++) {
    Gap *gap = &self->gaps.items[i];
    if (gap->count < count) continue;
    size_t first = gap->first;
    gap->first += count;
    gap->count -= count;
    if (gap->count == 0) remove_gap(self, i);
    self->used += count;
    return first;
  }
  return SIZE_MAX;
}

// Out of memory, the place is lost, which is all that happens.
static void insert_gap(NativeRegion *self, size_t index, Gap gap) {
  if (ARRAY_PUSH(self->allocator, &self->gaps) == NULL) return;
  Gap *place = &self->gaps.items[index];
  memmove(place + 1, place, (self->gaps.count - 1 - index) * sizeof *place);
  *place = gap;
}

static void give_pages(NativeRegion *self, size_t first, size_t count) {
  size_t i = 0;
  while (i < self->gaps.count && self->gaps.items[i].first < first) i++;
  Gap *before = i > 0 ? &self->gaps.items[i - 1] : NULL;
  Gap *after = i < self->gaps.count ? &self->gaps.items[i] : NULL;
  bool joins_before = before != NULL && before->first + before->count == first;
  bool joins_after = after != NULL && first + count == after->first;
  self->used -= count;
  if (joins_before) {
    before->count += count;
    if (!joins_after) return;
    before->count += after->count;
    remove_gap(self, i);
  } else if (joins_after) {
    after->first = first;
    after->count += count;
  } else {
    insert_gap(self, i, (Gap){first, count});
  }
}

static size_t pages_of(const NativeRegion *self, size_t size) {
  size_t pages = size / self->page_size + (size % self->page_size != 0);
  return pages != 0 ? pages : 1;
}

static size_t page_at(const NativeRegion *self, const void *block) {
  size_t offset = (size_t)((const char *)block - self->start);
  assert(region_contains(self, block) && offset % self->page_size == 0);
  return offset / self->page_size;
}

static void give(NativeRegion *self, const void *block, size_t size) {
  pthread_mutex_lock(&self->lock);
  give_pages(self, page_at(self, block), pages_of(self, size));
  pthread_mutex_unlock(&self->lock);
}

void *region_take(NativeRegion *self, size_t size) {
  size_t count = pages_of(self, size);
  pthread_mutex_lock(&self->lock);
  size_t first = take_pages(self, count);
  pthread_mutex_unlock(&self->lock);
  if (first == SIZE_MAX) return NULL;
  char *block = self->start + first * self->page_size;
  if (region_protect(self, block, size, REGION_WRITE)) return block;
  give(self, block, size);
  return NULL;
}

void region_retire(NativeRegion *self, void *block, size_t size) {
  size_t bytes = pages_of(self, size) * self->page_size;
  if (reserve(block, bytes) == NULL) {
    // The system is out of mappings; the memory stays, and is not reached.
    mprotect(block, bytes, PROT_NONE);
  }
}

void region_give(NativeRegion *self, void *block, size_t size) {
  if (block == NULL) return;
  size_t bytes = pages_of(self, size) * self->page_size;
  // What is taken again must be zero.
  if (reserve(block, bytes) != NULL) give(self, block, size);
}

bool region_protect(NativeRegion *self, void *block, size_t size,
                    RegionAccess access) {
  static const int protections[] = {
      [REGION_NONE] = PROT_NONE,
      [REGION_READ] = PROT_READ,
      [REGION_WRITE] = PROT_READ | PROT_WRITE,
      [REGION_EXECUTE] = PROT_READ | PROT_EXEC,
  };
  size_t bytes = pages_of(self, size) * self->page_size;
  page_at(self, block);
  return mprotect(block, bytes, protections[access]) == 0;
}
