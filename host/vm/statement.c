// SPDX-License-Identifier: MIT

#include "vm/statement.h"

#include <string.h>

#include "base/error.h"
#include "vm/cell.h"
#include "vm/chunk.h"
#include "vm/defer.h"
#include "vm/depend.h"
#include "vm/evaluate.h"
#include "vm/patcher_state.h"
#include "vm/place.h"
#include "vm/proto.h"

// ---------------------------------------------------------------------------
// What kind of run
// ---------------------------------------------------------------------------

// Whether all that it does is to name functions.
static bool is_function(const GraftUnit *unit, int statement) {
  const Statement *now = &unit->statements[statement];
  if (now->kind == STATEMENT_FUNCTION ||
      now->kind == STATEMENT_LOCAL_FUNCTION) {
    return true;
  }
  if (now->kind != STATEMENT_LOCAL && now->kind != STATEMENT_ASSIGNMENT) {
    return false;
  }
  for (uint32_t i = 0; i < now->assignment_count; i++) {
    int value = statement_assignment(unit, statement, i)->value;
    if (value < 0 || unit->values[value].kind != VALUE_FUNCTION) return false;
  }
  return now->assignment_count > 0;
}

static bool is_pure(const GraftUnit *unit, int statement) {
  for (uint32_t i = 0; i < unit->statements[statement].assignment_count; i++) {
    int value = statement_assignment(unit, statement, i)->value;
    if (!evaluate_is_pure(unit, value)) return false;
  }
  return true;
}

// ---------------------------------------------------------------------------
// Functions that are there already
// ---------------------------------------------------------------------------

// Whether the function on top is the script's closure of this definition.
static bool is_closure_of(const PatchedFile *file, lua_State *L,
                          int definition) {
  if (lua_type(L, -1) != LUA_TFUNCTION) return false;
  const void *proto = proto_of(L, -1);
  ScriptProto *entry =
      proto != NULL ? script_find_proto(file->patch.script->vm, proto) : NULL;
  return entry != NULL && entry->chunk->script == file->patch.script &&
         entry->definition == definition;
}

// The target as the new unit binds it; false when its variable is gone.
static bool rebind(const Diff *diff, Path *target) {
  if (target->variable < 0) return target->variable == VARIABLE_GLOBAL;
  target->variable = diff->variable_new[target->variable];
  return target->variable >= 0;
}

// Pushes the closure that the old assignment of a definition left in its
// place, if it is still there; a renamed one leaves it.
static bool push_kept(Patcher *self, PatchedFile *file, lua_State *L,
                      int definition) {
  const Diff *diff = file->patch.diff;
  int before = diff->definition_old[definition];
  if (before < 0) return false;
  Path target = diff->old_unit->definitions[before].target;
  if (target.name == NULL || target.computed || !rebind(diff, &target)) {
    return false;
  }
  int object = lua_gettop(L) + 1;
  place_push(file->patch.script, L, &target);
  place_get(L, object);
  if (!is_closure_of(file, L, definition)) {
    lua_settop(L, object - 1);
    return false;
  }
  if (diff->renamed[definition]) {
    lua_pushvalue(L, -1);
    lua_pushnil(L);
    place_set(self, L, object);
    lua_settop(L, object + 2);
  }
  lua_replace(L, object);
  lua_settop(L, object);
  return true;
}

// A statement that only gives a function a name, and whose function is there
// under its old name (P7) or was given it in another way, need not run.
static bool keep_function(Patcher *self, PatchedFile *file, lua_State *L,
                          int statement) {
  const GraftUnit *unit = file->patch.unit;
  const Statement *now = &unit->statements[statement];
  if (now->assignment_count != 1 || now->definition_count == 0) return false;
  const Assignment *assignment = statement_assignment(unit, statement, 0);
  if (assignment->in_block || assignment->value < 0 ||
      unit->values[assignment->value].kind != VALUE_FUNCTION ||
      assignment->target.computed) {
    return false;
  }
  int definition = unit->values[assignment->value].definition;
  if (!push_kept(self, file, L, definition)) return false;
  int function = lua_gettop(L);
  if (place_push(file->patch.script, L, &assignment->target)) {
    lua_pushvalue(L, function);
    place_set(self, L, function + 1);
  }
  lua_settop(L, function - 1);
  return true;
}

