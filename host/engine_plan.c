// SPDX-License-Identifier: MIT

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "engine_native.h"
#include "patch/outline.h"
#include "vm/maker_code.h"

void plan_free(const GraftAllocator *allocator, Plan *self) {
  if (self == NULL) return;
  maker_code_free(self->code);
  diff_free(self->diff);
  unit_release(self->unit);
  unit_release(self->base);
  memory_free(allocator, self->path);
  memory_free(allocator, self->module);
  memory_free(allocator, self->source_line);
  memory_free(allocator, self);
}

static size_t line_length(const char *at, const char *end) {
  size_t length = 0;
  while (at + length < end && at[length] != '\n' && at[length] != '\r') {
    length++;
  }
  return length;
}

// Keeps the line that an error is about, for showing it.
static void keep_line(const GraftAllocator *allocator, Plan *self,
                      const PlanDesc *desc) {
  const char *at = desc->contents;
  const char *end = at + desc->size;
  for (int line = 1; line < self->error.line && at < end; line++) {
    at += line_length(at, end);
    if (end - at >= 2 && at[0] == '\r' && at[1] == '\n') at++;
    if (at < end) at++;
  }
  self->source_line = memory_copy_string(allocator, at, line_length(at, end));
}

// The VM's messages have no column. It is that of the parser's error if both
// mean the same line, or of the token that the message quotes.
static void find_column(Plan *self, const GraftError *parsed) {
  if (parsed->status < 0 && parsed->line == self->error.line) {
    self->error.column = parsed->column;
    return;
  }
  const char *near = strstr(self->error.message, "near '");
  if (near == NULL || self->source_line == NULL) return;
  near += strlen("near '");
  const char *quote = strrchr(near, '\'');
  if (quote == NULL || quote == near) return;
  char token[64];
  size_t size = (size_t)(quote - near);
  if (size >= sizeof token) return;
  memcpy(token, near, size);
  token[size] = '\0';
  const char *found = strstr(self->source_line, token);
  if (found != NULL) self->error.column = (int)(found - self->source_line) + 1;
}

// The check of a text by the VM's own compiler.
typedef struct Check {
  VmChecker *checker;
  const char *text;
  size_t size;
  const char *path;
  GraftStatus status;
  GraftError error;
} Check;

static void *run_check(void *context) {
  Check *self = context;
  self->status = vm_checker_check(self->checker, self->text, self->size,
                                  self->path, &self->error);
  return NULL;
}

// It takes longer than all else in a plan. What can be left out when the file
// is known is not known before the difference; of a large file that is new,
// the check goes on beside the parser.
enum { LARGE_FILE = 64 * 1024 };

static bool start_check(const Plan *plan, Check *check, pthread_t *thread) {
  return plan->base == NULL && check->size >= LARGE_FILE &&
         pthread_create(thread, NULL, run_check, check) == 0;
}

// Compares, and checks what the VM has not accepted before.
static void check_changes(GraftEngine *engine, Plan *self, Check *check) {
  Buffer outline;
  buffer_init(&outline, &engine->allocator);
  if (self->base != NULL && self->unit != NULL) {
    self->diff = diff_new(&engine->allocator, self->base, self->unit);
  }
  if (self->diff != NULL && outline_make(self->diff, &outline)) {
    check->text = buffer_text(&outline);
    check->size = outline.size;
  }
  run_check(check);
  buffer_clear(&outline);
}

// The VM's own compiler has the last word, and its message is shown (U1).
void plan_compile(GraftEngine *engine, VmChecker *checker, Plan *self,
                  const PlanDesc *desc) {
  GraftError parsed = {.status = GRAFT_OK};
  GraftUnitDesc unit_desc = {.source = desc->contents,
                             .size = desc->size,
                             .module = self->module,
                             .file = desc->path,
                             .allocator = &engine->allocator};
  size_t start = unit_find_code(desc->contents, desc->size);
  Check check = {.checker = checker,
                 .text = desc->contents + start,
                 .size = desc->size - start,
                 .path = desc->path};
  pthread_t thread;
  bool beside = start_check(self, &check, &thread);
  self->status = graft_unit_compile(&unit_desc, &self->unit, &parsed);
  if (beside) {
    pthread_join(thread, NULL);
  } else if (self->status != GRAFT_ENOMEM) {
    check_changes(engine, self, &check);
  }
  if (self->status == GRAFT_ENOMEM) {
    self->error = parsed;
    return;
  }
  GraftStatus checked = check.status;
  if (checked < 0) self->error = check.error;
  if (checked < 0) {
    // Where the text is too deep for the VM, it does not say at which place.
    if (checked == GRAFT_ERUN) checked = self->error.status = GRAFT_ESYNTAX;
    if (self->error.line == 0 && parsed.status < 0) {
      error_at(&self->error, desc->path, parsed.line, parsed.column);
    }
    self->status = checked;
    keep_line(&engine->allocator, self, desc);
    find_column(self, &parsed);
  } else if (self->status < 0) {
    self->error = parsed;
    error_at(&self->error, desc->path, parsed.line, parsed.column);
    keep_line(&engine->allocator, self, desc);
  }
}

