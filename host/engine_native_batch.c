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

NativePlan *native_plan_new(const GraftAllocator *allocator, const char *path) {
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
    NativePlan *plan = native_plan_new(allocator, worker->files[i].path);
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

void natives_drop_text(Natives *self, const char *path) {
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
  while (self->hold.texts != NULL)
    natives_drop_text(self, self->hold.texts->path);
  self->hold = (NativeHold){0};
}

// With the mutex held. Submits all that is held as one job: what was at work
// goes along.
GraftStatus natives_submit_hold(Natives *self, GraftError *error) {
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
    if (natives_submit_hold(self, &error) < 0) hold->stale_ns = watch_now();
  }
  pthread_mutex_unlock(&self->engine->mutex);
}

// With the mutex held.
bool natives_hold_text(Natives *self, const NativeText *text) {
  NativeText *held = copy_text(self->allocator, text);
  if (held == NULL) return false;
  natives_drop_text(self, text->path);
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
    if (!natives_hold_text(self, &texts[i])) status = error_memory(error);
  }
  if (status == GRAFT_OK) status = natives_submit_hold(self, error);
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

static void on_thread(void *context) {
  natives_note_thread(context);
}

static void free_product(void *context, void *product) {
  (void)context;
  native_product_release(product);
}

GraftStatus natives_open_worker(Natives *self, GraftError *error) {
  return worker_open(
      &(WorkerDesc){.allocator = self->allocator,
                    .on_result = on_result,
                    .on_progress = on_progress,
                    .prepare = prepare,
                    .free_product = free_product,
                    .on_thread = on_thread,
                    .compiler = {.colours = self->engine->desc.colours},
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
