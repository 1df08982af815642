// SPDX-License-Identifier: MIT
//
// Values: what the main chunk's expressions are made of, as far as a patch
// asks: constants, tables with their fields, functions, names, and what an
// expression reads and whether it calls.

#include "base/hash.h"
#include "unit/lexer_literal.h"
#include "unit/parser.h"

void parse_in_role(Parser *self, const Role *role, Expression *expression) {
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

// The string that is the current token, if it may be a key, or NULL.
Symbol *parse_string_key(Parser *self) {
  if (self->token.kind != TOKEN_STRING) return NULL;
  Symbol *symbol = lexer_string_symbol(&self->lexer, &self->token);
  if (symbol == NULL) parser_no_memory(self);
  return symbol != NULL && is_key(self, symbol) ? symbol : NULL;
}

// [key] = or a string for a key; fills the field and returns a name's symbol.
static Symbol *parse_bracket_key(Parser *self, Field *field) {
  parser_advance(self);
  field->key.start = self->token.start;
  Symbol *key = parse_string_key(self);
  Role role = {.up = self->role, .kind = ROLE_NONE};
  Expression expression;
  parse_in_role(self, &role, &expression);
  field->key.end = self->last_end;
  bool constant = expression.kind == EXPRESSION_CONSTANT ||
                  expression.kind == EXPRESSION_NUMBER;
  field->kind = constant ? FIELD_CONSTANT : FIELD_COMPUTED;
  parser_expect(self, ']');
  parser_expect(self, '=');
  // A name only if the string is all there is.
  if (!constant || key == NULL) return NULL;
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

void parse_table(Parser *self, Expression *expression) {
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
