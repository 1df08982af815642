// SPDX-License-Identifier: MIT

#include "vm/statement.h"

#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
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
// What a statement is
// ---------------------------------------------------------------------------

static const Assignment *assignment_of(const GraftUnit *unit, int statement,
                                       uint32_t place) {
  return &unit->assignments[unit->statements[statement].first_assignment +
                            place];
}

bool statement_same_target(const Diff *diff, const Path *old, const Path *now) {
  if (old->name == NULL || now->name == NULL || old->computed ||
      now->computed || old->key_count != now->key_count) {
    return false;
  }
  if (old->variable >= 0) {
    if (diff->variable_new[old->variable] != now->variable) return false;
  } else if (old->variable != now->variable ||
             strcmp(old->name, now->name) != 0) {
    return false;
  }
  for (uint32_t k = 0; k < now->key_count; k++) {
    if (strcmp(old->keys[k], now->keys[k]) != 0) return false;
  }
  return true;
}

static const Assignment *find_target(const Diff *diff, int old_statement,
                                     const Assignment *now) {
  const Statement *old = &diff->old_unit->statements[old_statement];
  for (uint32_t i = old->assignment_count; i > 0; i--) {
    const Assignment *assignment =
        assignment_of(diff->old_unit, old_statement, i - 1);
    if (!assignment->in_block &&
        statement_same_target(diff, &assignment->target, &now->target)) {
      return assignment;
    }
  }
  return NULL;
}

const Assignment *statement_origin(const PatchedFile *file,
                                   const Assignment *now) {
  const Diff *diff = file->patch.diff;
  int paired = diff->statement_old[now->statement];
  const Assignment *found = paired >= 0 ? find_target(diff, paired, now) : NULL;
  for (int i = diff->old_unit->statement_count - 1; i >= 0 && found == NULL;
       i--) {
    int after = diff->statement_new[i];
    if (after < 0 || diff->statement_changes[after] != STATEMENT_SAME) {
      found = find_target(diff, i, now);
    }
  }
  return found;
}

const Assignment *statement_find_last(const PatchedFile *file,
                                      const Path *old) {
  const GraftUnit *unit = file->patch.unit;
  for (int i = unit->assignment_count - 1; i >= 0; i--) {
    if (statement_same_target(file->patch.diff, old,
                              &unit->assignments[i].target)) {
      return &unit->assignments[i];
    }
  }
  return NULL;
}

// Whether an unchanged statement below gives the name its value.
static bool is_given_below(const PatchedFile *file, const Assignment *old) {
  const Assignment *last = statement_find_last(file, &old->target);
  return last != NULL && !last->in_block &&
         file->patch.diff->statement_changes[last->statement] == STATEMENT_SAME;
}

static bool is_plain_global(const Path *target) {
  return target->name != NULL && !target->computed && target->key_count == 0 &&
         target->variable == VARIABLE_GLOBAL;
}

// Globals are assigned from C, as main chunks do: a strict global table lets
// both declare new ones, and no function.
bool statement_gives_values(const PatchedFile *file, int statement) {
  const GraftUnit *unit = file->patch.unit;
  const Statement *now = &unit->statements[statement];
  if (now->kind == STATEMENT_LOCAL) return true;
  if (now->kind != STATEMENT_ASSIGNMENT) return false;
  bool origin = false;
  bool global = true;
  for (uint32_t i = 0; i < now->assignment_count; i++) {
    const Assignment *assignment = assignment_of(unit, statement, i);
    const Path *target = &assignment->target;
    if (target->name == NULL || target->computed) return false;
    if (statement_origin(file, assignment) != NULL) origin = true;
    if (!is_plain_global(target)) global = false;
  }
  return origin || global;
}

bool statement_gives_function(const GraftUnit *unit, int statement) {
  const Statement *now = &unit->statements[statement];
  if (now->kind == STATEMENT_LOCAL_FUNCTION) return true;
  return now->kind == STATEMENT_FUNCTION && now->assignment_count == 1 &&
         is_plain_global(&assignment_of(unit, statement, 0)->target);
}

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
    int value = assignment_of(unit, statement, i)->value;
    if (value < 0 || unit->values[value].kind != VALUE_FUNCTION) return false;
  }
  return now->assignment_count > 0;
}

