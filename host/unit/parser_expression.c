// SPDX-License-Identifier: MIT
//
// Expressions: names, indexes, calls, operators, lists of them. Nothing is
// evaluated.

#include "base/hash.h"
#include "unit/parser.h"

// ---------------------------------------------------------------------------
// Names, indexes, calls
// ---------------------------------------------------------------------------

static bool is_setmetatable(const Parser *self, const ParsedPath *path) {
  return path->symbol == self->symbol_setmetatable &&
         path->local == VARIABLE_GLOBAL && path->key_count == 0 &&
         !path->computed;
}

// Arguments in parentheses. Constants among them are part of the role of
// those that follow: `bus.on("hit", function …)`.
static int parse_arguments(Parser *self, const ParsedPath *callee) {
  int inner = -1;
  int line = self->token.line;
  parser_expect(self, '(');
  if (parser_accept(self, ')')) return inner;
  Role role = {.up = self->role, .kind = ROLE_ARGUMENT, .path = callee};
  do {
    role.number++;
    uint64_t hash = self->token.hash;
    uint32_t end = self->token.end;
    bool constant =
        self->token.kind == TOKEN_STRING || self->token.kind == TOKEN_NUMBER;
    if (role.number == 1 && parser_in_main(self) &&
        is_setmetatable(self, callee)) {
      inner = parse_value(self, &role);
    } else {
      Expression expression;
      parse_in_role(self, &role, &expression);
    }
    if (constant && self->last_end == end) {
      role.literals = hash_mix(role.literals, hash);
    }
  } while (parser_accept(self, ','));
  parser_expect_close(self, ')', '(', line);
  return inner;
}

static void parse_call(Parser *self, Expression *expression) {
  parse_add_read(self, expression);
  if (parser_in_main(self)) self->call_count++;
  expression->inner = -1;
  if (self->token.kind == TOKEN_STRING) {
    parser_advance(self);
  } else if (self->token.kind == '{') {
    Role role = {.up = self->role,
                 .kind = ROLE_ARGUMENT,
                 .path = &expression->path,
                 .number = 1};
    Expression argument;
    self->role = &role;
    parse_table(self, &argument);
    self->role = role.up;
  } else if (self->token.kind == '(') {
    expression->inner = parse_arguments(self, &expression->path);
  } else {
    parser_fail_near(self, "function arguments expected");
  }
  expression->kind = EXPRESSION_CALL;
}

// What comes behind a call or a computed key is no constant path.
static void end_path(Parser *self, Expression *expression) {
  if (expression->kind == EXPRESSION_PATH) parse_add_read(self, expression);
  if (expression->kind != EXPRESSION_PATH) expression->path.symbol = NULL;
  expression->path.computed = true;
}

static void add_key(Parser *self, Expression *expression, Symbol *key) {
  if (expression->kind != EXPRESSION_PATH) end_path(self, expression);
  expression->kind = EXPRESSION_PATH;
  if (expression->path.computed) return;
  *PARSER_PUSH(self, &self->keys) = key;
  expression->path.key_count++;
}

static void parse_index(Parser *self, Expression *expression) {
  parser_advance(self);
  Symbol *key = parse_string_key(self);
  if (key != NULL && parser_peek(self)->kind == ']') {
    parser_advance(self);
    parser_advance(self);
    add_key(self, expression, key);
    return;
  }
  end_path(self, expression);
  Role role = {.up = self->role, .kind = ROLE_NONE};
  Expression index;
  parse_in_role(self, &role, &index);
  parser_expect(self, ']');
  expression->kind = EXPRESSION_PATH;
}

// A function that is called at once is not what the target becomes.
static void unname(Parser *self, int definition) {
  Definition *called = &self->definitions.items[definition];
  called->named = false;
  called->kind = DEFINITION_ANONYMOUS;
  called->target = (Path){.variable = VARIABLE_GLOBAL};
}

static void parse_parentheses(Parser *self, Expression *expression) {
  int line = self->token.line;
  parser_advance(self);
  parse_expression(self, expression);
  parser_expect_close(self, ')', '(', line);
  if (expression->kind == EXPRESSION_PATH ||
      expression->kind == EXPRESSION_CALL ||
      expression->kind == EXPRESSION_DOTS) {
    expression->kind = EXPRESSION_OTHER;
  }
  expression->path = (ParsedPath){.local = VARIABLE_GLOBAL, .computed = true};
  expression->pending = false;
}

static void parse_primary(Parser *self, Expression *expression) {
  *expression = (Expression){.inner = -1, .index = -1};
  if (self->token.kind == TOKEN_NAME) {
    expression->kind = EXPRESSION_PATH;
    expression->pending = true;
    expression->path.symbol = self->token.symbol;
    expression->path.local = scope_use(self, self->token.symbol);
    expression->path.first_key = (uint32_t)self->keys.count;
    parser_advance(self);
  } else if (self->token.kind == '(') {
    parse_parentheses(self, expression);
  } else {
    parser_fail_near(self, "unexpected symbol");
  }
}

static void parse_method(Parser *self, Expression *expression) {
  parser_advance(self);
  Symbol *name = parser_expect_name(self);
  // `a.b:c()` calls what `a.b.c` names.
  add_key(self, expression, name);
  parse_call(self, expression);
}