// ---------------------------------------------------------------------------
// Running
// ---------------------------------------------------------------------------

// What a name at the top level means in a statement.
static int visible_variable(const GraftUnit *unit, const char *name,
                            int statement) {
  bool own = unit->statements[statement].kind == STATEMENT_LOCAL_FUNCTION;
  for (int i = unit->variable_count - 1; i >= 0; i--) {
    const Variable *variable = &unit->variables[i];
    if (variable->owner >= 0 || !variable->top ||
        variable->statement > statement ||
        (variable->statement == statement && !own)) {
      continue;
    }
    if (strcmp(variable->name, name) == 0) return i;
  }
  return VARIABLE_GLOBAL;
}

// Gives the function on top the module's variables.
static void join_variables(Patcher *self, PatchedFile *file, lua_State *L,
                           int statement) {
  int function = lua_gettop(L);
  for (int n = 1;; n++) {
    const char *name = lua_getupvalue(L, function, n);
    if (name == NULL) return;
    lua_pop(L, 1);
    int variable = visible_variable(file->patch.unit, name, statement);
    if (variable >= 0) {
      cell_join(file->patch.script, L, variable, function, n);
      proto_unlock_cell(L, function, n);
    } else if (strcmp(name, "_ENV") == 0) {
      vm_push(self->vm, L, file->patch.script->environment_ref);
      lua_upvaluejoin(L, function, n, -1, 1);
      lua_pop(L, 1);
    } else if (strncmp(name, MAKER_READER, strlen(MAKER_READER)) == 0) {
      lua_getupvalue(L, function, n);
      join_variables(self, file, L, statement);
      lua_pop(L, 1);
    }
  }
}

// Pushes the function that runs a statement.
static void push_statement(Patcher *self, PatchedFile *file, lua_State *L,
                           int place) {
  int statement = file->patch.diff->run[place];
  vm_push(self->vm, L, file->statements_ref);
  lua_rawgeti(L, -1, place + 1);
  lua_remove(L, -2);
  lua_call(L, 0, 1);
  join_variables(self, file, L, statement);
  if (!statement_gives_values(file, statement)) {
    journal_add_statement(self, file, L, statement);
  }
}

static void pin_statement(Patcher *self, PatchedFile *file, lua_State *L,
                          int statement) {
  const GraftUnit *unit = file->patch.unit;
  Evaluation evaluation = {.script = file->patch.script, .unit = unit};
  for (uint32_t i = 0; i < unit->statements[statement].assignment_count; i++) {
    depend_pin(self, L, &evaluation,
               statement_assignment(unit, statement, i)->value);
  }
}

// Calls it; leaves its values. What it computes without a call, it computes
// from what the source gives.
static bool call_statement(Patcher *self, PatchedFile *file, lua_State *L,
                           int statement) {
  Script *script = file->patch.script;
  int results = (int)file->patch.unit->statements[statement].assignment_count;
  bool pure = statement_gives_values(file, statement) &&
              is_pure(file->patch.unit, statement);
  file->running = statement;
  file->running_proto = proto_of(L, -1);
  lua_pushstring(L, script->module);
  lua_pushstring(L, script->path);
  if (pure) pin_statement(self, file, L, statement);
  if (pure) depend_begin(self, L, DEPEND_NEW);
  self->status =
      vm_pcall(self->vm, L, 2, results < 1 ? 1 : results, self->error);
  if (pure) depend_end(self, L);
  depend_unpin(self);
  file->running_proto = NULL;
  return self->status == GRAFT_OK;
}

static void note_run(Patcher *self, PatchedFile *file, int statement) {
  if (is_function(file->patch.unit, statement)) return;
  patcher_add_note(
      self, &(Note){.kind = NOTE_RUN,
                    .file = file->patch.script->path,
                    .line = file->patch.unit->statements[statement].line});
}

