// SPDX-License-Identifier: MIT
//
// Compile-time constants of Lua 5.4: a `local x <const>` whose value its
// compiler knows is no variable at run time, so no function captures it. This
// follows which expressions that compiler folds, since the number of upvalues
// depends on it.

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit/parser.h"

typedef enum ConstantKind {
  CONSTANT_UNKNOWN, // only the run tells
  CONSTANT_NIL,
  CONSTANT_FALSE,
  CONSTANT_TRUE,
  CONSTANT_INTEGER,
  CONSTANT_FLOAT,
  CONSTANT_STRING, // `text` is the literal
} ConstantKind;

typedef struct Constant {
  ConstantKind kind;
  int64_t integer;
  double number;
  const char *text;
  size_t size;
} Constant;

// The range was parsed already, so its syntax is right.
typedef struct Folder {
  Parser *parser;
  Lexer lexer;
  Token token;
} Folder;

static const Constant unknown = {.kind = CONSTANT_UNKNOWN};

static void next(Folder *self) {
  if (!lexer_next(&self->lexer, &self->token)) self->token.kind = TOKEN_END;
}

static bool is_number(const Constant *value) {
  return value->kind == CONSTANT_INTEGER || value->kind == CONSTANT_FLOAT;
}

static double as_number(const Constant *value) {
  return value->kind == CONSTANT_INTEGER ? (double)value->integer
                                         : value->number;
}

static bool as_integer(const Constant *value, int64_t *integer) {
  if (value->kind == CONSTANT_INTEGER) {
    *integer = value->integer;
    return true;
  }
  double number = value->number;
  if (!(number >= -9223372036854775808.0 && number < 9223372036854775808.0) ||
      floor(number) != number) {
    return false;
  }
  *integer = (int64_t)number;
  return true;
}

static Constant make_integer(uint64_t integer) {
  return (Constant){.kind = CONSTANT_INTEGER, .integer = (int64_t)integer};
}

// Zero and not-a-number are not folded.
static Constant make_float(double number) {
  if (number == 0 || isnan(number)) return unknown;
  return (Constant){.kind = CONSTANT_FLOAT, .number = number};
}

// ---------------------------------------------------------------------------
// Primary expressions
// ---------------------------------------------------------------------------

static Constant read_hex_integer(const char *at, const char *end) {
  uint64_t value = 0;
  for (; at < end; at++) {
    unsigned digit =
        *at <= '9' ? (unsigned)(*at - '0') : (unsigned)((*at | 32) - 'a' + 10);
    value = value * 16 + digit;
  }
  return make_integer(value);
}

static Constant read_number(const char *start, size_t size) {
  char text[200];
  if (size >= sizeof text) return unknown;
  memcpy(text, start, size);
  text[size] = '\0';
  bool hex = size > 1 && (text[1] == 'x' || text[1] == 'X');
  if (strpbrk(text, hex ? ".pP" : ".eE") == NULL) {
    if (hex) return read_hex_integer(text + 2, text + size);
    uint64_t value = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
      unsigned digit = (unsigned)(*at - '0');
      if (value > ((uint64_t)INT64_MAX - digit) / 10) break;
      value = value * 10 + digit;
    }
    if (*at == '\0') return make_integer(value);
  }
  char *end;
  double number = strtod(text, &end);
  if (*end != '\0') return unknown; // a suffix of LuaJIT
  return (Constant){.kind = CONSTANT_FLOAT, .number = number};
}

static Constant parse_constant_text(Folder *self, const char *text);
static Constant fold_operators(Folder *self, int limit);

static Constant take_token(Folder *self, ConstantKind kind) {
  Constant value = {.kind = kind,
                    .text = self->lexer.source + self->token.start,
                    .size = self->token.end - self->token.start};
  next(self);
  return value;
}

// A name of another constant; anything else is unknown.
static Constant take_name(Folder *self) {
  int index = self->token.symbol->local;
  next(self);
  if (index < 0) return unknown;
  const char *text = self->parser->locals.items[index].constant;
  return text != NULL ? parse_constant_text(self, text) : unknown;
}

