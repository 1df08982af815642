// SPDX-License-Identifier: MIT

#include "vm/initial.h"

#include <string.h>

#include "vm/evaluate.h"

static bool is_prefix(const Path *target, const Path *path) {
  if (target->name == NULL || target->computed ||
      target->key_count > path->key_count ||
      target->variable != path->variable ||
      strcmp(target->name, path->name) != 0) {
    return false;
  }
  for (uint32_t i = 0; i < target->key_count; i++) {
    if (strcmp(target->keys[i], path->keys[i]) != 0) return false;
  }
  return true;
}

int initial_field(const GraftUnit *unit, int value, const char *key) {
  int table = evaluate_constructor(unit, value);
  if (table < 0) return -1;
  int found = -1;
  for (int i = unit->values[table].first_field; i >= 0;
       i = unit->fields[i].next) {
    const Field *field = &unit->fields[i];
    if (field->kind == FIELD_NAME && strcmp(field->name, key) == 0) {
      found = field->value;
    }
  }
  return found;
}

bool initial_find(const GraftUnit *unit, const Path *path, Initial *initial) {
  *initial = (Initial){.value = -1};
  for (int i = 0; i < unit->assignment_count; i++) {
    const Assignment *assignment = &unit->assignments[i];
    if (assignment->in_block || !is_prefix(&assignment->target, path)) continue;
    int value = assignment->value;
    uint32_t at = assignment->target.key_count;
    bool exact = at == path->key_count;
    for (; at < path->key_count && value >= 0; at++) {
      value = initial_field(unit, value, path->keys[at]);
    }
    if (!exact && value < 0) continue;
    initial->assignment = assignment;
    initial->value = value;
    initial->count++;
  }
  return initial->count > 0;
}
