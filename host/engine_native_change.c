// SPDX-License-Identifier: MIT

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "engine_native.h"

// ---------------------------------------------------------------------------
// The files that wait
// ---------------------------------------------------------------------------

static bool is_broken(const NativePlan *plan) {
  return plan->file != NULL && plan->file->status < 0;
}

// The file's newest plan is what it waits for. False: it is not wanted.
static bool take_plan(Natives *self, NativePlan *plan) {
  NativeFile *file = natives_find_file(self, plan->path);
  if (file == NULL && plan->file != NULL) {
    file = natives_add_file(self, plan->path, ".");
  }
  if (file == NULL) { // gone before it was ever taken, or no memory
    native_plan_free(self->allocator, plan);
    return false;
  }
  // The fast tier's takes the place of a text that is mended now, but not of
  // one that waits for another reason.
  bool fast = plan->result != NULL && plan->result->worker->tier == WORKER_FAST;
  if (fast && file->waiting != NULL && !is_broken(file->waiting)) {
    native_plan_free(self->allocator, plan);
    return false;
  }
  native_plan_free(self->allocator, file->waiting);
  file->waiting = plan;
  return true;
}

bool natives_take_plans(Natives *self) {
  if (self == NULL || self->taken == NULL) return true;
  bool any = false;
  while (self->taken != NULL) {
    NativePlan *next = self->taken->next;
    self->taken->next = NULL;
    any = take_plan(self, self->taken) || any;
    self->taken = next;
  }
  return any;
}

static void drop_plan(Natives *self, NativeFile *file) {
  native_plan_free(self->allocator, file->waiting);
  file->waiting = NULL;
}

// The product stays the plan's until the change is committed.
static void set_product(NativeStep *step) {
  if (step->plan->file == NULL) return;
  step->product = step->plan->file->product;
  step->partial = step->plan->result->worker->tier == WORKER_FAST;
}

// What the fast tier has nothing of to be taken.
static bool is_empty(const NativePlan *plan) {
  return plan->file != NULL && plan->file->status >= 0 &&
         plan->file->product == NULL;
}

bool native_change_init(NativeChange *self, Natives *natives) {
  *self = (NativeChange){.natives = natives};
  storage_report_init(&self->report, natives->allocator);
  for (size_t i = 0; i < natives->files.count; i++) {
    NativeFile *file = natives->files.items[i];
    if (file->waiting != NULL && is_empty(file->waiting)) {
      drop_plan(natives, file);
    }
    if (file->waiting == NULL) continue;
    NativeStep *last = ARRAY_PUSH(natives->allocator, &self->steps);
    if (last == NULL) return false;
    NativeStep *place = last;
    while (place > self->steps.items &&
           strcmp(place[-1].file->path, file->path) > 0) {
      *place = place[-1];
      place--;
    }
    *place = (NativeStep){.file = file, .plan = file->waiting};
    set_product(place);
  }
  return true;
}

// Threads may have entered code that was undone: it goes when they are out.
static void leave_to_collector(Natives *self, NativeObject *object) {
  natives_list_object(self, object);
}

// What was not committed goes; the storage of the change is last, since its
// objects are linked against it.
static void unlink_steps(NativeChange *self) {
  const GraftAllocator *allocator = self->natives->allocator;
  for (size_t i = 0; i < self->steps.count; i++) {
    NativeStep *step = &self->steps.items[i];
    if (step->object != NULL && self->was_switched) {
      leave_to_collector(self->natives, step->object);
    } else if (step->object != NULL) {
      link_free(step->object->link);
      native_product_release(step->object->product);
      memory_free(allocator, step->object);
    }
    memory_free(allocator, step->storage);
    step->object = NULL;
    step->storage = NULL;
  }
  pthread_mutex_lock(&self->natives->state_lock);
  storage_change_free(self->storage);
  pthread_mutex_unlock(&self->natives->state_lock);
  self->storage = NULL;
  self->moved.count = 0;
}

void native_change_clear(NativeChange *self) {
  if (self->natives == NULL) return;
  const GraftAllocator *allocator = self->natives->allocator;
  unlink_steps(self);
  storage_report_clear(&self->report);
  for (size_t i = 0; i < self->switches.count; i++) {
    slot_snapshot_free(self->switches.items[i].snapshot);
  }
  memory_free(allocator, self->steps.items);
  memory_free(allocator, self->retypes.items);
  memory_free(allocator, self->switches.items);
  memory_free(allocator, self->moved.items);
  memory_free(allocator, self->news.items);
}

// ---------------------------------------------------------------------------
// Rejecting
// ---------------------------------------------------------------------------

static bool same_error(const GraftError *left, const GraftError *right) {
  return left->status == right->status && left->line == right->line &&
         left->column == right->column &&
         strcmp(left->message, right->message) == 0;
}

// Without the path, which the report has in front.
static const char *plain_message(const NativeFile *file,
                                 const GraftError *error) {
  size_t size = strlen(file->path);
  const char *message = error->message;
  bool named = strncmp(message, file->path, size) == 0 &&
               strncmp(message + size, ": ", 2) == 0;
  return named ? message + size + 2 : message;
}

