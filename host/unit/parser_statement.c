// SPDX-License-Identifier: MIT
//
// Statements. Those of the main chunk's outermost block are recorded, and so
// is every assignment of the main chunk.

#include <string.h>

#include "base/hash.h"
#include "unit/parser.h"

static void parse_scope(Parser *self) {
  ScopeBlock block = scope_open_block(self);
  parse_block(self);
  scope_close_block(self, block);
}

static bool in_top_block(const Parser *self) {
  return parser_in_main(self) && self->function->block_depth == 0;
}

// ---------------------------------------------------------------------------
// Targets and assignments
// ---------------------------------------------------------------------------

static void push_target(Parser *self, const ParsedPath *path) {
  *PARSER_PUSH(self, &self->targets) = *path;
}

static int add_assignment(Parser *self, const ParsedPath *target, Range range) {
  if (!parser_in_main(self)) return -1;
  int index = (int)self->assignments.count;
  *PARSER_PUSH(self, &self->assignments) =
      (Assignment){.target = path_pack(target),
                   .value = -1,
                   .statement = self->statement,
                   .range = range,
                   .in_block = self->function->block_depth > 0};
  return index;
}

// A local becomes visible behind its statement, so its target is known late.
static void bind_assignment(Parser *self, int index, int local) {
  if (index < 0) return;
  self->assignments.items[index].target.variable = local;
  self->assignments.items[index].declares = true;
}

static void mark_assigned(Parser *self, const ParsedPath *path) {
  if (path->local >= 0 && path->key_count == 0 && !path->computed) {
    self->locals.items[path->local].assigned = true;
  }
}

// ---------------------------------------------------------------------------
// Local
// ---------------------------------------------------------------------------

static VariableAttribute parse_attribute(Parser *self) {
  if (!parser_accept(self, '<')) return ATTRIBUTE_NONE;
  if (self->token.kind != TOKEN_NAME) {
    parser_fail_near(self, "<name> expected");
  }
  const char *text = self->token.symbol->text;
  VariableAttribute attribute = ATTRIBUTE_NONE;
  if (strcmp(text, "const") == 0) attribute = ATTRIBUTE_CONST;
  if (strcmp(text, "close") == 0) attribute = ATTRIBUTE_CLOSE;
  if (attribute == ATTRIBUTE_NONE) {
    parser_fail(self, "unknown attribute '%.100s'", text);
  }
  parser_advance(self);
  parser_expect(self, '>');
  return attribute;
}

// What is known of a local before it can be declared.
typedef struct LocalName {
  uint32_t offset;
  VariableAttribute attribute;
} LocalName;

enum { LOCAL_NAMES = 256 }; // the VMs stop at 200

typedef struct LocalList {
  int count;
  size_t first_target;
  int first_assignment;
  LocalName names[LOCAL_NAMES];
} LocalList;

static void parse_local_names(Parser *self, LocalList *list) {
  list->count = 0;
  list->first_target = self->targets.count;
  list->first_assignment = -1;
  do {
    if (list->count == LOCAL_NAMES) {
      parser_fail(self, "too many local variables (limit is 200) in function");
    }
    LocalName *name = &list->names[list->count];
    Range range = {self->token.start, self->token.end};
    ParsedPath path = {.local = VARIABLE_LOCAL};
    path.symbol = parser_expect_name(self);
    name->offset = range.start;
    name->attribute = parse_attribute(self);
    push_target(self, &path);
    int assignment = add_assignment(self, &path, range);
    if (list->count++ == 0) list->first_assignment = assignment;
  } while (parser_accept(self, ','));
}

// Targets of functions in the values know no local yet, since it is not
// declared while they are parsed.
static void bind_definitions(Parser *self, int first_definition,
                             const LocalList *list, int first_local) {
  for (size_t i = (size_t)first_definition; i < self->definitions.count;) {
    Definition *definition = &self->definitions.items[i];
    Path *target = &definition->target;
    i = (size_t)definition->subtree_end;
    if (!definition->named || target->variable != VARIABLE_LOCAL) {
      continue;
    }
    for (int k = list->count - 1; k >= 0; k--) {
      Local *local = &self->locals.items[first_local + k];
      if (local->symbol->text != target->name) continue;
      target->variable = first_local + k;
      break;
    }
  }
}

static void declare_locals(Parser *self, const LocalList *list) {
  for (int i = 0; i < list->count; i++) {
    Symbol *symbol = self->targets.items[list->first_target + (size_t)i].symbol;
    int local = scope_declare(self, symbol, list->names[i].offset);
    self->locals.items[local].attribute = list->names[i].attribute;
    if (list->first_assignment >= 0) {
      bind_assignment(self, list->first_assignment + i, local);
    }
  }
}

