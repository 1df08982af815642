// SPDX-License-Identifier: MIT
//
// Merging units into the engine (U4). Each module's part of the unit becomes a
// new version of its file's source, and all of them one transaction.

#include <string.h>

#include "base/error.h"
#include "engine.h"
#include "patch/compose.h"

typedef struct MergedFile {
  EngineFile *file;
  Plan *plan;
  Plan *waiting; // what the file waits for besides
} MergedFile;

typedef struct Merge {
  GraftEngine *engine;
  const GraftUnit *unit;
  VmChecker *checker;
  uint64_t start_ns;
  ARRAY(MergedFile) merged; // by path, as in any transaction
  GraftError *error;
} Merge;

// ---------------------------------------------------------------------------
// Compiling a unit for the engine's VM
// ---------------------------------------------------------------------------

GraftStatus engine_compile_unit(GraftEngine *self, const GraftUnitDesc *desc,
                                GraftUnit **unit, GraftError *error) {
  *unit = NULL;
  const char *module = desc->module != NULL ? desc->module : "";
  VmChecker *checker = vm_checker_new();
  Plan *plan = memory_new(&self->allocator, sizeof *plan);
  if (plan != NULL) {
    plan->module = memory_copy_string(&self->allocator, module, strlen(module));
  }
  GraftStatus status = GRAFT_ENOMEM;
  if (checker == NULL || plan == NULL || plan->module == NULL) {
    error_memory(error);
  } else {
    plan_compile(self, checker, plan,
                 &(PlanDesc){.path = desc->file,
                             .contents = desc->source,
                             .size = desc->size,
                             .kind = WATCH_CHANGED});
    status = plan->status;
    if (status < 0) *error = plan->error;
  }
  if (status == GRAFT_OK) {
    *unit = plan->unit;
    plan->unit = NULL;
  }
  plan_free(&self->allocator, plan);
  vm_checker_free(checker);
  return status;
}

// ---------------------------------------------------------------------------
// Plans
// ---------------------------------------------------------------------------

static void free_merge(Merge *self) {
  for (size_t i = 0; i < self->merged.count; i++) {
    plan_free(&self->engine->allocator, self->merged.items[i].plan);
  }
  memory_free(&self->engine->allocator, self->merged.items);
  vm_checker_free(self->checker);
}

static EngineFile *find_script(GraftEngine *self, const char *module) {
  for (size_t i = 0; i < self->file_list.count; i++) {
    EngineFile *file = self->file_list.items[i];
    if (file->script != NULL && strcmp(file->module, module) == 0) return file;
  }
  return NULL;
}

static Plan *new_plan(Merge *self, EngineFile *file) {
  const GraftAllocator *allocator = &self->engine->allocator;
  Plan *plan = memory_new(allocator, sizeof *plan);
  if (plan == NULL) return NULL;
  plan->path = memory_copy_string(allocator, file->path, strlen(file->path));
  plan->unit = unit_retain(file->script->unit);
  plan->kind = WATCH_CHANGED;
  plan->notice_ns = plan->settled_ns = self->start_ns;
  if (plan->path != NULL) return plan;
  plan_free(allocator, plan);
  return NULL;
}

// The file with a plan that starts as its present unit, or NULL.
static MergedFile *add_file(Merge *self, EngineFile *file) {
  for (size_t i = 0; i < self->merged.count; i++) {
    if (self->merged.items[i].file == file) return &self->merged.items[i];
  }
  Plan *plan = new_plan(self, file);
  MergedFile *last =
      plan != NULL ? ARRAY_PUSH(&self->engine->allocator, &self->merged) : NULL;
  if (last == NULL) {
    plan_free(&self->engine->allocator, plan);
    return NULL;
  }
  MergedFile *place = last;
  while (place > self->merged.items &&
         strcmp(place[-1].file->path, file->path) > 0) {
    *place = place[-1];
    place--;
  }
  *place = (MergedFile){.file = file, .plan = plan};
  return place;
}

static bool keeps_any(const GraftUnit *unit, const GraftUnit *origin) {
  for (size_t i = 0; i < unit->kept_functions.count; i++) {
    if (unit->kept_functions.items[i].origin == origin) return true;
  }
  for (size_t i = 0; i < unit->kept_statements.count; i++) {
    if (unit->kept_statements.items[i].origin == origin) return true;
  }
  return false;
}