static bool is_pure(const GraftUnit *unit, int statement) {
  for (uint32_t i = 0; i < unit->statements[statement].assignment_count; i++) {
    int value = assignment_of(unit, statement, i)->value;
    if (!evaluate_is_pure(unit, value)) return false;
  }
  return true;
}

// ---------------------------------------------------------------------------
// Putting values where they belong
// ---------------------------------------------------------------------------

void statement_push_base(Patcher *self, const PatchedFile *file, lua_State *L,
                         const Assignment *old) {
  const Diff *diff = file->patch.diff;
  if (old->value >= 0 && old->result > 0) {
    evaluate_push_unknown(L);
    return;
  }
  depend_evaluate(self, L,
                  &(Evaluation){.script = file->patch.script,
                                .unit = diff->old_unit,
                                .variables = diff->variable_new,
                                .gone_ref = file->old_cells_ref},
                  old->value, DEPEND_BASE);
}

Merge statement_merge(Patcher *self, const PatchedFile *file,
                      const Assignment *old, const Assignment *now) {
  const Diff *diff = file->patch.diff;
  Merge merge = {.patcher = self,
                 .script = file->patch.script,
                 .diff = diff,
                 .old_value = old != NULL ? old->value : -1,
                 .new_value = now != NULL ? now->value : -1};
  if (now != NULL) {
    merge.line = diff->new_unit->statements[now->statement].line;
    place_text(&now->target, merge.name, sizeof merge.name);
  } else {
    merge.line = diff->old_unit->statements[old->statement].line;
    place_text(&old->target, merge.name, sizeof merge.name);
  }
  return merge;
}

// A constant that has no variable in the VM, only in what is computed from it.
static bool is_compiled_away(const GraftUnit *unit, const Path *target) {
  return target->variable >= 0 && target->key_count == 0 &&
         unit->variables[target->variable].attribute == ATTRIBUTE_CONSTANT;
}

// stack: …, value → …
static void put_value(Patcher *self, PatchedFile *file, lua_State *L,
                      const Assignment *now) {
  int value = lua_gettop(L);
  const Assignment *old = statement_origin(file, now);
  if (old == NULL && now->declares && now->value < 0) {
    lua_pop(L, 1); // is nil, or a function that was put there first
    return;
  }
  if (old != NULL && is_given_below(file, old)) {
    lua_pop(L, 1);
    return;
  }
  if (!place_push(file->patch.script, L, &now->target)) {
    luaL_error(L, "%s:%d: nothing holds '%s'", file->patch.script->path,
               file->patch.unit->statements[now->statement].line,
               now->target.name);
  }
  if (old != NULL && is_compiled_away(file->patch.unit, &now->target)) {
    statement_push_base(self, file, L, old);
    lua_pushvalue(L, value);
    depend_add(self, L, value + 1);
  } else if (old != NULL) {
    statement_push_base(self, file, L, old);
    lua_pushvalue(L, value);
    Merge merge = statement_merge(self, file, old, now);
    merge_place(&merge, L, value + 1);
  } else {
    lua_pushvalue(L, value);
    place_set(self, L, value + 1);
  }
  lua_settop(L, value - 1);
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

// Another table is returned than before: the one that the other files have
// gets its fields.
static void add_fields(Patcher *self, lua_State *L, int from, int module) {
  journal_add_table(self, L, module);
  lua_pushnil(L);
  while (lua_next(L, from)) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, module);
  }
}

