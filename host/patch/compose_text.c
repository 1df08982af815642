// SPDX-License-Identifier: MIT

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "patch/compose_inner.h"

static void add_range(Compose *self, const GraftUnit *unit, uint32_t start,
                      uint32_t end) {
  buffer_add(&self->text, unit->source + start, end - start);
}

// Parameters and body, as of a function that is no method.
static void add_function(Compose *self, int index, bool name_self) {
  const Definition *definition = &self->origin->definitions[index];
  Placement *placement = ARRAY_PUSH(self->desc->allocator, &self->placements);
  if (placement == NULL) {
    self->text.failed = true;
    return;
  }
  *placement = (Placement){self->text.size, index};
  uint32_t start = definition->parameters_start;
  if (name_self) {
    bool more = definition->parameter_count > 1 || definition->vararg;
    buffer_add_text(&self->text, more ? "(self, " : "(self");
    start++;
  }
  add_range(self, self->origin, start, definition->whole.end);
}

static void note_statement(Compose *self, int statement, int field) {
  StatementPlacement *placement =
      ARRAY_PUSH(self->desc->allocator, &self->statements);
  if (placement == NULL) {
    self->text.failed = true;
    return;
  }
  *placement = (StatementPlacement){self->text.size, statement, field};
}

// A statement of the origin, in which functions that are not kept have the
// code that they have now.
static void add_statement(Compose *self, int index) {
  const GraftUnit *origin = self->origin;
  const Statement *statement = &origin->statements[index];
  uint32_t at = statement->range.start;
  note_statement(self, index, -1);
  int end = statement->first_definition + statement->definition_count;
  for (int i = statement->first_definition; i < end;
       i = origin->definitions[i].subtree_end) {
    const Definition *definition = &origin->definitions[i];
    add_range(self, origin, at, definition->parameters_start);
    at = definition->whole.end;
    const Definition *old = self->partner[i] >= 0
                                ? &self->present->definitions[self->partner[i]]
                                : NULL;
    if (self->function_kept[i] || old == NULL ||
        old->has_self != definition->has_self) {
      add_function(self, i, false);
    } else {
      add_range(self, self->present, old->parameters_start, old->whole.end);
    }
  }
  add_range(self, origin, at, statement->range.end);
}

static void add_path(Compose *self, const Path *target) {
  buffer_add_text(&self->text, target->name);
  for (uint32_t i = 0; i < target->key_count; i++) {
    buffer_format(&self->text, ".%s", target->keys[i]);
  }
  buffer_add_text(&self->text, " = function");
}

static void add_kept(Compose *self, int index) {
  const Definition *definition = &self->present->definitions[index];
  add_path(self, &definition->target);
  add_range(self, self->present, definition->parameters_start,
            definition->whole.end);
}

static void add_edited(Compose *self, const Edit *edit) {
  bool name_self = false;
  switch (edit->kind) {
  case EDIT_STATEMENT:
    add_statement(self, edit->index);
    break;
  case EDIT_FIELD:
    note_statement(self, -1, edit->index);
    add_path(self, &self->origin->definitions[edit->index].target);
    add_function(self, edit->index, false);
    break;
  case EDIT_KEPT:
    add_kept(self, edit->index);
    break;
  case EDIT_FUNCTION:
    name_self =
        self->origin->definitions[edit->index].has_self &&
        !self->present->definitions[self->partner[edit->index]].has_self;
    add_function(self, edit->index, name_self);
    break;
  case EDIT_DOT:
    buffer_add_text(&self->text, ".");
    break;
  }
}

// On lines of its own at the end of the file, or in front of what follows. A
// parenthesis that follows must not make a call of it.
static void add_inserted(Compose *self, const Edit *edit) {
  const GraftUnit *present = self->present;
  size_t size = self->text.size;
  bool at_end = edit->range.start == present->size;
  if (at_end && size > 0 && buffer_text(&self->text)[size - 1] != '\n') {
    buffer_add_text(&self->text, "\n");
  }
  add_edited(self, edit);
  bool paren = !at_end && present->source[edit->range.start] == '(';
  buffer_add_text(&self->text, paren ? ";\n" : "\n");
}

static int compare_edits(const void *left, const void *right) {
  const Edit *a = left;
  const Edit *b = right;
  if (a->range.start != b->range.start) {
    return a->range.start < b->range.start ? -1 : 1;
  }
  bool a_inserts = range_size(a->range) == 0;
  bool b_inserts = range_size(b->range) == 0;
  if (a_inserts != b_inserts) return a_inserts ? -1 : 1;
  return a->sequence - b->sequence;
}

void compose_text(Compose *self) {
  size_t count = self->edits.count;
  if (count > 1) {
    qsort(self->edits.items, count, sizeof(Edit), compare_edits);
  }
  uint32_t at = 0;
  for (size_t i = 0; i < count; i++) {
    const Edit *edit = &self->edits.items[i];
    add_range(self, self->present, at, edit->range.start);
    at = edit->range.end;
    if (range_size(edit->range) == 0) {
      add_inserted(self, edit);
    } else {
      add_edited(self, edit);
    }
  }
  add_range(self, self->present, at, (uint32_t)self->present->size);
}

// ---------------------------------------------------------------------------
// Looking again
// ---------------------------------------------------------------------------

