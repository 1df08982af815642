// SPDX-License-Identifier: MIT

#include <stdio.h>
#include <string.h>

#include "vm/depend.h"
#include "vm/evaluate.h"
#include "vm/patcher_state.h"
#include "vm/place.h"

// How often all scripts are looked at, should they depend on each other.
enum { ROUNDS = 8 };

typedef enum Affected { AFFECTED_NOT, AFFECTED_BELOW, AFFECTED } Affected;

// stack: …, value: whether something below it changed
static Affected is_affected_below(Patcher *self, lua_State *L) {
  return lua_istable(L, -1) && depend_is_marked(self, L, lua_gettop(L))
             ? AFFECTED_BELOW
             : AFFECTED_NOT;
}

// Whether what a path of the script's unit leads to, or passes, has changed.
static Affected is_affected(Patcher *self, Script *script, lua_State *L,
                            const Path *read) {
  if (read->name == NULL || read->variable == VARIABLE_LOCAL) {
    return AFFECTED_NOT;
  }
  int top = lua_gettop(L);
  Path passed = *read;
  Affected affected = AFFECTED_NOT;
  for (uint32_t keys = 0; keys <= read->key_count; keys++) {
    passed.key_count = keys;
    if (!place_push(script, L, &passed)) break;
    if (depend_is_changed(self, L, top + 1)) affected = AFFECTED;
    if (affected == AFFECTED || keys < read->key_count) {
      lua_settop(L, top);
      continue;
    }
    place_get(L, top + 1);
    affected = is_affected_below(self, L);
  }
  lua_settop(L, top);
  return affected;
}

static bool is_module_table(const GraftUnit *unit, const Path *read) {
  if (unit->return_statement < 0 || read->key_count > 0) return false;
  int value = unit->statements[unit->return_statement].value;
  return value >= 0 && unit->values[value].kind == VALUE_NAME &&
         unit->values[value].path.key_count == 0 && read->variable >= 0 &&
         unit->values[value].path.variable == read->variable;
}

static bool is_global_table(const Path *read) {
  return read->key_count == 0 && read->variable == VARIABLE_GLOBAL &&
         strcmp(read->name, "_G") == 0;
}

// The first read that has changed, or NULL. The module's own table and that of
// all globals are passed around for many reasons; a field of them is none.
static const Path *find_affected(Patcher *self, Script *script, lua_State *L,
                                 uint32_t first, uint32_t count) {
  const GraftUnit *unit = script->unit;
  for (uint32_t i = 0; i < count; i++) {
    const Path *read = &unit->reads[first + i];
    Affected affected = is_affected(self, script, L, read);
    if (affected == AFFECTED ||
        (affected == AFFECTED_BELOW && !is_module_table(unit, read) &&
         !is_global_table(read))) {
      return read;
    }
  }
  return NULL;
}

static void note_depends(Patcher *self, Script *script, int line,
                         const Path *target, const char *why,
                         const Path *read) {
  Note note = {.kind = NOTE_DEPENDS, .file = script->path, .line = line};
  char name[96];
  char source[96];
  if (target != NULL) {
    place_text(target, name, sizeof name);
  } else {
    snprintf(name, sizeof name, "(returned table)");
  }
  place_text(read, source, sizeof source);
  snprintf(note.name, sizeof note.name, "%s", script->module);
  snprintf(note.text, sizeof note.text, "%s %s: depends on %s", name, why,
           source);
  patcher_add_note(self, &note);
}

// What an unchanged expression was in the old unit.
static Merge start_merge(Patcher *self, Script *script, int value,
                         int old_value) {
  const PatchedFile *file = script->patch;
  return (Merge){.patcher = self,
                 .script = script,
                 .diff = file != NULL ? file->patch.diff : NULL,
                 .line = script->unit->values[value].line,
                 .old_value = old_value,
                 .new_value = value};
}

