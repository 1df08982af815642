// SPDX-License-Identifier: MIT

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "engine_native.h"

// ---------------------------------------------------------------------------
// Texts
// ---------------------------------------------------------------------------

static bool has_ending(const char *path, const char *ending) {
  size_t size = strlen(path);
  size_t tail = strlen(ending);
  return size > tail && strcmp(path + size - tail, ending) == 0;
}

bool native_is_source(const char *path) {
  return has_ending(path, ".c");
}

static void free_text(const GraftAllocator *allocator, NativeText *self) {
  if (self == NULL) return;
  memory_free(allocator, self->path);
  memory_free(allocator, self->root);
  memory_free(allocator, self->text);
  memory_free(allocator, self->base);
  memory_free(allocator, self->checks);
  memory_free(allocator, self);
}

static char *copy(const GraftAllocator *allocator, const char *text,
                  size_t size) {
  return text != NULL ? memory_copy_string(allocator, text, size) : NULL;
}

// NULL when out of memory.
static NativeText *copy_text(const GraftAllocator *allocator,
                             const NativeText *from) {
  NativeText *self = memory_new(allocator, sizeof *self);
  if (self == NULL) return NULL;
  self->size = from->size;
  self->base_size = from->base_size;
  self->path = copy(allocator, from->path, strlen(from->path));
  self->root = copy(allocator, from->root, strlen(from->root));
  self->text = copy(allocator, from->text, from->size);
  self->base = copy(allocator, from->base, from->base_size);
  if (from->checks != NULL) {
    self->checks = copy(allocator, from->checks, strlen(from->checks));
  }
  if (self->path != NULL && self->root != NULL &&
      (self->text != NULL || from->text == NULL) &&
      (self->base != NULL || from->base == NULL) &&
      (self->checks != NULL || from->checks == NULL)) {
    return self;
  }
  free_text(allocator, self);
  return NULL;
}

// ---------------------------------------------------------------------------
// Plans
// ---------------------------------------------------------------------------

void native_plan_free(const GraftAllocator *allocator, NativePlan *self) {
  if (self == NULL) return;
  NativeResult *result = self->result;
  if (result != NULL && atomic_fetch_sub(&result->count, 1) == 1) {
    worker_result_free(result->worker);
    memory_free(allocator, result);
  }
  memory_free(allocator, self->path);
  memory_free(allocator, self);
}

static NativePlan *plan_new_at(const GraftAllocator *allocator,
                               const char *path) {
  NativePlan *self = memory_new(allocator, sizeof *self);
  if (self == NULL) return NULL;
  self->path = memory_copy_string(allocator, path, strlen(path));
  if (self->path != NULL) return self;
  memory_free(allocator, self);
  return NULL;
}

static void free_plans(const GraftAllocator *allocator, NativePlan *plans) {
  while (plans != NULL) {
    NativePlan *next = plans->next;
    native_plan_free(allocator, plans);
    plans = next;
  }
}

// One for each file, in front of `*plans`. Takes the result over; false when
// out of memory.
static bool make_plans(Natives *self, WorkerResult *worker,
                       NativePlan **plans) {
  const GraftAllocator *allocator = self->allocator;
  NativeResult *result = memory_new(allocator, sizeof *result);
  if (result == NULL) {
    worker_result_free(worker);
    return false;
  }
  result->worker = worker;
  atomic_store(&result->count, 1);
  NativePlan *first = NULL;
  bool complete = true;
  for (size_t i = 0; i < worker->count && complete; i++) {
    NativePlan *plan = plan_new_at(allocator, worker->files[i].path);
    complete = plan != NULL;
    if (!complete) break;
    plan->file = &worker->files[i];
    plan->result = result;
    plan->notice_ns = self->hold.notice_ns;
    plan->settled_ns = self->hold.settled_ns;
    atomic_fetch_add(&result->count, 1);
    plan->next = first;
    first = plan;
  }
  if (!complete) {
    free_plans(allocator, first);
  } else if (first != NULL) {
    NativePlan *last = first;
    while (last->next != NULL) last = last->next;
    last->next = *plans;
    *plans = first;
  }
  if (atomic_fetch_sub(&result->count, 1) == 1) {
    worker_result_free(worker);
    memory_free(allocator, result);
  }
  return complete;
}

void natives_take_queue(Natives *self) {
  NativePlan **last = &self->taken;
  while (*last != NULL) last = &(*last)->next;
  NativePlan *oldest = NULL;
  while (self->plans != NULL) {
    NativePlan *next = self->plans->next;
    self->plans->next = oldest;
    oldest = self->plans;
    self->plans = next;
  }
  *last = oldest;
}