static void run_statement(Patcher *self, PatchedFile *file, lua_State *L,
                          int place) {
  const Diff *diff = file->patch.diff;
  int statement = diff->run[place];
  const Statement *now = &file->patch.unit->statements[statement];
  int top = lua_gettop(L);
  luaL_checkstack(L, 16 + (int)now->assignment_count, "statement");
  if (diff->statement_changes[statement] == STATEMENT_CHANGED) {
    defer_run(self, file, L, diff->statement_old[statement]);
  }
  if (keep_function(self, file, L, statement)) return;
  file->ran[place] = true;
  push_statement(self, file, L, place);
  note_run(self, file, statement);
  if (!call_statement(self, file, L, statement)) return;
  if (statement_gives_values(file, statement) ||
      statement_gives_function(file->patch.unit, statement)) {
    statement_put_results(self, file, L, statement, top + 1);
  } else if (now->kind == STATEMENT_RETURN) {
    statement_put_module(self, file, L, statement, top + 1);
  } else {
    statement_note_given(self, file, L, statement);
  }
  lua_settop(L, top);
}

// ---------------------------------------------------------------------------
// The whole
// ---------------------------------------------------------------------------

static void run_gone_cleanups(Patcher *self, PatchedFile *file, lua_State *L) {
  const Diff *diff = file->patch.diff;
  for (int i = diff->removed_count - 1; i >= 0; i--) {
    defer_run(self, file, L, diff->removed[i]);
  }
}

// A field of a table that is still to be made waits for its turn.
static bool has_place(const PatchedFile *file, lua_State *L, int statement) {
  const GraftUnit *unit = file->patch.unit;
  int top = lua_gettop(L);
  bool found = true;
  for (uint32_t i = 0; i < unit->statements[statement].assignment_count; i++) {
    const Path *target = &statement_assignment(unit, statement, i)->target;
    found = found && target->name != NULL && !target->computed &&
            place_push(file->patch.script, L, target);
    lua_settop(L, top);
  }
  return found;
}

static bool is_prefix(const Path *target, const Path *path) {
  if (target->name == NULL || target->variable != path->variable ||
      target->key_count > path->key_count ||
      strcmp(target->name, path->name) != 0) {
    return false;
  }
  for (uint32_t i = 0; i < target->key_count; i++) {
    if (strcmp(target->keys[i], path->keys[i]) != 0) return false;
  }
  return true;
}

// Whether a statement that runs above gives the name, or what holds it, a
// value that the function is to replace.
static bool is_given_above(const PatchedFile *file, int place) {
  const Diff *diff = file->patch.diff;
  const GraftUnit *unit = file->patch.unit;
  const Path *path = &statement_assignment(unit, diff->run[place], 0)->target;
  for (int i = 0; i < place; i++) {
    if (is_function(unit, diff->run[i])) continue;
    const Statement *above = &unit->statements[diff->run[i]];
    for (uint32_t k = 0; k < above->assignment_count; k++) {
      const Assignment *given = statement_assignment(unit, diff->run[i], k);
      if (given->value >= 0 && is_prefix(&given->target, path)) return true;
    }
  }
  return false;
}

static void run_functions(Patcher *self, PatchedFile *file, lua_State *L) {
  const Diff *diff = file->patch.diff;
  for (int i = 0; i < diff->run_count && self->status == GRAFT_OK; i++) {
    if (!is_function(file->patch.unit, diff->run[i]) ||
        !has_place(file, L, diff->run[i]) || is_given_above(file, i)) {
      continue;
    }
    run_statement(self, file, L, i);
    file->ran[i] = true;
  }
}

static void run_others(Patcher *self, PatchedFile *file, lua_State *L) {
  const Diff *diff = file->patch.diff;
  int place = 0;
  for (int i = 0; i < diff->new_unit->statement_count; i++) {
    if (self->status < 0) return;
    if (place >= diff->run_count || diff->run[place] != i) {
      depend_follow(self, file->patch.script, L, i);
      continue;
    }
    if (!file->ran[place]) run_statement(self, file, L, place);
    place++;
  }
}

static void run_phase(Patcher *self, lua_State *L,
                      void (*phase)(Patcher *, PatchedFile *, lua_State *)) {
  for (size_t i = 0; i < self->files.count && self->status == GRAFT_OK; i++) {
    phase(self, self->files.items[i], L);
  }
}

void statement_run_all(Patcher *self, lua_State *L) {
  run_phase(self, L, run_gone_cleanups);
  run_phase(self, L, statement_remove_values);
  run_phase(self, L, run_functions);
  run_phase(self, L, run_others);
  if (self->status == GRAFT_OK) {
    depend_follow_all(self, L);
  } else {
    statement_list_calls(self);
  }
}
