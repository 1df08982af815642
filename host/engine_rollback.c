// SPDX-License-Identifier: MIT
//
// Old versions: rolling back on demand (T5), and putting back what failed on
// probation (T4). Both take the function's old text into the file's present
// text, and apply that as any other transaction; the next save of the file
// applies again.

#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/error.h"
#include "engine_native.h"

// Text of a function, from a unit that lives on.
typedef struct OldText {
  const char *text;
  size_t size;
} OldText;

static GraftStatus splice(Buffer *text, const GraftUnit *unit,
                          const Definition *place, OldText old) {
  buffer_add(text, unit->source, place->whole.start);
  buffer_add(text, old.text, old.size);
  buffer_add(text, unit->source + place->whole.end,
             unit->size - place->whole.end);
  return text->failed ? GRAFT_ENOMEM : GRAFT_OK;
}

// Applies a plan of this one file; what else waits for it goes on waiting.
static GraftStatus apply_plan(GraftEngine *self, EngineFile *file, Plan *plan,
                              GraftError *error) {
  Plan *waiting = file->waiting;
  file->waiting = plan;
  EngineFiles files = {0};
  EngineFile **place = ARRAY_PUSH(&self->allocator, &files);
  GraftStatus status = GRAFT_OK;
  if (place == NULL) {
    status = error_memory(error);
  } else {
    *place = file;
    self->updating = true;
    status = engine_apply(self, &files, NULL, error);
    self->updating = false;
  }
  memory_free(&self->allocator, files.items);
  file->waiting = waiting;
  return status;
}

static GraftStatus put_text(GraftEngine *self, EngineFile *file,
                            const Definition *present, OldText old,
                            GraftError *error) {
  Buffer text;
  buffer_init(&text, &self->allocator);
  GraftStatus status = splice(&text, file->unit, present, old);
  VmChecker *checker = vm_checker_new();
  Plan *plan = NULL;
  if (status == GRAFT_OK && checker != NULL) {
    plan = plan_new(self, checker,
                    &(PlanDesc){.path = file->path,
                                .contents = text.text,
                                .size = text.size,
                                .kind = WATCH_CHANGED});
  }
  vm_checker_free(checker);
  buffer_clear(&text);
  if (plan == NULL) return error_memory(error);
  status = plan->status;
  if (status < 0) {
    if (error != NULL) *error = plan->error;
  } else {
    status = apply_plan(self, file, plan, error);
  }
  plan_free(&self->allocator, plan);
  return status;
}

static OldText text_of(const GraftUnit *unit, const Definition *definition) {
  return (OldText){unit_text(unit, definition->whole),
                   range_size(definition->whole)};
}

// The last text of a function that was another than the present one, in the
// units that the file had before.
static bool find_previous(const EngineFile *file, const Definition *present,
                          OldText *old) {
  for (size_t i = file->history_count; i > 0; i--) {
    const GraftUnit *unit = file->history[i - 1];
    const Definition *before = unit_find(unit, present->name);
    if (before == NULL || before->deep == present->deep) continue;
    *old = text_of(unit, before);
    return true;
  }
  return false;
}

// The file that defines a function now.
static EngineFile *find_definition(GraftEngine *self, const char *name,
                                   const Definition **definition) {
  for (size_t i = 0; i < self->file_list.count; i++) {
    EngineFile *file = self->file_list.items[i];
    if (file->script == NULL || file->unit == NULL) continue;
    *definition = unit_find(file->unit, name);
    if (*definition != NULL) return file;
  }
  return NULL;
}

// ---------------------------------------------------------------------------
// Rolling back
// ---------------------------------------------------------------------------

static GraftStatus find_version(GraftEngine *self, const char *name,
                                uint32_t version, OldText *old,
                                GraftError *error) {
  const GraftFn *fn = registry_find(self->registry, name);
  const Backing *backing = fn != NULL ? slot_find_version(fn, version) : NULL;
  if (backing != NULL && backing->source != NULL) {
    *old = (OldText){backing->source, backing->source_size};
    return GRAFT_OK;
  }
  Buffer list;
  buffer_init(&list, &self->allocator);
  for (int i = 0; fn != NULL && i < slot_history_count(fn); i++) {
    buffer_format(&list, "%s%u", i > 0 ? ", " : "",
                  slot_history(fn, i)->version);
  }
  error_set(error, GRAFT_ENOTFOUND, "%s has no version %u (it has %s)", name,
            version, list.size > 0 ? buffer_text(&list) : "none");
  buffer_clear(&list);
  return GRAFT_ENOTFOUND;
}