// stack: … → …, base, new
static void push_sides(const Merge *merge, lua_State *L) {
  Script *script = merge->script;
  const PatchedFile *file = script->patch;
  Evaluation now = {.script = script, .unit = script->unit};
  Evaluation before = now;
  if (file != NULL) {
    before.unit = file->patch.diff->old_unit;
    before.variables = file->patch.diff->variable_new;
    before.gone_ref = file->old_cells_ref;
  }
  depend_evaluate(merge->patcher, L, &before, merge->old_value, DEPEND_BASE);
  depend_evaluate(merge->patcher, L, &now, merge->new_value, DEPEND_NEW);
}

// The same statement in the old unit.
static const Statement *old_statement(const Script *script, int statement) {
  const PatchedFile *file = script->patch;
  if (file == NULL) return &script->unit->statements[statement];
  int before = file->patch.diff->statement_old[statement];
  return &file->patch.diff->old_unit->statements[before];
}

static const Assignment *old_assignment(const Script *script,
                                        const Assignment *now) {
  const PatchedFile *file = script->patch;
  if (file == NULL) return now;
  const Statement *after = &script->unit->statements[now->statement];
  const Assignment *first = &script->unit->assignments[after->first_assignment];
  const Statement *before = old_statement(script, now->statement);
  return &file->patch.diff->old_unit
              ->assignments[before->first_assignment + (uint32_t)(now - first)];
}

static void follow_value(Patcher *self, Script *script, lua_State *L,
                         const Assignment *assignment) {
  const GraftUnit *unit = script->unit;
  const Value *value = &unit->values[assignment->value];
  const Path *read =
      find_affected(self, script, L, value->first_read, value->read_count);
  if (read == NULL) return;
  int top = lua_gettop(L);
  bool pure = evaluate_is_pure(unit, assignment->value);
  if (value->has_call || value->open) {
    note_depends(self, script, value->line, &assignment->target, "needs a call",
                 read);
  }
  if ((pure || evaluate_constructor(unit, assignment->value) >= 0) &&
      place_push(script, L, &assignment->target)) {
    Merge merge = start_merge(self, script, assignment->value,
                              old_assignment(script, assignment)->value);
    place_text(&assignment->target, merge.name, sizeof merge.name);
    push_sides(&merge, L);
    if (pure && evaluate_is_unknown(L, -1)) {
      note_depends(self, script, value->line, &assignment->target,
                   "cannot be computed any more", read);
    }
    merge_place(&merge, L, top + 1);
  }
  lua_settop(L, top);
}

static void follow_return(Patcher *self, Script *script, lua_State *L,
                          int statement) {
  int value = script->unit->statements[statement].value;
  if (evaluate_constructor(script->unit, value) < 0) return;
  const Value *origin = &script->unit->values[value];
  const Path *read =
      find_affected(self, script, L, origin->first_read, origin->read_count);
  if (read == NULL) return;
  int top = lua_gettop(L);
  if (origin->has_call) {
    note_depends(self, script, origin->line, NULL, "needs a call", read);
  }
  Merge merge =
      start_merge(self, script, value, old_statement(script, statement)->value);
  push_sides(&merge, L);
  vm_push(self->vm, L, script->value_ref);
  // stack: …, base, new, live
  if (lua_istable(L, -1) && lua_istable(L, -2)) {
    merge_tables(&merge, L, top + 1);
  }
  lua_settop(L, top);
}

static bool is_outside(const GraftUnit *unit, const Path *target) {
  if (target->name == NULL) return false;
  if (target->variable < 0) return target->variable == VARIABLE_GLOBAL;
  const Variable *bound = &unit->variables[target->variable];
  return bound->owner < 0 && bound->top;
}

// The first read whose own value has changed, or NULL. A table that was changed
// in place does not count: who was given it has the same one.
static const Path *find_changed(Patcher *self, Script *script, lua_State *L,
                                const Statement *statement) {
  for (uint32_t i = 0; i < statement->read_count; i++) {
    const Path *read = &script->unit->reads[statement->first_read + i];
    if (is_affected(self, script, L, read) == AFFECTED) return read;
  }
  return NULL;
}