static void parse_local(Parser *self) {
  LocalList list;
  parse_local_names(self, &list);
  int first_definition = (int)self->definitions.count;
  const char *constant = NULL;
  if (parser_accept(self, '=')) {
    ValueList values = {.first_assignment = list.first_assignment,
                        .first_target = list.first_target,
                        .target_count = list.count};
    parse_value_list(self, &values);
    if (list.names[list.count - 1].attribute == ATTRIBUTE_CONST &&
        values.count == list.count) {
      constant = constant_fold(self, values.last_range, values.last_line);
    }
  }
  int first_local = (int)self->locals.count;
  declare_locals(self, &list);
  bind_definitions(self, first_definition, &list, first_local);
  if (constant != NULL) {
    Local *last = &self->locals.items[self->locals.count - 1];
    last->attribute = ATTRIBUTE_CONSTANT;
    last->constant = constant;
  }
  self->targets.count = list.first_target;
}

static int add_function_value(Parser *self, int definition, Range range) {
  if (!parser_in_main(self)) return -1;
  int index = (int)self->values.count;
  *PARSER_PUSH(self, &self->values) =
      (Value){.kind = VALUE_FUNCTION,
              .path = {.variable = VARIABLE_GLOBAL},
              .range = range,
              .line = self->definitions.items[definition].start_line,
              .definition = definition,
              .first_field = -1,
              .inner = -1,
              .first_read = (uint32_t)self->reads.count};
  return index;
}

static void finish_function(Parser *self, int definition, int assignment) {
  Range range = self->definitions.items[definition].whole;
  int value = add_function_value(self, definition, range);
  if (assignment >= 0) self->assignments.items[assignment].value = value;
  self->targets.count--;
}

static void parse_local_function(Parser *self, Token token) {
  Range range = {self->token.start, self->token.end};
  Symbol *symbol = parser_expect_name(self);
  ParsedPath path = {.symbol = symbol};
  path.local = scope_declare(self, symbol, range.start);
  push_target(self, &path);
  int assignment = add_assignment(self, &path, range);
  bind_assignment(self, assignment, path.local);
  BodyDesc desc = {
      .token = token, .line = self->token.line, .kind = DEFINITION_LOCAL};
  finish_function(self, parse_body(self, &desc), assignment);
}

// ---------------------------------------------------------------------------
// Function
// ---------------------------------------------------------------------------

static void add_target_key(Parser *self, ParsedPath *path) {
  *PARSER_PUSH(self, &self->keys) = parser_expect_name(self);
  path->key_count++;
}

static void parse_function_statement(Parser *self) {
  BodyDesc desc = {.token = self->token,
                   .line = self->token.line,
                   .kind = DEFINITION_FUNCTION};
  parser_advance(self);
  Range range = {.start = self->token.start};
  ParsedPath path = {.first_key = (uint32_t)self->keys.count};
  path.symbol = parser_expect_name(self);
  path.local = scope_use(self, path.symbol);
  while (parser_accept(self, '.')) add_target_key(self, &path);
  if (self->token.kind == ':') {
    // `function a:b` and `function a.b` are the same statement (D3).
    self->token.hash = token_kind_hash('.');
    parser_advance(self);
    add_target_key(self, &path);
    desc.has_self = true;
    desc.kind = DEFINITION_METHOD;
  }
  range.end = self->last_end;
  mark_assigned(self, &path);
  push_target(self, &path);
  int assignment = add_assignment(self, &path, range);
  finish_function(self, parse_body(self, &desc), assignment);
}

// ---------------------------------------------------------------------------
// Blocks
// ---------------------------------------------------------------------------

static void parse_while(Parser *self, int line) {
  Expression condition;
  parser_advance(self);
  parse_expression(self, &condition);
  parser_expect(self, TOKEN_DO);
  parse_scope(self);
  parser_expect_close(self, TOKEN_END_KEYWORD, TOKEN_WHILE, line);
}

static void parse_if(Parser *self, int line) {
  do {
    Expression condition;
    parser_advance(self);
    parse_expression(self, &condition);
    parser_expect(self, TOKEN_THEN);
    parse_scope(self);
  } while (self->token.kind == TOKEN_ELSEIF);
  if (parser_accept(self, TOKEN_ELSE)) parse_scope(self);
  parser_expect_close(self, TOKEN_END_KEYWORD, TOKEN_IF, line);
}

