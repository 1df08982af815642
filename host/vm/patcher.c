// SPDX-License-Identifier: MIT

#include "vm/patcher.h"

#include <string.h>

#include "base/error.h"
#include "vm/cell.h"
#include "vm/chunk.h"
#include "vm/conform.h"
#include "vm/defer.h"
#include "vm/patcher_state.h"
#include "vm/proto.h"

Patcher *patcher_new(Vm *vm) {
  Patcher *self = memory_new(&vm->allocator, sizeof *self);
  if (self == NULL) return NULL;
  self->vm = vm;
  pointer_map_init(&self->patched, &vm->allocator);
  vm_rest_collector(vm);
  self->resting = true;
  return self;
}

// Compiling and replacing make little garbage, and a collector that ran
// meanwhile would make the host wait for it. Statements may make much.
static void restart_collector(Patcher *self) {
  if (self->resting) vm_wake_collector(self->vm);
  self->resting = false;
}

bool patcher_add_note(Patcher *self, const Note *note) {
  for (size_t i = 0; note->kind != NOTE_RUN && i < self->notes.count; i++) {
    Note *other = &self->notes.items[i];
    if (other->kind == note->kind && other->line == note->line &&
        strcmp(other->file, note->file) == 0 &&
        strcmp(other->name, note->name) == 0 &&
        strcmp(other->text, note->text) == 0) {
      other->count++;
      return true;
    }
  }
  Note *added = ARRAY_PUSH(&self->vm->allocator, &self->notes);
  if (added != NULL) {
    *added = *note;
    added->count = 1;
  }
  return added != NULL;
}

// ---------------------------------------------------------------------------
// What a file's patch needs
// ---------------------------------------------------------------------------

// What closures are behind of is made anew: perhaps they find now what they
// lacked (P4).
static void rework_stale(PatchedFile *file) {
  const Diff *diff = file->patch.diff;
  if (!file->patch.script->any_stale) return;
  for (ScriptChunk *chunk = file->patch.script->chunks; chunk != NULL;
       chunk = chunk->next) {
    for (size_t i = 0; i < chunk->count; i++) {
      ScriptProto *proto = &chunk->protos[i];
      if (!proto->stale || proto->definition < 0) continue;
      proto->stale = false;
      int now = diff->definition_new[proto->definition];
      if (now >= 0) file->rework[now] = true;
    }
  }
}

// Variables of functions that a function nested in them captures only now.
static void find_wanted(PatchedFile *file) {
  const GraftUnit *unit = file->patch.unit;
  const Diff *diff = file->patch.diff;
  for (int i = 0; i < unit->definition_count; i++) {
    if (!file->rework[i]) continue;
    const Definition *old =
        &diff->old_unit->definitions[diff->definition_old[i]];
    for (uint32_t k = 0; k < unit->definitions[i].capture_count; k++) {
      int variable = unit->definitions[i].captures[k].variable;
      if (variable < 0) continue;
      const Variable *bound = &unit->variables[variable];
      int before = diff->variable_old[variable];
      if ((bound->owner < 0 && bound->top) || before < 0) continue;
      // Instances that are behind may lack what the definition captures.
      if (definition_captures(old, before) && !file->patch.script->any_stale) {
        continue;
      }
      file->wanted[before] = true;
      file->any_wanted = true;
    }
  }
}

static void find_unknown(PatchedFile *file) {
  const Script *script = file->patch.script;
  for (int i = 0; i < script->unit->variable_count; i++) {
    if (script->unit->variables[i].captured &&
        script->cell_states[i] != CELL_TRUE) {
      file->any_unknown = true;
    }
  }
}

// ---------------------------------------------------------------------------
// Making and freeing
// ---------------------------------------------------------------------------

// Chunks that this patch compiled stay with the script, or go.
static void settle_chunks(PatchedFile *self, bool committed) {
  ScriptChunk *next = NULL;
  for (ScriptChunk *chunk = self->patch.script->chunks; chunk != NULL;
       chunk = next) {
    next = chunk->next;
    if (chunk->fresh != self) continue;
    chunk->fresh = NULL;
    if (!committed) chunk_free(chunk);
  }
}

