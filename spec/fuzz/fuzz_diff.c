// SPDX-License-Identifier: MIT
//
// Fuzzing the difference: the input is two sources with a zero byte between.
// When there is none, the second is the first with a piece taken out and put
// elsewhere, as the first bytes say, so that the two have much in common.

#include <string.h>

#include "fuzz_support.h"

static void check_map(const int *there, int count, const int *back,
                      int back_count) {
  for (int i = 0; i < count; i++) {
    FUZZ_CHECK(there[i] >= -1 && there[i] < back_count);
    FUZZ_CHECK(there[i] < 0 || back[there[i]] == i);
  }
}

static void check_maps(const Diff *diff) {
  const GraftUnit *a = diff->old_unit, *b = diff->new_unit;
  check_map(diff->definition_old, b->definition_count, diff->definition_new,
            a->definition_count);
  check_map(diff->definition_new, a->definition_count, diff->definition_old,
            b->definition_count);
  check_map(diff->statement_old, b->statement_count, diff->statement_new,
            a->statement_count);
  check_map(diff->statement_new, a->statement_count, diff->statement_old,
            b->statement_count);
  check_map(diff->variable_old, b->variable_count, diff->variable_new,
            a->variable_count);
  check_map(diff->variable_new, a->variable_count, diff->variable_old,
            b->variable_count);
}

// A definition's parent is paired with its partner's parent.
static void check_parents(const Diff *diff) {
  for (int i = 0; i < diff->new_unit->definition_count; i++) {
    int old_index = diff->definition_old[i];
    FUZZ_CHECK((old_index < 0) == (diff->changes[i] == CHANGE_ADDED));
    if (old_index < 0) continue;
    int parent = diff->new_unit->definitions[i].parent;
    int old_parent = diff->old_unit->definitions[old_index].parent;
    FUZZ_CHECK(parent < 0 ? old_parent < 0
                          : diff->definition_old[parent] == old_parent);
  }
}

static void check_self(const GraftUnit *unit) {
  Diff *diff = diff_new(&memory_default, unit, unit);
  FUZZ_CHECK(diff != NULL && diff_is_empty(diff) && diff->moved_count == 0);
  diff_free(diff);
}

static void check_pair(const GraftUnit *a, const GraftUnit *b) {
  Diff *diff = diff_new(&memory_default, a, b);
  FUZZ_CHECK(diff != NULL);
  check_maps(diff);
  check_parents(diff);
  diff_free(diff);
}

// Onwards to a line's start, as most pieces that are whole lines are Lua.
static size_t snap(const char *text, size_t size, size_t at) {
  const char *end = memchr(text + at, '\n', size - at);
  return end != NULL ? (size_t)(end - text) + 1 : at;
}

// Moves a piece of `text` to the front, in place.
static void rotate(char *text, size_t size, size_t first, size_t second) {
  char *copy = malloc(size + 1);
  if (copy == NULL || size < 3) {
    free(copy);
    return;
  }
  size_t start = snap(text, size, first * size / 256);
  size_t end = snap(text, size, start + second * (size - start) / 256);
  size_t length = end - start;
  memcpy(copy, text + start, length);
  memcpy(copy + length, text, start);
  memcpy(copy + start + length, text + start + length, size - start - length);
  memcpy(text, copy, size);
  free(copy);
}

static void check_sources(const char *a_source, size_t a_size,
                          const char *b_source, size_t b_size) {
  GraftUnit *a = fuzz_compile(a_source, a_size);
  GraftUnit *b = fuzz_compile(b_source, b_size);
  if (a != NULL) check_self(a);
  if (b != NULL) check_self(b);
  if (a != NULL && b != NULL) {
    check_pair(a, b);
    check_pair(b, a);
  }
  graft_unit_free(a);
  graft_unit_free(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *text = (const char *)data;
  const char *middle = size > 0 ? memchr(text, '\0', size) : NULL;
  if (middle != NULL) {
    size_t first = (size_t)(middle - text);
    check_sources(text, first, middle + 1, size - first - 1);
    return 0;
  }
  if (size < 3) return 0;
  char *other = malloc(size);
  if (other == NULL) return 0;
  memcpy(other, text + 2, size - 2);
  rotate(other, size - 2, data[0], data[1]);
  check_sources(text + 2, size - 2, other, size - 2);
  free(other);
  return 0;
}