static Constant fold_primary(Folder *self) {
  Constant value = unknown;
  switch (self->token.kind) {
  case TOKEN_NIL:
    return take_token(self, CONSTANT_NIL);
  case TOKEN_TRUE:
    return take_token(self, CONSTANT_TRUE);
  case TOKEN_FALSE:
    return take_token(self, CONSTANT_FALSE);
  case TOKEN_STRING:
    return take_token(self, CONSTANT_STRING);
  case TOKEN_NUMBER:
    value = read_number(self->lexer.source + self->token.start,
                        self->token.end - self->token.start);
    next(self);
    return value;
  case TOKEN_NAME:
    return take_name(self);
  case '(':
    next(self);
    value = fold_operators(self, 0);
    if (self->token.kind != ')') return unknown;
    next(self);
  }
  return value;
}

// ---------------------------------------------------------------------------
// Operators
// ---------------------------------------------------------------------------

static Constant fold_unary(uint32_t operator, Constant value) {
  int64_t integer;
  switch (operator) {
  case '-':
    if (value.kind == CONSTANT_INTEGER) {
      return make_integer(0 - (uint64_t)value.integer);
    }
    if (value.kind == CONSTANT_FLOAT) return make_float(-value.number);
    return unknown;
  case '~':
    if (!is_number(&value) || !as_integer(&value, &integer)) return unknown;
    return make_integer(~(uint64_t)integer);
  case TOKEN_NOT:
    if (value.kind == CONSTANT_UNKNOWN) return unknown;
    value.kind = value.kind <= CONSTANT_FALSE ? CONSTANT_TRUE : CONSTANT_FALSE;
    return value;
  }
  return unknown;
}

static uint64_t shift_left(uint64_t value, int64_t by) {
  if (by <= -64 || by >= 64) return 0;
  return by >= 0 ? value << by : value >> -by;
}

static Constant fold_bits(uint32_t operator, Constant left, Constant right) {
  int64_t a, b;
  if (!as_integer(&left, &a) || !as_integer(&right, &b)) return unknown;
  uint64_t x = (uint64_t)a, y = (uint64_t)b;
  switch (operator) {
  case '&':
    return make_integer(x & y);
  case '|':
    return make_integer(x | y);
  case '~':
    return make_integer(x ^ y);
  case TOKEN_SHIFT_LEFT:
    return make_integer(shift_left(x, b));
  default:
    return make_integer(shift_left(x, b == INT64_MIN ? 64 : -b));
  }
}

static Constant fold_integers(uint32_t operator, int64_t a, int64_t b) {
  uint64_t x = (uint64_t)a, y = (uint64_t)b;
  switch (operator) {
  case '+':
    return make_integer(x + y);
  case '-':
    return make_integer(x - y);
  case '*':
    return make_integer(x * y);
  }
  // Division, rounding down; the divisor is not 0.
  if (b == -1) return make_integer(operator== '%' ? 0 : 0 - x);
  int64_t quotient = a / b, rest = a % b;
  bool down = rest != 0 && (rest ^ b) < 0;
  if (operator== '%') return make_integer((uint64_t)(down ? rest + b : rest));
  return make_integer((uint64_t)(down ? quotient - 1 : quotient));
}

static Constant fold_floats(uint32_t operator, double a, double b) {
  switch (operator) {
  case '+':
    return make_float(a + b);
  case '-':
    return make_float(a - b);
  case '*':
    return make_float(a * b);
  case '/':
    return make_float(a / b);
  case '^':
    return make_float(pow(a, b));
  case TOKEN_FLOOR_DIVIDE:
    return make_float(floor(a / b));
  default: {
    double rest = fmod(a, b);
    return make_float(rest * b < 0 ? rest + b : rest);
  }
  }
}

static Constant fold_arithmetic(uint32_t operator, Constant left,
                                Constant right) {
  if (!is_number(&left) || !is_number(&right)) return unknown;
  switch (operator) {
  case '&':
  case '|':
  case '~':
  case TOKEN_SHIFT_LEFT:
  case TOKEN_SHIFT_RIGHT:
    return fold_bits(operator, left, right);
  case '/':
  case '%':
  case TOKEN_FLOOR_DIVIDE:
    if (as_number(&right) == 0) return unknown;
    break;
  case '+':
  case '-':
  case '*':
  case '^':
    break;
  default:
    return unknown; // comparisons, concatenation
  }
  if (operator!= '/' && operator!= '^' && left.kind == CONSTANT_INTEGER &&
      right.kind == CONSTANT_INTEGER) {
    return fold_integers(operator, left.integer, right.integer);
  }
  return fold_floats(operator, as_number(&left), as_number(&right));
}

