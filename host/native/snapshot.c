// SPDX-License-Identifier: MIT

#include "native/snapshot.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "native/crash.h"

enum { CHUNK = 4096, ATTEMPTS = 3, HUGE = 4 << 20 };

typedef struct Range {
  char *address;
  size_t size;
} Range;

typedef struct Taking {
  Snapshot *snapshot; // NULL: only adding up
  size_t count;
  size_t bytes;
  size_t capacity; // ranges
  size_t room;     // bytes
  bool failed;
} Taking;

static Range *ranges_of(const Snapshot *self) {
  return (Range *)(void *)self->block;
}

static void add_up(void *context, void *address, size_t size) {
  (void)address;
  Taking *taking = context;
  taking->count++;
  taking->bytes += size;
}

typedef struct Copy {
  void *to;
  const void *from;
  size_t size;
} Copy;

static void copy_bytes(void *argument) {
  const Copy *copy = argument;
  memcpy(copy->to, copy->from, copy->size);
}

static void keep(void *context, void *address, size_t size) {
  Taking *taking = context;
  if (taking->count == taking->capacity ||
      size > taking->room - taking->bytes) {
    taking->failed = true;
    return;
  }
  Snapshot *self = taking->snapshot;
  char *bytes = self->block + taking->capacity * sizeof(Range) + taking->bytes;
  ranges_of(self)[taking->count++] = (Range){address, size};
  taking->bytes += size;
  Copy copy = {bytes, address, size};
  if (!crash_try(copy_bytes, &copy)) taking->failed = true;
}

// What is visited twice may have grown in between.
static bool try_to_take(Snapshot *self, const GuardHost *host) {
  Taking sum = {0};
  host->each_range(host->context, add_up, &sum);
  size_t size = sum.count * sizeof(Range) + sum.bytes;
  if (size == 0) return true;
  self->block = mmap(NULL, size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (self->block == MAP_FAILED) {
    self->block = NULL;
    return false;
  }
  if (size >= HUGE) madvise(self->block, size, MADV_HUGEPAGE);
  self->size = size;
  Taking taking = {.snapshot = self, .capacity = sum.count, .room = sum.bytes};
  host->each_range(host->context, keep, &taking);
  self->count = taking.count;
  if (!taking.failed && taking.count < taking.capacity) {
    taking.failed = true; // the copies begin behind `capacity` ranges
  }
  if (taking.failed) snapshot_drop(self);
  return !taking.failed;
}

bool snapshot_take(Snapshot *self, const GuardHost *host) {
  *self = (Snapshot){0};
  if (host->each_range == NULL) return true;
  for (int i = 0; i < ATTEMPTS; i++) {
    if (try_to_take(self, host)) return true;
  }
  return false;
}

// Only what differs is written, since other threads may use the rest.
static void restore_bytes(void *argument) {
  const Copy *copy = argument;
  for (size_t at = 0; at < copy->size; at += CHUNK) {
    size_t size = copy->size - at < CHUNK ? copy->size - at : CHUNK;
    char *to = (char *)copy->to + at;
    const char *from = (const char *)copy->from + at;
    if (memcmp(to, from, size) != 0) memcpy(to, from, size);
  }
}

bool snapshot_restore(const Snapshot *self) {
  bool whole = true;
  const char *bytes = self->block + self->count * sizeof(Range);
  for (size_t i = 0; i < self->count; i++) {
    Range *range = &ranges_of(self)[i];
    Copy copy = {range->address, bytes, range->size};
    whole = crash_try(restore_bytes, &copy) && whole;
    bytes += range->size;
  }
  return whole;
}

void snapshot_drop(Snapshot *self) {
  if (self->block != NULL) munmap(self->block, self->size);
  *self = (Snapshot){0};
}