static void file_free(PatchedFile *self) {
  if (self == NULL) return;
  Vm *vm = self->patch.script->vm;
  const GraftAllocator *allocator = &vm->allocator;
  self->patch.script->patch = NULL;
  vm_unref(vm, self->makers_ref);
  vm_unref(vm, self->statements_ref);
  vm_unref(vm, self->holders_ref);
  vm_unref(vm, self->cleanups_ref);
  for (ClosurePlan *plan = self->plan_list; plan != NULL;) {
    ClosurePlan *next = plan->next;
    memory_free(allocator, plan);
    plan = next;
  }
  pointer_map_clear(&self->plans);
  maker_text_clear(&self->text);
  maker_code_free(self->code);
  memory_free(allocator, self->rework);
  memory_free(allocator, self->silent);
  memory_free(allocator, self->wanted);
  memory_free(allocator, self->ran);
  memory_free(allocator, self->patch.orphans);
  memory_free(allocator, self->patch.results);
  diff_free(self->patch.diff);
  unit_release(self->patch.unit);
  memory_free(allocator, self);
}

static PatchedFile *file_new(const PatcherFile *added) {
  Script *script = added->script;
  GraftUnit *unit = added->unit;
  Diff *diff = added->diff;
  const GraftAllocator *allocator = &script->vm->allocator;
  PatchedFile *self = memory_new(allocator, sizeof *self);
  if (self == NULL) {
    diff_free(diff);
    maker_code_free(added->code);
    return NULL;
  }
  self->code = added->code;
  size_t news = (size_t)unit->definition_count + 1;
  size_t olds = (size_t)script->unit->definition_count + 1;
  size_t variables = (size_t)script->unit->variable_count + 1;
  self->patch.script = script;
  self->patch.unit = unit_retain(unit);
  self->patch.diff = diff;
  self->patch.results =
      memory_new(allocator, news * sizeof *self->patch.results);
  self->rework = memory_new(allocator, news * sizeof *self->rework);
  self->silent = memory_new(allocator, olds * sizeof *self->silent);
  self->patch.orphans =
      memory_new(allocator, olds * sizeof *self->patch.orphans);
  self->wanted = memory_new(allocator, variables * sizeof *self->wanted);
  self->ran = memory_new(allocator, (size_t)diff->run_count + 1);
  pointer_map_init(&self->plans, allocator);
  maker_text_init(&self->text, allocator);
  if (self->patch.results == NULL || self->rework == NULL ||
      self->silent == NULL || self->patch.orphans == NULL ||
      self->wanted == NULL || self->ran == NULL) {
    file_free(self);
    return NULL;
  }
  script->patch = self;
  return self;
}

static void compile(Vm *vm, lua_State *L, void *context) {
  (void)vm;
  maker_compile(context, L);
}

GraftStatus patcher_add(Patcher *self, const PatcherFile *added,
                        GraftError *error) {
  PatchedFile *file = file_new(added);
  if (file == NULL) return error_memory(error);
  PatchedFile **place = ARRAY_PUSH(&self->vm->allocator, &self->files);
  if (place == NULL) {
    file_free(file);
    return error_memory(error);
  }
  *place = file;
  rework_stale(file);
  maker_find_rework(added->diff, file->rework);
  find_wanted(file);
  silent_find(file);
  find_unknown(file);
  return vm_protect(self->vm, compile, file, error);
}

// A chunk that still runs has its variables in its frame; statements that run
// now get copies of those that no closure holds.
static void save_running(Script *script, lua_State *L) {
  lua_Debug frame;
  for (int level = 0; lua_getstack(L, level, &frame); level++) {
    lua_getinfo(L, "f", &frame);
    const void *proto = proto_of(L, -1);
    lua_pop(L, 1);
    const ScriptProto *entry =
        proto != NULL ? script_find_proto(script->vm, proto) : NULL;
    if (entry == NULL || entry->definition != SCRIPT_MAIN ||
        entry->chunk->script != script) {
      continue;
    }
    cell_save_frame(script, L, &frame);
    return;
  }
}

static void prepare(Vm *vm, lua_State *L, void *context) {
  (void)vm;
  Patcher *self = context;
  for (size_t i = 0; i < self->files.count; i++) {
    PatchedFile *file = self->files.items[i];
    const Diff *diff = file->patch.diff;
    defer_collect(file, L);
    // The copies keep their values from collection.
    if (!file->patch.script->loaded &&
        diff->run_count + diff->removed_count > 0) {
      save_running(file->patch.script, L);
    }
  }
}

