// SPDX-License-Identifier: MIT

#include "patch/compose.h"

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/map.h"

typedef enum EditKind {
  EDIT_STATEMENT, // a statement of the origin, for one of the present or new
  EDIT_FIELD,     // `path = function`, for a function of a table constructor
  EDIT_KEPT,      // the same for one of the present source that is kept
  EDIT_FUNCTION,  // parameters and body
  EDIT_DOT,       // a method's `:`, for a function that is none any more
} EditKind;

// What takes the place of a range of the present source; where the range is
// empty, what is put there.
typedef struct Edit {
  Range range;
  EditKind kind;
  int index; // into the statements or definitions it is about
  int sequence;
} Edit;

// Code of the origin in the composed text.
typedef struct Placement {
  size_t offset;  // of the "(" before the parameters
  int definition; // of the origin
} Placement;

typedef struct Compose {
  const ComposeDesc *desc;
  const GraftUnit *present;
  const GraftUnit *origin;
  Diff *diff; // from `present` to `origin`
  // By the origin's definitions, for those directly in the file.
  bool *function_kept;
  int *partner; // in `present`, or -1
  // By the origin's statements.
  bool *statement_kept;
  bool *rendered; // stands in the composed text as a whole
  int *place;     // the present statement to be put before
  bool *replaced; // by present statement
  bool *covered;  // by present definition: has its place in the result
  int inserted;   // statements
  int sequence;
  ARRAY(Edit) edits;
  ARRAY(Placement) placements;
  Buffer text;
  GraftError *error;
} Compose;

static void clear(Compose *self) {
  const GraftAllocator *allocator = self->desc->allocator;
  diff_free(self->diff);
  memory_free(allocator, self->function_kept);
  memory_free(allocator, self->partner);
  memory_free(allocator, self->statement_kept);
  memory_free(allocator, self->rendered);
  memory_free(allocator, self->place);
  memory_free(allocator, self->replaced);
  memory_free(allocator, self->covered);
  memory_free(allocator, self->edits.items);
  memory_free(allocator, self->placements.items);
  buffer_clear(&self->text);
}

static bool allocate(Compose *self) {
  const GraftAllocator *allocator = self->desc->allocator;
  size_t functions = (size_t)self->origin->definition_count + 1;
  size_t statements = (size_t)self->origin->statement_count + 1;
  size_t olds = (size_t)self->present->statement_count + 1;
  size_t definitions = (size_t)self->present->definition_count + 1;
  self->diff = diff_new(allocator, self->present, self->origin);
  self->function_kept = memory_new(allocator, functions * sizeof(bool));
  self->partner = memory_new(allocator, functions * sizeof(int));
  self->statement_kept = memory_new(allocator, statements * sizeof(bool));
  self->rendered = memory_new(allocator, statements * sizeof(bool));
  self->place = memory_new(allocator, statements * sizeof(int));
  self->replaced = memory_new(allocator, olds * sizeof(bool));
  self->covered = memory_new(allocator, definitions * sizeof(bool));
  return self->diff != NULL && self->function_kept != NULL &&
         self->partner != NULL && self->statement_kept != NULL &&
         self->rendered != NULL && self->place != NULL &&
         self->replaced != NULL && self->covered != NULL;
}

// ---------------------------------------------------------------------------
// What is kept, and what it goes with
// ---------------------------------------------------------------------------

static void mark_kept(Compose *self) {
  const GraftUnit *merged = self->desc->merged;
  for (size_t i = 0; i < merged->kept_functions.count; i++) {
    UnitRef ref = merged->kept_functions.items[i];
    if (ref.origin == self->origin) self->function_kept[ref.index] = true;
  }
  for (size_t i = 0; i < merged->kept_statements.count; i++) {
    UnitRef ref = merged->kept_statements.items[i];
    if (ref.origin == self->origin) self->statement_kept[ref.index] = true;
  }
}

// The function that is all a statement gives a name to, or -1. Such a
// statement counts as the function, not as something that runs.
static int defined_by(const GraftUnit *unit, int index) {
  const Statement *statement = &unit->statements[index];
  if (statement->assignment_count != 1) return -1;
  const Assignment *assignment =
      &unit->assignments[statement->first_assignment];
  if (assignment->in_block || assignment->value < 0) return -1;
  const Value *value = &unit->values[assignment->value];
  return value->kind == VALUE_FUNCTION ? value->definition : -1;
}

