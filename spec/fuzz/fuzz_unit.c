// SPDX-License-Identifier: MIT
//
// Fuzzing the parser: any bytes give a unit or an error. What a unit says of
// itself must hold together.

#include "fuzz_support.h"

static void check_range(const GraftUnit *unit, Range range) {
  FUZZ_CHECK(range.start <= range.end && range.end <= unit->size);
}

static void check_path(const GraftUnit *unit, const Path *path) {
  FUZZ_CHECK(path->variable < unit->variable_count);
  for (uint32_t i = 0; path->name != NULL && i < path->key_count; i++) {
    FUZZ_CHECK(path->keys[i] != NULL);
  }
}

static void check_definitions(const GraftUnit *unit) {
  for (int i = 0; i < unit->definition_count; i++) {
    const Definition *definition = &unit->definitions[i];
    check_range(unit, definition->whole);
    check_range(unit, definition->body);
    check_path(unit, &definition->target);
    FUZZ_CHECK(definition->parent < i);
    FUZZ_CHECK(definition->subtree_end > i &&
               definition->subtree_end <= unit->definition_count);
    FUZZ_CHECK(definition->statement < unit->statement_count);
    FUZZ_CHECK(definition->name != NULL && definition->path != NULL);
    FUZZ_CHECK(definition->last_line >= definition->start_line);
    for (uint32_t k = 0; k < definition->capture_count; k++) {
      const Capture *capture = &definition->captures[k];
      FUZZ_CHECK(capture->variable >= VARIABLE_GLOBAL &&
                 capture->variable < unit->variable_count);
    }
    for (int k = 0; k < definition->parameter_count; k++) {
      FUZZ_CHECK(definition->parameters[k] != NULL);
    }
  }
}

static void check_values(const GraftUnit *unit) {
  for (int i = 0; i < unit->value_count; i++) {
    const Value *value = &unit->values[i];
    check_range(unit, value->range);
    check_path(unit, &value->path);
    FUZZ_CHECK((int)(value->first_read + value->read_count) <=
               unit->read_count);
    int fields = 0;
    for (int k = value->first_field; k >= 0; k = unit->fields[k].next) {
      FUZZ_CHECK(unit->fields[k].value > i);
      fields++;
    }
    FUZZ_CHECK(value->kind != VALUE_TABLE || fields == value->field_count);
  }
}

static void check_statements(const GraftUnit *unit) {
  uint32_t end = 0;
  for (int i = 0; i < unit->statement_count; i++) {
    const Statement *statement = &unit->statements[i];
    check_range(unit, statement->range);
    check_path(unit, &statement->callee);
    FUZZ_CHECK(statement->range.start >= end);
    end = statement->range.end;
    FUZZ_CHECK(statement->first_definition + statement->definition_count <=
               unit->definition_count);
    FUZZ_CHECK(statement->first_variable + statement->variable_count <=
               unit->variable_count);
  }
  for (int i = 0; i < unit->assignment_count; i++) {
    const Assignment *assignment = &unit->assignments[i];
    check_path(unit, &assignment->target);
    FUZZ_CHECK(assignment->value < unit->value_count);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  GraftUnit *unit = fuzz_compile((const char *)data, size);
  if (unit != NULL) {
    check_definitions(unit);
    check_values(unit);
    check_statements(unit);
  }
  graft_unit_free(unit);
  return 0;
}