GraftStatus patcher_replace(Patcher *self, GraftError *error) {
  GraftStatus status = vm_protect(self->vm, prepare, self, error);
  return status < 0 ? status : replace_closures(self, error);
}

static void run_statements(Vm *vm, lua_State *L, void *context) {
  (void)vm;
  statement_run_all(context, L);
}

GraftStatus patcher_run(Patcher *self, GraftError *error) {
  restart_collector(self);
  self->error = error;
  self->status = GRAFT_OK;
  int depth = collector_interrupt_rest(&self->vm->collector, self->vm->L);
  GraftStatus status = vm_protect(self->vm, run_statements, self, error);
  collector_resume_rest(&self->vm->collector, self->vm->L, depth);
  self->error = NULL;
  return status < 0 ? status : self->status;
}

// New code of what was added or updated is watched until it returns.
static void begin_probation(PatchedFile *file) {
  for (ScriptChunk *chunk = file->patch.script->chunks; chunk != NULL;
       chunk = chunk->next) {
    if (chunk->fresh != file) continue;
    for (size_t i = 0; i < chunk->count; i++) {
      ScriptProto *entry = &chunk->protos[i];
      if (entry->definition < 0) continue;
      Change change = file->patch.diff->changes[entry->definition];
      if (change == CHANGE_UPDATED || change == CHANGE_ADDED) {
        probation_add(file->patch.script->vm, entry);
      }
    }
  }
}

static void release_old(PatchedFile *file) {
  Vm *vm = file->patch.script->vm;
  install_commit(file);
  unit_release(file->old_unit);
  memory_free(&vm->allocator, file->old_states);
  memory_free(&vm->allocator, file->old_slot_refs);
  memory_free(&vm->allocator, file->old_protos);
  vm_unref(vm, file->old_cells_ref);
}

GraftStatus patcher_commit(Patcher *self, GraftError *error) {
  GraftStatus status = replace_watch(self, error);
  if (status == GRAFT_OK) status = defer_commit(self, error);
  if (status < 0) return status;
  self->committed = true;
  bool saw_all = self->swept && !self->is_spread;
  for (size_t i = 0; i < self->files.count; i++) {
    PatchedFile *file = self->files.items[i];
    if (self->is_spread) replace_spread_copy(self, file);
    release_old(file);
    begin_probation(file);
    if (saw_all) script_prune_chunks(file->patch.script);
  }
  if (saw_all) script_free_unseen(self->vm);
#if VM_LUAJIT
  luaJIT_setmode(self->vm->main, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_FLUSH);
#endif
  conform_tell(self);
  return GRAFT_OK;
}

void patcher_undo(Patcher *self) {
  if (self->committed || self->undone) return;
  self->undone = true;
  defer_undo(self);
  journal_undo(self);
  replace_undo(self);
  silent_undo(self);
}

void patcher_free(Patcher *self) {
  if (self == NULL) return;
  const GraftAllocator *allocator = &self->vm->allocator;
  patcher_undo(self);
  restart_collector(self);
  // The thread is gone when the state has closed.
  if (self->vm->L == NULL) self->sweep.desc.walker = NULL;
  if (self->swept) sweep_clear(&self->sweep);
  vm_unref(self->vm, self->walker_ref);
  vm_unref(self->vm, self->journal_ref);
  vm_unref(self->vm, self->journaled_ref);
  vm_unref(self->vm, self->depend_ref);
  vm_unref(self->vm, self->depend_index_ref);
  for (size_t i = 0; i < self->files.count; i++) {
    settle_chunks(self->files.items[i], self->committed);
    file_free(self->files.items[i]);
  }
  memory_free(allocator, self->files.items);
  memory_free(allocator, self->notes.items);
  memory_free(allocator, self->deferred.items);
  memory_free(allocator, self->stale);
  pointer_map_clear(&self->patched);
  memory_free(allocator, self);
}

size_t patcher_file_count(const Patcher *self) {
  return self->files.count;
}

FilePatch *patcher_file(Patcher *self, size_t index) {
  return &self->files.items[index]->patch;
}

size_t patcher_note_count(const Patcher *self) {
  return self->notes.count;
}

const Note *patcher_note(const Patcher *self, size_t index) {
  return &self->notes.items[index];
}

size_t patcher_reference_count(const Patcher *self) {
  return self->reference_count;
}