// What a changed `return` gives is the module's table, which stays the same.
static void put_module(Patcher *self, PatchedFile *file, lua_State *L,
                       int statement, int result) {
  const Diff *diff = file->patch.diff;
  int before = diff->statement_old[statement];
  int old_value = before >= 0 ? diff->old_unit->statements[before].value : -1;
  int new_value = diff->new_unit->statements[statement].value;
  int top = lua_gettop(L);
  statement_push_base(self, file, L,
                      &(Assignment){.value = old_value, .result = 0});
  lua_pushvalue(L, result);
  vm_push(self->vm, L, file->patch.script->value_ref);
  // stack: base, new, live
  if (lua_istable(L, -1) && lua_istable(L, -2) && !lua_rawequal(L, -1, -2)) {
    if (evaluate_constructor(diff->old_unit, old_value) >= 0 &&
        evaluate_constructor(diff->new_unit, new_value) >= 0) {
      Merge merge = {.patcher = self,
                     .script = file->patch.script,
                     .diff = diff,
                     .line = diff->new_unit->statements[statement].line,
                     .old_value = old_value,
                     .new_value = new_value};
      merge_tables(&merge, L, top + 1);
    } else {
      add_fields(self, L, result, top + 3);
    }
  }
  lua_settop(L, top);
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
  const Assignment *assignment = assignment_of(unit, statement, 0);
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
  if (pure) depend_begin(self, L, DEPEND_NEW);
  self->status =
      vm_pcall(self->vm, L, 2, results < 1 ? 1 : results, self->error);
  if (pure) depend_end(self, L);
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
    put_results(self, file, L, statement, top + 1);
  } else if (now->kind == STATEMENT_RETURN) {
    put_module(self, file, L, statement, top + 1);
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
    const Path *target = &assignment_of(unit, statement, i)->target;
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
  const Path *path = &assignment_of(unit, diff->run[place], 0)->target;
  for (int i = 0; i < place; i++) {
    if (is_function(unit, diff->run[i])) continue;
    const Statement *above = &unit->statements[diff->run[i]];
    for (uint32_t k = 0; k < above->assignment_count; k++) {
      const Assignment *given = assignment_of(unit, diff->run[i], k);
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

// ---------------------------------------------------------------------------
// What is not undone
// ---------------------------------------------------------------------------

static void add_call(Buffer *text, const PatchedFile *file,
                     const Statement *statement) {
  if (text->size > 0) buffer_add_text(text, ", ");
  if (statement->kind == STATEMENT_CALL && statement->callee.name != NULL) {
    char name[96];
    place_text(&statement->callee, name, sizeof name);
    buffer_format(text, "%s at ", name);
  }
  buffer_format(text, "%s:%d", file->patch.script->path, statement->line);
}

// Puts the list behind the first line of the message, before the traceback.
static void add_to_message(GraftError *error, const char *calls) {
  char message[sizeof error->message];
  size_t first = strcspn(error->message, "\n");
  snprintf(message, sizeof message, "%.*s\n(not undone: calls of %.400s)%s",
           (int)(first < 500 ? first : 500), error->message, calls,
           error->message + first);
  memcpy(error->message, message, sizeof message);
}

// Assignments are undone, but not what functions did that were called (T2).
static void list_calls(Patcher *self) {
  Buffer text;
  buffer_init(&text, &self->vm->allocator);
  for (size_t i = 0; i < self->files.count; i++) {
    const PatchedFile *file = self->files.items[i];
    const Diff *diff = file->patch.diff;
    for (int k = 0; k < diff->run_count; k++) {
      const Statement *statement = &diff->new_unit->statements[diff->run[k]];
      if (file->ran[k] && statement->has_call) {
        add_call(&text, file, statement);
      }
    }
  }
  if (text.size > 0 && self->error != NULL) {
    add_to_message(self->error, buffer_text(&text));
  }
  buffer_clear(&text);
}

void statement_run_all(Patcher *self, lua_State *L) {
  run_phase(self, L, run_gone_cleanups);
  run_phase(self, L, statement_remove_values);
  run_phase(self, L, run_functions);
  run_phase(self, L, run_others);
  if (self->status == GRAFT_OK) {
    depend_follow_all(self, L);
  } else {
    list_calls(self);
  }
}