GraftStatus graft_engine_rollback(GraftEngine *engine, const char *name,
                                  uint32_t version, GraftError *error) {
  if (engine_is_busy(engine)) {
    return error_set(error, GRAFT_EARG, "rollback of %s inside a transaction",
                     name);
  }
  const Definition *present = NULL;
  EngineFile *file = find_definition(engine, name, &present);
  if (file != NULL && vm_check_open(engine->vm, error) < 0) return GRAFT_ERUN;
  if ((file == NULL || version > 0) &&
      natives_has_version(engine->natives, name, version)) {
    report_clear(&engine->report);
    return natives_rollback(engine->natives, name, version, error);
  }
  if (file == NULL) {
    return error_set(error, GRAFT_ENOTFOUND,
                     "no file defines a function '%s' now", name);
  }
  OldText old = {NULL, 0};
  if (version > 0) {
    GraftStatus status = find_version(engine, name, version, &old, error);
    if (status < 0) return status;
  } else if (!find_previous(file, present, &old)) {
    return error_set(error, GRAFT_ENOTFOUND, "%s has no version before this",
                     name);
  }
  return put_text(engine, file, present, old, error);
}

// ---------------------------------------------------------------------------
// Putting back what failed
// ---------------------------------------------------------------------------

void engine_place_message(const GraftError *error, char *text, size_t size) {
  if (error->line > 0) {
    snprintf(text, size, "%s:%d: %s", error->file, error->line, error->message);
  } else {
    snprintf(text, size, "%s", error->message);
  }
}

// An error that the host was asked about has been shown with its frames.
static void emit_revert(GraftEngine *self, const EngineFile *file,
                        const ProbationFailure *failure,
                        const GraftError *error) {
  char message[1400];
  engine_place_message(error, message, sizeof message);
  char *traceback = strstr(message, "\nstack traceback:");
  if (failure->asked && traceback != NULL) *traceback = '\0';
  engine_emit(self, &(GraftEvent){.kind = GRAFT_EVENT_REVERT,
                                  .name = failure->name,
                                  .file = file->path,
                                  .line = error->line,
                                  .message = message});
}

static GraftStatus put_back(GraftEngine *self, const ProbationFailure *failure,
                            const GraftError *error) {
  EngineFile *file = failure->script->owner;
  const Definition *present = unit_find(file->unit, failure->name);
  OldText old = {NULL, 0};
  if (present == NULL || !find_previous(file, present, &old)) {
    return error->status;
  }
  report_clear(&self->report);
  GraftError refused;
  self->reverting = failure->name;
  emit_revert(self, file, failure, error);
  GraftStatus status = put_text(self, file, present, old, &refused);
  self->reverting = NULL;
  if (status == GRAFT_OK) return GRAFT_EREVERTED;
  engine_emit_error(self, &refused);
  return error->status;
}

// What is done where the host was not asked.
static GraftRestart restart_of(GraftEngine *self) {
  GraftOnError on_error = self->desc.on_error;
  if (on_error == GRAFT_ON_ERROR_REPORT) return GRAFT_RESTART_CONTINUE;
  if (on_error == GRAFT_ON_ERROR_BREAK && !self->missed_break) {
    self->missed_break = true;
    engine_notice(self, "on_error is GRAFT_ON_ERROR_BREAK, but there is no "
                        "on_break to ask: new code that raises is reverted");
  }
  return GRAFT_RESTART_REVERT;
}

GraftStatus engine_on_failure(void *context, ProbationFailure *failure,
                              const GraftError *error) {
  GraftEngine *self = context;
  if (engine_is_busy(self)) return error->status;
  switch (failure->asked ? failure->restart : restart_of(self)) {
  case GRAFT_RESTART_REVERT:
    return put_back(self, failure, error);
  case GRAFT_RESTART_RETRY:
    failure->again = true;
    graft_engine_update(self, NULL);
    return error->status;
  case GRAFT_RESTART_CONTINUE:
    break;
  }
  return error->status;
}