// The condition sees the block's locals.
static void parse_repeat(Parser *self, int line) {
  parser_advance(self);
  ScopeBlock block = scope_open_block(self);
  parse_block(self);
  parser_expect_close(self, TOKEN_UNTIL, TOKEN_REPEAT, line);
  Expression condition;
  parse_expression(self, &condition);
  scope_close_block(self, block);
}

static void parse_expressions(Parser *self) {
  do {
    Expression expression;
    parse_expression(self, &expression);
  } while (parser_accept(self, ','));
}

static void parse_for(Parser *self, int line) {
  LocalList list = {.first_target = self->targets.count,
                    .first_assignment = -1};
  parser_advance(self);
  do {
    if (list.count == LOCAL_NAMES) {
      parser_fail(self, "too many local variables (limit is 200) in function");
    }
    list.names[list.count++] = (LocalName){.offset = self->token.start};
    ParsedPath path = {.symbol = parser_expect_name(self)};
    push_target(self, &path);
  } while (parser_accept(self, ','));
  if (list.count == 1 && self->token.kind == '=') {
    parser_advance(self);
  } else if (!parser_accept(self, TOKEN_IN)) {
    parser_fail_near(self, "'=' or 'in' expected");
  }
  parse_expressions(self);
  parser_expect(self, TOKEN_DO);
  ScopeBlock block = scope_open_block(self);
  declare_locals(self, &list);
  parse_block(self);
  scope_close_block(self, block);
  self->targets.count = list.first_target;
  parser_expect_close(self, TOKEN_END_KEYWORD, TOKEN_FOR, line);
}

// ---------------------------------------------------------------------------
// Expression statements, return
// ---------------------------------------------------------------------------

typedef struct TargetList {
  size_t first_target;
  int first_assignment;
  int count;
} TargetList;

static void add_target(Parser *self, TargetList *list, Expression *expression,
                       uint32_t start) {
  if (expression->kind != EXPRESSION_PATH) {
    parser_fail_near(self, "syntax error");
  }
  // A path without keys is only written; one with keys reads its base too,
  // but that tells nothing of the value.
  mark_assigned(self, &expression->path);
  push_target(self, &expression->path);
  int assignment =
      add_assignment(self, &expression->path, (Range){start, self->last_end});
  if (list->count++ == 0) list->first_assignment = assignment;
}

static void parse_assignment(Parser *self, Expression *first, uint32_t start) {
  TargetList list = {.first_target = self->targets.count,
                     .first_assignment = -1};
  add_target(self, &list, first, start);
  while (parser_accept(self, ',')) {
    Expression next;
    uint32_t next_start = self->token.start;
    parse_suffixed(self, &next);
    add_target(self, &list, &next, next_start);
  }
  parser_expect(self, '=');
  ValueList values = {.first_assignment = list.first_assignment,
                      .first_target = list.first_target,
                      .target_count = list.count};
  parse_value_list(self, &values);
  self->targets.count = list.first_target;
}

static StatementKind parse_expression_statement(Parser *self,
                                                Expression *expression) {
  uint32_t start = self->token.start;
  parse_suffixed(self, expression);
  if (self->token.kind == '=' || self->token.kind == ',') {
    parse_assignment(self, expression, start);
    return STATEMENT_ASSIGNMENT;
  }
  if (expression->kind != EXPRESSION_CALL) {
    parser_fail_near(self, "syntax error");
  }
  return STATEMENT_CALL;
}

static bool ends_block(uint32_t kind) {
  switch (kind) {
  case TOKEN_END:
  case TOKEN_END_KEYWORD:
  case TOKEN_ELSE:
  case TOKEN_ELSEIF:
  case TOKEN_UNTIL:
    return true;
  }
  return false;
}

// The index of the first value's record, or -1.
static int parse_return(Parser *self) {
  ValueList values = {.first = -1, .first_assignment = -1};
  parser_advance(self);
  if (!ends_block(self->token.kind) && self->token.kind != ';') {
    parse_value_list(self, &values);
  }
  return values.first;
}

static void parse_label(Parser *self) {
  parser_advance(self);
  parser_expect_name(self);
  parser_expect(self, TOKEN_LABEL);
}

// ---------------------------------------------------------------------------
// Statements
// ---------------------------------------------------------------------------

typedef struct StatementResult {
  StatementKind kind;
  int value;
  Expression call;
} StatementResult;

static void parse_name_statement(Parser *self, StatementResult *result) {
  if (self->token.symbol == self->symbol_goto &&
      parser_peek(self)->kind == TOKEN_NAME) {
    result->kind = STATEMENT_GOTO;
    parser_advance(self);
    parser_advance(self);
    return;
  }
  result->kind = parse_expression_statement(self, &result->call);
}

