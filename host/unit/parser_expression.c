// SPDX-License-Identifier: MIT
//
// Expressions. Nothing is evaluated; in the main chunk, values, fields and
// reads are recorded.

#include "base/hash.h"
#include "unit/lexer_literal.h"
#include "unit/parser.h"

// Runs `parse` with one more role around it.
static void parse_in_role(Parser *self, const Role *role,
                          Expression *expression) {
  const Role *up = self->role;
  self->role = role;
  parse_expression(self, expression);
  self->role = up;
}

void parse_add_read(Parser *self, Expression *expression) {
  if (!expression->pending) return;
  expression->pending = false;
  if (parser_in_main(self) && expression->path.symbol != NULL) {
    *PARSER_PUSH(self, &self->reads) = path_pack(&expression->path);
  }
}

// ---------------------------------------------------------------------------
// Recorded values
// ---------------------------------------------------------------------------

static ValueKind value_kind(const Expression *expression) {
  switch (expression->kind) {
  case EXPRESSION_NUMBER:
  case EXPRESSION_CONSTANT:
    return VALUE_CONSTANT;
  case EXPRESSION_TABLE:
    return VALUE_TABLE;
  case EXPRESSION_FUNCTION:
    return VALUE_FUNCTION;
  case EXPRESSION_PATH:
    if (expression->path.symbol != NULL && !expression->path.computed) {
      return VALUE_NAME;
    }
    return VALUE_OTHER;
  case EXPRESSION_CALL:
  case EXPRESSION_DOTS:
  case EXPRESSION_OTHER:
    break;
  }
  return VALUE_OTHER;
}

static void finish_value(Value *value, const Expression *expression) {
  value->kind = value_kind(expression);
  value->definition = -1;
  value->first_field = -1;
  value->inner = expression->inner;
  value->path = (Path){.variable = VARIABLE_GLOBAL};
  value->open = expression->kind == EXPRESSION_CALL ||
                expression->kind == EXPRESSION_DOTS;
  if (value->kind == VALUE_FUNCTION) value->definition = expression->index;
  if (value->kind == VALUE_NAME) value->path = path_pack(&expression->path);
  if (value->kind == VALUE_TABLE) {
    value->first_field = expression->index;
    value->field_count = expression->count;
  }
}

// An expression whose value matters to a patch. Its tokens are hashed apart,
// then mixed into the statement's as one.
int parse_value(Parser *self, const Role *role) {
  Expression expression;
  if (!parser_in_main(self)) {
    parse_in_role(self, role, &expression);
    return -1;
  }
  int index = (int)self->values.count;
  PARSER_PUSH(self, &self->values);
  Value value = {.line = self->token.line,
                 .first_read = (uint32_t)self->reads.count};
  value.range.start = self->token.start;
  uint32_t call_count = self->call_count;
  uint64_t own = self->function->own;
  self->function->own = HASH_EMPTY;
  parse_in_role(self, role, &expression);
  value.fingerprint = self->function->own;
  self->function->own = hash_mix(own, value.fingerprint);
  value.range.end = self->last_end;
  value.read_count = (uint32_t)self->reads.count - value.first_read;
  value.has_call = self->call_count != call_count;
  finish_value(&value, &expression);
  self->values.items[index] = value;
  return index;
}

// ---------------------------------------------------------------------------
// Tables
// ---------------------------------------------------------------------------

typedef struct TableState {
  int last_field;
  int first_field;
  int count;
  int items;
} TableState;

static int add_field(Parser *self, TableState *table, Field field) {
  table->count++;
  if (!parser_in_main(self)) return -1;
  int index = (int)self->fields.count;
  field.next = -1;
  *PARSER_PUSH(self, &self->fields) = field;
  if (table->last_field < 0) {
    table->first_field = index;
  } else {
    self->fields.items[table->last_field].next = index;
  }
  table->last_field = index;
  return index;
}

static Role field_role(Parser *self, const Field *field, Symbol *key) {
  return (Role){.up = self->role,
                .kind = field->kind == FIELD_NAME ? ROLE_FIELD : ROLE_ITEM,
                .key = key};
}

// Whether a string may be a key of a path: it must be a C string.
static bool is_key(Parser *self, const Symbol *symbol) {
  for (uint32_t i = 0; i < symbol->size; i++) {
    unsigned char c = (unsigned char)symbol->text[i];
    if (c == '\0') return false;
    if (!(literal_class[c] & CLASS_NAME)) self->odd_keys = true;
  }
  return true;
}

// [key] = or a string for a key; fills the field and returns a name's symbol.
static Symbol *parse_bracket_key(Parser *self, Field *field) {
  Symbol *key = NULL;
  parser_advance(self);
  field->key.start = self->token.start;
  if (self->token.kind == TOKEN_STRING) {
    key = lexer_string_symbol(&self->lexer, &self->token);
    if (key == NULL) parser_no_memory(self);
  }
  Role role = {.up = self->role, .kind = ROLE_NONE};
  Expression expression;
  parse_in_role(self, &role, &expression);
  field->key.end = self->last_end;
  bool constant = expression.kind == EXPRESSION_CONSTANT ||
                  expression.kind == EXPRESSION_NUMBER;
  field->kind = constant ? FIELD_CONSTANT : FIELD_COMPUTED;
  parser_expect(self, ']');
  parser_expect(self, '=');
  // A name only if the string is all there is, and a C string.
  if (!constant || key == NULL || !is_key(self, key)) return NULL;
  field->kind = FIELD_NAME;
  field->name = key->text;
  return key;
}

static void parse_field(Parser *self, TableState *table) {
  Field field = {.kind = FIELD_ITEM, .value = -1};
  Symbol *key = NULL;
  if (self->token.kind == '[') {
    key = parse_bracket_key(self, &field);
  } else if (self->token.kind == TOKEN_NAME && parser_peek(self)->kind == '=') {
    key = self->token.symbol;
    field.kind = FIELD_NAME;
    field.name = key->text;
    field.key = (Range){self->token.start, self->token.end};
    parser_advance(self);
    parser_advance(self);
  } else {
    field.number = ++table->items;
  }
  int index = add_field(self, table, field);
  Role role = field_role(self, &field, key);
  int value = parse_value(self, &role);
  if (index >= 0) self->fields.items[index].value = value;
}

static void parse_table(Parser *self, Expression *expression) {
  TableState table = {.last_field = -1, .first_field = -1};
  int line = self->token.line;
  parser_expect(self, '{');
  while (self->token.kind != '}') {
    parse_field(self, &table);
    if (!parser_accept(self, ',') && !parser_accept(self, ';')) break;
  }
  parser_expect_close(self, '}', '{', line);
  expression->kind = EXPRESSION_TABLE;
  expression->index = table.first_field;
  expression->count = table.count;
}

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
  if (self->token.kind == TOKEN_STRING) {
    Symbol *key = lexer_string_symbol(&self->lexer, &self->token);
    if (key == NULL) parser_no_memory(self);
    if (is_key(self, key) && parser_peek(self)->kind == ']') {
      parser_advance(self);
      parser_advance(self);
      add_key(self, expression, key);
      return;
    }
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