// Functions with a name of their own go by that; others as the difference
// pairs them.
static bool find_partners(Compose *self) {
  const GraftUnit *present = self->present;
  const GraftUnit *origin = self->origin;
  Map names;
  map_init(&names, self->desc->allocator);
  bool done = true;
  for (int i = 0; i < present->definition_count && done;
       i = present->definitions[i].subtree_end) {
    done = map_set(&names, present->definitions[i].name,
                   (void *)(uintptr_t)(i + 1));
  }
  for (int i = 0; i < origin->definition_count && done;
       i = origin->definitions[i].subtree_end) {
    int partner = self->diff->definition_old[i];
    if (origin->definitions[i].named) {
      partner = (int)(uintptr_t)map_find(&names, origin->definitions[i].name);
      partner--;
    } else if (partner >= 0 && (present->definitions[partner].named ||
                                present->definitions[partner].parent >= 0)) {
      partner = -1;
    }
    self->partner[i] = partner;
  }
  map_clear(&names);
  return done;
}

static int statement_partner(const Compose *self, int statement) {
  int definition = defined_by(self->origin, statement);
  if (definition >= 0) {
    int partner = self->partner[definition];
    return partner >= 0 ? self->present->definitions[partner].statement : -1;
  }
  if (statement == self->origin->return_statement) {
    return self->present->return_statement;
  }
  return self->diff->statement_old[statement];
}

// New statements go before the next one that both sides have, so that what
// follows sees their locals, but not before the last that both have.
static void guess_places(Compose *self) {
  int end = self->present->return_statement;
  if (end < 0) end = self->present->statement_count;
  int next = end;
  for (int i = self->origin->statement_count - 1; i >= 0; i--) {
    int partner = statement_partner(self, i);
    if (partner >= 0) next = partner;
    self->place[i] = next;
  }
  int last = 0;
  for (int i = 0; i < self->origin->statement_count; i++) {
    int partner = statement_partner(self, i);
    if (partner >= 0 && partner + 1 > last) last = partner + 1;
    if (self->place[i] < last) self->place[i] = last;
    if (self->place[i] > end) self->place[i] = end;
  }
}

// A use of one of the file's locals at a place of the present source, by a
// statement of the origin or a function in it.
typedef struct Use {
  int variable;
  int statement;
  int place;
} Use;

// What declares a local stands before what uses it.
static void pull_declaration(Compose *self, const Use *use) {
  int declared = self->origin->variables[use->variable].statement;
  if (declared != use->statement && statement_partner(self, declared) < 0 &&
      self->place[declared] > use->place) {
    self->place[declared] = use->place;
  }
}

static void push_use(Compose *self, const Use *use) {
  int declared = self->origin->variables[use->variable].statement;
  int partner = statement_partner(self, declared);
  int least = partner >= 0 ? partner + 1 : self->place[declared];
  if (self->place[use->statement] < least) {
    self->place[use->statement] = least;
  }
}

static bool is_file_local(const Compose *self, int variable) {
  return variable >= 0 && self->origin->variables[variable].owner < 0;
}

static void visit_captures(Compose *self, int definition,
                           void (*visit)(Compose *, const Use *)) {
  const Definition *user = &self->origin->definitions[definition];
  int partner = self->partner[definition];
  Use use = {.statement = user->statement,
             .place = partner >= 0
                          ? self->present->definitions[partner].statement
                          : self->place[user->statement]};
  for (uint32_t i = 0; i < user->capture_count; i++) {
    use.variable = user->captures[i].variable;
    if (is_file_local(self, use.variable)) visit(self, &use);
  }
}

static void visit_uses(Compose *self, int index,
                       void (*visit)(Compose *, const Use *)) {
  const Statement *statement = &self->origin->statements[index];
  int end = statement->first_definition + statement->definition_count;
  for (int i = statement->first_definition; i < end;
       i = self->origin->definitions[i].subtree_end) {
    if (self->function_kept[i]) visit_captures(self, i, visit);
  }
  if (!self->statement_kept[index]) return;
  int partner = statement_partner(self, index);
  Use use = {.statement = index,
             .place = partner >= 0 ? partner : self->place[index]};
  for (uint32_t i = 0; i < statement->read_count; i++) {
    use.variable = self->origin->reads[statement->first_read + i].variable;
    if (is_file_local(self, use.variable)) visit(self, &use);
  }
}

// Uses come after declarations, so going backwards meets them first.
static void find_places(Compose *self) {
  guess_places(self);
  for (int i = self->origin->statement_count - 1; i >= 0; i--) {
    visit_uses(self, i, pull_declaration);
  }
  for (int i = 0; i < self->origin->statement_count; i++) {
    visit_uses(self, i, push_use);
  }
}

