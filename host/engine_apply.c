// SPDX-License-Identifier: MIT
//
// A transaction: compile, replace, run, switch slots, commit or undo, report.

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "engine_native.h"
#include "vm/maker_code.h"

typedef struct Transaction {
  GraftEngine *engine;
  Patcher *patcher;
  const EngineFiles *files;
  NativeChange *natives; // NULL: none
  EngineSlots slots;
  bool news; // there is something to report
  uint64_t sweep_ns;
  uint64_t start_ns;
} Transaction;

// ---------------------------------------------------------------------------
// Slots
// ---------------------------------------------------------------------------

// Whether what the slot says of a definition has to change.
static bool is_new_to_slot(const Diff *diff, int definition) {
  return diff->definition_old[definition] >= 0 &&
         diff->changes[definition] != CHANGE_SAME &&
         diff->new_unit->definitions[definition].shown != SHOWN_NOT;
}

static GraftStatus switch_slot(Transaction *self, FilePatch *patch,
                               int definition, GraftError *error) {
  GraftEngine *engine = self->engine;
  Script *script = patch->script;
  int before = script->slot_refs[definition];
  if (before == 0 || patch->diff->renamed[definition]) return GRAFT_OK;
  const char *name = patch->unit->definitions[definition].name;
  GraftFn *fn = registry_find(engine->registry, name);
  if (fn == NULL) return GRAFT_OK;
  GraftStatus status = engine_keep_slot(engine, &self->slots, fn, error);
  if (status < 0) return status;
  uint64_t ref = (uint64_t)patch->results[definition].slot_ref;
  bool replaced = ref != 0;
  if (!replaced) ref = vm_copy_ref(engine->vm, (uint64_t)before);
  patch->results[definition].slot_ref = 0; // `ref` owns it from here on
  BackingDesc desc = engine_backing(script, definition);
  desc.script = ref;
  desc.keep_version = patch->diff->changes[definition] != CHANGE_UPDATED;
  status = ref != 0 ? slot_set(fn, &desc, error) : error_memory(error);
  if (status < 0) {
    vm_release(engine->vm, ref);
    return status;
  }
  script->slot_refs[definition] = (int)ref;
  return GRAFT_OK;
}

// There is no patcher where natives alone change.
static size_t file_count(const Transaction *self) {
  return self->patcher != NULL ? patcher_file_count(self->patcher) : 0;
}

static size_t note_count(const Transaction *self) {
  return self->patcher != NULL ? patcher_note_count(self->patcher) : 0;
}

static GraftStatus switch_slots(Transaction *self, GraftError *error) {
  GraftStatus status = GRAFT_OK;
  for (size_t i = 0; i < file_count(self); i++) {
    FilePatch *patch = patcher_file(self->patcher, i);
    for (int k = 0; k < patch->unit->definition_count && status == GRAFT_OK;
         k++) {
      if (is_new_to_slot(patch->diff, k)) {
        status = switch_slot(self, patch, k, error);
      }
    }
  }
  return status;
}

static GraftStatus remove_slot(Transaction *self, const FilePatch *patch,
                               int definition, GraftError *error) {
  const Definition *gone = &patch->diff->old_unit->definitions[definition];
  if (unit_find(patch->unit, gone->name) != NULL) return GRAFT_OK;
  GraftFn *fn = registry_find(self->engine->registry, gone->name);
  if (fn == NULL || slot_find_layer(fn, LAYER_SCRIPT) == NULL) return GRAFT_OK;
  GraftStatus status = engine_keep_slot(self->engine, &self->slots, fn, error);
  if (status < 0) return status;
  char what[512];
  snprintf(what, sizeof what, "deleted from %s:%d", patch->script->path,
           gone->line);
  return slot_remove(fn, LAYER_SCRIPT, what, error);
}

static GraftStatus remove_slots(Transaction *self, const FilePatch *patch,
                                GraftError *error) {
  const Diff *diff = patch->diff;
  GraftStatus status = GRAFT_OK;
  for (int k = 0; k < diff->old_unit->definition_count && status == GRAFT_OK;
       k++) {
    int now = diff->definition_new[k];
    if (diff->old_unit->definitions[k].shown != SHOWN_NOT &&
        (now < 0 || diff->renamed[now])) {
      status = remove_slot(self, patch, k, error);
    }
  }
  return status;
}

