// SPDX-License-Identifier: MIT
//
// Integer constant expressions of C, without casts and sizeof.

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bind_header.h"

typedef struct Reader {
  const Header *header;
  const char *at;
  int depth;
  bool failed;
} Reader;

static long long read_binary(Reader *self, int least);

static void skip_blanks(Reader *self) {
  while (isspace((unsigned char)*self->at)) self->at++;
}

static bool take(Reader *self, char character) {
  skip_blanks(self);
  if (*self->at != character) return false;
  self->at++;
  return true;
}

static long long read_number(Reader *self) {
  char *end = NULL;
  errno = 0;
  unsigned long long value = strtoull(self->at, &end, 0);
  self->failed |= errno != 0 || end == self->at || value > INT64_MAX;
  while (*end != '\0' && strchr("uUlL", *end) != NULL) end++;
  self->failed |= isalnum((unsigned char)*end) || *end == '.' || *end == '_';
  self->at = end;
  return (long long)value;
}

static long long read_name(Reader *self) {
  const char *start = self->at;
  while (isalnum((unsigned char)*self->at) || *self->at == '_') self->at++;
  size_t size = (size_t)(self->at - start);
  for (size_t i = self->header->constant_count; i-- > 0;) {
    const HeaderConstant *known = &self->header->constants[i];
    if (known->is_integer && strlen(known->name) == size &&
        memcmp(known->name, start, size) == 0) {
      return known->value;
    }
  }
  self->failed = true;
  return 0;
}

static long long read_character(Reader *self) {
  bool plain =
      self->at[1] != '\\' && self->at[1] != '\0' && self->at[2] == '\'';
  self->failed |= !plain;
  if (!plain) return 0;
  long long value = self->at[1];
  self->at += 3;
  return value;
}

// Wraps where C would have no answer.
static long long read_unary(Reader *self) {
  if (self->failed || ++self->depth > 100) {
    self->failed = true;
    return 0;
  }
  skip_blanks(self);
  if (take(self, '-')) return (long long)(0 - (uint64_t)read_unary(self));
  if (take(self, '+')) return read_unary(self);
  if (take(self, '~')) return ~read_unary(self);
  if (take(self, '!')) return !read_unary(self);
  if (take(self, '(')) {
    long long value = read_binary(self, 0);
    self->failed |= !take(self, ')');
    return value;
  }
  if (*self->at == '\'') return read_character(self);
  if (isdigit((unsigned char)*self->at)) return read_number(self);
  return read_name(self);
}

// In order of precedence, longer ones before those that they begin with.
static const struct {
  const char *text;
  int level;
} operators[] = {
    {"||", 1}, {"&&", 2}, {"==", 6}, {"!=", 6}, {"<<", 8}, {">>", 8},
    {"<=", 7}, {">=", 7}, {"|", 3},  {"^", 4},  {"&", 5},  {"<", 7},
    {">", 7},  {"+", 9},  {"-", 9},  {"*", 10}, {"/", 10}, {"%", 10},
};

enum { OPERATORS = sizeof operators / sizeof operators[0] };

static int find_operator(Reader *self) {
  skip_blanks(self);
  for (int i = 0; i < OPERATORS; i++) {
    size_t size = strlen(operators[i].text);
    if (strncmp(self->at, operators[i].text, size) == 0) return i;
  }
  return -1;
}

static long long divide(Reader *self, long long a, long long b, bool rest) {
  self->failed |= b == 0 || (a == INT64_MIN && b == -1);
  if (self->failed) return 0;
  return rest ? a % b : a / b;
}

static long long shift(Reader *self, long long a, long long b, bool left) {
  self->failed |= b < 0 || b > 63;
  if (self->failed) return 0;
  return left ? (long long)((uint64_t)a << b) : a >> b;
}

static long long apply(Reader *self, const char *text, long long a,
                       long long b) {
  unsigned long long x = (unsigned long long)a; // these wrap around
  unsigned long long y = (unsigned long long)b;
  bool twice = text[1] != '\0';
  switch (text[0]) {
  case '|':
    return twice ? (a || b) : (a | b);
  case '&':
    return twice ? (a && b) : (a & b);
  case '^':
    return a ^ b;
  case '=':
    return a == b;
  case '!':
    return a != b;
  case '<':
    return !twice ? a < b : text[1] == '=' ? a <= b : shift(self, a, b, true);
  case '>':
    return !twice ? a > b : text[1] == '=' ? a >= b : shift(self, a, b, false);
  case '+':
    return (long long)(x + y);
  case '-':
    return (long long)(x - y);
  case '*':
    return (long long)(x * y);
  default:
    return divide(self, a, b, text[0] == '%');
  }
}

static long long read_binary(Reader *self, int least) {
  long long value = read_unary(self);
  for (int i = find_operator(self); !self->failed && i >= 0;
       i = find_operator(self)) {
    if (operators[i].level <= least) break;
    self->at += strlen(operators[i].text);
    long long right = read_binary(self, operators[i].level);
    value = apply(self, operators[i].text, value, right);
  }
  return value;
}

bool header_evaluate(const Header *self, const char *text, long long *value) {
  Reader reader = {.header = self, .at = text};
  *value = read_binary(&reader, 0);
  skip_blanks(&reader);
  return !reader.failed && *reader.at == '\0';
}