void parse_suffixed(Parser *self, Expression *expression) {
  parse_primary(self, expression);
  for (;;) {
    int called = -1;
    if (expression->kind == EXPRESSION_FUNCTION) called = expression->index;
    switch (self->token.kind) {
    case '.':
      parser_advance(self);
      add_key(self, expression, parser_expect_name(self));
      break;
    case '[':
      parse_index(self, expression);
      break;
    case ':':
      parse_method(self, expression);
      break;
    case '(':
    case '{':
    case TOKEN_STRING:
      parse_call(self, expression);
      break;
    default:
      return;
    }
    if (called >= 0) unname(self, called);
  }
}

// ---------------------------------------------------------------------------
// Operators
// ---------------------------------------------------------------------------

static void take_single(Parser *self, Expression *expression,
                        ExpressionKind kind) {
  expression->kind = kind;
  parser_advance(self);
}

static void parse_function(Parser *self, Expression *expression) {
  BodyDesc desc = {.token = self->token, .kind = DEFINITION_ANONYMOUS};
  parser_advance(self);
  desc.line = self->token.line;
  expression->kind = EXPRESSION_FUNCTION;
  expression->index = parse_body(self, &desc);
}

static void parse_simple(Parser *self, Expression *expression) {
  switch (self->token.kind) {
  case TOKEN_NAME:
  case '(':
    parse_suffixed(self, expression);
    parse_add_read(self, expression);
    return;
  }
  *expression = (Expression){.inner = -1, .index = -1};
  switch (self->token.kind) {
  case TOKEN_NUMBER:
    take_single(self, expression, EXPRESSION_NUMBER);
    break;
  case TOKEN_STRING:
  case TOKEN_NIL:
  case TOKEN_TRUE:
  case TOKEN_FALSE:
    take_single(self, expression, EXPRESSION_CONSTANT);
    break;
  case TOKEN_DOTS:
    take_single(self, expression, EXPRESSION_DOTS);
    break;
  case '{':
    parse_table(self, expression);
    break;
  case TOKEN_FUNCTION:
    parse_function(self, expression);
    break;
  default:
    parser_fail_near(self, "unexpected symbol");
  }
}

int parser_priority(uint32_t kind, int *right) {
  int left = 0;
  switch (kind) {
  case TOKEN_OR:
    return *right = 1;
  case TOKEN_AND:
    return *right = 2;
  case '<':
  case '>':
  case TOKEN_LESS_EQUAL:
  case TOKEN_GREATER_EQUAL:
  case TOKEN_NOT_EQUAL:
  case TOKEN_EQUAL:
    return *right = 3;
  case '|':
    return *right = 4;
  case '~':
    return *right = 5;
  case '&':
    return *right = 6;
  case TOKEN_SHIFT_LEFT:
  case TOKEN_SHIFT_RIGHT:
    return *right = 7;
  case TOKEN_CONCAT:
    left = 9;
    break;
  case '+':
  case '-':
    return *right = 10;
  case '*':
  case '/':
  case TOKEN_FLOOR_DIVIDE:
  case '%':
    return *right = 11;
  case '^':
    left = 14;
    break;
  }
  *right = left - 1;
  return left;
}

static void parse_operators(Parser *self, Expression *expression, int limit);

static void parse_unary(Parser *self, Expression *expression) {
  bool minus = self->token.kind == '-';
  parser_advance(self);
  parse_operators(self, expression, PRIORITY_UNARY);
  bool number = minus && expression->kind == EXPRESSION_NUMBER;
  expression->kind = number ? EXPRESSION_CONSTANT : EXPRESSION_OTHER;
  expression->inner = -1;
}

static void parse_operators(Parser *self, Expression *expression, int limit) {
  parser_enter(self);
  switch (self->token.kind) {
  case TOKEN_NOT:
  case '-':
  case '~':
  case '#':
    parse_unary(self, expression);
    break;
  default:
    parse_simple(self, expression);
  }
  int right;
  while (parser_priority(self->token.kind, &right) > limit) {
    parser_advance(self);
    parse_operators(self, expression, right);
    expression->kind = EXPRESSION_OTHER;
    expression->inner = -1;
  }
  parser_leave(self);
}

void parse_expression(Parser *self, Expression *expression) {
  parse_operators(self, expression, 0);
}

// ---------------------------------------------------------------------------
// Lists
// ---------------------------------------------------------------------------

// Targets beyond the last expression get its further values, if it has any.
static void give_values(Parser *self, const ValueList *list) {
  if (list->first_assignment < 0) return;
  bool open = self->values.items[list->last].open;
  for (int i = list->count; open && i < list->target_count; i++) {
    Assignment *assignment =
        &self->assignments.items[list->first_assignment + i];
    assignment->value = list->last;
    assignment->result = i - list->count + 1;
  }
}

void parse_value_list(Parser *self, ValueList *list) {
  list->count = 0;
  list->first = list->last = -1;
  do {
    int k = list->count++;
    // The stack of targets may move while a value is parsed.
    ParsedPath target;
    Role role = {.up = self->role, .kind = ROLE_RETURN};
    if (k < list->target_count) {
      target = self->targets.items[list->first_target + (size_t)k];
      role.kind = ROLE_TARGET;
      role.path = &target;
    } else if (list->target_count > 0) {
      role.kind = ROLE_NONE;
    }
    list->last_range.start = self->token.start;
    list->last_line = self->token.line;
    int value = parse_value(self, &role);
    list->last_range.end = self->last_end;
    if (k == 0) list->first = value;
    list->last = value;
    if (list->first_assignment >= 0 && k < list->target_count) {
      self->assignments.items[list->first_assignment + k].value = value;
    }
  } while (parser_accept(self, ','));
  give_values(self, list);
}