// A renamed function's slot is one that goes, and one that comes.
static GraftStatus add_slots(Transaction *self, const FilePatch *patch,
                             GraftError *error) {
  for (int k = 0; k < patch->unit->definition_count; k++) {
    if (patch->diff->renamed[k]) patch->script->slot_refs[k] = 0;
  }
  return engine_bind_slots(self->engine, patch->script, &self->slots, error);
}

// After the statements: slots that come and go, and what Lua sees of that.
static GraftStatus add_and_remove_slots(Transaction *self, GraftError *error) {
  GraftStatus status = GRAFT_OK;
  self->slots.first_swap = self->engine->swaps.count;
  for (size_t i = 0; i < file_count(self) && status == GRAFT_OK; i++) {
    const FilePatch *patch = patcher_file(self->patcher, i);
    status = add_slots(self, patch, error);
    if (status == GRAFT_OK) status = remove_slots(self, patch, error);
  }
  return status < 0 ? status : engine_exchange_swaps(self->engine, error);
}

// ---------------------------------------------------------------------------
// The report
// ---------------------------------------------------------------------------

static void emit_definition(GraftEngine *self, GraftEventKind kind,
                            const Script *script,
                            const Definition *definition) {
  GraftEvent event = {.kind = kind,
                      .name = definition->name,
                      .file = script->path,
                      .line = definition->line};
  GraftFn *fn = registry_find(self->registry, definition->name);
  if (fn != NULL && kind != GRAFT_EVENT_DELETE) {
    const Backing *backing = slot_find_layer(fn, LAYER_SCRIPT);
    if (backing != NULL) event.version = backing->version;
  }
  engine_emit(self, &event);
}

static void emit_stale(GraftEngine *self, const FilePatch *patch,
                       int definition) {
  int count = patch->results[definition].stale;
  if (count == 0) return;
  const Definition *origin = &patch->unit->definitions[definition];
  engine_emit(self, &(GraftEvent){.kind = GRAFT_EVENT_STALE,
                                  .name = origin->name,
                                  .file = patch->script->path,
                                  .line = origin->line,
                                  .count = count});
}

static void emit_deleted(GraftEngine *self, const FilePatch *patch) {
  const Diff *diff = patch->diff;
  for (int i = 0; i < diff->old_unit->definition_count; i++) {
    const Definition *gone = &diff->old_unit->definitions[i];
    int now = diff->definition_new[i];
    if (now >= 0 && !diff->renamed[now]) continue;
    emit_definition(self, GRAFT_EVENT_DELETE, patch->script, gone);
    if (patch->orphans[i] == 0) continue;
    engine_emit(self, &(GraftEvent){.kind = GRAFT_EVENT_ORPHAN,
                                    .name = gone->name,
                                    .file = patch->script->path,
                                    .line = gone->line,
                                    .count = patch->orphans[i]});
  }
}

// What is put back is reported as that.
static bool is_reverted(const GraftEngine *self, const Definition *definition) {
  return self->reverting != NULL &&
         strcmp(self->reverting, definition->name) == 0;
}

static void emit_file(GraftEngine *self, const FilePatch *patch) {
  const Diff *diff = patch->diff;
  for (int i = 0; i < patch->unit->definition_count; i++) {
    const Definition *definition = &patch->unit->definitions[i];
    if (diff->changes[i] == CHANGE_ADDED || diff->renamed[i]) {
      emit_definition(self, GRAFT_EVENT_ADD, patch->script, definition);
    } else if (diff->changes[i] == CHANGE_UPDATED &&
               !is_reverted(self, definition)) {
      emit_definition(self, GRAFT_EVENT_UPDATE, patch->script, definition);
    } else if (diff->changes[i] == CHANGE_MOVED) {
      emit_definition(self, GRAFT_EVENT_MOVE, patch->script, definition);
    }
    emit_stale(self, patch, i);
  }
  emit_deleted(self, patch);
}