// Whether the origin is all that the present source would become.
static bool covers(const Compose *self) {
  int named = 0;
  for (int i = 0; i < self->present->definition_count;
       i = self->present->definitions[i].subtree_end) {
    named += self->present->definitions[i].named;
  }
  for (int i = 0; i < self->origin->definition_count;
       i = self->origin->definitions[i].subtree_end) {
    if (!self->function_kept[i]) return false;
    named -= self->origin->definitions[i].named && self->partner[i] >= 0;
  }
  for (int i = 0; i < self->origin->statement_count; i++) {
    if (!self->statement_kept[i]) return false;
  }
  return named == 0 && self->diff->removed_count == 0;
}

// ---------------------------------------------------------------------------
// Edits
// ---------------------------------------------------------------------------

static GraftStatus add_edit(Compose *self, EditKind kind, int index,
                            Range range) {
  Edit *edit = ARRAY_PUSH(self->desc->allocator, &self->edits);
  if (edit == NULL) return error_memory(self->error);
  *edit = (Edit){range, kind, index, self->sequence++};
  return GRAFT_OK;
}

static GraftStatus insert(Compose *self, EditKind kind, int index, int place) {
  uint32_t at = place < self->present->statement_count
                    ? self->present->statements[place].range.start
                    : (uint32_t)self->present->size;
  self->inserted++;
  return add_edit(self, kind, index, (Range){at, at});
}

// Statements that are kept and that the present source does not have so.
static GraftStatus place_statement(Compose *self, int statement) {
  if (!self->statement_kept[statement] ||
      defined_by(self->origin, statement) >= 0 ||
      self->diff->statement_changes[statement] == STATEMENT_SAME) {
    return GRAFT_OK;
  }
  self->rendered[statement] = true;
  int partner = statement_partner(self, statement);
  if (partner >= 0) {
    self->replaced[partner] = true;
    return add_edit(self, EDIT_STATEMENT, statement,
                    self->present->statements[partner].range);
  }
  return GRAFT_OK;
}

static bool is_name(const char *text) {
  static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
  size_t size = strlen(text);
  return size > 0 && strspn(text, letters) == size &&
         (text[0] < '0' || text[0] > '9');
}

// Whether `path = function` is the same as the field of a table constructor
// that the function stands in. (What is no name is found by the parser.)
static bool can_be_field(const Definition *definition) {
  const Path *target = &definition->target;
  if (!definition->named || definition->in_block || definition->has_self ||
      target->name == NULL || target->computed || target->key_count == 0) {
    return false;
  }
  for (uint32_t i = 0; i < target->key_count; i++) {
    if (!is_name(target->keys[i])) return false;
  }
  return true;
}

static GraftStatus replace_function(Compose *self, int index, int partner) {
  const Definition *before = &self->present->definitions[partner];
  const Definition *now = &self->origin->definitions[index];
  GraftStatus status =
      add_edit(self, EDIT_FUNCTION, index,
               (Range){before->parameters_start, before->whole.end});
  if (status < 0 || !before->has_self || now->has_self) return status;
  uint32_t at = before->parameters_start;
  while (at > before->whole.start && self->present->source[at] != ':') at--;
  return add_edit(self, EDIT_DOT, index, (Range){at, at + 1});
}

// Replaces the code where the present source has it; else the function comes
// with the statement that it stands in.
static GraftStatus place_function(Compose *self, int index) {
  const Definition *definition = &self->origin->definitions[index];
  int statement = definition->statement;
  int partner = self->partner[index];
  bool kept = self->function_kept[index];
  bool rendered = self->rendered[statement];
  if (partner >= 0 && (kept || rendered)) self->covered[partner] = true;
  if (kept && partner >= 0 &&
      !self->replaced[self->present->definitions[partner].statement]) {
    return replace_function(self, index, partner);
  }
  if (!kept || rendered) return GRAFT_OK;
  int place = self->place[statement];
  if (defined_by(self->origin, statement) == index) {
    return insert(self, EDIT_STATEMENT, statement, place);
  }
  if (can_be_field(definition)) return insert(self, EDIT_FIELD, index, place);
  error_set(self->error, GRAFT_ENOTFOUND,
            "%s is new to %s, and cannot be added without the statement that "
            "it stands in",
            definition->name, self->present->file);
  return error_at(self->error, self->origin->file, definition->line,
                  definition->column);
}

