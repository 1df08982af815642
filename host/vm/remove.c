// SPDX-License-Identifier: MIT

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

// The function of a removed assignment leaves its name (P7), any other value
// leaves when it is what the source gave (S5).
static void remove_value(Patcher *self, PatchedFile *file, lua_State *L,
                         const Assignment *gone) {
  const Diff *diff = file->patch.diff;
  Path target = gone->target;
  if (target.name == NULL || target.computed || gone->in_block ||
      target.variable == VARIABLE_LOCAL || is_given_below(file, gone)) {
    return;
  }
  // Another assignment may be left, which then counts; one that runs merges.
  const Assignment *left = statement_find_last(file, &target);
  if (left != NULL &&
      (left->in_block || left->result > 0 ||
       diff->statement_changes[left->statement] != STATEMENT_SAME)) {
    return;
  }
  if (target.variable >= 0) {
    target.variable = diff->variable_new[target.variable];
    if (target.variable < 0) return;
  }
  int top = lua_gettop(L);
  luaL_checkstack(L, 16, "statement");
  if (place_push(file->patch.script, L, &target)) {
    statement_push_base(self, file, L, gone, top + 1);
    evaluate_push(
        &(Evaluation){.script = file->patch.script, .unit = diff->new_unit}, L,
        left != NULL ? left->value : -1);
    Merge merge = statement_merge(self, file, gone, left);
    merge_place(&merge, L, top + 1);
  }
  lua_settop(L, top);
}

void statement_remove_values(Patcher *self, PatchedFile *file, lua_State *L) {
  const Diff *diff = file->patch.diff;
  const GraftUnit *old = diff->old_unit;
  for (int i = 0; i < old->statement_count; i++) {
    int now = diff->statement_new[i];
    if (now >= 0 && diff->statement_changes[now] == STATEMENT_SAME) continue;
    const Statement *statement = &old->statements[i];
    for (uint32_t k = 0; k < statement->assignment_count; k++) {
      remove_value(self, file, L,
                   &old->assignments[statement->first_assignment + k]);
    }
  }
}