static GraftEventKind note_event(NoteKind kind) {
  switch (kind) {
  case NOTE_RUN:
    return GRAFT_EVENT_RUN;
  case NOTE_KEEP:
    return GRAFT_EVENT_KEEP;
  case NOTE_DEPENDS:
    return GRAFT_EVENT_DEPENDS;
  case NOTE_ORPHAN:
    return GRAFT_EVENT_ORPHAN;
  case NOTE_SILENT:
    return GRAFT_EVENT_SILENT;
  case NOTE_TAKEN:
    return GRAFT_EVENT_NOTICE;
  case NOTE_FAILED:
    return GRAFT_EVENT_ERROR;
  case NOTE_STALE:
    return GRAFT_EVENT_STALE;
  }
  return GRAFT_EVENT_NOTICE;
}

void engine_emit_note(GraftEngine *self, const Note *note) {
  GraftEvent event = {.kind = note_event(note->kind),
                      .name = note->name,
                      .file = note->file,
                      .line = note->line,
                      .count = note->kind == NOTE_SILENT ? note->count : 0,
                      .message = note->text};
  char text[400];
  if (note->kind == NOTE_TAKEN || note->kind == NOTE_FAILED) {
    snprintf(text, sizeof text, "%s %s", note->name, note->text);
    event.message = text;
  }
  engine_emit(self, &event);
}

static double milliseconds(uint64_t from, uint64_t to) {
  return to > from ? (double)(to - from) / 1e6 : 0;
}

static void emit_patch(Transaction *self, bool ok) {
  uint64_t now = watch_now();
  GraftEvent event = {.kind = GRAFT_EVENT_PATCH,
                      .ok = ok,
                      .sweeping = self->patcher != NULL &&
                                  patcher_is_spread(self->patcher)};
  for (size_t i = 0; i < self->files->count; i++) {
    const Plan *plan = self->files->items[i]->waiting;
    if (plan == NULL) continue;
    double settle = milliseconds(plan->notice_ns, plan->settled_ns);
    double planned = milliseconds(plan->settled_ns, plan->planned_ns);
    if (settle > event.settle_ms) event.settle_ms = settle;
    if (planned > event.plan_ms) event.plan_ms = planned;
  }
  native_change_times(self->natives, &event);
  event.sweep_ms = (double)self->sweep_ns / 1e6;
  event.apply_ms = milliseconds(self->start_ns, now) - event.sweep_ms;
  engine_emit(self->engine, &event);
}

static void emit_all(Transaction *self) {
  native_change_emit(self->natives);
  for (size_t i = 0; i < file_count(self); i++) {
    emit_file(self->engine, patcher_file(self->patcher, i));
  }
  for (size_t i = 0; i < note_count(self); i++) {
    engine_emit_note(self->engine, patcher_note(self->patcher, i));
  }
  engine_show_swaps(self->engine);
}

// ---------------------------------------------------------------------------
// Commit or undo
// ---------------------------------------------------------------------------

static void undo(Transaction *self) {
  engine_restore_slots(self->engine, &self->slots);
  native_change_undo(self->natives);
  if (self->patcher == NULL) return;
  for (size_t i = 0; i < file_count(self); i++) {
    FilePatch *patch = patcher_file(self->patcher, i);
    for (int k = 0; k < patch->unit->definition_count; k++) {
      vm_release(self->engine->vm, (uint64_t)patch->results[k].slot_ref);
      patch->results[k].slot_ref = 0;
    }
  }
  patcher_undo(self->patcher);
  for (size_t i = 0; i < note_count(self); i++) {
    const Note *note = patcher_note(self->patcher, i);
    if (note->kind == NOTE_FAILED) engine_emit_note(self->engine, note);
  }
}

static bool has_news(const Transaction *self) {
  for (size_t i = 0; i < file_count(self); i++) {
    if (!diff_is_empty(patcher_file(self->patcher, i)->diff)) return true;
  }
  return native_change_has_news(self->natives);
}

static void keep_history(EngineFile *file) {
  if (file->history_count == ENGINE_HISTORY) {
    unit_release(file->history[0]);
    memmove(file->history, file->history + 1,
            (ENGINE_HISTORY - 1) * sizeof file->history[0]);
    file->history_count--;
  }
  file->history[file->history_count++] = unit_retain(file->unit);
}