static GraftStatus add_origin(Merge *self, const GraftUnit *origin) {
  if (!keeps_any(self->unit, origin)) return GRAFT_OK;
  if (*origin->module == '\0') {
    return error_set(self->error, GRAFT_EARG,
                     "a unit without a module name cannot be merged into the "
                     "engine");
  }
  EngineFile *file = find_script(self->engine, origin->module);
  if (file == NULL) {
    return error_set(self->error, GRAFT_ENOTFOUND,
                     "no script of module '%s' is loaded", origin->module);
  }
  MergedFile *merged = add_file(self, file);
  if (merged == NULL) return error_memory(self->error);
  GraftUnit *composed = NULL;
  GraftStatus status =
      compose_unit(&(ComposeDesc){.allocator = &self->engine->allocator,
                                  .present = merged->plan->unit,
                                  .merged = self->unit,
                                  .origin = origin},
                   &composed, self->error);
  if (status < 0) return status;
  unit_release(merged->plan->unit);
  merged->plan->unit = composed;
  return GRAFT_OK;
}

static GraftStatus finish_plan(Merge *self, const MergedFile *merged) {
  Plan *plan = merged->plan;
  const GraftUnit *unit = plan->unit;
  GraftStatus status = vm_checker_check(
      self->checker, unit->source + unit->code_start,
      unit->size - unit->code_start, merged->file->path, self->error);
  plan->planned_ns = watch_now();
  return status;
}

static GraftStatus make_plans(Merge *self) {
  GraftStatus status = GRAFT_OK;
  for (size_t i = 0; i < self->unit->origins.count && status == GRAFT_OK; i++) {
    status = add_origin(self, self->unit->origins.items[i]);
  }
  for (size_t i = 0; i < self->merged.count && status == GRAFT_OK; i++) {
    status = finish_plan(self, &self->merged.items[i]);
  }
  return status;
}

// ---------------------------------------------------------------------------
// The transaction
// ---------------------------------------------------------------------------

static void emit_failure(Merge *self) {
  const GraftError *error = self->error;
  engine_emit(self->engine,
              &(GraftEvent){.kind = GRAFT_EVENT_REJECT,
                            .file = error->file[0] != '\0'
                                        ? error->file
                                        : self->merged.items[0].file->path,
                            .line = error->line,
                            .column = error->column,
                            .message = error->message});
  engine_emit(self->engine,
              &(GraftEvent){.kind = GRAFT_EVENT_PATCH, .ok = false});
}

// What waits for a broken file goes on waiting.
static GraftStatus apply(Merge *self) {
  GraftEngine *engine = self->engine;
  EngineFiles files = {0};
  if (!array_reserve(&engine->allocator, (void **)&files.items, &files.capacity,
                     self->merged.count, sizeof *files.items)) {
    return error_memory(self->error);
  }
  for (size_t i = 0; i < self->merged.count; i++) {
    MergedFile *merged = &self->merged.items[i];
    files.items[files.count++] = merged->file;
    merged->waiting = merged->file->waiting;
    merged->file->waiting = merged->plan;
  }
  engine->updating = true;
  GraftStatus status = engine_apply(engine, &files, NULL, self->error);
  for (size_t i = 0; i < self->merged.count; i++) {
    self->merged.items[i].file->waiting = self->merged.items[i].waiting;
  }
  if (status < 0) emit_failure(self);
  engine->updating = false;
  memory_free(&engine->allocator, files.items);
  return status;
}

GraftStatus graft_engine_merge(GraftEngine *engine, const GraftUnit *unit,
                               const GraftReport **report, GraftError *error) {
  GraftError local = {.status = GRAFT_OK};
  Merge self = {.engine = engine,
                .unit = unit,
                .start_ns = watch_now(),
                .error = error != NULL ? error : &local};
  if (report != NULL) *report = NULL;
  if (engine_is_busy(engine)) {
    return error_set(error, GRAFT_ERUN,
                     "a unit cannot be merged while a change is being applied");
  }
  self.checker = vm_checker_new();
  GraftStatus status =
      self.checker != NULL ? make_plans(&self) : error_memory(error);
  if (status == GRAFT_OK && self.merged.count > 0) {
    report_clear(&engine->report);
    status = apply(&self);
    if (report != NULL && engine->report.events.count > 0) {
      *report = &engine->report;
    }
  }
  free_merge(&self);
  return status;
}
