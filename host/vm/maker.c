// SPDX-License-Identifier: MIT

#include <string.h>

#include "vm/cell.h"
#include "vm/chunk.h"
#include "vm/patcher_state.h"

enum { MAKER_LOCALS = 190, MAKER_READS = 50 };

typedef MakerText Text;

static void add_proto(Text *self, int definition) {
  int *place = ARRAY_PUSH(self->buffer.allocator, &self->protos);
  if (place == NULL) {
    self->buffer.failed = true;
  } else {
    *place = definition;
  }
}

static void add_protos(Text *self, int first, int end) {
  for (int i = first; i < end; i++) add_proto(self, i);
}

// Line ends as Lua counts them: CR LF and LF CR are one.
static int count_lines(const char *text, size_t size) {
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

static void add_source(Text *self, uint32_t start, uint32_t end) {
  const char *text = self->unit->source + start;
  buffer_add(&self->buffer, text, end - start);
  self->line += count_lines(text, end - start);
}

static void go_to_line(Text *self, int line) {
  if (line <= self->line) return;
  buffer_add_repeated(&self->buffer, '\n', (size_t)(line - self->line));
  self->line = line;
}

// The part of a function from its parameters on.
static void add_function(Text *self, const Definition *definition) {
  uint32_t start = definition->parameters_start;
  const char *head = self->unit->source + definition->whole.start;
  go_to_line(self, definition->start_line +
                       count_lines(head, start - definition->whole.start));
  buffer_add_text(&self->buffer, "function(");
  if (definition->has_self) {
    bool more = definition->parameter_count > 1 || definition->vararg;
    buffer_add_text(&self->buffer, more ? "self," : "self");
  }
  add_source(self, start + 1, definition->whole.end);
}

static void add_local(Text *self, const char *name, const char *constant) {
  if (constant != NULL) {
    buffer_format(&self->buffer, "local %s<const> =%s;", name, constant);
  } else {
    buffer_format(&self->buffer, "local %s;", name);
  }
}

static const char *constant_of(const GraftUnit *unit, int variable) {
  const Variable *bound = &unit->variables[variable];
  return bound->attribute == ATTRIBUTE_CONSTANT ? bound->constant : NULL;
}

// A function has 200 locals at most, but may capture more from several; then
// a second function inside the maker declares the rest.
static bool start_inner(Text *self, int *count) {
  if (++*count % MAKER_LOCALS != 0) return false;
  buffer_add_text(&self->buffer, "return(function()");
  add_proto(self, SCRIPT_NONE);
  return true;
}

static void add_maker(Text *self, int index) {
  const Definition *definition = &self->unit->definitions[index];
  buffer_format(&self->buffer, "(...)[%d]=function()", index + 1);
  add_proto(self, SCRIPT_NONE);
  int count = 0;
  bool inner = false;
  for (uint32_t i = 0; i < definition->capture_count; i++) {
    const Capture *capture = &definition->captures[i];
    if (capture->variable < 0) continue;
    inner |= start_inner(self, &count);
    add_local(self, capture->name, constant_of(self->unit, capture->variable));
  }
  if (definition->env_variable >= 0 &&
      definition_capture(definition, "_ENV") == NULL) {
    add_local(self, "_ENV", NULL);
  }
  buffer_add_text(&self->buffer, "return ");
  add_protos(self, index, definition->subtree_end);
  add_function(self, definition);
  buffer_add_text(&self->buffer, inner ? " end)()end;" : " end;");
}

// ---------------------------------------------------------------------------
// Statements
// ---------------------------------------------------------------------------

// Variables of the module that a statement names, itself or in a function.
typedef enum Use {
  USE_NOT,
  USE_READ,
  USE_CELL, // assigned, or captured by a function in it
} Use;

typedef struct Names {
  Use *uses; // by variable
  const GraftUnit *unit;
  int statement;
} Names;

static void use(Names *self, int variable, Use kind) {
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
    use(self, unit->reads[statement->first_read + i].variable, USE_READ);
  }
  for (uint32_t i = 0; i < statement->assignment_count; i++) {
    uint32_t index = statement->first_assignment + i;
    use(self, unit->assignments[index].target.variable, USE_CELL);
  }
  if (statement->kind == STATEMENT_CALL) {
    use(self, statement->callee.variable, USE_READ);
  }
  for (int i = 0; i < statement->definition_count; i++) {
    const Definition *definition =
        &unit->definitions[statement->first_definition + i];
    for (uint32_t k = 0; k < definition->capture_count; k++) {
      use(self, definition->captures[k].variable, USE_CELL);
    }
    use(self, definition->env_variable, USE_CELL);
  }
}

static int find_uses(Text *self, int statement, Use *uses) {
  const GraftUnit *unit = self->unit;
  memset(uses, 0, sizeof *uses * (size_t)(unit->variable_count + 1));
  Names names = {uses, unit, statement};
  use_statement(&names);
  int count = 0;
  for (int i = 0; i < unit->variable_count; i++) {
    if (uses[i] == USE_NOT) continue;
    add_local(self, unit->variables[i].name, constant_of(unit, i));
    count++;
  }
  return count;
}