// Functions that a replaced statement had, and that no other has in its place,
// stay as fields (U3).
static GraftStatus keep_functions(Compose *self) {
  const GraftUnit *present = self->present;
  GraftStatus status = GRAFT_OK;
  for (int i = 0; i < present->definition_count && status == GRAFT_OK;
       i = present->definitions[i].subtree_end) {
    int statement = present->definitions[i].statement;
    if (self->replaced[statement] && !self->covered[i] &&
        statement != present->return_statement &&
        can_be_field(&present->definitions[i])) {
      status = insert(self, EDIT_KEPT, i, statement + 1);
    }
  }
  return status;
}

static GraftStatus plan_edits(Compose *self) {
  const GraftUnit *origin = self->origin;
  GraftStatus status = GRAFT_OK;
  for (int i = 0; i < origin->statement_count && status == GRAFT_OK; i++) {
    status = place_statement(self, i);
  }
  for (int i = 0; i < origin->statement_count && status == GRAFT_OK; i++) {
    const Statement *statement = &origin->statements[i];
    if (self->rendered[i] && statement_partner(self, i) < 0) {
      status = insert(self, EDIT_STATEMENT, i, self->place[i]);
    }
    int end = statement->first_definition + statement->definition_count;
    for (int k = statement->first_definition; k < end && status == GRAFT_OK;
         k = origin->definitions[k].subtree_end) {
      status = place_function(self, k);
    }
  }
  return status < 0 ? status : keep_functions(self);
}

// ---------------------------------------------------------------------------
// The text
// ---------------------------------------------------------------------------

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

// A statement of the origin, in which functions that are not kept have the
// code that they have now.
static void add_statement(Compose *self, int index) {
  const GraftUnit *origin = self->origin;
  const Statement *statement = &origin->statements[index];
  uint32_t at = statement->range.start;
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

static void make_text(Compose *self) {
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

static GraftStatus check_captures(Compose *self, const Definition *now,
                                  const Definition *composed) {
  for (uint32_t i = 0; i < now->capture_count; i++) {
    const Capture *capture = &now->captures[i];
    if (capture->variable < 0 || captures_local(composed, capture->name)) {
      continue;
    }
    error_set(self->error, GRAFT_ENOTFOUND,
              "%s uses the local '%s', which neither %s nor what the unit "
              "keeps declares before it",
              now->name, capture->name, self->present->file);
    return error_at(self->error, self->origin->file, now->line, now->column);
  }
  return GRAFT_OK;
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

static GraftStatus check(Compose *self, const GraftUnit *unit) {
  bool whole =
      unit->statement_count == self->present->statement_count + self->inserted;
  for (size_t i = 0; i < self->placements.count && whole; i++) {
    const Placement *placement = &self->placements.items[i];
    const Definition *now = &self->origin->definitions[placement->definition];
    const Definition *composed = definition_at(unit, placement->offset);
    whole = is_same_code(composed, now);
    GraftStatus status = whole ? check_captures(self, now, composed) : GRAFT_OK;
    if (status < 0) return status;
  }
  if (whole) return GRAFT_OK;
  return error_set(self->error, GRAFT_ESYNTAX,
                   "the unit of %s cannot be put into %s piece by piece",
                   self->origin->file, self->present->file);
}

// ---------------------------------------------------------------------------
// All of it
// ---------------------------------------------------------------------------

static GraftStatus compile(Compose *self, const char *source, size_t size,
                           GraftUnit **result) {
  GraftUnitDesc desc = {.source = source,
                        .size = size,
                        .module = self->present->module,
                        .file = self->present->file,
                        .allocator = self->desc->allocator};
  return graft_unit_compile(&desc, result, self->error);
}

static GraftStatus compose_pieces(Compose *self, GraftUnit **result) {
  find_places(self);
  GraftStatus status = plan_edits(self);
  if (status < 0) return status;
  make_text(self);
  if (self->text.failed) return error_memory(self->error);
  status = compile(self, buffer_text(&self->text), self->text.size, result);
  if (status == GRAFT_OK) status = check(self, *result);
  if (status < 0) {
    unit_release(*result);
    *result = NULL;
  }
  return status;
}

GraftStatus compose_unit(const ComposeDesc *desc, GraftUnit **result,
                         GraftError *error) {
  Compose self = {.desc = desc,
                  .present = desc->present,
                  .origin = desc->origin,
                  .error = error};
  buffer_init(&self.text, desc->allocator);
  *result = NULL;
  GraftStatus status = GRAFT_OK;
  bool ready = allocate(&self);
  if (ready) mark_kept(&self);
  if (!ready || !find_partners(&self)) {
    status = error_memory(error);
  } else if (covers(&self)) {
    status = compile(&self, self.origin->source, self.origin->size, result);
  } else {
    status = compose_pieces(&self, result);
  }
  clear(&self);
  return status;
}
