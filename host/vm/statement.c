// SPDX-License-Identifier: MIT
//
// Statements: running what a new version of a file has at its top level.

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "vm/cell.h"
#include "vm/chunk.h"
#include "vm/patcher_state.h"
#include "vm/proto.h"

// How many tables below the variables that a statement names are copied for
// the undo.
enum { JOURNAL_TABLES = 4096 };

// ---------------------------------------------------------------------------
// What kind of run
// ---------------------------------------------------------------------------

static const Assignment *assignment_of(const GraftUnit *unit, int statement,
                                       uint32_t place) {
  return &unit->assignments[unit->statements[statement].first_assignment +
                            place];
}

// Whether the assignments of a changed statement are those of the one that it
// replaces, with other values.
static bool has_same_targets(const Diff *diff, int old, int now) {
  const Statement *before = &diff->old_unit->statements[old];
  const Statement *after = &diff->new_unit->statements[now];
  if (before->kind != after->kind ||
      before->assignment_count != after->assignment_count) {
    return false;
  }
  for (uint32_t i = 0; i < after->assignment_count; i++) {
    const Path *left = &assignment_of(diff->old_unit, old, i)->target;
    const Path *right = &assignment_of(diff->new_unit, now, i)->target;
    if (left->name == NULL || right->name == NULL || left->computed ||
        right->computed || left->key_count != right->key_count ||
        strcmp(left->name, right->name) != 0) {
      return false;
    }
    for (uint32_t k = 0; k < left->key_count; k++) {
      if (strcmp(left->keys[k], right->keys[k]) != 0) return false;
    }
  }
  return true;
}

static bool is_merged(const PatchedFile *file, int statement) {
  const Diff *diff = file->patch.diff;
  int old = diff->statement_old[statement];
  return diff->statement_changes[statement] == STATEMENT_CHANGED && old >= 0 &&
         has_same_targets(diff, old, statement);
}

bool statement_gives_values(const PatchedFile *file, int statement) {
  const Statement *now = &file->patch.unit->statements[statement];
  if (now->kind == STATEMENT_LOCAL) return true;
  return now->kind == STATEMENT_ASSIGNMENT && is_merged(file, statement);
}

// ---------------------------------------------------------------------------
// Variables
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

static void journal_tables(Patcher *self, lua_State *L, int depth, int *left) {
  if (lua_type(L, -1) != LUA_TTABLE || --*left < 0) return;
  luaL_checkstack(L, 8, "journal");
  journal_add_table(self, L, -1);
  if (depth == 0) return;
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    journal_tables(self, L, depth - 1, left);
    lua_pop(L, 1);
  }
}

static void journal_variable(Patcher *self, PatchedFile *file, lua_State *L,
                             int variable, int *left) {
  journal_add_variable(self, L, file->patch.script, variable);
  cell_get(file->patch.script, L, variable);
  journal_tables(self, L, 2, left);
  lua_pop(L, 1);
}

// Gives the function on top the module's variables.
static void join_variables(Patcher *self, PatchedFile *file, lua_State *L,
                           int statement) {
  int function = lua_gettop(L);
  int left = JOURNAL_TABLES;
  for (int n = 1;; n++) {
    const char *name = lua_getupvalue(L, function, n);
    if (name == NULL) return;
    lua_pop(L, 1);
    int variable = visible_variable(file->patch.unit, name, statement);
    if (variable >= 0) {
      journal_variable(self, file, L, variable, &left);
      cell_join(file->patch.script, L, variable, function, n);
      proto_unlock_cell(L, function, n);
    } else if (strcmp(name, "_ENV") == 0) {
      vm_push(self->vm, L, file->patch.script->environment_ref);
      lua_upvaluejoin(L, function, n, -1, 1);
      lua_pop(L, 1);
    }
  }
}

static bool assigns_global(const GraftUnit *unit, const Statement *statement) {
  for (uint32_t i = 0; i < statement->assignment_count; i++) {
    const Path *target =
        &unit->assignments[statement->first_assignment + i].target;
    if (target->variable == VARIABLE_GLOBAL) return true;
  }
  return false;
}

