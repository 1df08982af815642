// SPDX-License-Identifier: MIT

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "engine_native.h"

static bool has_ending(const char *path, const char *ending) {
  size_t size = strlen(path);
  size_t tail = strlen(ending);
  return size > tail && strcmp(path + size - tail, ending) == 0;
}

// ---------------------------------------------------------------------------
// Headers elsewhere
// ---------------------------------------------------------------------------

// Whether a watched root delivers the file.
static bool is_delivered(const GraftEngine *self, const char *header) {
  if (!has_ending(header, ".h") && !has_ending(header, ".c")) return false;
  for (size_t i = 0; i < self->roots.count; i++) {
    const char *root = self->roots.items[i].path;
    char absolute[PATH_MAX];
    if (realpath(*root != '\0' ? root : ".", absolute) == NULL) continue;
    size_t size = strlen(absolute);
    if (strncmp(header, absolute, size) == 0 && header[size] == '/') {
      return true;
    }
  }
  return false;
}

static bool is_watched(const Natives *self, const char *header) {
  for (size_t i = 0; i < self->headers.count; i++) {
    if (strcmp(self->headers.items[i], header) == 0) return true;
  }
  return false;
}

void natives_watch_headers(Natives *self, const WorkerFile *file) {
  GraftEngine *engine = self->engine;
  for (size_t i = 0; engine->watch != NULL && i < file->header_count; i++) {
    const char *header = file->headers[i];
    if (is_delivered(engine, header) || is_watched(self, header)) continue;
    char **place = ARRAY_PUSH(self->allocator, &self->headers);
    if (place == NULL) return; // it is tried again with the next object
    *place = memory_copy_string(self->allocator, header, strlen(header));
    if (*place == NULL) {
      self->headers.count--;
      return;
    }
    watch_add_root(engine->watch, header, NULL);
  }
}

// ---------------------------------------------------------------------------
// Batches
// ---------------------------------------------------------------------------

// What a batch has of natives. `texts` need no more of it.
typedef struct Intake {
  Natives *natives;
  ARRAY(NativeText) texts; // borrow their strings
  ARRAY(char *) owned;     // strings to be freed
  NativePlan *gone;
  bool failed;
} Intake;

static char *own(Intake *self, char *text) {
  char **place = ARRAY_PUSH(self->natives->allocator, &self->owned);
  if (place != NULL && text != NULL) {
    *place = text;
    return text;
  }
  if (place != NULL) self->owned.count--;
  memory_free(self->natives->allocator, text);
  self->failed = true;
  return NULL;
}

// The folder that was named: the path without what is below it.
static char *root_of(const GraftAllocator *allocator,
                     const WatchChange *change) {
  const char *path = engine_plain_path(change->path);
  size_t size = strlen(path);
  size_t tail = strlen(change->relative) + 1;
  if (tail >= size) return memory_copy_string(allocator, ".", 1);
  return memory_copy_string(allocator, path, size - tail);
}

// A copy of the text that the file's present object was compiled from.
static void set_base(Intake *self, NativeText *text) {
  Natives *natives = self->natives;
  pthread_mutex_lock(&natives->engine->mutex);
  const NativeFile *file = map_find(&natives->by_path, text->path);
  if (file != NULL && file->text != NULL && file->checks != NULL) {
    text->checks =
        own(self, memory_copy_string(natives->allocator, file->checks,
                                     strlen(file->checks)));
    text->base = own(
        self, memory_copy_string(natives->allocator, file->text, file->size));
    text->base_size = file->size;
  }
  pthread_mutex_unlock(&natives->engine->mutex);
}

static void take_source(Intake *self, const WatchChange *change) {
  const GraftAllocator *allocator = self->natives->allocator;
  const char *path = engine_plain_path(change->path);
  if (change->kind == WATCH_REMOVED) {
    NativePlan *plan = native_plan_new(allocator, path);
    self->failed |= plan == NULL;
    if (plan == NULL) return;
    plan->notice_ns = change->notice_ns;
    plan->settled_ns = change->settled_ns;
    plan->next = self->gone;
    self->gone = plan;
    worker_forget(self->natives->worker, path);
    return;
  }
  NativeText *text = ARRAY_PUSH(allocator, &self->texts);
  self->failed |= text == NULL;
  if (text == NULL) return;
  text->path = (char *)path;
  text->root = own(self, root_of(allocator, change));
  text->text = change->contents;
  text->size = change->size;
  set_base(self, text);
}

static void take_dependent(void *context, const char *source) {
  Intake *self = context;
  for (size_t i = 0; i < self->texts.count; i++) {
    NativeText *text = &self->texts.items[i];
    if (strcmp(text->path, source) != 0) continue;
    text->base = NULL;
    return;
  }
  NativeText *text = ARRAY_PUSH(self->natives->allocator, &self->texts);
  char *path = own(self, memory_copy_string(self->natives->allocator, source,
                                            strlen(source)));
  self->failed |= text == NULL;
  if (text == NULL || path == NULL) return;
  *text = (NativeText){.path = path, .root = NULL};
}

