// SPDX-License-Identifier: MIT

#include <string.h>

#include "vm/depend.h"
#include "vm/evaluate.h"
#include "vm/patcher_state.h"
#include "vm/place.h"
#include "vm/statement.h"

// Whether a later statement gave the name another value.
static bool is_given_below(const PatchedFile *file, const Assignment *gone) {
  const GraftUnit *unit = file->patch.diff->old_unit;
  for (int i = (int)(gone - unit->assignments) + 1; i < unit->assignment_count;
       i++) {
    const Assignment *other = &unit->assignments[i];
    if (!other->in_block && path_equal(&other->target, &gone->target)) {
      return true;
    }
  }
  return false;
}

static const Path *returned_name(const GraftUnit *unit) {
  if (unit->return_statement < 0) return NULL;
  int value = unit->statements[unit->return_statement].value;
  if (value < 0 || unit->values[value].kind != VALUE_NAME) return NULL;
  const Path *path = &unit->values[value].path;
  return path->key_count == 0 && path->variable >= 0 ? path : NULL;
}

static bool has_field(const GraftUnit *unit, int value, const char *name) {
  int table = evaluate_constructor(unit, value);
  if (table < 0) return true; // who knows
  for (int i = unit->values[table].first_field; i >= 0;
       i = unit->fields[i].next) {
    const Field *field = &unit->fields[i];
    if (field->kind == FIELD_COMPUTED) return true;
    if (field->kind == FIELD_NAME && strcmp(field->name, name) == 0) {
      return true;
    }
  }
  return false;
}

// Whether the file gives its table the same field under another name of the
// table, which then merges.
static bool is_given_by_module(const PatchedFile *file, const Path *gone) {
  const GraftUnit *unit = file->patch.unit;
  if (unit->return_statement < 0) return false;
  if (gone->key_count == 0) return true;
  const Path *now = returned_name(unit);
  if (now == NULL) {
    int value = unit->statements[unit->return_statement].value;
    return has_field(unit, value, gone->keys[0]);
  }
  Path path = *gone;
  path.name = now->name;
  path.variable = now->variable;
  for (int i = 0; i < unit->assignment_count; i++) {
    if (path_equal(&unit->assignments[i].target, &path)) return true;
  }
  return false;
}

typedef enum Removal {
  REMOVAL_NONE,   // the variable has gone with its declaration
  REMOVAL_VALUE,  // of the place
  REMOVAL_FIELDS, // of the table that is there
} Removal;

// The module's table is in others' hands when its variable has gone, and what
// the source gave it is to leave it. Other tables are left to who holds them.
static Removal removal_of(const PatchedFile *file, const Path *target) {
  const Diff *diff = file->patch.diff;
  if (target->variable < 0 || diff->variable_new[target->variable] >= 0) {
    return REMOVAL_VALUE;
  }
  const Path *module = returned_name(diff->old_unit);
  if (module == NULL || module->variable != target->variable ||
      is_given_by_module(file, target)) {
    return REMOVAL_NONE;
  }
  return target->key_count > 0 ? REMOVAL_VALUE : REMOVAL_FIELDS;
}

// The function of a removed assignment leaves its name (P7), any other value
// leaves when it is what the source gave (S5).
static void remove_value(Patcher *self, PatchedFile *file, lua_State *L,
                         const Assignment *gone) {
  const Diff *diff = file->patch.diff;
  const Path *target = &gone->target;
  if (target->name == NULL || target->computed || gone->in_block ||
      target->variable == VARIABLE_LOCAL || is_given_below(file, gone)) {
    return;
  }
  Removal removal = removal_of(file, target);
  if (removal == REMOVAL_NONE) return;
  // Another assignment may be left, which then counts; one that runs merges.
  const Assignment *left = statement_find_last(file, target);
  if (left != NULL &&
      (left->in_block || left->result > 0 ||
       diff->statement_changes[left->statement] != STATEMENT_SAME)) {
    return;
  }
  int top = lua_gettop(L);
  luaL_checkstack(L, 16, "statement");
  Evaluation before = {.script = file->patch.script,
                       .unit = diff->old_unit,
                       .variables = diff->variable_new,
                       .gone_ref = file->old_cells_ref};
  if (depend_push_place(&before, L, target)) {
    statement_push_base(self, file, L, gone, top + 1);
    Evaluation now = {.script = file->patch.script, .unit = diff->new_unit};
    if (removal == REMOVAL_FIELDS) {
      lua_newtable(L);
    } else {
      evaluate_push(&now, L, left != NULL ? left->value : -1);
    }
    Merge merge = statement_merge(self, file, gone, left);
    merge_place(&merge, L, top + 1);
  }
  lua_settop(L, top);
}

static void turn_notes(Patcher *self, size_t first) {
  for (size_t last = self->notes.count; first + 1 < last; first++) {
    Note note = self->notes.items[first];
    self->notes.items[first] = self->notes.items[--last];
    self->notes.items[last] = note;
  }
}

// From below, so that a table is what its own statement gave when its turn
// comes. It is told from above.
void statement_remove_values(Patcher *self, PatchedFile *file, lua_State *L) {
  const Diff *diff = file->patch.diff;
  const GraftUnit *old = diff->old_unit;
  size_t told = self->notes.count;
  for (int i = old->statement_count - 1; i >= 0; i--) {
    int now = diff->statement_new[i];
    if (now >= 0 && diff->statement_changes[now] == STATEMENT_SAME) continue;
    const Statement *statement = &old->statements[i];
    for (uint32_t k = statement->assignment_count; k > 0; k--) {
      remove_value(self, file, L,
                   &old->assignments[statement->first_assignment + k - 1]);
    }
  }
  turn_notes(self, told);
}