static void journal_globals(Patcher *self, PatchedFile *file, lua_State *L,
                            const Statement *statement) {
  if (!assigns_global(file->patch.unit, statement)) return;
  script_push_root(file->patch.script, L, SHOWN_GLOBAL);
  if (lua_istable(L, -1)) journal_add_table(self, L, -1);
  lua_pop(L, 1);
}

// ---------------------------------------------------------------------------
// Putting values where they belong
// ---------------------------------------------------------------------------

// Pushes the table that the last key of a path is a field of, or nil.
static void push_holder(PatchedFile *file, lua_State *L, const Path *path) {
  Script *script = file->patch.script;
  if (path->variable >= 0) {
    cell_get(script, L, path->variable);
  } else {
    script_push_root(script, L, SHOWN_GLOBAL);
    lua_pushstring(L, path->name);
    lua_rawget(L, -2);
    lua_remove(L, -2);
  }
  for (uint32_t i = 0; i + 1 < path->key_count; i++) {
    if (!lua_istable(L, -1)) break;
    lua_pushstring(L, path->keys[i]);
    lua_rawget(L, -2);
    lua_remove(L, -2);
  }
  if (lua_istable(L, -1)) return;
  lua_pop(L, 1);
  lua_pushnil(L);
}

static void push_target(PatchedFile *file, lua_State *L, const Path *path) {
  if (path->key_count == 0 && path->variable >= 0) {
    cell_get(file->patch.script, L, path->variable);
  } else if (path->key_count == 0) {
    script_push_root(file->patch.script, L, SHOWN_GLOBAL);
    lua_pushstring(L, path->name);
    lua_rawget(L, -2);
    lua_remove(L, -2);
  } else {
    push_holder(file, L, path);
    if (lua_isnil(L, -1)) return;
    lua_pushstring(L, path->keys[path->key_count - 1]);
    lua_rawget(L, -2);
    lua_remove(L, -2);
  }
}

// stack: …, value → …
static void assign_target(Patcher *self, PatchedFile *file, lua_State *L,
                          const Path *path) {
  if (path->key_count == 0 && path->variable >= 0) {
    journal_add_variable(self, L, file->patch.script, path->variable);
    cell_set(file->patch.script, L, path->variable);
    return;
  }
  const char *key = path->name;
  if (path->key_count == 0) {
    script_push_root(file->patch.script, L, SHOWN_GLOBAL);
  } else {
    push_holder(file, L, path);
    key = path->keys[path->key_count - 1];
  }
  if (!lua_istable(L, -1)) {
    lua_pop(L, 2);
    return;
  }
  journal_add_table(self, L, -1);
  lua_pushstring(L, key);
  lua_pushvalue(L, -3);
  lua_rawset(L, -3);
  lua_pop(L, 2);
}

static void path_text(const Path *path, char *text, size_t size) {
  int used = snprintf(text, size, "%s", path->name);
  for (uint32_t i = 0; i < path->key_count; i++) {
    if (used < 0 || (size_t)used >= size) return;
    used += snprintf(text + used, size - (size_t)used, ".%s", path->keys[i]);
  }
}

// stack: …, value → …
static void put_value(Patcher *self, PatchedFile *file, lua_State *L,
                      const Assignment *assignment) {
  int statement = assignment->statement;
  if (is_merged(file, statement)) {
    const Diff *diff = file->patch.diff;
    uint32_t place =
        (uint32_t)(assignment - assignment_of(diff->new_unit, statement, 0));
    char name[96];
    path_text(&assignment->target, name, sizeof name);
    push_target(file, L, &assignment->target);
    lua_insert(L, -2);
    // stack: …, live, new
    merge_values(
        &(Merge){.patcher = self,
                 .file = file,
                 .line = diff->new_unit->statements[statement].line,
                 .name = name,
                 .old_value =
                     assignment_of(diff->old_unit,
                                   diff->statement_old[statement], place)
                         ->value,
                 .new_value = assignment->value},
        L);
    lua_remove(L, -2);
  }
  assign_target(self, file, L, &assignment->target);
}