// The definition whose parameters begin there, or NULL.
static const Definition *definition_at(const GraftUnit *unit, size_t offset) {
  int low = 0;
  int high = unit->definition_count;
  while (low < high) {
    int middle = low + (high - low) / 2;
    if (unit->definitions[middle].parameters_start < offset) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low < unit->definition_count &&
                 unit->definitions[low].parameters_start == offset
             ? &unit->definitions[low]
             : NULL;
}

static bool captures_local(const Definition *definition, const char *name) {
  for (uint32_t i = 0; i < definition->capture_count; i++) {
    if (definition->captures[i].variable >= 0 &&
        strcmp(definition->captures[i].name, name) == 0) {
      return true;
    }
  }
  return false;
}

static GraftStatus fail_local(Compose *self, const char *user, const char *name,
                              int line, int column) {
  error_set(self->error, GRAFT_ENOTFOUND,
            "%s uses the local '%s', which neither %s nor what the unit keeps "
            "declares before it",
            user, name, self->present->file);
  return error_at(self->error, self->origin->file, line, column);
}

static GraftStatus check_captures(Compose *self, const Definition *now,
                                  const Definition *composed) {
  for (uint32_t i = 0; i < now->capture_count; i++) {
    const Capture *capture = &now->captures[i];
    if (capture->variable < 0 || captures_local(composed, capture->name)) {
      continue;
    }
    return fail_local(self, now->name, capture->name, now->line, now->column);
  }
  return GRAFT_OK;
}

// The statement that begins there, or NULL.
static const Statement *statement_at(const GraftUnit *unit, size_t offset) {
  int low = 0;
  int high = unit->statement_count;
  while (low < high) {
    int middle = low + (high - low) / 2;
    if (unit->statements[middle].range.start < offset) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low < unit->statement_count &&
                 unit->statements[low].range.start == offset
             ? &unit->statements[low]
             : NULL;
}

static bool is_lost(const Path *before, const Path *after) {
  return before->name != NULL && before->variable >= 0 && after->variable < 0;
}

// What a statement reads and assigns, in the order of its tokens, which are the
// same on both sides.
static const Path *find_lost(const Compose *self, const GraftUnit *unit,
                             const Statement *now, const Statement *composed) {
  const GraftUnit *origin = self->origin;
  for (uint32_t i = 0; i < now->read_count; i++) {
    const Path *path = &origin->reads[now->first_read + i];
    if (is_lost(path, &unit->reads[composed->first_read + i])) return path;
  }
  for (uint32_t i = 0; i < now->assignment_count; i++) {
    const Path *path = &origin->assignments[now->first_assignment + i].target;
    if (is_lost(path,
                &unit->assignments[composed->first_assignment + i].target)) {
      return path;
    }
  }
  return NULL;
}

static GraftStatus check_field(Compose *self, const GraftUnit *unit,
                               const Statement *composed, int field) {
  const Definition *now = &self->origin->definitions[field];
  if (composed->assignment_count != 1 ||
      !is_lost(&now->target,
               &unit->assignments[composed->first_assignment].target)) {
    return GRAFT_OK;
  }
  return fail_local(self, now->name, now->target.name, now->line, now->column);
}

static GraftStatus check_statement(Compose *self, const GraftUnit *unit,
                                   const StatementPlacement *placement,
                                   bool *whole) {
  const Statement *composed = statement_at(unit, placement->offset);
  *whole = composed != NULL;
  if (composed == NULL) return GRAFT_OK;
  if (placement->statement < 0) {
    return check_field(self, unit, composed, placement->field);
  }
  const Statement *now = &self->origin->statements[placement->statement];
  *whole = composed->read_count == now->read_count &&
           composed->assignment_count == now->assignment_count;
  const Path *lost = *whole ? find_lost(self, unit, now, composed) : NULL;
  if (lost == NULL) return GRAFT_OK;
  return fail_local(self, "a statement", lost->name, now->line, now->column);
}

// Whether a definition of the result has the parameters and body of one of
// the origin. (A bound `self` is named in what was a method's.)
static bool is_same_code(const Definition *composed, const Definition *now) {
  return composed != NULL &&
         composed->parameter_count == now->parameter_count &&
         composed->vararg == now->vararg &&
         (composed->has_self != now->has_self ||
          composed->whole.end - composed->parameters_start ==
              now->whole.end - now->parameters_start);
}

static GraftStatus check_function(Compose *self, const GraftUnit *unit,
                                  const Placement *placement, bool *whole) {
  const Definition *now = &self->origin->definitions[placement->definition];
  const Definition *composed = definition_at(unit, placement->offset);
  *whole = is_same_code(composed, now);
  return *whole ? check_captures(self, now, composed) : GRAFT_OK;
}

GraftStatus compose_check(Compose *self, const GraftUnit *unit) {
  bool whole =
      unit->statement_count == self->present->statement_count + self->inserted;
  GraftStatus status = GRAFT_OK;
  for (size_t i = 0; i < self->placements.count && whole; i++) {
    status = check_function(self, unit, &self->placements.items[i], &whole);
    if (status < 0) return status;
  }
  for (size_t i = 0; i < self->statements.count && whole; i++) {
    status = check_statement(self, unit, &self->statements.items[i], &whole);
    if (status < 0) return status;
  }
  if (whole) return GRAFT_OK;
  return error_set(self->error, GRAFT_ESYNTAX,
                   "the unit of %s cannot be put into %s piece by piece",
                   self->origin->file, self->present->file);
}
