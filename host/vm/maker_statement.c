// SPDX-License-Identifier: MIT
//
// The text of statements that run in a patch: a chunk that fills the table it
// is called with, under each statement's place in diff->run + 1, with a maker
// of the function that runs it.

#include <string.h>

#include "vm/patcher_state.h"

enum { MAKER_READS = 50 };

typedef struct Names {
  MakerUse *uses; // by variable
  const GraftUnit *unit;
  int statement;
} Names;

static void use(Names *self, int variable, MakerUse kind) {
  if (variable < 0) return;
  const Variable *bound = &self->unit->variables[variable];
  bool outside = bound->owner < 0 && bound->top;
  bool own = bound->statement == self->statement && bound->owner < 0;
  const Statement *statement = &self->unit->statements[self->statement];
  // A local that the statement declares at the top is known to the functions
  // in it only when it is a `local function`.
  if (own && statement->kind != STATEMENT_LOCAL_FUNCTION) return;
  if (outside && kind > self->uses[variable]) self->uses[variable] = kind;
}

static void use_statement(Names *self) {
  const GraftUnit *unit = self->unit;
  const Statement *statement = &unit->statements[self->statement];
  for (uint32_t i = 0; i < statement->read_count; i++) {
    use(self, unit->reads[statement->first_read + i].variable, MAKER_READ);
  }
  for (uint32_t i = 0; i < statement->assignment_count; i++) {
    uint32_t index = statement->first_assignment + i;
    use(self, unit->assignments[index].target.variable, MAKER_CELL);
  }
  if (statement->kind == STATEMENT_CALL) {
    use(self, statement->callee.variable, MAKER_READ);
  }
  for (int i = 0; i < statement->definition_count; i++) {
    const Definition *definition =
        &unit->definitions[statement->first_definition + i];
    for (uint32_t k = 0; k < definition->capture_count; k++) {
      use(self, definition->captures[k].variable, MAKER_CELL);
    }
    use(self, definition->env_variable, MAKER_CELL);
  }
}

static int find_uses(MakerText *self, int statement, MakerUse *uses) {
  const GraftUnit *unit = self->unit;
  memset(uses, 0, sizeof *uses * (size_t)(unit->variable_count + 1));
  Names names = {uses, unit, statement};
  use_statement(&names);
  int count = 0;
  for (int i = 0; i < unit->variable_count; i++) {
    if (uses[i] == MAKER_NO_USE) continue;
    maker_add_local(self, unit->variables[i].name, maker_constant(unit, i));
    count++;
  }
  return count;
}

// The next names that are only read, from variable `first` on, with commas;
// returns where the ones after them begin.
static int add_read_names(MakerText *self, const MakerUse *uses, int first) {
  int count = 0, i = first;
  for (; i < self->unit->variable_count && count < MAKER_READS; i++) {
    if (uses[i] != MAKER_READ) continue;
    buffer_format(&self->buffer, count++ > 0 ? ",%s" : "%s",
                  self->unit->variables[i].name);
  }
  return i;
}

static int next_read(const MakerText *self, const MakerUse *uses, int first) {
  while (first < self->unit->variable_count && uses[first] != MAKER_READ)
    first++;
  return first;
}

// LuaJIT's functions have 60 variables from outside at most, fewer than the
// locals that a statement of the main chunk may read; these are handed in by
// functions then.
static void add_readers(MakerText *self, const MakerUse *uses, bool inside) {
  int count = self->unit->variable_count;
  int number = 1;
  for (int i = next_read(self, uses, 0); i < count; number++) {
    int first = i;
    buffer_add_text(&self->buffer, "local ");
    if (inside) {
      i = add_read_names(self, uses, first);
      buffer_format(&self->buffer, "=" MAKER_READER "%d();", number);
    } else {
      buffer_format(&self->buffer, MAKER_READER "%d=function()return ", number);
      maker_add_proto(self, SCRIPT_NONE);
      i = add_read_names(self, uses, first);
      buffer_add_text(&self->buffer, " end;");
    }
    i = next_read(self, uses, i);
  }
}

// Where the values of a local or an assignment begin.
static uint32_t values_start(const GraftUnit *unit,
                             const Statement *statement) {
  const Assignment *first = &unit->assignments[statement->first_assignment];
  return unit->values[first->value].range.start;
}

// A statement that gives values is cut down to these; a local function gives
// the function; any other statement runs as it stands.
static void add_statement(MakerText *self, const PatchedFile *file, int place,
                          MakerUse *uses) {
  const GraftUnit *unit = self->unit;
  int index = file->patch.diff->run[place];
  const Statement *statement = &unit->statements[index];
  buffer_format(&self->buffer, "(...)[%d]=function()", place + 1);
  maker_add_proto(self, SCRIPT_NONE);
  bool readers = find_uses(self, index, uses) > MAKER_READS && VM_LUAJIT;
  if (readers) add_readers(self, uses, false);
  buffer_add_text(&self->buffer, "return function(...)");
  if (readers) add_readers(self, uses, true);
  maker_add_proto(self, SCRIPT_NONE);
  maker_add_protos(self, statement->first_definition,
                   statement->first_definition + statement->definition_count);
  if (statement_gives_function(unit, index)) {
    buffer_add_text(&self->buffer, " return ");
    maker_add_function(self, &unit->definitions[statement->first_definition]);
  } else if (!statement_gives_values(file, index)) {
    maker_go_to_line(self, statement->line);
    buffer_add_text(&self->buffer, " ");
    maker_add_source(self, statement->range.start, statement->range.end);
  } else if (statement->assignment_count > 0 &&
             unit->assignments[statement->first_assignment].value >= 0) {
    uint32_t start = values_start(unit, statement);
    const char *head = unit->source + statement->range.start;
    maker_go_to_line(
        self, statement->line +
                  maker_count_lines(head, start - statement->range.start));
    buffer_add_text(&self->buffer, " return ");
    maker_add_source(self, start, statement->range.end);
  }
  buffer_add_text(&self->buffer, "\nend end;");
  self->line++;
}

void maker_add_statements(MakerText *self, const PatchedFile *file,
                          MakerUse *uses) {
  for (int i = 0; i < file->patch.diff->run_count; i++) {
    add_statement(self, file, i, uses);
  }
}
