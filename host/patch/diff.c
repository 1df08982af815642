// SPDX-License-Identifier: MIT

#include "patch/diff.h"

#include <string.h>

#include "patch/diff_match.h"

// ---------------------------------------------------------------------------
// Change of definitions
// ---------------------------------------------------------------------------

// `marks` says for each old variable by which definition (from 1) it was last
// seen captured.
static bool bindings_equal(const Diff *diff, const Definition *old_one,
                           const Definition *new_one, int *marks) {
  int mark = (int)(old_one - diff->old_unit->definitions) + 1;
  for (uint32_t i = 0; i < old_one->capture_count; i++) {
    const Capture *capture = &old_one->captures[i];
    if (capture->direct && capture->variable >= 0) {
      marks[capture->variable] = mark;
    }
  }
  for (uint32_t i = 0; i < new_one->capture_count; i++) {
    const Capture *capture = &new_one->captures[i];
    if (!capture->direct || capture->variable < 0) continue;
    int old_variable = diff->variable_old[capture->variable];
    if (old_variable < 0 || marks[old_variable] != mark) return false;
  }
  return true;
}

// Whether variables have the same index on both sides. Then equal sums of
// bindings do for comparing them.
static bool same_variables(const Diff *diff) {
  int count = diff->new_unit->variable_count;
  if (diff->old_unit->variable_count != count) return false;
  for (int i = 0; i < count; i++) {
    if (diff->variable_old[i] != i) return false;
  }
  return true;
}

typedef struct Classifier {
  Diff *diff;
  int *marks;
  bool same_variables;
} Classifier;

static Change change_of(const Classifier *self, int index) {
  const Diff *diff = self->diff;
  int old_index = diff->definition_old[index];
  if (old_index < 0) return CHANGE_ADDED;
  const DefinitionKey *old_key = &diff->old_unit->keys[old_index];
  const DefinitionKey *new_key = &diff->new_unit->keys[index];
  const Definition *old_one = &diff->old_unit->definitions[old_index];
  const Definition *new_one = &diff->new_unit->definitions[index];
  if (old_key->deep != new_key->deep && old_one->own != new_one->own) {
    return CHANGE_UPDATED;
  }
  bool same = self->same_variables && old_key->bindings == new_key->bindings;
  if (!same && !bindings_equal(diff, old_one, new_one, self->marks)) {
    return CHANGE_UPDATED;
  }
  return old_key->place == new_key->place ? CHANGE_SAME : CHANGE_MOVED;
}

// What a change of a definition means for the one around it.
static void change_parent(Diff *self, int index) {
  const DefinitionKey *key = &self->new_unit->keys[index];
  int old_index = self->definition_old[index];
  if (key->parent < 0) return;
  Change *parent = &self->changes[key->parent];
  bool other_place =
      old_index >= 0 &&
      self->old_unit->keys[old_index].child_index != key->child_index;
  if (self->changes[index] >= CHANGE_TOUCHED || other_place) {
    if (*parent < CHANGE_TOUCHED) *parent = CHANGE_TOUCHED;
  } else if (self->changes[index] == CHANGE_MOVED && *parent == CHANGE_SAME) {
    *parent = CHANGE_MOVED;
  }
}

static void count_changes(Diff *self) {
  for (int i = 0; i < self->new_unit->definition_count; i++) {
    self->added_count += self->changes[i] == CHANGE_ADDED;
    self->updated_count += self->changes[i] == CHANGE_UPDATED;
    self->touched_count += self->changes[i] == CHANGE_TOUCHED;
    self->moved_count += self->changes[i] == CHANGE_MOVED;
    self->renamed_count += self->renamed[i];
  }
}

bool diff_classify(Diff *self) {
  size_t count = (size_t)self->old_unit->variable_count;
  int *marks = memory_new(&self->allocator, count * sizeof *marks);
  if (marks == NULL) return false;
  Classifier classifier = {self, marks, same_variables(self)};
  for (int i = 0; i < self->new_unit->definition_count; i++) {
    self->changes[i] = change_of(&classifier, i);
  }
  memory_free(&self->allocator, marks);
  for (int i = self->new_unit->definition_count - 1; i >= 0; i--) {
    change_parent(self, i);
  }
  count_changes(self);
  return true;
}

