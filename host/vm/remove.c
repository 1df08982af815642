// SPDX-License-Identifier: MIT

#include <string.h>

#include "vm/patcher_state.h"
#include "vm/place.h"
#include "vm/statement.h"

// Whether the new file still gives the name a value.
static bool is_assigned(const PatchedFile *file, const Path *old) {
  const GraftUnit *unit = file->patch.unit;
  for (int i = 0; i < unit->assignment_count; i++) {
    if (statement_same_target(file->patch.diff, old,
                              &unit->assignments[i].target)) {
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
      target.variable == VARIABLE_LOCAL || is_assigned(file, &target)) {
    return;
  }
  if (target.variable >= 0) {
    target.variable = diff->variable_new[target.variable];
    if (target.variable < 0) return;
  }
  int top = lua_gettop(L);
  luaL_checkstack(L, 16, "statement");
  if (place_push(file->patch.script, L, &target)) {
    statement_push_base(self, file, L, gone);
    lua_pushnil(L);
    Merge merge = statement_merge(self, file, gone, NULL);
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
