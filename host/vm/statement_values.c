// SPDX-License-Identifier: MIT

#include "vm/statement.h"

#include <string.h>

#include "vm/depend.h"
#include "vm/evaluate.h"
#include "vm/given.h"
#include "vm/patcher_state.h"
#include "vm/place.h"

// ---------------------------------------------------------------------------
// What a statement is
// ---------------------------------------------------------------------------

const Assignment *statement_assignment(const GraftUnit *unit, int statement,
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
    if (now->variable < 0 ||
        diff->variable_new[old->variable] != now->variable) {
      return false;
    }
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
        statement_assignment(diff->old_unit, old_statement, i - 1);
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
    const Assignment *assignment = statement_assignment(unit, statement, i);
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
         is_plain_global(&statement_assignment(unit, statement, 0)->target);
}

// ---------------------------------------------------------------------------
// Putting values where they belong
// ---------------------------------------------------------------------------

void statement_push_base(Patcher *self, const PatchedFile *file, lua_State *L,
                         const Assignment *old, int object) {
  const Diff *diff = file->patch.diff;
  if (object != 0 && old->value >= 0 &&
      diff->old_unit->values[old->value].has_call &&
      evaluate_constructor(diff->old_unit, old->value) < 0) {
    given_push(L, object);
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
    statement_push_base(self, file, L, old, value + 1);
    lua_pushvalue(L, value);
    depend_add(self, L, value + 1);
  } else if (old != NULL) {
    statement_push_base(self, file, L, old, value + 1);
    lua_pushvalue(L, value);
    Merge merge = statement_merge(self, file, old, now);
    merge_place(&merge, L, value + 1);
  } else {
    lua_pushvalue(L, value);
    place_set(self, L, value + 1);
  }
  lua_settop(L, value + 2);
  if (now->value >= 0 && file->patch.unit->values[now->value].has_call) {
    lua_pushvalue(L, value);
    given_set(self, L, value + 1);
  }
  lua_settop(L, value - 1);
}

// The results of a statement lie from `first` on.
void statement_put_results(Patcher *self, PatchedFile *file, lua_State *L,
                           int statement, int first) {
  const GraftUnit *unit = file->patch.unit;
  for (uint32_t i = 0; i < unit->statements[statement].assignment_count; i++) {
    lua_pushvalue(L, first + (int)i);
    put_value(self, file, L, statement_assignment(unit, statement, i));
  }
}

void statement_note_given(Patcher *self, PatchedFile *file, lua_State *L,
                          int statement) {
  const GraftUnit *unit = file->patch.unit;
  int top = lua_gettop(L);
  for (uint32_t i = 0; i < unit->statements[statement].assignment_count; i++) {
    const Assignment *assignment = statement_assignment(unit, statement, i);
    if (assignment->in_block || assignment->value < 0 ||
        assignment->target.name == NULL || assignment->target.computed ||
        !unit->values[assignment->value].has_call) {
      continue;
    }
    if (place_push(file->patch.script, L, &assignment->target)) {
      place_get(L, top + 1);
      given_set(self, L, top + 1);
    }
    lua_settop(L, top);
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

// A file that had lost its `return`, because it was empty or missing for a
// while, goes on with that table, too, so that what its variable gets later
// arrives.
static void keep_table(Patcher *self, PatchedFile *file, lua_State *L,
                       int value) {
  const GraftUnit *unit = file->patch.unit;
  if (value < 0 || unit->values[value].kind != VALUE_NAME ||
      unit->values[value].path.key_count > 0 ||
      unit->values[value].path.variable < 0) {
    return;
  }
  int module = lua_gettop(L);
  if (place_push(file->patch.script, L, &unit->values[value].path)) {
    lua_pushvalue(L, module);
    place_set(self, L, module + 1);
  }
  lua_settop(L, module);
}

// What a changed `return` gives is the module's table, which stays the same.
void statement_put_module(Patcher *self, PatchedFile *file, lua_State *L,
                          int statement, int result) {
  const Diff *diff = file->patch.diff;
  int before = diff->statement_old[statement];
  int old_value = before >= 0 ? diff->old_unit->statements[before].value : -1;
  int new_value = diff->new_unit->statements[statement].value;
  int top = lua_gettop(L);
  statement_push_base(self, file, L, &(Assignment){.value = old_value}, 0);
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
      if (before < 0) keep_table(self, file, L, new_value);
    }
  }
  lua_settop(L, top);
}