// Called by the worker: what is asked of others comes later.
static void take_header(Intake *self, const WatchChange *change) {
  char absolute[PATH_MAX];
  const char *path = change->path;
  if (realpath(path, absolute) != NULL) path = absolute;
  worker_each_dependent(self->natives->worker, path, take_dependent, self);
}

// The roots of files that a header brings in.
static void set_roots(Intake *self) {
  Natives *natives = self->natives;
  for (size_t i = 0; i < self->texts.count; i++) {
    NativeText *text = &self->texts.items[i];
    if (text->root != NULL || text->path == NULL) continue;
    const NativeFile *file = natives_find_file(natives, text->path);
    text->root = file != NULL ? file->root : (char *)".";
  }
}

// Submits; scripts of the same batch wait. With the mutex held.
static GraftStatus hold_intake(Intake *self, const WatchBatch *batch,
                               Plan *plans, GraftError *error) {
  Natives *natives = self->natives;
  NativeHold *hold = &natives->hold;
  if (hold->job == 0) hold->notice_ns = batch->notice_ns;
  hold->settled_ns = batch->settled_ns;
  for (size_t i = 0; i < self->texts.count; i++) {
    if (!natives_hold_text(natives, &self->texts.items[i]))
      return error_memory(error);
  }
  GraftStatus status = natives_submit_hold(natives, error);
  if (status < 0) return status;
  Plan *last = plans;
  while (last != NULL && last->next != NULL) last = last->next;
  if (last != NULL) {
    last->next = hold->plans;
    hold->plans = plans;
  }
  return GRAFT_OK;
}

// Whether one of these scripts waits already.
static bool overlaps(const NativeHold *hold, const Plan *plans) {
  for (const Plan *plan = plans; plan != NULL; plan = plan->next) {
    for (const Plan *held = hold->plans; held != NULL; held = held->next) {
      if (strcmp(plan->path, held->path) == 0) return true;
    }
  }
  return false;
}

static void queue_gone(Intake *self) {
  Natives *natives = self->natives;
  if (self->gone == NULL) return;
  for (NativePlan *plan = self->gone; plan != NULL; plan = plan->next) {
    natives_drop_text(natives, plan->path);
  }
  NativePlan *last = self->gone;
  while (last->next != NULL) last = last->next;
  last->next = natives->plans;
  natives->plans = self->gone;
  self->gone = NULL;
}

// A job that lost its only file gives no result: what waited for it goes on.
static void release_empty(Natives *self) {
  if (self->hold.job == 0 || self->hold.texts != NULL) return;
  engine_queue_plans(self->engine, self->hold.plans);
  self->hold = (NativeHold){0};
}

bool natives_take_batch(Natives *self, const WatchBatch *batch, Plan *plans) {
  Intake intake = {.natives = self};
  natives_note_thread(self);
  for (size_t i = 0; i < batch->count; i++) {
    const WatchChange *change = &batch->changes[i];
    if (native_is_source(change->path)) take_source(&intake, change);
  }
  for (size_t i = 0; i < batch->count; i++) {
    const WatchChange *change = &batch->changes[i];
    if (native_is_source(change->path) || has_ending(change->path, ".lua")) {
      continue;
    }
    take_header(&intake, change);
  }
  set_roots(&intake);
  GraftError error = {.status = GRAFT_OK};
  GraftStatus status = intake.failed ? error_memory(&error) : GRAFT_OK;
  GraftEngine *engine = self->engine;
  bool taken = false;
  pthread_mutex_lock(&engine->mutex);
  bool any_gone = intake.gone != NULL;
  queue_gone(&intake);
  if (status == GRAFT_OK && intake.texts.count > 0) {
    status = hold_intake(&intake, batch, plans, &error);
    taken = status == GRAFT_OK;
  } else if (status == GRAFT_OK && overlaps(&self->hold, plans)) {
    Plan *last = plans;
    while (last->next != NULL) last = last->next;
    last->next = self->hold.plans;
    self->hold.plans = plans;
    taken = true;
  }
  if (any_gone) {
    release_empty(self);
    if (!taken) engine_queue_plans(engine, plans);
    taken = true;
  }
  pthread_mutex_unlock(&engine->mutex);
  for (size_t i = 0; i < intake.owned.count; i++) {
    memory_free(self->allocator, intake.owned.items[i]);
  }
  memory_free(self->allocator, intake.owned.items);
  memory_free(self->allocator, intake.texts.items);
  if (status < 0) engine_on_message(self->engine, error.message);
  if (any_gone) engine_interrupt_if_stuck(engine);
  return taken;
}
