// SPDX-License-Identifier: MIT
//
// Exports: which functions a file shows, found without running it (R1). The
// value that the file returns has the path "". From there paths go through
// assignments and table constructors to variables and functions:
//
//   local Brain = {}               Brain      by M.Brain = Brain
//   function Brain:tick() end      Brain.tick
//   M.Brain = Brain
//   return setmetatable(M, {})     M is ""
//
// Then globals are done the same way, for what is not exported. A variable is
// looked at once, so the time is linear.

#include <string.h>

#include "unit/build.h"

typedef struct Exports {
  GraftUnit *unit;
  Definition *definitions;
  const GraftAllocator *allocator;
  Shown shown;        // what is being done
  const char **paths; // by variable; NULL: not shown (yet)
  int *stack;         // variables whose assignments are still to be followed
  int stack_count;
  // Chains of assignments by the variable at the base of the target, and by
  // the one at the base of the value.
  int *first_target;
  int *next_target;
  int *first_source;
  int *next_source;
  bool failed;
} Exports;

static const char *join(Exports *self, const char *left, const char *right) {
  const char *path = name_join(self->unit, left, *left ? "." : "", right);
  if (path == NULL) self->failed = true;
  return path;
}

// NULL when the path is too long to be of use, or out of memory.
static const char *join_keys(Exports *self, const char *path,
                             const char *const *keys, size_t count) {
  for (size_t i = 0; i < count && path != NULL; i++) {
    if (strlen(path) + strlen(keys[i]) >= NAME_LIMIT) return NULL;
    path = join(self, path, keys[i]);
  }
  return path;
}

static void show_variable(Exports *self, int variable, const char *path) {
  if (variable < 0 || self->paths[variable] != NULL) return;
  self->paths[variable] = path;
  self->stack[self->stack_count++] = variable;
}

static void show_definition(Exports *self, int index, const char *path) {
  Definition *definition = &self->definitions[index];
  if (definition->shown != SHOWN_NOT) return;
  definition->shown = self->shown;
  definition->shown_path = path;
}

static void show_value(Exports *self, int index, const char *path);

static void show_fields(Exports *self, const Value *value, const char *path) {
  for (int i = value->first_field; i >= 0; i = self->unit->fields[i].next) {
    const Field *field = &self->unit->fields[i];
    if (field->kind != FIELD_NAME || field->value < 0) continue;
    // Most fields are numbers and strings.
    const Value *inner = &self->unit->values[field->value];
    if (inner->kind == VALUE_CONSTANT) continue;
    const char *joined = join_keys(self, path, &field->name, 1);
    if (joined != NULL) show_value(self, field->value, joined);
  }
}

// What has this value is found under `path`.
static void show_value(Exports *self, int index, const char *path) {
  const Value *value = &self->unit->values[index];
  switch (value->kind) {
  case VALUE_FUNCTION:
    show_definition(self, value->definition, path);
    break;
  case VALUE_NAME:
    if (value->path.key_count == 0) {
      show_variable(self, value->path.variable, path);
    }
    break;
  case VALUE_TABLE:
    show_fields(self, value, path);
    break;
  case VALUE_OTHER:
    if (value->inner >= 0) show_value(self, value->inner, path);
    break;
  case VALUE_CONSTANT:
    break;
  }
}

// Values that went to `variable` or a field of it.
static void follow_targets(Exports *self, int variable) {
  for (int i = self->first_target[variable]; i >= 0; i = self->next_target[i]) {
    const Assignment *assignment = &self->unit->assignments[i];
    const Path *target = &assignment->target;
    if (target->computed || assignment->value < 0 || assignment->result > 0) {
      continue;
    }
    const char *path =
        join_keys(self, self->paths[variable], target->keys, target->key_count);
    if (path != NULL) show_value(self, assignment->value, path);
  }
}

// Locals that are another name for `variable` or a field of it.
static void follow_sources(Exports *self, int variable) {
  for (int i = self->first_source[variable]; i >= 0; i = self->next_source[i]) {
    const Assignment *assignment = &self->unit->assignments[i];
    const Path *source = &self->unit->values[assignment->value].path;
    const char *path =
        join_keys(self, self->paths[variable], source->keys, source->key_count);
    if (path != NULL) show_variable(self, assignment->target.variable, path);
  }
}

static void follow(Exports *self) {
  while (self->stack_count > 0) {
    int variable = self->stack[--self->stack_count];
    follow_targets(self, variable);
    follow_sources(self, variable);
  }
}

static void show_globals(Exports *self) {
  self->shown = SHOWN_GLOBAL;
  for (int i = 0; i < self->unit->assignment_count; i++) {
    const Assignment *assignment = &self->unit->assignments[i];
    const Path *target = &assignment->target;
    if (target->variable != VARIABLE_GLOBAL || target->name == NULL ||
        target->computed || assignment->value < 0 || assignment->result > 0) {
      continue;
    }
    bool global_table =
        target->key_count > 0 &&
        (strcmp(target->name, "_G") == 0 || strcmp(target->name, "_ENV") == 0);
    const char *path = global_table ? "" : target->name;
    path = join_keys(self, path, target->keys, target->key_count);
    if (path != NULL) show_value(self, assignment->value, path);
  }
  follow(self);
}

static void link_assignments(Exports *self) {
  const GraftUnit *unit = self->unit;
  for (int i = 0; i < unit->variable_count; i++) {
    self->first_target[i] = self->first_source[i] = -1;
  }
  // Backwards, so that the chains run forwards.
  for (int i = unit->assignment_count - 1; i >= 0; i--) {
    const Assignment *assignment = &unit->assignments[i];
    int base = assignment->target.variable;
    if (base >= 0) {
      self->next_target[i] = self->first_target[base];
      self->first_target[base] = i;
    }
    if (!assignment->declares || assignment->value < 0) continue;
    const Value *value = &unit->values[assignment->value];
    if (value->kind != VALUE_NAME || value->path.variable < 0) continue;
    self->next_source[i] = self->first_source[value->path.variable];
    self->first_source[value->path.variable] = i;
  }
}

// One block holds all that is only needed here.
static void *prepare(Exports *self) {
  size_t variables = (size_t)self->unit->variable_count;
  size_t assignments = (size_t)self->unit->assignment_count;
  size_t size = variables * sizeof *self->paths +
                (3 * variables + 2 * assignments) * sizeof(int);
  char *block = memory_new(self->allocator, size);
  if (block == NULL) return NULL;
  self->paths = (const char **)block;
  self->stack = (int *)(self->paths + variables);
  self->first_target = self->stack + variables;
  self->first_source = self->first_target + variables;
  self->next_target = self->first_source + variables;
  self->next_source = self->next_target + assignments;
  link_assignments(self);
  return block;
}

bool exports_resolve(Builder *builder) {
  Exports self = {.unit = builder->unit,
                  .definitions = builder->definitions,
                  .allocator = builder->parser->allocator,
                  .shown = SHOWN_EXPORT};
  void *block = prepare(&self);
  if (block == NULL) return false;
  int statement = self.unit->return_statement;
  if (statement >= 0 && self.unit->statements[statement].value >= 0) {
    show_value(&self, self.unit->statements[statement].value, "");
    follow(&self);
  }
  show_globals(&self);
  memory_free(self.allocator, block);
  return !self.failed;
}
