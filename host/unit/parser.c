// SPDX-License-Identifier: MIT
//
// What every part of the parser uses: errors, tokens, functions; and the run
// of the whole.

#include "unit/parser.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"

// ---------------------------------------------------------------------------
// Errors
// ---------------------------------------------------------------------------

void parser_no_memory(Parser *self) {
  self->status = error_memory(self->error);
  longjmp(self->escape, 1);
}

static int column_of(uint32_t offset, uint32_t line_start) {
  return (int)(offset - line_start) + 1;
}

void parser_fail(Parser *self, const char *format, ...) {
  char message[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  const Token *token = &self->token;
  self->status = error_set(self->error, GRAFT_ESYNTAX, "%s", message);
  error_at(self->error, self->unit->file, token->line,
           column_of(token->start, token->line_start));
  longjmp(self->escape, 1);
}

void parser_fail_near(Parser *self, const char *message) {
  const Token *token = &self->token;
  if (token->kind == TOKEN_END) parser_fail(self, "%s near <eof>", message);
  uint32_t size = token->end - token->start;
  bool cut = size > 60;
  parser_fail(self, "%s near '%.*s%s'", message, (int)(cut ? 60 : size),
              self->lexer.source + token->start, cut ? "..." : "");
}

// Grows by a quarter once large, since much of a large source is little
// memory left; items are not set to zero, so that no page is touched early.
void parser_reserve(Parser *self, void **items, size_t *capacity, size_t size) {
  size_t more = *capacity < 1 << 16 ? *capacity + 16 : *capacity / 4;
  void *moved =
      memory_resize(self->allocator, *items, (*capacity + more) * size);
  if (moved == NULL) parser_no_memory(self);
  *items = moved;
  *capacity += more;
}

// ---------------------------------------------------------------------------
// Tokens
// ---------------------------------------------------------------------------

static void lexer_failed(Parser *self) {
  Lexer *lexer = &self->lexer;
  if (lexer->no_memory) parser_no_memory(self);
  // A fault's message shows the text up to where it was noticed.
  if (lexer->at < lexer->limit && self->token.end <= self->token.start) {
    self->token.end = self->token.start + 1;
  }
  if (lexer->fault_line > 0) {
    parser_fail(self, "%s (starting at line %d) near <eof>", lexer->fault,
                lexer->fault_line);
  }
  self->token.kind = TOKEN_STRING;
  if (lexer->at >= lexer->limit && lexer->fault[0] == 'u') { // unfinished …
    self->token.kind = TOKEN_END;
  }
  parser_fail_near(self, lexer->fault);
}

static void read_token(Parser *self) {
  if (!lexer_next(&self->lexer, &self->token)) lexer_failed(self);
}

// Consumes the token into the function's fingerprints and reads the next.
void parser_advance(Parser *self) {
  FunctionState *function = self->function;
  const Token *token = &self->token;
  function->own = hash_mix(function->own, token->hash);
  function->token_count++;
  if (token->line != function->last_line) {
    function->last_line = token->line;
    uint64_t at = (uint64_t)function->token_count << 32;
    function->lines = hash_mix(function->lines,
                               at | (uint32_t)(token->line - function->line));
  }
  self->last_end = token->end;
  self->last_line = token->line;
  if (self->has_ahead) {
    self->token = self->ahead;
    self->has_ahead = false;
  } else {
    read_token(self);
  }
}

const Token *parser_peek(Parser *self) {
  if (!self->has_ahead) {
    Token current = self->token;
    read_token(self);
    self->ahead = self->token;
    self->token = current;
    self->has_ahead = true;
  }
  return &self->ahead;
}

bool parser_accept(Parser *self, uint32_t kind) {
  if (self->token.kind != kind) return false;
  parser_advance(self);
  return true;
}

void parser_expect(Parser *self, uint32_t kind) {
  if (parser_accept(self, kind)) return;
  char sign[8], message[40];
  snprintf(message, sizeof message, "'%s' expected",
           token_kind_text(kind, sign));
  parser_fail_near(self, message);
}

void parser_expect_close(Parser *self, uint32_t kind, uint32_t opener,
                         int line) {
  if (parser_accept(self, kind)) return;
  if (line == self->token.line) parser_expect(self, kind);
  char sign[8], opener_sign[8], message[80];
  snprintf(message, sizeof message, "'%s' expected (to close '%s' at line %d)",
           token_kind_text(kind, sign), token_kind_text(opener, opener_sign),
           line);
  parser_fail_near(self, message);
}

Symbol *parser_expect_name(Parser *self) {
  if (self->token.kind != TOKEN_NAME) {
    parser_fail_near(self, "<name> expected");
  }
  Symbol *symbol = self->token.symbol;
  parser_advance(self);
  return symbol;
}

void parser_enter(Parser *self) {
  if (++self->depth > PARSER_DEPTH) {
    parser_fail(self, "chunk has too many syntax levels (limit is %d)",
                PARSER_DEPTH);
  }
}

// ---------------------------------------------------------------------------
// Functions
// ---------------------------------------------------------------------------

static void add_parameter(Parser *self, Definition *definition, Symbol *symbol,
                          uint32_t offset) {
  if (definition->parameter_count >= PARSER_PARAMETERS) {
    parser_fail(self, "too many local variables (limit is 200) in function");
  }
  definition->parameter_count++;
  *PARSER_PUSH(self, &self->parameters) = symbol;
  int local = scope_declare(self, symbol, offset);
  self->locals.items[local].parameter = true;
}

static void parse_parameters(Parser *self, Definition *definition) {
  definition->parameters_start = self->token.start;
  parser_expect(self, '(');
  while (self->token.kind != ')') {
    if (self->token.kind == TOKEN_DOTS) {
      parser_advance(self);
      definition->vararg = true;
      break;
    }
    uint32_t offset = self->token.start;
    add_parameter(self, definition, parser_expect_name(self), offset);
    if (self->token.kind != ',') break;
    parser_advance(self);
    if (self->token.kind == ')') parser_fail_near(self, "<name> expected");
  }
  definition->body.start = self->token.end;
  parser_expect(self, ')');
}

// Pushes the definition's record, so that the order is that of `function`
// tokens.
static int add_definition(Parser *self, const BodyDesc *desc) {
  int index = (int)self->definitions.count;
  Definition *record = PARSER_PUSH(self, &self->definitions);
  FunctionState *parent = self->function;
  *record = (Definition){
      .kind = desc->kind,
      .parent = parent->definition,
      .child_index = parent->child_count++,
      .depth = parent->level,
      .statement = self->statement,
      .has_self = desc->has_self,
      .in_block = parent->block_depth > 0,
      .whole = {.start = desc->token.start},
      .line = desc->line,
      .column = column_of(desc->token.start, desc->token.line_start),
      .start_line = desc->token.line,
      .parameters = index_pack((intptr_t)self->parameters.count),
  };
  if (desc->kind == DEFINITION_ANONYMOUS) {
    role_describe(self, record);
  } else {
    const ParsedPath *target = &self->targets.items[self->targets.count - 1];
    role_describe_target(self, record, target);
  }
  return index;
}

// Mixes what each name that the function itself uses is bound to: order-free,
// because nested functions decide the order too.
static uint64_t hash_bindings(Parser *self, const FunctionState *function) {
  uint64_t sum = 0;
  for (int i = function->first_capture; i >= 0;) {
    const CaptureRecord *record = &self->captures.items[i];
    i = record->next;
    if (!record->direct) continue;
    uint64_t hash = record->symbol->hash;
    if (record->local >= 0) {
      const Local *local = &self->locals.items[record->local];
      hash = hash_mix(hash, (uint64_t)(function->level - local->level));
      if (local->constant != NULL) {
        hash = hash_bytes(hash, local->constant, strlen(local->constant));
      }
    }
    sum += hash_mix(hash, HASH_EMPTY);
  }
  return sum;
}

static void count_upvalues(Parser *self, const FunctionState *function,
                           Definition *definition) {
  unsigned jit = 0, lua54 = function->uses_env;
  for (int i = function->first_capture; i >= 0;) {
    const CaptureRecord *record = &self->captures.items[i];
    i = record->next;
    definition->capture_count++;
    if (record->local < 0) continue;
    const Local *local = &self->locals.items[record->local];
    if (!record->env_only) jit++;
    if (local->attribute != ATTRIBUTE_CONSTANT) lua54++;
  }
  definition->capture_count_jit = (uint16_t)(jit < 0xffff ? jit : 0xffff);
  definition->upvalue_count_54 = (uint16_t)(lua54 < 0xffff ? lua54 : 0xffff);
}

static void finish_definition(Parser *self, int index) {
  FunctionState *function = self->function;
  Definition *definition = &self->definitions.items[index];
  definition->whole.end = self->last_end;
  definition->last_line = self->last_line;
  definition->child_count = function->child_count;
  definition->subtree_end = (int)self->definitions.count;
  definition->uses_env = function->uses_env;
  uint64_t own = hash_mix(function->own, definition->has_self);
  own = hash_mix(own, hash_bindings(self, function));
  definition->own = own;
  definition->deep = hash_mix(own, function->nested);
  definition->lines = function->lines;
  count_upvalues(self, function, definition);
  definition->captures = index_pack(function->first_capture);
  definition->env_variable = function->env_local;
}

int parse_body(Parser *self, const BodyDesc *desc) {
  int index = add_definition(self, desc);
  FunctionState state = {
      .definition = index, .line = desc->line, .last_line = desc->line};
  const Role *role = self->role;
  size_t active = self->active.count;
  self->role = NULL;
  scope_open_function(self, &state);
  Definition *definition = &self->definitions.items[index];
  if (desc->has_self) {
    add_parameter(self, definition, self->symbol_self, self->token.start);
  }
  parse_parameters(self, definition);
  parse_block(self);
  self->definitions.items[index].body.end = self->token.start;
  parser_expect_close(self, TOKEN_END_KEYWORD, TOKEN_FUNCTION,
                      desc->token.line);
  finish_definition(self, index);
  scope_close(self, active);
  scope_close_function(self);
  self->role = role;
  uint64_t deep = self->definitions.items[index].deep;
  self->function->nested = hash_mix(self->function->nested, deep);
  return index;
}

// ---------------------------------------------------------------------------
// Run
// ---------------------------------------------------------------------------

static Symbol *intern(Parser *self, const char *text) {
  char padded[LEXER_PADDING + 8] = {0};
  size_t size = strlen(text);
  memcpy(padded, text, size);
  Symbol *symbol =
      symbol_intern(&self->symbols, padded, size, symbol_hash(padded, size));
  if (symbol == NULL) parser_no_memory(self);
  return symbol;
}

static void prepare(Parser *self) {
  GraftUnit *unit = self->unit;
  if (!symbol_table_init(&self->symbols, self->allocator, self->arena) ||
      !lexer_prepare(&self->symbols)) {
    parser_no_memory(self);
  }
  self->symbol_goto = intern(self, "goto");
  self->symbol_env = intern(self, "_ENV");
  self->symbol_self = intern(self, "self");
  self->symbol_setmetatable = intern(self, "setmetatable");
  self->lexer = (Lexer){
      .source = unit->source,
      .at = unit->source + unit->code_start,
      .limit = unit->source + unit->size,
      .symbols = &self->symbols,
      .buffer = &self->buffer,
      .line_start = (uint32_t)unit->code_start,
      .line = 1,
  };
}

static void parse_chunk(Parser *self) {
  FunctionState main = {.definition = -1};
  prepare(self);
  scope_open_function(self, &main);
  read_token(self);
  parse_block(self);
  if (self->token.kind != TOKEN_END) {
    parser_fail_near(self, "'<eof>' expected");
  }
  self->main_uses_env = main.uses_env;
}

GraftStatus parser_run(Parser *self, GraftUnit *unit, GraftError *error) {
  *self = (Parser){.allocator = &unit->allocator,
                   .arena = &unit->arena,
                   .unit = unit,
                   .statement = -1,
                   .return_statement = -1,
                   .error = error};
  buffer_init(&self->buffer, self->allocator);
  buffer_init(&self->text, self->allocator);
  if (setjmp(self->escape) == 0) parse_chunk(self);
  self->function = NULL; // its states are gone
  self->role = NULL;
  return self->status;
}

void parser_clear(Parser *self) {
  symbol_table_clear(&self->symbols);
  buffer_clear(&self->buffer);
  buffer_clear(&self->text);
  void *arrays[] = {
      self->locals.items,      self->active.items,      self->captures.items,
      self->definitions.items, self->parameters.items,  self->keys.items,
      self->targets.items,     self->reads.items,       self->values.items,
      self->fields.items,      self->assignments.items, self->statements.items,
  };
  for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
    memory_free(self->allocator, arrays[i]);
  }
}
