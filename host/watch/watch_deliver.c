// SPDX-License-Identifier: MIT
//
// Delivering: the files that are ready are read; if nothing disturbed them
// meanwhile, what really changed goes to the host as one batch.

#include "watch/watch_inner.h"

#include <stdlib.h>
#include <string.h>

// After reading a single file, how long to look whether it was the first of
// several (sed -i, "save all"), and whether a writer came back to it.
enum { COMPANY_US = 250 };

typedef struct Delivery {
  ARRAY(WatchChange) changes;
  Arena paths;
  uint64_t settled_ns;
  bool failed;
} Delivery;

static void free_takes(Watch *self) {
  for (size_t i = 0; i < self->takes.count; i++) {
    memory_free(&self->allocator, self->takes.items[i].contents);
  }
  self->takes.count = 0;
}

static bool read_ready(Watch *self) {
  for (size_t i = 0; i < self->pending.count; i++) {
    File *file = self->pending.items[i];
    if (file->state != FILE_READY) continue;
    Take *take = ARRAY_PUSH(&self->allocator, &self->takes);
    if (take == NULL) {
      watch_memory_short(self);
      return false;
    }
    take_read(self, file, take);
  }
  return true;
}

static bool was_disturbed(const Watch *self) {
  for (size_t i = 0; i < self->takes.count; i++) {
    const Take *take = &self->takes.items[i];
    if (take->file->generation != take->generation) return true;
  }
  return false;
}

static WatchChange *add_change(Watch *self, Delivery *delivery, File *file) {
  char path[PATH_ROOM];
  if (!file_shown(file, path, sizeof path)) return NULL;
  char *copy = arena_copy_string(&delivery->paths, path, strlen(path));
  WatchChange *change =
      copy != NULL ? ARRAY_PUSH(&self->allocator, &delivery->changes) : NULL;
  if (change == NULL) {
    delivery->failed = true;
    watch_memory_short(self);
    return NULL;
  }
  const Root *root = file->dir->root;
  size_t skip = strlen(path) - strlen(file->name);
  if (*file->dir->relative != '\0') skip -= strlen(file->dir->relative) + 1;
  if (root->single != NULL) skip = 0;
  *change = (WatchChange){
      .kind = file->existed ? WATCH_CHANGED : WATCH_CREATED,
      .root = root->index,
      .path = copy,
      .relative = root->single != NULL ? file->name : copy + skip,
      .notice_ns = file->notice_ns,
      .settled_ns = delivery->settled_ns,
  };
  return change;
}

// A change for which there was no memory is not forgotten.
static void retry(Watch *self, File *file) {
  file_set(self, file, FILE_QUIET, uv_hrtime() + self->debounce_ns);
}

static void finish_read(Watch *self, Delivery *delivery, Take *take) {
  File *file = take->file;
  uint64_t hash = watch_hash(take->contents, take->size);
  bool same = file->known && file->hash == hash && file->size == take->size;
  WatchChange *change = same ? NULL : add_change(self, delivery, file);
  file->stamp = take->stamp;
  file->racy = take->racy;
  if (change == NULL && !same) {
    retry(self, file);
    return;
  }
  file_set(self, file, FILE_IDLE, NEVER);
  file->grace_ns = 0;
  file->denied = false;
  if (same) return;
  change->contents = take->contents;
  change->size = take->size;
  change->hash = hash;
  change->read_ns = take->read_ns;
  take->contents = NULL;
  file->known = file->existed = true;
  file->hash = hash;
  file->size = take->size;
}

static void finish_missing(Watch *self, Delivery *delivery, Take *take) {
  File *file = take->file;
  if (file->existed) {
    WatchChange *change = add_change(self, delivery, file);
    if (change == NULL) {
      retry(self, file);
      return;
    }
    change->kind = WATCH_REMOVED;
    change->read_ns = take->read_ns;
  }
  // A link stays, so that its target is seen when it comes.
  if (!file->is_link) {
    file_drop(self, file);
    return;
  }
  file_set(self, file, FILE_IDLE, NEVER);
  file->existed = file->known = false;
  file->grace_ns = 0;
}

