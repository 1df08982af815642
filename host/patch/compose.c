// SPDX-License-Identifier: MIT

#include "patch/compose.h"

#include <string.h>

#include "base/error.h"
#include "base/map.h"
#include "patch/compose_inner.h"

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
  memory_free(allocator, self->statements.items);
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

// A function directly in the present source that has the name and that no other
// goes with yet, or -1.
static int find_named(Compose *self, const Map *names, const char *name) {
  int found = (int)(uintptr_t)map_find(names, name) - 1;
  if (found < 0 || self->covered[found]) return -1;
  self->covered[found] = true;
  return found;
}

typedef const char *NameOf(const Definition *definition);

static const char *registry_name(const Definition *definition) {
  return definition->name;
}

static const char *source_path(const Definition *definition) {
  return definition->path;
}

// Finds partners by one kind of name for those that have none yet.
static bool match_names(Compose *self, NameOf *name_of) {
  const GraftUnit *present = self->present;
  const GraftUnit *origin = self->origin;
  Map names;
  map_init(&names, self->desc->allocator);
  bool done = true;
  for (int i = 0; i < present->definition_count && done;
       i = present->definitions[i].subtree_end) {
    const Definition *definition = &present->definitions[i];
    if (!definition->named || self->covered[i]) continue;
    done = map_set(&names, name_of(definition), (void *)(uintptr_t)(i + 1));
  }
  for (int i = 0; i < origin->definition_count && done;
       i = origin->definitions[i].subtree_end) {
    const Definition *definition = &origin->definitions[i];
    if (!definition->named || self->partner[i] >= 0) continue;
    self->partner[i] = find_named(self, &names, name_of(definition));
  }
  map_clear(&names);
  return done;
}

// Functions with a name of their own go by that; those that a module shows on
// one side only, by the name that they have in the source; others as the
// difference pairs them.
static bool find_partners(Compose *self) {
  const GraftUnit *present = self->present;
  const GraftUnit *origin = self->origin;
  for (int i = 0; i < origin->definition_count; i++) {
    int partner = self->diff->definition_old[i];
    bool fits = partner >= 0 && !origin->definitions[i].named &&
                !present->definitions[partner].named &&
                present->definitions[partner].parent < 0;
    self->partner[i] = fits ? partner : -1;
  }
  bool done =
      match_names(self, registry_name) && match_names(self, source_path);
  memset(self->covered, 0, (size_t)present->definition_count);
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
  compose_text(self);
  if (self->text.failed) return error_memory(self->error);
  status = compile(self, buffer_text(&self->text), self->text.size, result);
  if (status == GRAFT_OK) status = compose_check(self, *result);
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