// The results of a statement lie from `first` on.
static void put_results(Patcher *self, PatchedFile *file, lua_State *L,
                        int statement, int first) {
  const GraftUnit *unit = file->patch.unit;
  for (uint32_t i = 0; i < unit->statements[statement].assignment_count; i++) {
    lua_pushvalue(L, first + (int)i);
    put_value(self, file, L, assignment_of(unit, statement, i));
  }
}

// A changed `return` gives the module's table new fields.
static void put_module(Patcher *self, PatchedFile *file, lua_State *L,
                       int first) {
  vm_push(self->vm, L, file->patch.script->value_ref);
  if (lua_istable(L, first) && lua_istable(L, -1) &&
      !lua_rawequal(L, first, -1)) {
    int module = lua_gettop(L);
    journal_add_table(self, L, module);
    lua_pushnil(L);
    while (lua_next(L, first)) {
      lua_pushvalue(L, -2);
      lua_insert(L, -2);
      lua_rawset(L, module);
    }
  }
  lua_pop(L, 1);
}

// The target as the new unit binds it; false when its variable is gone.
static bool rebind(const PatchedFile *file, Path *target) {
  if (target->variable < 0) return target->variable == VARIABLE_GLOBAL;
  target->variable = file->patch.diff->variable_new[target->variable];
  return target->variable >= 0;
}

// ---------------------------------------------------------------------------
// Running
// ---------------------------------------------------------------------------

static void note_run(Patcher *self, PatchedFile *file,
                     const Statement *statement) {
  patcher_add_note(self, &(Note){.kind = NOTE_RUN,
                                 .file = file->patch.script->path,
                                 .line = statement->line});
}

// Pushes the closure that the old assignment of a definition left in its
// place, if it is still there.
static bool push_kept(Patcher *self, PatchedFile *file, lua_State *L,
                      int definition) {
  const Diff *diff = file->patch.diff;
  int before = diff->definition_old[definition];
  if (before < 0) return false;
  Path target = diff->old_unit->definitions[before].target;
  if (target.name == NULL || target.computed || !rebind(file, &target)) {
    return false;
  }
  push_target(file, L, &target);
  const void *proto = lua_type(L, -1) == LUA_TFUNCTION ? proto_of(L, -1) : NULL;
  ScriptProto *entry =
      proto != NULL ? script_find_proto(self->vm, proto) : NULL;
  if (entry != NULL && entry->chunk->script == file->patch.script &&
      entry->definition == definition) {
    if (diff->renamed[definition]) {
      lua_pushnil(L);
      assign_target(self, file, L, &target);
    }
    return true;
  }
  lua_pop(L, 1);
  return false;
}

// A statement that only gives a function a name, and whose function is there
// under its old name (P7) or was given it in another way, need not run.
static bool keep_function(Patcher *self, PatchedFile *file, lua_State *L,
                          int statement) {
  const GraftUnit *unit = file->patch.unit;
  const Statement *now = &unit->statements[statement];
  if (now->assignment_count != 1 || now->definition_count == 0) return false;
  const Assignment *assignment = assignment_of(unit, statement, 0);
  if (assignment->in_block || assignment->value < 0 ||
      unit->values[assignment->value].kind != VALUE_FUNCTION ||
      assignment->target.computed) {
    return false;
  }
  int definition = unit->values[assignment->value].definition;
  if (!push_kept(self, file, L, definition)) return false;
  assign_target(self, file, L, &assignment->target);
  return true;
}

