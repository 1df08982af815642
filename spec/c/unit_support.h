// SPDX-License-Identifier: MIT
//
// What the spec programs on units share: compiling text, and a difference as
// text, such as "update m.think, run 4 for 3, remove 9, delete m:helper".

#ifndef GRAFT_SPEC_UNIT_SUPPORT_H
#define GRAFT_SPEC_UNIT_SUPPORT_H

#include "base/buffer.h"
#include "check.h"
#include "patch/diff.h"

static inline GraftUnit *unit_from(const char *source) {
  GraftUnit *unit = NULL;
  GraftError error;
  GraftUnitDesc desc = {.source = source, .module = "m", .file = "m.lua"};
  if (graft_unit_compile(&desc, &unit, &error) < 0) {
    printf("FAIL compile: %d:%d: %s\n%s\n", error.line, error.column,
           error.message, source);
    check_failures++;
  }
  return unit;
}

static inline void add_part(Buffer *text, const char *part) {
  if (text->size > 0) buffer_add_text(text, ", ");
  buffer_add_text(text, part);
}

// What an updated function without a name was called before.
static inline void describe_origin(const Diff *diff, int index, Buffer *text) {
  const Definition *now = &diff->new_unit->definitions[index];
  const Definition *old =
      &diff->old_unit->definitions[diff->definition_old[index]];
  if (now->named || strcmp(now->name, old->name) == 0) return;
  buffer_format(text, " from %s", old->name);
}

static inline void describe_definitions(const Diff *diff, Buffer *text) {
  static const char *const verbs[] = {"", "move", "touch", "update", "add"};
  for (int i = 0; i < diff->new_unit->definition_count; i++) {
    const Definition *definition = &diff->new_unit->definitions[i];
    if (diff->renamed[i]) {
      int old_index = diff->definition_old[i];
      add_part(text, "rename ");
      buffer_add_text(text, diff->old_unit->definitions[old_index].name);
      buffer_add_text(text, " ");
      buffer_add_text(text, definition->name);
    }
    if (diff->changes[i] == CHANGE_SAME) continue;
    add_part(text, verbs[diff->changes[i]]);
    buffer_add_text(text, " ");
    buffer_add_text(text, definition->name);
    if (diff->changes[i] == CHANGE_UPDATED) describe_origin(diff, i, text);
  }
  for (int i = 0; i < diff->deleted_count; i++) {
    add_part(text, "delete ");
    buffer_add_text(text, diff->old_unit->definitions[diff->deleted[i]].name);
  }
}

static inline void describe_statements(const Diff *diff, Buffer *text) {
  for (int i = 0; i < diff->run_count; i++) {
    int index = diff->run[i];
    add_part(text, "run ");
    buffer_format(text, "%d", diff->new_unit->statements[index].line);
    if (diff->statement_changes[index] == STATEMENT_CHANGED) {
      int old_index = diff->statement_old[index];
      buffer_format(text, " for %d",
                    diff->old_unit->statements[old_index].line);
    }
  }
  for (int i = 0; i < diff->removed_count; i++) {
    add_part(text, "remove ");
    buffer_format(text, "%d",
                  diff->old_unit->statements[diff->removed[i]].line);
  }
}

static inline void describe_diff(const Diff *diff, Buffer *text) {
  describe_definitions(diff, text);
  describe_statements(diff, text);
}

#endif
