// SPDX-License-Identifier: MIT

#include "unit/build.h"

#include <string.h>

#include "base/hash.h"
#include "unit/counter.h"

static void *new_array(GraftUnit *unit, size_t count, size_t size) {
  return arena_new(&unit->arena, (count > 0 ? count : 1) * size);
}

// ---------------------------------------------------------------------------
// Variables
// ---------------------------------------------------------------------------

static bool is_recorded(const Local *local) {
  return local->captured || local->level == 0;
}

static void fill_variable(Variable *variable, const Local *local) {
  *variable = (Variable){.name = local->symbol->text,
                         .constant = local->constant,
                         .owner = local->owner,
                         .statement = local->statement,
                         .offset = local->offset,
                         .block = local->block,
                         .block_last = local->block_last,
                         .attribute = local->attribute,
                         .top = local->top,
                         .captured = local->captured,
                         .assigned = local->assigned,
                         .parameter = local->parameter};
}

static bool count_occurrences(Builder *self, Variable *variables, int count) {
  Counter counter;
  counter_init(&counter, self->parser->allocator);
  bool done = true;
  for (int i = 0; i < count && done; i++) {
    // Names are one address each.
    uint64_t key =
        hash_mix((uintptr_t)variables[i].name, (uint64_t)variables[i].owner);
    int *seen = counter_at(&counter, key);
    done = seen != NULL;
    if (done) variables[i].occurrence = (*seen)++;
  }
  counter_clear(&counter);
  return done;
}

static bool build_variables(Builder *self) {
  Parser *parser = self->parser;
  int count = 0;
  for (size_t i = 0; i < parser->locals.count; i++) {
    Local *local = &parser->locals.items[i];
    if (is_recorded(local)) local->variable = count++;
  }
  Variable *variables = new_array(self->unit, (size_t)count, sizeof *variables);
  if (variables == NULL) return false;
  for (size_t i = 0; i < parser->locals.count; i++) {
    const Local *local = &parser->locals.items[i];
    if (is_recorded(local)) fill_variable(&variables[local->variable], local);
  }
  self->unit->variables = variables;
  self->unit->variable_count = count;
  return count_occurrences(self, variables, count);
}

// ---------------------------------------------------------------------------
// Indexes become pointers
// ---------------------------------------------------------------------------

// All keys as text; paths point into this.
static const char **build_keys(Builder *self) {
  Parser *parser = self->parser;
  const char **keys = new_array(self->unit, parser->keys.count, sizeof *keys);
  if (keys == NULL) return NULL;
  for (size_t i = 0; i < parser->keys.count; i++) {
    keys[i] = parser->keys.items[i]->text;
  }
  return keys;
}

static int variable_of(const Parser *parser, int local) {
  return local >= 0 ? parser->locals.items[local].variable : local;
}

static void finish_path(const Builder *self, Path *path) {
  if (path->name == NULL) return;
  path->variable = variable_of(self->parser, path->variable);
  path->keys = self->keys + index_unpack(path->keys);
}

static void finish_paths(Builder *self) {
  Parser *parser = self->parser;
  for (size_t i = 0; i < parser->values.count; i++) {
    finish_path(self, &parser->values.items[i].path);
  }
  for (size_t i = 0; i < parser->reads.count; i++) {
    finish_path(self, &parser->reads.items[i]);
  }
  for (size_t i = 0; i < parser->assignments.count; i++) {
    finish_path(self, &parser->assignments.items[i].target);
  }
}

static void finish_statement(const Builder *self, Statement *statement) {
  const Parser *parser = self->parser;
  int local = statement->first_variable;
  int end = local + statement->variable_count;
  statement->first_variable = -1;
  statement->variable_count = 0;
  for (; local < end; local++) {
    int variable = parser->locals.items[local].variable;
    if (variable < 0) continue;
    if (statement->variable_count++ == 0) statement->first_variable = variable;
  }
  finish_path(self, &statement->callee);
}

// ---------------------------------------------------------------------------
// Definitions
// ---------------------------------------------------------------------------

// Returns the place behind the last one.
static Capture *build_captures(const Parser *parser, intptr_t first,
                               Capture *captures) {
  for (intptr_t i = first; i >= 0;) {
    const CaptureRecord *from = &parser->captures.items[i];
    i = from->next;
    *captures++ = (Capture){.name = from->symbol->text,
                            .variable = variable_of(parser, from->local),
                            .direct = from->direct};
  }
  return captures;
}

static const char **build_parameters(Builder *self) {
  const Parser *parser = self->parser;
  size_t count = parser->parameters.count;
  const char **parameters = new_array(self->unit, count, sizeof *parameters);
  for (size_t i = 0; i < count && parameters != NULL; i++) {
    parameters[i] = parser->parameters.items[i]->text;
  }
  return parameters;
}

