// SPDX-License-Identifier: MIT
//
// Safe points: which changes become a transaction, and which wait.

#include <string.h>
#include <time.h>

#include "base/error.h"
#include "engine_native.h"

// ---------------------------------------------------------------------------
// Changed files
// ---------------------------------------------------------------------------

static void emit_added(GraftEngine *self, const Script *script) {
  for (int i = 0; i < script->unit->definition_count; i++) {
    const Definition *added = &script->unit->definitions[i];
    if (added->shown == SHOWN_NOT) continue;
    engine_emit(self, &(GraftEvent){.kind = GRAFT_EVENT_ADD,
                                    .name = added->name,
                                    .file = script->path,
                                    .line = added->line,
                                    .version = 1});
  }
}

// A file whose chunk has raised is as good as none: its next save is taken for
// a new file again.
static void forget_script(GraftEngine *self, EngineFile *file) {
  if (file == NULL) return;
  script_supersede(file->script);
  file->script = NULL;
  engine_set_unit(self, file, NULL);
}

// A new file of a module that everybody knows as natives alone.
static void add_script(GraftEngine *self, const Plan *plan) {
  if (plan->kind == WATCH_REMOVED || plan->module == NULL ||
      !engine_has_natives(self, plan->module)) {
    return;
  }
  GraftError error;
  Script *script = NULL;
  GraftStatus status =
      engine_open_script(self, plan->path, plan->module, &script, &error);
  if (status == GRAFT_OK) status = loader_add_script(self->vm, script, &error);
  if (status == GRAFT_OK) {
    emit_added(self, script);
  } else {
    forget_script(self, engine_find_file(self, plan->path));
    // A syntax error was told when the file was opened.
    if (status != GRAFT_ESYNTAX) {
      engine_emit(self,
                  &(GraftEvent){.kind = GRAFT_EVENT_REJECT,
                                .file = error.file[0] ? error.file : plan->path,
                                .line = error.line,
                                .message = error.message});
    }
  }
  engine_show_swaps(self);
  engine_emit(
      self, &(GraftEvent){.kind = GRAFT_EVENT_PATCH, .ok = status == GRAFT_OK});
}

// A file that nobody has loaded matters only as a new part of a module.
static void take_plan(GraftEngine *self, Plan *plan) {
  EngineFile *file = engine_find_file(self, plan->path);
  if (file == NULL || file->script == NULL) {
    add_script(self, plan);
    plan_free(&self->allocator, plan);
    return;
  }
  // It was loaded since, from what is on disk now; were that older than the
  // plan, the watcher, which was told what was loaded, would report it again.
  if (plan->base == NULL) {
    plan_free(&self->allocator, plan);
    return;
  }
  plan_free(&self->allocator, file->waiting);
  file->waiting = plan;
}

static bool same_error(const GraftError *left, const GraftError *right) {
  return left->status == right->status && left->line == right->line &&
         left->column == right->column &&
         strcmp(left->message, right->message) == 0;
}

// Shown once (T3).
void engine_reject(GraftEngine *self, EngineFile *file, const GraftError *error,
                   const char *source) {
  if (same_error(&file->shown, error)) return;
  file->shown = *error;
  engine_emit(self,
              &(GraftEvent){.kind = GRAFT_EVENT_REJECT,
                            .file = error->file[0] ? error->file : file->path,
                            .line = error->line,
                            .column = error->column,
                            .message = error->message,
                            .source = source});
}

// ---------------------------------------------------------------------------
// Transactions
// ---------------------------------------------------------------------------

// The files that wait, sorted by path so that a transaction does the same
// whatever the order of events.
static bool collect(GraftEngine *self, EngineFiles *files) {
  for (size_t i = 0; i < self->file_list.count; i++) {
    EngineFile *file = self->file_list.items[i];
    if (file->waiting == NULL) continue;
    EngineFile **place = ARRAY_PUSH(&self->allocator, files);
    if (place == NULL) return false;
    size_t at = files->count - 1;
    while (at > 0 && strcmp(files->items[at - 1]->path, file->path) > 0) {
      files->items[at] = files->items[at - 1];
      at--;
    }
    files->items[at] = file;
  }
  return true;
}

// Whether a file cannot be compiled; then nothing is applied (T1).
static bool reject_broken(GraftEngine *self, const EngineFiles *files) {
  bool broken = false;
  for (size_t i = 0; i < files->count; i++) {
    const Plan *plan = files->items[i]->waiting;
    if (plan->status >= 0) continue;
    broken = true;
    engine_reject(self, files->items[i], &plan->error, plan->source_line);
  }
  return broken;
}