// The next names that are only read, from variable `first` on, with commas;
// returns where the ones after them begin.
static int add_read_names(Text *self, const Use *uses, int first) {
  int count = 0, i = first;
  for (; i < self->unit->variable_count && count < MAKER_READS; i++) {
    if (uses[i] != USE_READ) continue;
    buffer_format(&self->buffer, count++ > 0 ? ",%s" : "%s",
                  self->unit->variables[i].name);
  }
  return i;
}

static int next_read(const Text *self, const Use *uses, int first) {
  while (first < self->unit->variable_count && uses[first] != USE_READ) first++;
  return first;
}

// LuaJIT's functions have 60 variables from outside at most, fewer than the
// locals that a statement of the main chunk may read; these are handed in by
// functions then.
static void add_readers(Text *self, const Use *uses, bool inside) {
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
      add_proto(self, SCRIPT_NONE);
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
static void add_statement(Text *self, const PatchedFile *file, int place,
                          Use *uses) {
  const GraftUnit *unit = self->unit;
  int index = file->patch.diff->run[place];
  const Statement *statement = &unit->statements[index];
  buffer_format(&self->buffer, "(...)[%d]=function()", place + 1);
  add_proto(self, SCRIPT_NONE);
  bool readers = find_uses(self, index, uses) > MAKER_READS && VM_LUAJIT;
  if (readers) add_readers(self, uses, false);
  buffer_add_text(&self->buffer, "return function(...)");
  if (readers) add_readers(self, uses, true);
  add_proto(self, SCRIPT_NONE);
  add_protos(self, statement->first_definition,
             statement->first_definition + statement->definition_count);
  if (statement_gives_function(unit, index)) {
    buffer_add_text(&self->buffer, " return ");
    add_function(self, &unit->definitions[statement->first_definition]);
  } else if (!statement_gives_values(file, index)) {
    go_to_line(self, statement->line);
    buffer_add_text(&self->buffer, " ");
    add_source(self, statement->range.start, statement->range.end);
  } else if (statement->assignment_count > 0 &&
             unit->assignments[statement->first_assignment].value >= 0) {
    uint32_t start = values_start(unit, statement);
    const char *head = unit->source + statement->range.start;
    go_to_line(self, statement->line +
                         count_lines(head, start - statement->range.start));
    buffer_add_text(&self->buffer, " return ");
    add_source(self, start, statement->range.end);
  }
  buffer_add_text(&self->buffer, "\nend end;");
  self->line++;
}

// ---------------------------------------------------------------------------
// Compiling
// ---------------------------------------------------------------------------

static Text *start_text(PatchedFile *file) {
  Text *self = &file->text;
  buffer_clear(&self->buffer);
  self->unit = file->patch.unit;
  self->line = 1;
  self->protos.count = 0;
  return self;
}

// Compiles the text and calls it with the table at `makers`.
static void run_text(const Text *self, Script *script, lua_State *L,
                     int makers) {
  if (self->buffer.failed) luaL_error(L, "out of memory");
  if (self->buffer.size == 0) return;
  if (luaL_loadbufferx_text(L, self->buffer.text, self->buffer.size,
                            script->chunk_name) != LUA_OK) {
    lua_error(L);
  }
#if VM_LUAJIT
  vm_push(script->vm, L, script->environment_ref);
  lua_getfenv(L, -1);
  lua_setfenv(L, -3);
  lua_pop(L, 1);
#endif
  lua_pushvalue(L, -1);
  // stack: …, chunk, chunk
  ScriptChunk *chunk = chunk_new(script, L);
  for (size_t i = 0; i < self->protos.count && i + 1 < chunk->count; i++) {
    chunk_map(chunk, i + 1, self->protos.items[i]);
  }
  lua_pushvalue(L, makers);
  lua_call(L, 1, 0);
  lua_pop(L, 1);
}

static void compile_depth(PatchedFile *file, lua_State *L, int depth) {
  Text *text = start_text(file);
  const GraftUnit *unit = file->patch.unit;
  for (int i = 0; i < unit->definition_count; i++) {
    if (file->rework[i] && unit->definitions[i].depth == depth) {
      add_maker(text, i);
    }
  }
  run_text(text, file->patch.script, L, lua_gettop(L));
}

static int deepest_rework(const PatchedFile *file) {
  int deepest = -1;
  for (int i = 0; i < file->patch.unit->definition_count; i++) {
    int depth = file->patch.unit->definitions[i].depth;
    if (file->rework[i] && depth > deepest) deepest = depth;
  }
  return deepest;
}

static void compile_statements(PatchedFile *file, lua_State *L) {
  const Diff *diff = file->patch.diff;
  size_t size = (size_t)file->patch.unit->variable_count + 1;
  Use *uses = lua_newuserdata(L, size * sizeof *uses);
  lua_insert(L, -2);
  // stack: …, uses, makers
  Text *text = start_text(file);
  for (int i = 0; i < diff->run_count; i++) {
    add_statement(text, file, i, uses);
  }
  run_text(text, file->patch.script, L, lua_gettop(L));
}

void maker_compile(PatchedFile *file, lua_State *L) {
  Vm *vm = file->patch.script->vm;
  lua_newtable(L);
  // Functions that enclose each other share lines, so each depth is a text of
  // its own.
  for (int depth = deepest_rework(file); depth >= 0; depth--) {
    compile_depth(file, L, depth);
  }
  file->makers_ref = vm_ref(vm, L);
  lua_newtable(L);
  compile_statements(file, L);
  file->statements_ref = vm_ref(vm, L);
}