// ---------------------------------------------------------------------------
// Jobs
// ---------------------------------------------------------------------------

static void drop_text(Natives *self, const char *path) {
  NativeText **place = &self->hold.texts;
  while (*place != NULL && strcmp((*place)->path, path) != 0) {
    place = &(*place)->next;
  }
  NativeText *found = *place;
  if (found == NULL) return;
  *place = found->next;
  free_text(self->allocator, found);
}

static void clear_hold(Natives *self) {
  while (self->hold.texts != NULL) drop_text(self, self->hold.texts->path);
  self->hold = (NativeHold){0};
}

// With the mutex held. Submits all that is held as one job: what was at work
// goes along.
static GraftStatus submit_hold(Natives *self, GraftError *error) {
  size_t count = 0;
  for (NativeText *text = self->hold.texts; text != NULL; text = text->next) {
    count++;
  }
  WorkerSource *sources =
      memory_new(self->allocator, (count + 1) * sizeof *sources);
  if (sources == NULL) return error_memory(error);
  size_t i = 0;
  for (NativeText *text = self->hold.texts; text != NULL; text = text->next) {
    sources[i++] = (WorkerSource){.path = text->path,
                                  .root = text->root,
                                  .text = text->text,
                                  .size = text->size,
                                  .base = text->base,
                                  .base_size = text->base_size,
                                  .checks = text->checks};
  }
  GraftStatus status =
      worker_submit(self->worker, sources, count, &self->hold.job, error);
  memory_free(self->allocator, sources);
  self->hold.stale_ns = 0;
  return status;
}

// The watcher will tell of what was saved meanwhile, unless it is what it was
// before.
enum { RETRY_MS = 100 };

void natives_retry(Natives *self) {
  uint64_t patience = (uint64_t)RETRY_MS * 1000000;
  pthread_mutex_lock(&self->engine->mutex);
  NativeHold *hold = &self->hold;
  if (hold->stale_ns != 0 && watch_now() - hold->stale_ns > patience) {
    GraftError error;
    // Without memory, at the next opportunity.
    if (submit_hold(self, &error) < 0) hold->stale_ns = watch_now();
  }
  pthread_mutex_unlock(&self->engine->mutex);
}

// With the mutex held.
static bool hold_text(Natives *self, const NativeText *text) {
  NativeText *held = copy_text(self->allocator, text);
  if (held == NULL) return false;
  drop_text(self, text->path);
  held->next = self->hold.texts;
  self->hold.texts = held;
  return true;
}

GraftStatus natives_submit(Natives *self, const NativeText *texts, size_t count,
                           GraftError *error) {
  pthread_mutex_lock(&self->engine->mutex);
  GraftStatus status = GRAFT_OK;
  if (self->hold.job == 0) {
    self->hold.notice_ns = self->hold.settled_ns = watch_now();
  }
  for (size_t i = 0; i < count && status == GRAFT_OK; i++) {
    if (!hold_text(self, &texts[i])) status = error_memory(error);
  }
  if (status == GRAFT_OK) status = submit_hold(self, error);
  pthread_mutex_unlock(&self->engine->mutex);
  return status;
}

static void tell(Natives *self, const char *text) {
  engine_on_message(self->engine, text);
}

// One that failed before it was read has no text.
static bool is_text_of(const NativeText *text, const WorkerFile *file) {
  bool was_read = file->status >= 0 || file->size > 0;
  return text->text == NULL || !was_read ||
         (text->size == file->size &&
          memcmp(text->text, file->text, file->size) == 0);
}

// Whether the compiler has read other texts than the watcher: torn ones, or
// newer ones, which the watcher will tell of.
static bool is_stale(const NativeHold *hold, const WorkerResult *result) {
  for (size_t i = 0; i < result->count; i++) {
    const WorkerFile *file = &result->files[i];
    bool was_read = file->status == GRAFT_OK || file->status == GRAFT_ESYNTAX;
    if (!was_read) continue;
    for (const NativeText *text = hold->texts; text != NULL;
         text = text->next) {
      if (strcmp(text->path, file->path) == 0 && !is_text_of(text, file)) {
        return true;
      }
    }
  }
  return false;
}

