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
// Paths
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

static Path make_path(const Builder *self, const char **keys,
                      const ParsedPath *from) {
  Path path = {.variable = VARIABLE_GLOBAL, .computed = from->computed};
  if (from->symbol == NULL) return path;
  path.name = from->symbol->text;
  path.variable = from->local;
  if (from->local >= 0) {
    path.variable = self->parser->locals.items[from->local].variable;
  }
  path.key_count = from->key_count;
  path.keys = keys + from->first_key;
  return path;
}

// ---------------------------------------------------------------------------
// Records of the main chunk
// ---------------------------------------------------------------------------

static bool build_values(Builder *self, const char **keys) {
  Parser *parser = self->parser;
  GraftUnit *unit = self->unit;
  Value *values = new_array(unit, parser->values.count, sizeof *values);
  Field *fields = new_array(unit, parser->fields.count, sizeof *fields);
  Path *reads = new_array(unit, parser->reads.count, sizeof *reads);
  if (values == NULL || fields == NULL || reads == NULL) return false;
  for (size_t i = 0; i < parser->values.count; i++) {
    values[i] = parser->values.items[i].result;
    values[i].path = make_path(self, keys, &parser->values.items[i].path);
  }
  if (parser->fields.count > 0) {
    memcpy(fields, parser->fields.items, parser->fields.count * sizeof *fields);
  }
  for (size_t i = 0; i < parser->reads.count; i++) {
    reads[i] = make_path(self, keys, &parser->reads.items[i]);
  }
  unit->values = values;
  unit->value_count = (int)parser->values.count;
  unit->fields = fields;
  unit->field_count = (int)parser->fields.count;
  unit->reads = reads;
  unit->read_count = (int)parser->reads.count;
  return true;
}

static bool build_assignments(Builder *self, const char **keys) {
  Parser *parser = self->parser;
  size_t count = parser->assignments.count;
  Assignment *assignments = new_array(self->unit, count, sizeof *assignments);
  if (assignments == NULL) return false;
  for (size_t i = 0; i < count; i++) {
    const AssignmentRecord *record = &parser->assignments.items[i];
    assignments[i] = record->result;
    assignments[i].target = make_path(self, keys, &record->target);
  }
  self->unit->assignments = assignments;
  self->unit->assignment_count = (int)count;
  return true;
}

static void build_statement_variables(const Parser *parser,
                                      const StatementRecord *record,
                                      Statement *statement) {
  int end = record->first_local + record->local_count;
  int first = -1, count = 0;
  for (int i = record->first_local; i < end; i++) {
    int variable = parser->locals.items[i].variable;
    if (variable < 0) continue;
    if (count++ == 0) first = variable;
  }
  statement->first_variable = first;
  statement->variable_count = count;
}

static bool build_statements(Builder *self, const char **keys) {
  Parser *parser = self->parser;
  size_t count = parser->statements.count;
  Statement *statements = new_array(self->unit, count, sizeof *statements);
  if (statements == NULL) return false;
  for (size_t i = 0; i < count; i++) {
    const StatementRecord *record = &parser->statements.items[i];
    statements[i] = record->result;
    statements[i].callee = make_path(self, keys, &record->callee);
    build_statement_variables(parser, record, &statements[i]);
  }
  self->unit->statements = statements;
  self->unit->statement_count = (int)count;
  return true;
}

// ---------------------------------------------------------------------------
// Definitions
// ---------------------------------------------------------------------------

// Returns the place behind the last one.
static Capture *build_captures(Builder *self, const DefinitionRecord *record,
                               Capture *captures) {
  const Parser *parser = self->parser;
  for (int i = record->first_capture; i >= 0;) {
    const CaptureRecord *from = &parser->captures.items[i];
    i = from->next;
    Capture capture = {.name = from->symbol->text,
                       .variable = VARIABLE_GLOBAL,
                       .direct = from->direct};
    if (from->local >= 0) {
      capture.variable = parser->locals.items[from->local].variable;
    }
    *captures++ = capture;
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

static bool build_definitions(Builder *self, const char **keys) {
  Parser *parser = self->parser;
  size_t count = parser->definitions.count;
  Definition *definitions = new_array(self->unit, count, sizeof *definitions);
  Capture *captures =
      new_array(self->unit, parser->captures.count, sizeof *captures);
  const char **parameters = build_parameters(self);
  if (!definitions || !captures || !parameters) return false;
  for (size_t i = 0; i < count; i++) {
    const DefinitionRecord *record = &parser->definitions.items[i];
    Definition *definition = &definitions[i];
    *definition = record->result;
    definition->segment = record->segment;
    definition->target = make_path(self, keys, &record->target);
    definition->env_variable = VARIABLE_GLOBAL;
    if (record->env_local >= 0) {
      definition->env_variable =
          parser->locals.items[record->env_local].variable;
    }
    definition->parameters = parameters + record->first_parameter;
    definition->captures = captures;
    captures = build_captures(self, record, captures);
  }
  self->definitions = definitions;
  self->unit->definitions = definitions;
  self->unit->definition_count = (int)count;
  return true;
}

bool unit_build(GraftUnit *unit, Parser *parser) {
  Builder self = {.unit = unit, .parser = parser};
  unit->main_uses_env = parser->main_uses_env;
  unit->return_statement = parser->return_statement;
  if (!build_variables(&self)) return false;
  const char **keys = build_keys(&self);
  return keys != NULL && build_values(&self, keys) &&
         build_assignments(&self, keys) && build_statements(&self, keys) &&
         build_definitions(&self, keys) && exports_resolve(&self) &&
         names_assign(&self);
}