static void settle(GraftEngine *self, const EngineFiles *files) {
  for (size_t i = 0; i < files->count; i++) {
    plan_free(&self->allocator, files->items[i]->waiting);
    files->items[i]->waiting = NULL;
    files->items[i]->shown = (GraftError){0};
  }
}

static EngineFile *find_shown_file(const EngineFiles *files,
                                   const GraftError *error) {
  for (size_t i = 0; i < files->count; i++) {
    if (strcmp(files->items[i]->path, error->file) == 0) return files->items[i];
  }
  return files->count > 0 ? files->items[0] : NULL;
}

// What went wrong in a transaction, at the file that it is about.
static void reject_all(GraftEngine *self, const EngineFiles *files,
                       NativeChange *change, const GraftError *error) {
  if (native_change_reject(change, error)) return;
  EngineFile *file = find_shown_file(files, error);
  if (file != NULL) engine_reject(self, file, error, NULL);
}

static bool apply(GraftEngine *self, const EngineFiles *files,
                  NativeChange *change) {
  GraftError error = {.status = GRAFT_OK};
  bool ok = !reject_broken(self, files);
  ok = !native_change_reject_broken(change) && ok;
  if (!ok) return false;
  if (engine_apply(self, files, change, &error) == GRAFT_OK) return true;
  // A change that waits for a thread comes again at the next safe point.
  if (native_change_is_busy(change)) return true;
  reject_all(self, files, change, &error);
  return false;
}

// Scripts and natives that wait are one transaction (T1).
static void apply_waiting(GraftEngine *self) {
  EngineFiles files = {0};
  NativeChange change = {0};
  bool complete = collect(self, &files);
  if (self->natives != NULL) {
    complete = native_change_init(&change, self->natives) && complete;
  }
  if (complete && files.count + change.steps.count > 0) {
    bool ok = apply(self, &files, &change);
    if (ok && !native_change_is_busy(&change)) {
      settle(self, &files);
      native_change_settle(&change);
    } else if (!ok) {
      engine_emit(self, &(GraftEvent){.kind = GRAFT_EVENT_PATCH, .ok = false});
    }
  }
  if (!complete) engine_notice(self, error_text(GRAFT_ENOMEM));
  native_change_clear(&change);
  memory_free(&self->allocator, files.items);
}

int engine_take_plans(GraftEngine *self, Plan *plans) {
  report_clear(&self->report);
  self->updating = true;
  engine_begin_safe_point(self);
  engine_show_notices(self);
  engine_show_swaps(self);
  bool any = plans != NULL;
  while (plans != NULL) {
    Plan *next = plans->next;
    plans->next = NULL;
    take_plan(self, plans);
    plans = next;
  }
  any = natives_take_plans(self->natives) || any;
  if (any) apply_waiting(self);
  engine_sweep(self);
  engine_end_safe_point(self);
  self->updating = false;
  return self->report.events.count > 0;
}

// ---------------------------------------------------------------------------
// Public
// ---------------------------------------------------------------------------

static Plan *take_queue(GraftEngine *self) {
  pthread_mutex_lock(&self->mutex);
  Plan *newest = self->plans;
  self->plans = NULL;
  if (self->natives != NULL) natives_take_queue(self->natives);
  atomic_store(&self->pending, false);
  pthread_mutex_unlock(&self->mutex);
  Plan *oldest = NULL;
  while (newest != NULL) {
    Plan *next = newest->next;
    newest->next = oldest;
    oldest = newest;
    newest = next;
  }
  return oldest;
}

int engine_take_waiting(GraftEngine *self) {
  return engine_take_plans(self, take_queue(self));
}

// A safe point for the sweep alone.
static int go_on(GraftEngine *self) {
  report_clear(&self->report);
  self->updating = true;
  engine_begin_safe_point(self);
  engine_sweep(self);
  engine_end_safe_point(self);
  self->updating = false;
  return self->report.events.count > 0;
}

int graft_engine_update(GraftEngine *engine, const GraftReport **report) {
  if (report != NULL) *report = NULL;
  atomic_store_explicit(&engine->has_updated, true, memory_order_relaxed);
  probation_resume(engine->vm);
  engine_finish_chunks(engine);
  engine_run_cleanups(engine);
  if (!engine_is_busy(engine)) {
    natives_step(engine->natives);
    engine_load_new_sources(engine);
  }
  bool pending = atomic_load_explicit(&engine->pending, memory_order_relaxed);
  if (engine_is_busy(engine) || (!pending && !engine_has_sweep(engine))) {
    engine_refresh_types(engine);
    return 0;
  }
  int changed = pending ? engine_take_waiting(engine) : go_on(engine);
  engine_refresh_types(engine);
  if (changed && report != NULL) *report = &engine->report;
  return changed;
}