static void parse_local_statement(Parser *self, StatementResult *result) {
  parser_advance(self);
  if (self->token.kind != TOKEN_FUNCTION) {
    result->kind = STATEMENT_LOCAL;
    parse_local(self);
    return;
  }
  Token token = self->token;
  result->kind = STATEMENT_LOCAL_FUNCTION;
  parser_advance(self);
  parse_local_function(self, token);
}

static void parse_kind(Parser *self, StatementResult *result) {
  int line = self->token.line;
  switch (self->token.kind) {
  case TOKEN_IF:
    result->kind = STATEMENT_IF;
    parse_if(self, line);
    return;
  case TOKEN_WHILE:
    result->kind = STATEMENT_WHILE;
    parse_while(self, line);
    return;
  case TOKEN_DO:
    result->kind = STATEMENT_DO;
    parser_advance(self);
    parse_scope(self);
    parser_expect_close(self, TOKEN_END_KEYWORD, TOKEN_DO, line);
    return;
  case TOKEN_FOR:
    result->kind = STATEMENT_FOR;
    parse_for(self, line);
    return;
  case TOKEN_REPEAT:
    result->kind = STATEMENT_REPEAT;
    parse_repeat(self, line);
    return;
  case TOKEN_FUNCTION:
    result->kind = STATEMENT_FUNCTION;
    parse_function_statement(self);
    return;
  case TOKEN_LOCAL:
    parse_local_statement(self, result);
    return;
  case TOKEN_LABEL:
    result->kind = STATEMENT_LABEL;
    parse_label(self);
    return;
  case TOKEN_RETURN:
    result->kind = STATEMENT_RETURN;
    result->value = parse_return(self);
    return;
  case TOKEN_BREAK:
    result->kind = STATEMENT_BREAK;
    parser_advance(self);
    return;
  case TOKEN_NAME:
    parse_name_statement(self, result);
    return;
  default:
    result->kind = parse_expression_statement(self, &result->call);
  }
}

static Statement start_statement(Parser *self) {
  FunctionState *main = self->function;
  main->own = main->nested = HASH_EMPTY;
  return (Statement){.range = {.start = self->token.start},
                     .line = self->token.line,
                     .column =
                         (int)(self->token.start - self->token.line_start) + 1,
                     .first_definition = (int)self->definitions.count,
                     .first_assignment = (uint32_t)self->assignments.count,
                     .first_read = (uint32_t)self->reads.count,
                     .first_variable = (int)self->locals.count};
}

static void finish_statement(Parser *self, Statement *result,
                             const StatementResult *parsed) {
  FunctionState *main = self->function;
  result->kind = parsed->kind;
  result->value = parsed->value;
  result->range.end = self->last_end;
  result->last_line = self->last_line;
  result->definition_count =
      (int)self->definitions.count - result->first_definition;
  result->assignment_count =
      (uint32_t)self->assignments.count - result->first_assignment;
  result->read_count = (uint32_t)self->reads.count - result->first_read;
  result->fingerprint = hash_mix(main->own, HASH_EMPTY);
  result->exact = hash_mix(main->own, main->nested);
  result->variable_count = (int)self->locals.count - result->first_variable;
  result->callee = (Path){.variable = VARIABLE_GLOBAL};
  if (parsed->kind == STATEMENT_CALL) {
    result->callee = path_pack(&parsed->call.path);
  }
  if (parsed->kind == STATEMENT_RETURN) {
    self->return_statement = self->statement;
  }
  self->statements.items[self->statement] = *result;
}

static void parse_top_statement(Parser *self, StatementResult *result) {
  self->statement = (int)self->statements.count;
  PARSER_PUSH(self, &self->statements);
  Statement record = start_statement(self);
  uint32_t call_count = self->call_count;
  parse_kind(self, result);
  record.has_call = self->call_count != call_count;
  finish_statement(self, &record, result);
}

void parse_block(Parser *self) {
  StatementResult result;
  bool top = in_top_block(self);
  while (!ends_block(self->token.kind)) {
    if (self->token.kind == ';') {
      parser_advance(self);
      continue;
    }
    result.value = -1;
    parser_enter(self);
    if (top) {
      parse_top_statement(self, &result);
    } else {
      parse_kind(self, &result);
    }
    parser_leave(self);
    if (result.kind == STATEMENT_RETURN) {
      parser_accept(self, ';');
      return; // it must be the last
    }
  }
}
