// SPDX-License-Identifier: MIT

#include "vm/maker_text.h"

#include <string.h>

#include "vm/cell.h"
#include "vm/script.h"

enum { MAKER_LOCALS = 190 };

void maker_text_init(MakerText *self, const GraftAllocator *allocator) {
  *self = (MakerText){.line = 1};
  buffer_init(&self->buffer, allocator);
}

void maker_text_clear(MakerText *self) {
  memory_free(self->buffer.allocator, self->protos.items);
  buffer_clear(&self->buffer);
}

void maker_text_start(MakerText *self, const GraftUnit *unit) {
  buffer_clear(&self->buffer);
  self->unit = unit;
  self->line = 1;
  self->protos.count = 0;
}

// ---------------------------------------------------------------------------
// What is needed
// ---------------------------------------------------------------------------

// Moved functions keep their prototypes when all lines in them move alike.
static bool needs_prototype(const Diff *diff, int definition) {
  switch (diff->changes[definition]) {
  case CHANGE_UPDATED:
  case CHANGE_TOUCHED:
    return true;
  case CHANGE_MOVED:
    return diff->new_unit->definitions[definition].lines !=
           diff->old_unit->definitions[diff->definition_old[definition]].lines;
  case CHANGE_SAME:
  case CHANGE_ADDED:
    break;
  }
  return false;
}

void maker_find_rework(const Diff *diff, bool *rework) {
  const GraftUnit *unit = diff->new_unit;
  // Children follow their parents, so going backwards meets them first.
  for (int i = unit->definition_count - 1; i >= 0; i--) {
    if (diff->definition_old[i] < 0) continue;
    if (needs_prototype(diff, i)) rework[i] = true;
    int parent = unit->definitions[i].parent;
    if (rework[i] && parent >= 0 && diff->definition_old[parent] >= 0) {
      rework[parent] = true;
    }
  }
}

bool maker_is_direct(const Definition *definition) {
  return definition->depth == 0 && !definition->in_block &&
         definition->capture_count < MAKER_LOCALS;
}

int maker_deepest(const GraftUnit *unit, const bool *rework) {
  int deepest = -1;
  for (int i = 0; i < unit->definition_count; i++) {
    int depth = unit->definitions[i].depth;
    if (rework[i] && depth > deepest) deepest = depth;
  }
  return deepest;
}

// ---------------------------------------------------------------------------
// Pieces
// ---------------------------------------------------------------------------

void maker_add_proto(MakerText *self, int definition) {
  int *place = ARRAY_PUSH(self->buffer.allocator, &self->protos);
  if (place == NULL) {
    self->buffer.failed = true;
  } else {
    *place = definition;
  }
}

void maker_add_protos(MakerText *self, int first, int end) {
  for (int i = first; i < end; i++) maker_add_proto(self, i);
}

// Line ends as Lua counts them: CR LF and LF CR are one.
int maker_count_lines(const char *text, size_t size) {
  int count = 0;
  for (size_t i = 0; i < size; i++) {
    if (text[i] != '\n' && text[i] != '\r') continue;
    count++;
    bool pair = i + 1 < size && text[i + 1] != text[i] &&
                (text[i + 1] == '\n' || text[i + 1] == '\r');
    if (pair) i++;
  }
  return count;
}

void maker_add_source(MakerText *self, uint32_t start, uint32_t end) {
  const char *text = self->unit->source + start;
  buffer_add(&self->buffer, text, end - start);
  self->line += maker_count_lines(text, end - start);
}

void maker_go_to_line(MakerText *self, int line) {
  if (line <= self->line) return;
  buffer_add_repeated(&self->buffer, '\n', (size_t)(line - self->line));
  self->line = line;
}

// The part of a function from its parameters on.
void maker_add_function(MakerText *self, const Definition *definition) {
  uint32_t start = definition->parameters_start;
  const char *head = self->unit->source + definition->whole.start;
  maker_go_to_line(
      self, definition->start_line +
                maker_count_lines(head, start - definition->whole.start));
  buffer_add_text(&self->buffer, "function(");
  if (definition->has_self) {
    bool more = definition->parameter_count > 1 || definition->vararg;
    buffer_add_text(&self->buffer, more ? "self," : "self");
  }
  maker_add_source(self, start + 1, definition->whole.end);
}

void maker_add_local(MakerText *self, const char *name, const char *constant) {
  if (constant != NULL) {
    buffer_format(&self->buffer, "local %s<const> =%s;", name, constant);
  } else {
    buffer_format(&self->buffer, "local %s;", name);
  }
}

const char *maker_constant(const GraftUnit *unit, int variable) {
  const Variable *bound = &unit->variables[variable];
  return bound->attribute == ATTRIBUTE_CONSTANT ? bound->constant : NULL;
}

// ---------------------------------------------------------------------------
// Functions
// ---------------------------------------------------------------------------

// A function has 200 locals at most, but may capture more from several; then
// a second function inside the maker declares the rest.
static bool start_inner(MakerText *self, int *count) {
  if (++*count % MAKER_LOCALS != 0) return false;
  buffer_add_text(&self->buffer, "return(function()");
  maker_add_proto(self, SCRIPT_NONE);
  return true;
}

static void add_env(MakerText *self, const Definition *definition) {
  if (definition->env_variable >= 0 &&
      definition_capture(definition, "_ENV") == NULL) {
    maker_add_local(self, "_ENV", NULL);
  }
}

static void add_maker(MakerText *self, int index) {
  const Definition *definition = &self->unit->definitions[index];
  buffer_format(&self->buffer, "(...)[%d]=function()", index + 1);
  maker_add_proto(self, SCRIPT_NONE);
  int count = 0;
  bool inner = false;
  for (uint32_t i = 0; i < definition->capture_count; i++) {
    const Capture *capture = &definition->captures[i];
    if (capture->variable < 0) continue;
    inner |= start_inner(self, &count);
    maker_add_local(self, capture->name,
                    maker_constant(self->unit, capture->variable));
  }
  add_env(self, definition);
  buffer_add_text(&self->buffer, "return ");
  maker_add_protos(self, index, definition->subtree_end);
  maker_add_function(self, definition);
  buffer_add_text(&self->buffer, inner ? " end)()end;" : " end;");
}

static void add_direct(MakerText *self, int index) {
  const Definition *definition = &self->unit->definitions[index];
  buffer_add_text(&self->buffer, "do ");
  for (uint32_t i = 0; i < definition->capture_count; i++) {
    const Capture *capture = &definition->captures[i];
    if (capture->variable < 0) continue;
    maker_add_local(self, capture->name,
                    maker_constant(self->unit, capture->variable));
  }
  add_env(self, definition);
  buffer_format(&self->buffer, "(...)[%d]=", index + 1);
  maker_add_protos(self, index, definition->subtree_end);
  maker_add_function(self, definition);
  buffer_add_text(&self->buffer, " end;");
}

void maker_add_depth(MakerText *self, const bool *rework, int depth) {
  const GraftUnit *unit = self->unit;
  for (int i = 0; i < unit->definition_count; i++) {
    if (!rework[i] || unit->definitions[i].depth != depth) continue;
    if (maker_is_direct(&unit->definitions[i])) {
      add_direct(self, i);
    } else {
      add_maker(self, i);
    }
  }
}