// A script that never returns is here from its hook.
void engine_safe_point(void *context) {
  GraftEngine *self = context;
  if (engine_is_busy(self) || !atomic_load(&self->pending)) return;
  natives_step(self->natives);
  self->in_hook = true;
  engine_take_waiting(self);
  self->in_hook = false;
  engine_refresh_types(self);
}

bool graft_engine_wait(GraftEngine *engine, double timeout_ms) {
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  time_t seconds = timeout_ms > 0 ? (time_t)(timeout_ms / 1000) : 0;
  double rest_ms = timeout_ms > 0 ? timeout_ms - (double)seconds * 1000 : 0;
  until.tv_sec += seconds;
  until.tv_nsec += (long)(rest_ms * 1e6);
  if (until.tv_nsec >= 1000000000) {
    until.tv_nsec -= 1000000000;
    until.tv_sec++;
  }
  if (engine_has_sweep(engine)) return true;
  pthread_mutex_lock(&engine->mutex);
  int failed = 0;
  while (!atomic_load(&engine->pending) && failed == 0) {
    failed = pthread_cond_timedwait(&engine->changed, &engine->mutex, &until);
  }
  bool pending = atomic_load(&engine->pending);
  pthread_mutex_unlock(&engine->mutex);
  return pending;
}

// Only a file that is not there counts as removed; what cannot be read is
// refused.
static Plan *plan_file(GraftEngine *self, VmChecker *checker,
                       const char *path) {
  GraftError error = {.status = GRAFT_OK};
  size_t size = 0;
  uint64_t start = watch_now();
  char *text = engine_read_file(self, path, &size, &error);
  Plan *plan = plan_new(
      self, checker,
      &(PlanDesc){.path = path,
                  .contents = text,
                  .size = size,
                  .kind = text != NULL ? WATCH_CHANGED : WATCH_REMOVED});
  if (plan != NULL) {
    plan->notice_ns = plan->settled_ns = start;
    plan->planned_ns = watch_now();
    if (text == NULL && error.status != GRAFT_ENOTFOUND) {
      plan->status = error.status;
      plan->error = error;
    }
  }
  if (text != NULL) engine_prime(self, path, text, size);
  memory_free(&self->allocator, text);
  return plan;
}

static void free_plans(const GraftEngine *self, Plan *plans) {
  while (plans != NULL) {
    Plan *next = plans->next;
    plan_free(&self->allocator, plans);
    plans = next;
  }
}

// Plans of every loaded file, or of the one with this path, which may be one
// that nobody has loaded yet. False when out of memory; then there are none.
static bool plan_files(GraftEngine *self, const char *path, Plan **plans) {
  VmChecker *checker = vm_checker_new();
  bool complete = checker != NULL;
  Plan **last = plans;
  *plans = NULL;
  if (path != NULL) {
    if (complete) *plans = plan_file(self, checker, path);
    complete = *plans != NULL;
  }
  for (size_t i = 0; path == NULL && complete && i < self->file_list.count;
       i++) {
    EngineFile *file = self->file_list.items[i];
    if (file->script == NULL) continue;
    *last = plan_file(self, checker, file->path);
    complete = *last != NULL;
    if (complete) last = &(*last)->next;
  }
  vm_checker_free(checker);
  if (complete) return true;
  free_plans(self, *plans);
  *plans = NULL;
  return false;
}

int graft_engine_reload(GraftEngine *engine, const char *path,
                        const GraftReport **report) {
  if (report != NULL) *report = NULL;
  if (engine_is_busy(engine)) return 0;
  Plan *planned = NULL;
  if (path != NULL) path = engine_plain_path(path);
  natives_reload(engine->natives, path);
  bool complete = true;
  if (path == NULL || !native_is_source(path)) {
    complete = plan_files(engine, path, &planned);
  }
  Plan *plans = take_queue(engine);
  Plan **last = &plans;
  while (*last != NULL) last = &(*last)->next;
  *last = planned;
  int changed = engine_take_plans(engine, plans);
  if (!complete) {
    engine_notice(engine, error_text(GRAFT_ENOMEM));
    changed = 1;
  }
  if (changed && report != NULL) *report = &engine->report;
  return changed;
}