// On a worker's thread.
static void on_result(void *context, WorkerResult *result) {
  Natives *self = context;
  GraftEngine *engine = self->engine;
  bool complete = true;
  bool queued = false;
  pthread_mutex_lock(&engine->mutex);
  // A job that newer saves have joined has gone into another one. The fast
  // tier's result of natives alone may go ahead of the scripts.
  bool wanted = result->job == self->hold.job &&
                (result->tier == WORKER_OPTIMISED || self->hold.plans == NULL);
  if (wanted && is_stale(&self->hold, result)) {
    self->hold.stale_ns = watch_now();
    wanted = false;
  }
  if (wanted) {
    bool last = result->tier == WORKER_OPTIMISED;
    complete = make_plans(self, result, &self->plans);
    engine_queue_plans(engine, self->hold.plans);
    self->hold.plans = NULL;
    if (last) clear_hold(self);
    queued = true;
  } else {
    worker_result_free(result);
  }
  pthread_mutex_unlock(&engine->mutex);
  if (!complete) {
    tell(self, "out of memory: natives were not taken; save them again");
  }
  if (queued) engine_interrupt_if_stuck(engine);
}

static void on_progress(void *context, uint64_t job, size_t done,
                        size_t count) {
  Natives *self = context;
  (void)job;
  pthread_mutex_lock(&self->engine->mutex);
  self->progress_done = done;
  self->progress_count = count;
  pthread_cond_broadcast(&self->engine->changed);
  pthread_mutex_unlock(&self->engine->mutex);
}

// ---------------------------------------------------------------------------
// What a worker makes of an object
// ---------------------------------------------------------------------------

static GraftStatus read_debug(NativeProduct *self, const char *path,
                              GraftError *error) {
  if (!object_has_debug(self->object)) return GRAFT_OK;
  ObjectImage image;
  GraftStatus status = object_debug_image(self->object, &image, error);
  if (status < 0) return status;
  status = layout_read(self->allocator, image.bytes, image.size, path,
                       &self->layout, error);
  if (status == GRAFT_OK) {
    status = lines_read(self->allocator, &image, &self->lines, error);
  }
  object_image_clear(self->object, &image);
  return status;
}

void natives_note_thread(Natives *self) {
  pid_t thread = (pid_t)syscall(SYS_gettid);
  pthread_mutex_lock(&self->engine->mutex);
  size_t i = 0;
  while (i < self->thread_count && self->threads[i] != thread) i++;
  if (i == self->thread_count && i < NATIVE_THREADS) {
    self->threads[self->thread_count++] = thread;
  }
  pthread_mutex_unlock(&self->engine->mutex);
}

static GraftStatus prepare(void *context, WorkerFile *file, WorkerTier tier,
                           GraftError *error) {
  Natives *self = context;
  (void)tier;
  natives_note_thread(self);
  NativeProduct *product = memory_new(self->allocator, sizeof *product);
  if (product == NULL) return error_memory(error);
  product->allocator = self->allocator;
  atomic_store(&product->count, 1);
  product->layout.allocator = self->allocator;
  GraftStatus status = object_read(self->allocator, file->path, file->object,
                                   file->object_size, &product->object, error);
  if (status == GRAFT_OK) status = read_debug(product, file->path, error);
  if (status < 0) {
    native_product_release(product);
    return status;
  }
  file->product = product;
  return GRAFT_OK;
}

static void free_product(void *context, void *product) {
  (void)context;
  native_product_release(product);
}

GraftStatus natives_open_worker(Natives *self, GraftError *error) {
  return worker_open(&(WorkerDesc){.allocator = self->allocator,
                                   .on_result = on_result,
                                   .on_progress = on_progress,
                                   .prepare = prepare,
                                   .free_product = free_product,
                                   .context = self,
                                   .no_tcc = self->engine->desc.no_tcc},
                     &self->worker, error);
}

void natives_clear_batches(Natives *self) {
  while (self->hold.plans != NULL) {
    Plan *next = self->hold.plans->next;
    plan_free(self->allocator, self->hold.plans);
    self->hold.plans = next;
  }
  clear_hold(self);
  free_plans(self->allocator, self->plans);
  free_plans(self->allocator, self->taken);
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
    NativePlan *plan = plan_new_at(allocator, path);
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
    if (!hold_text(natives, &self->texts.items[i])) return error_memory(error);
  }
  GraftStatus status = submit_hold(natives, error);
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
    drop_text(natives, plan->path);
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
  if (status < 0) tell(self, error.message);
  if (any_gone) engine_interrupt_if_stuck(engine);
  return taken;
}