// ---------------------------------------------------------------------------
// Lists
// ---------------------------------------------------------------------------

// The indexes below `count` for which `partners` has none.
static int *list_single(Diff *self, const int *partners, int count,
                        int *list_count) {
  int *list = arena_new(&self->arena, (size_t)(count + 1) * sizeof *list);
  if (list == NULL) return NULL;
  for (int i = 0; i < count; i++) {
    if (partners[i] < 0) list[(*list_count)++] = i;
  }
  return list;
}

static bool make_lists(Diff *self) {
  int count = self->new_unit->statement_count;
  int *run = arena_new(&self->arena, (size_t)(count + 1) * sizeof *run);
  if (run == NULL) return false;
  for (int i = 0; i < count; i++) {
    if (self->statement_changes[i] != STATEMENT_SAME) {
      run[self->run_count++] = i;
    }
  }
  self->run = run;
  self->removed =
      list_single(self, self->statement_new, self->old_unit->statement_count,
                  &self->removed_count);
  self->deleted =
      list_single(self, self->definition_new, self->old_unit->definition_count,
                  &self->deleted_count);
  return self->removed != NULL && self->deleted != NULL;
}

// ---------------------------------------------------------------------------
// The whole
// ---------------------------------------------------------------------------

static int *new_map(Diff *self, int count) {
  size_t size = (size_t)(count + 1) * sizeof(int);
  int *map = arena_new(&self->arena, size);
  if (map != NULL) memset(map, 0xff, size); // all -1
  return map;
}

static bool prepare(Diff *self) {
  const GraftUnit *old_unit = self->old_unit, *new_unit = self->new_unit;
  size_t definitions = (size_t)new_unit->definition_count + 1;
  size_t statements = (size_t)new_unit->statement_count + 1;
  self->definition_old = new_map(self, new_unit->definition_count);
  self->definition_new = new_map(self, old_unit->definition_count);
  self->variable_old = new_map(self, new_unit->variable_count);
  self->variable_new = new_map(self, old_unit->variable_count);
  self->statement_old = new_map(self, new_unit->statement_count);
  self->statement_new = new_map(self, old_unit->statement_count);
  self->changes = arena_new(&self->arena, definitions * sizeof(Change));
  self->renamed = arena_new(&self->arena, definitions * sizeof(bool));
  self->statement_changes =
      arena_new(&self->arena, statements * sizeof(StatementChange));
  return self->definition_old && self->definition_new && self->variable_old &&
         self->variable_new && self->statement_old && self->statement_new &&
         self->changes && self->renamed && self->statement_changes;
}

Diff *diff_new(const GraftAllocator *allocator, const GraftUnit *old_unit,
               const GraftUnit *new_unit) {
  static const GraftUnit empty;
  Diff *self = memory_new(allocator, sizeof *self);
  if (self == NULL) return NULL;
  self->allocator = *allocator;
  arena_init(&self->arena, &self->allocator);
  self->old_unit = old_unit != NULL ? old_unit : &empty;
  self->new_unit = new_unit;
  if (prepare(self) && diff_match_statements(self) &&
      diff_match_definitions(self) && diff_match_variables(self) &&
      diff_classify(self) && make_lists(self)) {
    self->old_unit = old_unit;
    return self;
  }
  diff_free(self);
  return NULL;
}

void diff_free(Diff *self) {
  if (self == NULL) return;
  GraftAllocator allocator = self->allocator;
  arena_clear(&self->arena);
  memory_free(&allocator, self);
}

bool diff_is_empty(const Diff *self) {
  return self->added_count + self->updated_count + self->touched_count +
             self->renamed_count + self->deleted_count + self->run_count +
             self->removed_count ==
         0;
}
