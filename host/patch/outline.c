// SPDX-License-Identifier: MIT

#include "patch/outline.h"

#include <string.h>

// The statements are the same, one by one, and so are all functions but for
// their insides; so the main chunk is what it was.
static bool has_same_surroundings(const Diff *diff) {
  const GraftUnit *old = diff->old_unit, *new = diff->new_unit;
  if (old == NULL || old->statement_count != new->statement_count ||
      diff->added_count > 0 || diff->deleted_count > 0 || diff->run_count > 0 ||
      diff->removed_count > 0) {
    return false;
  }
  for (int i = 0; i < new->statement_count; i++) {
    if (diff->statement_changes[i] != STATEMENT_SAME ||
        diff->statement_old[i] != i) {
      return false;
    }
  }
  return true;
}

// `function a.b() … end` declares nothing that others are bound to.
static bool may_be_left_out(const Diff *diff, const Statement *statement) {
  if (statement->kind != STATEMENT_FUNCTION) return false;
  for (int i = 0; i < statement->definition_count; i++) {
    Change change = diff->changes[statement->first_definition + i];
    if (change != CHANGE_SAME && change != CHANGE_MOVED) return false;
  }
  return true;
}

// LF alone, as most files have it, is found many bytes at a time.
static void add_line_feeds(Buffer *text, const char *from, const char *end) {
  size_t count = 0;
  while ((from = memchr(from, '\n', (size_t)(end - from))) != NULL) {
    count++;
    from++;
  }
  buffer_add_repeated(text, '\n', count);
}

static void add_line_ends(Buffer *text, const char *from, const char *end) {
  if (memchr(from, '\r', (size_t)(end - from)) == NULL) {
    add_line_feeds(text, from, end);
    return;
  }
  for (const char *at = from; at < end; at++) {
    if (*at == '\n' || *at == '\r') buffer_add(text, at, 1);
  }
}

// What lies between two statements is white space and comments, of which the
// VM needs the line ends, where nothing else of the neighbours stands.
bool outline_make(const Diff *diff, Buffer *text) {
  if (!has_same_surroundings(diff)) return false;
  const GraftUnit *unit = diff->new_unit;
  size_t at = unit->code_start;
  bool after_left_out = false;
  for (int i = 0; i < unit->statement_count; i++) {
    const Statement *statement = &unit->statements[i];
    bool left_out = may_be_left_out(diff, statement);
    Range range = statement->range;
    if (left_out && after_left_out) {
      add_line_ends(text, unit->source + at, unit->source + range.end);
      at = range.end;
    } else if (left_out) {
      buffer_add(text, unit->source + at, range.start - at);
      // A statement has to stand there, or its neighbours might become one.
      buffer_add_text(text, "do end");
      add_line_ends(text, unit->source + range.start, unit->source + range.end);
      at = range.end;
    }
    after_left_out = left_out;
  }
  buffer_add(text, unit->source + at, unit->size - at);
  return !text->failed;
}