// Missing or empty: it waits out the grace time first (W2).
static void finish_grace(Watch *self, Delivery *delivery, Take *take) {
  File *file = take->file;
  bool is_empty = take->result == TAKE_EMPTY;
  bool is_known = is_empty && file->known && file->size == 0;
  if (file->grace_ns == 0) file->grace_ns = self->event_ns;
  file->stamp = take->stamp;
  uint64_t end = file->grace_ns + self->grace_ns;
  if (!is_known && uv_hrtime() < end) {
    file_set(self, file, FILE_GRACE, end);
    return;
  }
  if (!is_empty) {
    finish_missing(self, delivery, take);
    return;
  }
  take->contents = memory_copy_string(&self->allocator, "", 0);
  if (take->contents == NULL)
    watch_memory_short(self);
  else
    finish_read(self, delivery, take);
}

// Somebody has the file open for writing, or we cannot know. Where the system
// tells of closing, that is waited for; else we ask again.
static void finish_busy(Watch *self, Take *take) {
  File *file = take->file;
  bool exact = self->backend->exact && !file->dir->root->polled;
  uint64_t now = uv_hrtime();
  if (!exact) {
    file->stamp = take->stamp;
    file_set(self, file, FILE_QUIET, now + self->debounce_ns);
  } else if (take->written) {
    file_set(self, file, FILE_WRITING, NEVER);
  } else {
    file->stamp = take->stamp;
    // Torn, or nobody's word for it that the writer is done.
    file_set(self, file, FILE_QUIET,
             now + (file->trusted ? self->debounce_ns : self->grace_ns));
  }
}

static void finish(Watch *self, Delivery *delivery, Take *take) {
  switch (take->result) {
  case TAKE_READ:
    finish_read(self, delivery, take);
    break;
  case TAKE_MISSING:
  case TAKE_EMPTY:
    finish_grace(self, delivery, take);
    break;
  case TAKE_BUSY:
    finish_busy(self, take);
    break;
  case TAKE_FAILED:
    file_set(self, take->file, FILE_IDLE, NEVER);
    break;
  }
}

static int compare_changes(const void *a, const void *b) {
  const WatchChange *left = a, *right = b;
  if (left->root != right->root) return left->root < right->root ? -1 : 1;
  return strcmp(left->path, right->path);
}

static void hand_over(Watch *self, Delivery *delivery) {
  WatchBatch batch = {
      .changes = delivery->changes.items,
      .count = delivery->changes.count,
      .settled_ns = delivery->settled_ns,
  };
  if (batch.count == 0) return;
  qsort(batch.changes, batch.count, sizeof *batch.changes, compare_changes);
  batch.notice_ns = batch.changes[0].notice_ns;
  for (size_t i = 0; i < batch.count; i++) {
    const WatchChange *change = &batch.changes[i];
    if (change->notice_ns < batch.notice_ns) {
      batch.notice_ns = change->notice_ns;
    }
    if (change->read_ns > batch.read_ns) batch.read_ns = change->read_ns;
  }
  self->desc.on_batch(self->desc.context, &batch);
  for (size_t i = 0; i < batch.count; i++) {
    memory_free(&self->allocator, batch.changes[i].contents);
  }
}

// `hurry`: a single file, which is read at once and then looked at for company.
// `forced`: do not wait any longer for files that are disturbed. False when
// nothing was delivered because the files have to wait on.
bool deliver(Watch *self, bool hurry, bool forced) {
  Delivery delivery = {.settled_ns = uv_hrtime()};
  arena_init(&delivery.paths, &self->allocator);
  bool complete = read_ready(self);
  self->backend->drain(self, hurry ? COMPANY_US : 0);
  bool company = hurry && self->burst_many;
  if (!complete || (!forced && (company || was_disturbed(self)))) {
    free_takes(self);
    return false;
  }
  for (size_t i = 0; i < self->takes.count; i++) {
    Take *take = &self->takes.items[i];
    if (take->file->generation != take->generation) continue;
    finish(self, &delivery, take);
  }
  free_takes(self);
  hand_over(self, &delivery);
  memory_free(&self->allocator, delivery.changes.items);
  arena_clear(&delivery.paths);
  return true;
}