static GraftStatus commit(Transaction *self, GraftError *error) {
  self->news = has_news(self);
  GraftStatus status = GRAFT_OK;
  if (self->patcher != NULL) status = patcher_commit(self->patcher, error);
  if (status < 0) return status;
  native_change_commit(self->natives);
  for (size_t i = 0; i < self->files->count; i++) {
    keep_history(self->files->items[i]);
    engine_set_unit(self->engine, self->files->items[i],
                    self->files->items[i]->script->unit);
  }
  if (!self->news) return GRAFT_OK;
  if (self->patcher != NULL) patcher_count_orphans(self->patcher);
  emit_all(self);
  if (self->natives == NULL || !self->natives->natives->loading) {
    emit_patch(self, true);
  }
  return GRAFT_OK;
}

static GraftStatus add_files(Transaction *self, GraftError *error) {
  GraftStatus status = GRAFT_OK;
  for (size_t i = 0; i < self->files->count && status == GRAFT_OK; i++) {
    EngineFile *file = self->files->items[i];
    Plan *plan = file->waiting;
    Diff *diff = plan->diff;
    MakerCode *code = plan->code;
    plan->diff = NULL;
    plan->code = NULL;
    // The plan may have been made before another one was applied.
    if (diff == NULL || diff->old_unit != file->script->unit) {
      diff_free(diff);
      maker_code_free(code);
      code = NULL;
      diff = diff_new(&self->engine->allocator, file->script->unit, plan->unit);
    }
    const PatcherFile added = {file->script, plan->unit, diff, code};
    status = diff != NULL ? patcher_add(self->patcher, &added, error)
                          : error_memory(error);
  }
  return status;
}

static GraftStatus replace(Transaction *self, GraftError *error) {
  if (self->files->count == 0) return GRAFT_OK;
  self->patcher = patcher_new(self->engine->vm);
  if (self->patcher == NULL) return error_memory(error);
  if (engine_spreads(self->engine)) patcher_spread(self->patcher);
  GraftStatus status = add_files(self, error);
  if (status < 0) return status;
  uint64_t before = watch_now();
  status = patcher_replace(self->patcher, error);
  self->sweep_ns = watch_now() - before;
  return status;
}

static GraftStatus transact(Transaction *self, GraftError *error) {
  GraftStatus status = native_change_prepare(self->natives, error);
  // Files that may have been left out of it.
  if (self->natives != NULL && self->natives->steps.count == 0) {
    self->natives = NULL;
  }
  if (status == GRAFT_OK) status = replace(self, error);
  if (status == GRAFT_OK) status = native_change_switch(self->natives, error);
  if (status == GRAFT_OK) status = switch_slots(self, error);
  if (status == GRAFT_OK && self->patcher != NULL) {
    status = patcher_run(self->patcher, error);
  }
  if (status == GRAFT_OK) status = add_and_remove_slots(self, error);
  return status;
}

// What the sweep of a committed transaction has still to do, if there is a
// budget for it.
static void keep_sweep(Transaction *self) {
  if (self->patcher == NULL) return;
  const char *at_once = patcher_at_once(self->patcher);
  if (patcher_is_spread(self->patcher)) {
    engine_begin_sweep(self->engine, self->patcher, self->sweep_ns);
    self->patcher = NULL;
  } else if (at_once != NULL && self->news) {
    engine_emit(
        self->engine,
        &(GraftEvent){.kind = GRAFT_EVENT_SWEEP,
                      .count = (int)patcher_reference_count(self->patcher),
                      .safe_points = 1,
                      .sweep_ms = (double)self->sweep_ns / 1e6,
                      .message = at_once});
  }
}

GraftStatus engine_apply(GraftEngine *self, const EngineFiles *files,
                         NativeChange *change, GraftError *error) {
  engine_end_sweep(self, "another change came");
  if (change != NULL && change->steps.count == 0) change = NULL;
  Transaction transaction = {.engine = self,
                             .files = files,
                             .natives = change,
                             .slots = {.first_swap = self->swaps.count},
                             .start_ns = watch_now()};
  GraftStatus status = transact(&transaction, error);
  if (status == GRAFT_OK) status = commit(&transaction, error);
  if (status == GRAFT_OK) {
    keep_sweep(&transaction);
  } else {
    undo(&transaction);
  }
  engine_forget_slots(self, &transaction.slots);
  if (transaction.patcher != NULL) patcher_free(transaction.patcher);
  return status;
}