// A loaded file keeps the module that it was loaded as, which another root
// might name otherwise. False when out of memory.
static bool find_base(GraftEngine *engine, Plan *self) {
  const char *module = NULL;
  pthread_mutex_lock(&engine->mutex);
  EngineFile *file = map_find(&engine->files, self->path);
  if (file != NULL) {
    self->base = unit_retain(file->unit);
    module = file->module; // as long as the engine
  }
  pthread_mutex_unlock(&engine->mutex);
  if (module == NULL) {
    self->module = engine_module_of(engine, self->path);
    return true;
  }
  self->module = memory_copy_string(&engine->allocator, module, strlen(module));
  return self->module != NULL;
}

Plan *plan_new(GraftEngine *engine, VmChecker *checker, const PlanDesc *desc) {
  const GraftAllocator *allocator = &engine->allocator;
  Plan *self = memory_new(allocator, sizeof *self);
  if (self == NULL) return NULL;
  PlanDesc known = *desc;
  if (known.contents == NULL) known.contents = "";
  self->kind = desc->kind;
  self->path = memory_copy_string(allocator, desc->path, strlen(desc->path));
  if (self->path == NULL || !find_base(engine, self)) {
    plan_free(allocator, self);
    return NULL;
  }
  // A file that nobody has loaded is of interest only as a new module.
  if (self->base == NULL) return self;
  plan_compile(engine, checker, self, &known);
  if (self->status >= 0 && self->diff == NULL) {
    self->status = error_memory(&self->error);
  }
  if (self->status >= 0 && desc->compile) {
    self->code = maker_code_new(allocator, checker, self->diff, self->path);
  }
  return self;
}

static bool is_lua(const char *path) {
  size_t size = strlen(path);
  return size > 4 && strcmp(path + size - 4, ".lua") == 0;
}

// How long a call of a script may go on before it is taken for one that never
// returns, in a program that comes to safe points.
enum { PATIENCE_MS = 100 };

// Waits until the plans are taken, or the call that was running has ended.
static bool is_stuck(GraftEngine *self, uint64_t running) {
  uint64_t until = watch_now() + (uint64_t)PATIENCE_MS * 1000000;
  while (atomic_load(&self->pending) && interrupt_call(self->vm) == running) {
    if (watch_now() > until) return true;
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
  }
  return false;
}

// A program that has never come to a safe point is one that has a loop of its
// own.
void engine_interrupt_if_stuck(GraftEngine *self) {
  uint64_t running = interrupt_call(self->vm);
  if (running == 0) return;
  if (!atomic_load(&self->has_updated) || is_stuck(self, running)) {
    interrupt_send(self->vm);
  }
}

// ---------------------------------------------------------------------------
// Messages
// ---------------------------------------------------------------------------

static EngineNotice *notice_new(const GraftAllocator *allocator,
                                const char *text) {
  EngineNotice *self = memory_new(allocator, sizeof *self);
  if (self == NULL) return NULL;
  self->text = memory_copy_string(allocator, text, strlen(text));
  if (self->text != NULL) return self;
  memory_free(allocator, self);
  return NULL;
}

static void notice_free(const GraftAllocator *allocator, EngineNotice *self) {
  memory_free(allocator, self->text);
  memory_free(allocator, self);
}

// On the watcher thread. The host's callbacks are for its own thread, so that
// a message waits for the next safe point.
// Under the mutex.
static bool count_equal(GraftEngine *self, const GraftFn *fn,
                        const char *text) {
  if (fn == NULL) return false;
  for (EngineNotice *other = self->notices; other != NULL;
       other = other->next) {
    if (other->fn != fn || strcmp(other->text, text) != 0) continue;
    other->count++;
    return true;
  }
  return false;
}

static void add_notice(GraftEngine *self, const GraftFn *fn, const char *text) {
  pthread_mutex_lock(&self->mutex);
  EngineNotice *notice = NULL;
  if (!count_equal(self, fn, text)) notice = notice_new(&self->allocator, text);
  if (notice != NULL) {
    notice->fn = fn;
    notice->count = 1;
    notice->next = self->notices;
    self->notices = notice;
    atomic_store(&self->pending, true);
    pthread_cond_broadcast(&self->changed);
  }
  pthread_mutex_unlock(&self->mutex);
}

