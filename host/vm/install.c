// SPDX-License-Identifier: MIT
//
// Installing: makes a file's new unit the present one of its script, with its
// prototypes, cells and slots, and takes that back.

#include <string.h>

#include "vm/cell.h"
#include "vm/patcher_state.h"
#include "vm/proto.h"

static size_t proto_count(const Script *script) {
  size_t count = 0;
  for (const ScriptChunk *chunk = script->chunks; chunk != NULL;
       chunk = chunk->next) {
    count += chunk->count;
  }
  return count;
}

// A chunk that this transaction compiled counts in the new unit already.
static bool is_fresh(const PatchedFile *file, const ScriptChunk *chunk) {
  return chunk->fresh == file;
}

static void shift_lines(const PatchedFile *file, const ScriptProto *entry,
                        int sign) {
  const Diff *diff = file->patch.diff;
  int now = entry->definition;
  if (now < 0 || entry->old || diff->definition_old[now] < 0) return;
  int delta = diff->new_unit->definitions[now].line -
              diff->old_unit->definitions[diff->definition_old[now]].line;
  if (delta != 0) proto_shift_lines(entry->proto, sign * delta);
}

// False when out of memory; then the variables of old code are not known.
static bool remap_code(const PatchedFile *file, ScriptProto *entry, bool old) {
  if (entry->code == NULL && !old) return true;
  entry->code = old_code_new(entry, file->patch.diff);
  return entry->code != NULL;
}

static bool remap_proto(const PatchedFile *file, ScriptProto *entry) {
  entry->gone = -1;
  entry->recent = false;
  if (entry->definition < 0) return true;
  int now = file->patch.diff->definition_new[entry->definition];
  if (now < 0) entry->gone = entry->definition;
  bool old = now < 0 || file->rework[now];
  bool complete = remap_code(file, entry, old);
  entry->definition = now >= 0 ? now : SCRIPT_NONE;
  if (now < 0) return complete;
  entry->recent = old && !entry->old;
  if (old) entry->old = true;
  shift_lines(file, entry, 1);
  return complete;
}

static bool remap_protos(PatchedFile *file) {
  bool complete = true;
  size_t at = 0;
  for (ScriptChunk *chunk = file->patch.script->chunks; chunk != NULL;
       chunk = chunk->next) {
    if (is_fresh(file, chunk)) continue;
    for (size_t i = 0; i < chunk->count; i++) {
      file->old_protos[at++] = chunk->protos[i];
      complete &= remap_proto(file, &chunk->protos[i]);
    }
  }
  return complete;
}

static void restore_protos(PatchedFile *file) {
  const GraftAllocator *allocator = &file->patch.script->vm->allocator;
  size_t at = 0;
  for (ScriptChunk *chunk = file->patch.script->chunks; chunk != NULL;
       chunk = chunk->next) {
    if (is_fresh(file, chunk)) continue;
    for (size_t i = 0; i < chunk->count; i++, at++) {
      ScriptProto *proto = &chunk->protos[i];
      shift_lines(file, proto, -1);
      if (proto->code != file->old_protos[at].code) {
        old_code_free(allocator, proto->code);
      }
      *proto = file->old_protos[at];
    }
  }
}

void install_commit(PatchedFile *file) {
  const GraftAllocator *allocator = &file->patch.script->vm->allocator;
  size_t at = 0;
  for (ScriptChunk *chunk = file->patch.script->chunks; chunk != NULL;
       chunk = chunk->next) {
    if (is_fresh(file, chunk)) continue;
    for (size_t i = 0; i < chunk->count; i++, at++) {
      OldCode *before = file->old_protos[at].code;
      if (before != chunk->protos[i].code) old_code_free(allocator, before);
    }
  }
}

// stack: … → …, table of cells by variable of the new unit
static void push_new_cells(PatchedFile *file, lua_State *L, CellState *states) {
  Script *script = file->patch.script;
  lua_newtable(L);
  vm_push(script->vm, L, script->cells_ref);
  for (int i = 0; i < file->patch.unit->variable_count; i++) {
    int before = file->patch.diff->variable_old[i];
    if (before < 0 || script->cell_states[before] == CELL_NONE) continue;
    lua_rawgeti(L, -1, before + 1);
    lua_rawseti(L, -3, i + 1);
    states[i] = script->cell_states[before];
  }
  lua_pop(L, 1);
}

void install_unit(PatchedFile *file, lua_State *L) {
  Script *script = file->patch.script;
  const GraftAllocator *allocator = &script->vm->allocator;
  CellState *states =
      memory_new(allocator, sizeof *states *
                                (size_t)(file->patch.unit->variable_count + 1));
  int *slot_refs = memory_new(
      allocator,
      sizeof(int) * (size_t)(file->patch.unit->definition_count + 1));
  file->old_protos =
      memory_new(allocator, sizeof(ScriptProto) * (proto_count(script) + 1));
  file->old_states = states; // exchanged below; freed in any case
  file->old_slot_refs = slot_refs;
  if (states == NULL || slot_refs == NULL || file->old_protos == NULL) {
    luaL_error(L, "out of memory");
  }
  push_new_cells(file, L, states);
  file->old_cells_ref = script->cells_ref;
  script->cells_ref = vm_ref(script->vm, L);
  file->old_states = script->cell_states;
  script->cell_states = states;
  for (int i = 0; i < file->patch.unit->definition_count; i++) {
    int before = file->patch.diff->definition_old[i];
    if (before >= 0) slot_refs[i] = script->slot_refs[before];
  }
  file->old_slot_refs = script->slot_refs;
  script->slot_refs = slot_refs;
  file->old_unit = script->unit;
  script->unit = unit_retain(file->patch.unit);
  file->installed = true;
  if (!remap_protos(file)) luaL_error(L, "out of memory");
}

void uninstall_unit(PatchedFile *file) {
  Script *script = file->patch.script;
  Vm *vm = script->vm;
  if (file->installed) {
    restore_protos(file);
    unit_release(script->unit);
    script->unit = file->old_unit;
    memory_free(&vm->allocator, script->cell_states);
    script->cell_states = file->old_states;
    memory_free(&vm->allocator, script->slot_refs);
    script->slot_refs = file->old_slot_refs;
    vm_unref(vm, script->cells_ref);
    script->cells_ref = file->old_cells_ref;
  } else {
    memory_free(&vm->allocator, file->old_states);
    memory_free(&vm->allocator, file->old_slot_refs);
  }
  memory_free(&vm->allocator, file->old_protos);
}