static Constant fold_binary(uint32_t operator, Constant left, Constant right) {
  if (left.kind == CONSTANT_UNKNOWN) return unknown;
  bool truth = left.kind > CONSTANT_FALSE;
  if (operator== TOKEN_AND) return truth ? right : unknown;
  if (operator== TOKEN_OR) return truth ? unknown : right;
  return fold_arithmetic(operator, left, right);
}

static Constant fold_operators(Folder *self, int limit) {
  Constant value;
  switch (self->token.kind) {
  case TOKEN_NOT:
  case '-':
  case '~':
  case '#': {
    uint32_t operator= self->token.kind;
    next(self);
    value = fold_unary(operator, fold_operators(self, PRIORITY_UNARY));
    break;
  }
  default:
    value = fold_primary(self);
  }
  for (;;) {
    int right;
    uint32_t operator= self->token.kind;
    if (parser_priority(operator, & right) <= limit) return value;
    next(self);
    value = fold_binary(operator, value, fold_operators(self, right));
  }
}

// ---------------------------------------------------------------------------
// Text
// ---------------------------------------------------------------------------

// The text of a constant that was folded before: a literal, perhaps with "-".
static Constant parse_constant_text(Folder *self, const char *text) {
  size_t size = strlen(text);
  switch (*text) {
  case 'n':
    return (Constant){.kind = CONSTANT_NIL};
  case 't':
    return (Constant){.kind = CONSTANT_TRUE};
  case 'f':
    return (Constant){.kind = CONSTANT_FALSE};
  case '"':
  case '\'':
  case '[':
    return (Constant){.kind = CONSTANT_STRING, .text = text, .size = size};
  case '-':
    return fold_unary('-', parse_constant_text(self, text + 1));
  }
  return read_number(text, size);
}

static int format_float(char *text, size_t size, double number) {
  if (isinf(number)) {
    return snprintf(text, size, "%s", number > 0 ? "1e9999" : "-1e9999");
  }
  int count = snprintf(text, size, "%.17g", number);
  if (strpbrk(text, ".e") != NULL) return count;
  return snprintf(text, size, "%.17g.0", number);
}

static bool in_source(const Parser *parser, const char *text) {
  const Lexer *lexer = &parser->lexer;
  return text >= lexer->source && text < lexer->limit;
}

static const char *copy_constant(Parser *parser, const Constant *value) {
  char text[64];
  const char *source = text;
  int size = 0;
  switch (value->kind) {
  case CONSTANT_UNKNOWN:
    return NULL;
  case CONSTANT_NIL:
    size = snprintf(text, sizeof text, "nil");
    break;
  case CONSTANT_FALSE:
    size = snprintf(text, sizeof text, "false");
    break;
  case CONSTANT_TRUE:
    size = snprintf(text, sizeof text, "true");
    break;
  case CONSTANT_INTEGER:
    size = value->integer == INT64_MIN
               ? snprintf(text, sizeof text, "0x8000000000000000")
               : snprintf(text, sizeof text, "%" PRId64, value->integer);
    break;
  case CONSTANT_FLOAT:
    size = format_float(text, sizeof text, value->number);
    break;
  case CONSTANT_STRING:
    // Another constant's text is terminated and can be shared.
    if (value->text[value->size] == '\0' && !in_source(parser, value->text)) {
      return value->text;
    }
    source = value->text;
    size = (int)value->size;
  }
  char *copy = arena_copy_string(parser->arena, source, (size_t)size);
  if (copy == NULL) parser_no_memory(parser);
  return copy;
}

const char *constant_fold(Parser *parser, Range range, int line) {
  Folder folder = {.parser = parser, .lexer = parser->lexer};
  folder.lexer.at = folder.lexer.source + range.start;
  folder.lexer.line = line;
  next(&folder);
  Constant value = fold_operators(&folder, 0);
  // Anything left over is an index or a call.
  if (folder.token.kind != TOKEN_END && folder.token.start < range.end) {
    return NULL;
  }
  return copy_constant(parser, &value);
}
