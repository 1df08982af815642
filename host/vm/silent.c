// SPDX-License-Identifier: MIT

#include "vm/patcher_state.h"
#include "vm/proto.h"

// Whether nothing but the statement itself has handed the function on: it has
// no name, or is a field of a table that has none, as in `on{hit = function`.
static bool has_no_name(const Definition *definition) {
  return definition->kind == DEFINITION_ANONYMOUS ||
         (definition->kind == DEFINITION_ASSIGNED &&
          definition->target.name == NULL);
}

// Whether a statement that changed hands its functions over again when it
// runs; one that gives values has them merged instead.
static bool hands_over(const Statement *statement) {
  switch (statement->kind) {
  case STATEMENT_LOCAL:
  case STATEMENT_ASSIGNMENT:
  case STATEMENT_RETURN:
  case STATEMENT_FUNCTION:
  case STATEMENT_LOCAL_FUNCTION:
    return false;
  default:
    return true;
  }
}

// Whether the function is in a statement now that does not run.
static bool is_kept(const Diff *diff, int old_definition) {
  int now = diff->definition_new[old_definition];
  if (now < 0) return false;
  int statement = diff->new_unit->definitions[now].statement;
  return diff->statement_changes[statement] == STATEMENT_SAME;
}

void silent_find(PatchedFile *file) {
  const Diff *diff = file->patch.diff;
  const GraftUnit *old = diff->old_unit;
  for (int i = 0; i < old->definition_count; i++) {
    const Definition *definition = &old->definitions[i];
    if (!has_no_name(definition)) continue;
    if (definition->parent >= 0) {
      file->silent[i] = file->silent[definition->parent];
      continue;
    }
    int statement = definition->statement;
    int now = diff->statement_new[statement];
    if (now >= 0 && diff->statement_changes[now] == STATEMENT_SAME) continue;
    file->silent[i] = !is_kept(diff, i) &&
                      (now < 0 || hands_over(&old->statements[statement]));
  }
}

// ---------------------------------------------------------------------------
// Undone code
// ---------------------------------------------------------------------------

static bool judge_undone(void *context, lua_State *L, const void *proto) {
  Patcher *self = context;
  const ScriptProto *entry = script_find_proto(self->vm, proto);
  if (entry == NULL || entry->chunk->fresh == NULL || entry->definition < 0) {
    return false;
  }
  luaL_checkstack(L, 8, "sweep");
  vm_push(self->vm, L, self->vm->silent_ref);
  lua_call(L, 0, 1);
  return true;
}

// Whether a call may have put a function of the new code somewhere.
static bool has_handed_over(const Patcher *self) {
  for (size_t i = 0; i < self->files.count; i++) {
    const PatchedFile *file = self->files.items[i];
    const Diff *diff = file->patch.diff;
    for (int k = 0; k < diff->run_count; k++) {
      if (file->ran[k] && diff->new_unit->statements[diff->run[k]].has_call) {
        return true;
      }
    }
  }
  return false;
}

static void prepare(Vm *vm, lua_State *L, void *context) {
  Patcher *self = context;
  self->swept = true;
  SweepDesc desc = sweep_describe(vm, L);
  desc.raw = false;
  desc.judge = judge_undone;
  desc.context = self;
  sweep_init(&self->sweep, &desc);
}

void silent_undo(Patcher *self) {
  if (!has_handed_over(self)) return;
  Vm *vm = self->vm;
  if (self->swept) sweep_clear(&self->sweep);
  self->swept = false;
  if (vm_protect(vm, prepare, self, NULL) < 0) return;
  self->sweep.desc.L = vm->L;
  if (sweep_run(&self->sweep) != LUA_OK) lua_pop(vm->L, 1);
}