// Shown once; what the compiler wrote as it wrote it (N7).
static void reject(Natives *self, NativeFile *file, const GraftError *error,
                   const char *output) {
  if (same_error(&file->shown, error)) return;
  file->shown = *error;
  Buffer text;
  buffer_init(&text, self->allocator);
  buffer_add_text(&text, plain_message(file, error));
  if (output != NULL && *output != '\0') {
    buffer_format(&text, "\n%s", output);
    while (text.size > 0 && text.text[text.size - 1] == '\n') {
      text.text[--text.size] = '\0';
    }
  }
  engine_emit(self->engine,
              &(GraftEvent){.kind = GRAFT_EVENT_REJECT,
                            .file = error->file[0] ? error->file : file->path,
                            .line = error->line,
                            .column = error->column,
                            .message = text.failed ? error->message
                                                   : buffer_text(&text)});
  buffer_clear(&text);
}

static void remove_step(NativeChange *self, size_t index) {
  NativeStep *steps = self->steps.items;
  memmove(&steps[index], &steps[index + 1],
          (self->steps.count - index - 1) * sizeof *steps);
  self->steps.count--;
}

// No compiler: that is told once, and prebuilt natives run.
static void tell_no_compiler(Natives *self, const GraftError *error) {
  if (!self->told_no_compiler) engine_notice(self->engine, error->message);
  self->told_no_compiler = true;
}

// At the start, and for files that have never been in, a file that cannot be
// taken holds up nobody.
static bool holds_up(const NativeChange *self, const NativeFile *file) {
  return !self->natives->loading && !file->late && file->object != NULL;
}

bool native_change_reject_broken(NativeChange *self) {
  bool broken = false;
  for (size_t i = self->steps.count; i > 0; i--) {
    NativeFile *file = self->steps.items[i - 1].file;
    const WorkerFile *worker = self->steps.items[i - 1].plan->file;
    if (worker == NULL || worker->status >= 0) continue;
    bool no_compiler = worker->status == GRAFT_ENOTFOUND;
    if (no_compiler) {
      tell_no_compiler(self->natives, &worker->error);
    } else {
      reject(self->natives, file, &worker->error, worker->output);
    }
    if (holds_up(self, file) && !no_compiler) {
      broken = true;
      continue;
    }
    drop_plan(self->natives, file);
    remove_step(self, i - 1);
  }
  return broken;
}

static NativeStep *find_step(const NativeChange *self, const char *path) {
  for (size_t i = 0; i < self->steps.count; i++) {
    if (strcmp(self->steps.items[i].file->path, path) == 0) {
      return &self->steps.items[i];
    }
  }
  return NULL;
}

bool native_change_reject(NativeChange *self, const GraftError *error) {
  if (self->steps.count == 0) return false;
  const NativeStep *step = find_step(self, error->file);
  // What is nowhere, such as in a persistent array, is about the first.
  if (step == NULL && error->file[0] == '\0') step = &self->steps.items[0];
  if (step == NULL) return false;
  reject(self->natives, step->file, error, NULL);
  return true;
}

// ---------------------------------------------------------------------------
// Preparing
// ---------------------------------------------------------------------------

// Takes the file at fault out of the change if it may stay out: a new one,
// which goes on waiting, or what the fast tier made. False: it may not.
static bool leave_out(NativeChange *self, const GraftError *error) {
  for (size_t i = self->steps.count; i > 0; i--) {
    NativeStep *step = &self->steps.items[i - 1];
    if (!step->partial) continue;
    drop_plan(self->natives, step->file);
    remove_step(self, i - 1);
    return true;
  }
  NativeStep *step = find_step(self, error->file);
  if (step == NULL || holds_up(self, step->file)) return false;
  if (!self->awaits_removal) reject(self->natives, step->file, error, NULL);
  self->awaits_removal = false;
  step->file->late = true;
  remove_step(self, (size_t)(step - self->steps.items));
  return true;
}

GraftStatus native_change_prepare(NativeChange *self, GraftError *error) {
  while (self != NULL && self->steps.count > 0) {
    pthread_mutex_lock(&self->natives->state_lock);
    GraftStatus status = native_change_link(self, error);
    if (status == GRAFT_OK) status = native_change_check(self, error);
    pthread_mutex_unlock(&self->natives->state_lock);
    if (status == GRAFT_OK) return GRAFT_OK;
    GraftError local = *error;
    unlink_steps(self);
    *error = local;
    if (!leave_out(self, error)) return status;
  }
  return GRAFT_OK;
}

bool native_change_is_busy(const NativeChange *self) {
  return self->busy;
}

bool native_change_has_news(const NativeChange *self) {
  if (self == NULL) return false;
  return self->news.count > 0 || self->report.events.count > 0;
}

void native_change_times(const NativeChange *self, GraftEvent *event) {
  for (size_t i = 0; self != NULL && i < self->steps.count; i++) {
    const NativePlan *plan = self->steps.items[i].plan;
    double settle = (double)(plan->settled_ns - plan->notice_ns) / 1e6;
    if (settle > event->settle_ms) event->settle_ms = settle;
    if (plan->result == NULL) continue;
    uint64_t ready = plan->result->worker->ready_ns;
    double planned =
        ready > plan->settled_ns ? (double)(ready - plan->settled_ns) / 1e6 : 0;
    if (planned > event->plan_ms) event->plan_ms = planned;
  }
}

void native_change_settle(NativeChange *self) {
  for (size_t i = 0; i < self->steps.count; i++) {
    NativeFile *file = self->steps.items[i].file;
    drop_plan(self->natives, file);
    file->shown = (GraftError){0};
  }
}