// What these do is over once they have returned.
static bool only_looks(const Path *callee) {
  return callee->name != NULL && callee->key_count == 0 &&
         callee->variable == VARIABLE_GLOBAL &&
         (strcmp(callee->name, "print") == 0 ||
          strcmp(callee->name, "assert") == 0);
}

// Calls that were given a value which is another now; the statement does not
// run again (S1), so the user has to know.
static void follow_calls(Patcher *self, Script *script, lua_State *L,
                         const Statement *statement) {
  if (!statement->has_call || only_looks(&statement->callee)) return;
  const Path *read = find_changed(self, script, L, statement);
  if (read == NULL) return;
  Note note = {
      .kind = NOTE_DEPENDS, .file = script->path, .line = statement->line};
  char what[96];
  char source[96];
  if (statement->callee.name != NULL) {
    place_text(&statement->callee, what, sizeof what - 6);
    snprintf(what + strlen(what), 6, "(…)");
  } else {
    bool is_call = statement->kind == STATEMENT_CALL;
    snprintf(what, sizeof what, "%s", is_call ? "a call" : "a block");
  }
  place_text(read, source, sizeof source);
  snprintf(note.name, sizeof note.name, "%s", script->module);
  snprintf(note.text, sizeof note.text, "%s does not run again: depends on %s",
           what, source);
  patcher_add_note(self, &note);
}

// What a block sets cannot be told from its text.
static void follow_block(Patcher *self, Script *script, lua_State *L,
                         const Statement *statement) {
  const GraftUnit *unit = script->unit;
  const Path *target = NULL;
  for (uint32_t i = 0; i < statement->assignment_count && target == NULL; i++) {
    const Path *path =
        &unit->assignments[statement->first_assignment + i].target;
    if (is_outside(unit, path)) target = path;
  }
  if (target == NULL) {
    follow_calls(self, script, L, statement);
    return;
  }
  const Path *read = find_affected(self, script, L, statement->first_read,
                                   statement->read_count);
  if (read == NULL) return;
  note_depends(self, script, statement->line, target, "is set in a block",
               read);
}

static bool is_block(StatementKind kind) {
  return kind == STATEMENT_DO || kind == STATEMENT_WHILE ||
         kind == STATEMENT_IF || kind == STATEMENT_FOR ||
         kind == STATEMENT_REPEAT;
}

void depend_follow(Patcher *self, Script *script, lua_State *L, int statement) {
  const GraftUnit *unit = script->unit;
  const Statement *now = &unit->statements[statement];
  if (self->depend_count == 0) return;
  luaL_checkstack(L, 16, "depend");
  if (now->kind == STATEMENT_RETURN) follow_return(self, script, L, statement);
  if (now->kind == STATEMENT_CALL) follow_calls(self, script, L, now);
  if (is_block(now->kind)) {
    follow_block(self, script, L, now);
    return;
  }
  for (uint32_t i = 0; i < now->assignment_count; i++) {
    const Assignment *assignment =
        &unit->assignments[now->first_assignment + i];
    if (assignment->value < 0 || assignment->target.computed ||
        assignment->target.name == NULL ||
        unit->values[assignment->value].kind == VALUE_FUNCTION) {
      continue;
    }
    follow_value(self, script, L, assignment);
  }
}

static bool is_same(const Script *script, int statement) {
  const PatchedFile *file = script->patch;
  return file == NULL ||
         file->patch.diff->statement_changes[statement] == STATEMENT_SAME;
}

static void follow_script(Patcher *self, Script *script, lua_State *L) {
  if (!script->loaded) return;
  for (int i = 0; i < script->unit->statement_count; i++) {
    if (is_same(script, i)) depend_follow(self, script, L, i);
  }
}

void depend_follow_all(Patcher *self, lua_State *L) {
  int before = -1;
  for (int round = 0; round < ROUNDS && before != self->depend_count; round++) {
    before = self->depend_count;
    if (before == 0) return;
    Script *oldest = self->vm->scripts;
    while (oldest != NULL && oldest->next != NULL) oldest = oldest->next;
    for (Script *script = oldest; script != NULL; script = script->previous) {
      follow_script(self, script, L);
    }
  }
}