static bool finish_definitions(Builder *self) {
  Parser *parser = self->parser;
  Capture *captures =
      new_array(self->unit, parser->captures.count, sizeof *captures);
  const char **parameters = build_parameters(self);
  if (captures == NULL || parameters == NULL) return false;
  for (size_t i = 0; i < parser->definitions.count; i++) {
    Definition *definition = &parser->definitions.items[i];
    intptr_t first_capture = index_unpack(definition->captures);
    definition->parameters = parameters + index_unpack(definition->parameters);
    definition->captures = captures;
    captures = build_captures(parser, first_capture, captures);
    definition->env_variable = variable_of(parser, definition->env_variable);
    finish_path(self, &definition->target);
  }
  return true;
}

// ---------------------------------------------------------------------------
// Keys
// ---------------------------------------------------------------------------

static uint64_t sum_bindings(const Definition *definition) {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < definition->capture_count; i++) {
    const Capture *capture = &definition->captures[i];
    if (!capture->direct || capture->variable < 0) continue;
    sum += hash_mix(1, (uint64_t)capture->variable);
  }
  return sum;
}

static DefinitionKey make_key(const Definition *definition) {
  const char *name = definition->segment;
  uint64_t place = hash_mix((uint64_t)definition->line, definition->lines);
  return (DefinitionKey){
      .name = hash_bytes(1, name, strlen(name)),
      .deep = definition->deep,
      .place = hash_mix(place, (uint64_t)definition->last_line),
      .bindings = sum_bindings(definition),
      .subtree_end = definition->subtree_end,
      .parent = definition->parent,
      .child_index = definition->child_index,
      .named = definition->named,
  };
}

static bool build_statement_keys(Builder *self) {
  size_t count = (size_t)self->unit->statement_count;
  const Statement *statements = self->unit->statements;
  uint64_t *keys = new_array(self->unit, count, sizeof *keys);
  if (keys == NULL) return false;
  for (size_t i = 0; i < count; i++) {
    keys[i] = hash_mix(statements[i].fingerprint, statements[i].exact);
  }
  self->unit->statement_keys = keys;
  return true;
}

static bool build_definition_keys(Builder *self) {
  size_t count = (size_t)self->unit->definition_count;
  DefinitionKey *keys = new_array(self->unit, count, sizeof *keys);
  if (keys == NULL) return false;
  for (size_t i = 0; i < count; i++) keys[i] = make_key(&self->definitions[i]);
  self->unit->keys = keys;
  return true;
}

// ---------------------------------------------------------------------------
// The unit takes over
// ---------------------------------------------------------------------------

// An array of the parser becomes the unit's, no larger than it must be.
#define TAKE(self, name, number, field)                                        \
  do {                                                                         \
    void *taken_ = take((self), (void **)&(self)->parser->name.items,          \
                        (self)->parser->name.count,                            \
                        sizeof *(self)->parser->name.items, (field));          \
    (self)->unit->name = taken_;                                               \
    (self)->unit->number = (int)(self)->parser->name.count;                    \
  } while (false)

static void *take(Builder *self, void **items, size_t count, size_t size,
                  UnitBlock block) {
  void *taken = *items;
  *items = NULL;
  if (taken != NULL && count > 0) {
    void *small = memory_resize(self->parser->allocator, taken, count * size);
    if (small != NULL) taken = small;
  }
  self->unit->blocks[block] = taken;
  return taken;
}

static void take_arrays(Builder *self) {
  TAKE(self, values, value_count, UNIT_VALUES);
  TAKE(self, fields, field_count, UNIT_FIELDS);
  TAKE(self, reads, read_count, UNIT_READS);
  TAKE(self, assignments, assignment_count, UNIT_ASSIGNMENTS);
  TAKE(self, statements, statement_count, UNIT_STATEMENTS);
  TAKE(self, definitions, definition_count, UNIT_DEFINITIONS);
  self->definitions = self->unit->blocks[UNIT_DEFINITIONS];
}

bool unit_build(GraftUnit *unit, Parser *parser) {
  Builder self = {.unit = unit, .parser = parser};
  unit->main_uses_env = parser->main_uses_env;
  unit->return_statement = parser->return_statement;
  if (!build_variables(&self)) return false;
  self.keys = build_keys(&self);
  if (self.keys == NULL || !finish_definitions(&self)) return false;
  finish_paths(&self);
  for (size_t i = 0; i < parser->statements.count; i++) {
    finish_statement(&self, &parser->statements.items[i]);
  }
  take_arrays(&self);
  return build_statement_keys(&self) && build_definition_keys(&self) &&
         exports_resolve(&self) && names_assign(&self);
}