static void run_statement(Patcher *self, PatchedFile *file, lua_State *L,
                          int place) {
  int statement = file->patch.diff->run[place];
  const Statement *now = &file->patch.unit->statements[statement];
  Script *script = file->patch.script;
  int top = lua_gettop(L);
  luaL_checkstack(L, 16, "statement");
  if (keep_function(self, file, L, statement)) return;
  vm_push(self->vm, L, file->statements_ref);
  lua_rawgeti(L, -1, place + 1);
  lua_remove(L, -2);
  lua_call(L, 0, 1);
  join_variables(self, file, L, statement);
  journal_globals(self, file, L, now);
  lua_pushstring(L, script->module);
  lua_pushstring(L, script->path);
  int results = (int)now->assignment_count;
  if (results < 1) results = 1;
  self->status = vm_pcall(self->vm, L, 2, results, self->error);
  if (self->status < 0) return;
  if (statement_gives_values(file, statement) ||
      now->kind == STATEMENT_LOCAL_FUNCTION) {
    put_results(self, file, L, statement, top + 1);
  } else if (now->kind == STATEMENT_RETURN) {
    put_module(self, file, L, top + 1);
  }
  note_run(self, file, now);
  lua_settop(L, top);
}

// ---------------------------------------------------------------------------
// What went away
// ---------------------------------------------------------------------------

static bool is_reassigned(const PatchedFile *file, const Path *target) {
  const GraftUnit *unit = file->patch.unit;
  for (int i = 0; i < unit->assignment_count; i++) {
    const Path *other = &unit->assignments[i].target;
    if (other->name == NULL || other->key_count != target->key_count ||
        strcmp(other->name, target->name) != 0) {
      continue;
    }
    bool same = true;
    for (uint32_t k = 0; k < target->key_count; k++) {
      same &= strcmp(other->keys[k], target->keys[k]) == 0;
    }
    if (same) return true;
  }
  return false;
}

// A removed assignment takes its value with it, unless that was changed (S5);
// a removed function leaves the name it was given (P7).
static void remove_assignment(Patcher *self, PatchedFile *file, lua_State *L,
                              const Assignment *gone) {
  const GraftUnit *old = file->patch.diff->old_unit;
  Path target = gone->target;
  if (target.name == NULL || target.computed || gone->in_block ||
      is_reassigned(file, &target) || !rebind(file, &target)) {
    return;
  }
  const Value *value = gone->value >= 0 ? &old->values[gone->value] : NULL;
  push_target(file, L, &target);
  bool remove = value == NULL || value->kind != VALUE_CONSTANT;
  if (value != NULL && value->kind == VALUE_FUNCTION) {
    const void *proto =
        lua_type(L, -1) == LUA_TFUNCTION ? proto_of(L, -1) : NULL;
    ScriptProto *entry =
        proto != NULL ? script_find_proto(self->vm, proto) : NULL;
    // One that lives on under another name is left to `keep_function`.
    remove = entry != NULL && entry->chunk->script == file->patch.script &&
             entry->definition == SCRIPT_NONE;
    if (!remove) {
      lua_pop(L, 1);
      return;
    }
  }
  if (!remove) {
    lua_pushnil(L);
    char name[96];
    path_text(&target, name, sizeof name);
    merge_values(&(Merge){.patcher = self,
                          .file = file,
                          .line = old->statements[gone->statement].line,
                          .name = name,
                          .old_value = gone->value,
                          .new_value = -1},
                 L);
    remove = lua_isnil(L, -1);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  if (!remove) return;
  lua_pushnil(L);
  assign_target(self, file, L, &target);
}

static void remove_statements(Patcher *self, PatchedFile *file, lua_State *L) {
  const Diff *diff = file->patch.diff;
  const GraftUnit *old = diff->old_unit;
  for (int i = 0; i < old->statement_count; i++) {
    int now = diff->statement_new[i];
    bool gone = now < 0;
    bool changed = !gone && diff->statement_changes[now] != STATEMENT_SAME;
    if (!gone && !changed) continue;
    for (uint32_t k = 0; k < old->statements[i].assignment_count; k++) {
      remove_assignment(self, file, L, assignment_of(old, i, k));
    }
  }
}

void statement_run_all(Patcher *self, PatchedFile *file, lua_State *L) {
  remove_statements(self, file, L);
  const Diff *diff = file->patch.diff;
  for (int i = 0; i < diff->run_count && self->status == GRAFT_OK; i++) {
    run_statement(self, file, L, i);
  }
}