void engine_on_message(void *context, const char *text) {
  add_notice(context, NULL, text);
}

void engine_on_call_failed(GraftEngine *self, const GraftFn *fn,
                           const char *text) {
  add_notice(self, fn, text);
}

// The messages so far, oldest first.
static EngineNotice *take_notices(GraftEngine *self) {
  pthread_mutex_lock(&self->mutex);
  EngineNotice *newest = self->notices;
  self->notices = NULL;
  pthread_mutex_unlock(&self->mutex);
  EngineNotice *oldest = NULL;
  while (newest != NULL) {
    EngineNotice *next = newest->next;
    newest->next = oldest;
    oldest = newest;
    newest = next;
  }
  return oldest;
}

static void show_notice(GraftEngine *self, const EngineNotice *notice) {
  if (notice->fn == NULL) {
    engine_notice(self, notice->text);
  } else {
    engine_emit(self, &(GraftEvent){.kind = GRAFT_EVENT_ERROR,
                                    .name = notice->fn->name,
                                    .count = notice->count,
                                    .message = notice->text});
  }
}

void engine_show_notices(GraftEngine *self) {
  EngineNotice *notice = take_notices(self);
  while (notice != NULL) {
    EngineNotice *next = notice->next;
    show_notice(self, notice);
    notice_free(&self->allocator, notice);
    notice = next;
  }
}

void engine_free_notices(GraftEngine *self) {
  EngineNotice *notice = take_notices(self);
  while (notice != NULL) {
    EngineNotice *next = notice->next;
    notice_free(&self->allocator, notice);
    notice = next;
  }
}

// ---------------------------------------------------------------------------
// Batches
// ---------------------------------------------------------------------------

// Out of memory: the file is on disk, but nobody would look at it again.
static void tell_lost(GraftEngine *self, const char *path) {
  char text[512];
  snprintf(text, sizeof text,
           "out of memory: %s was not taken; save it again or call "
           "graft.reload()",
           path);
  engine_on_message(self, text);
}

void engine_queue_plans(GraftEngine *self, Plan *plans) {
  Plan *last = plans;
  while (last != NULL && last->next != NULL) last = last->next;
  if (last != NULL) {
    last->next = self->plans;
    self->plans = plans;
  }
  atomic_store(&self->pending, true);
  pthread_cond_broadcast(&self->changed);
}

// The plans of a batch's scripts, the newest first.
static Plan *plan_batch(GraftEngine *self, const WatchBatch *batch) {
  Plan *plans = NULL;
  uint64_t taken_ns = watch_now();
  for (size_t i = 0; i < batch->count; i++) {
    const WatchChange *change = &batch->changes[i];
    const char *path = engine_plain_path(change->path);
    if (!is_lua(path) && engine_find_file(self, path) == NULL) {
      continue;
    }
    Plan *plan = plan_new(self, self->checker,
                          &(PlanDesc){.path = path,
                                      .contents = change->contents,
                                      .size = change->size,
                                      .kind = change->kind,
                                      .compile = true});
    if (plan == NULL) {
      tell_lost(self, path);
      continue;
    }
    plan->notice_ns = change->notice_ns;
    plan->settled_ns = change->settled_ns;
    plan->read_ns = change->read_ns;
    plan->taken_ns = taken_ns;
    plan->planned_ns = watch_now();
    plan->next = plans;
    plans = plan;
  }
  return plans;
}

static bool has_sources(const WatchBatch *batch) {
  for (size_t i = 0; i < batch->count; i++) {
    if (native_is_source(batch->changes[i].path)) return true;
  }
  return false;
}

static void note_sources(GraftEngine *self) {
  pthread_mutex_lock(&self->mutex);
  atomic_store(&self->new_sources, true);
  engine_queue_plans(self, NULL);
  pthread_mutex_unlock(&self->mutex);
}

// On the watcher thread. What was saved together with natives waits for them.
void engine_on_batch(void *context, const WatchBatch *batch) {
  GraftEngine *self = context;
  Plan *plans = plan_batch(self, batch);
  pthread_mutex_lock(&self->mutex);
  Natives *natives = self->natives;
  pthread_mutex_unlock(&self->mutex);
  if (natives != NULL && natives_take_batch(natives, batch, plans)) return;
  if (natives == NULL && has_sources(batch)) note_sources(self);
  if (plans == NULL) return;
  pthread_mutex_lock(&self->mutex);
  engine_queue_plans(self, plans);
  pthread_mutex_unlock(&self->mutex);
  engine_interrupt_if_stuck(self);
}
