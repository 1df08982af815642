// SPDX-License-Identifier: MIT

#include "vm/patcher_state.h"

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
