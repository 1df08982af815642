// SPDX-License-Identifier: MIT

#include "unit/lexer_literal.h"

#include <string.h>

// Sums of the CLASS_ flags: 1 name, 2 digit, 4 hexadecimal, 8 where a string's
// plain run stops, 16 sign. A row is 16 characters; the last eight rows are
// what UTF-8 is made of.
// clang-format off
const uint8_t literal_class[256] = {
    8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 8, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 8, 16, 0, 16, 16, 8, 16, 16, 16, 16, 16, 16, 16, 16,
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 16, 16, 16, 16, 16, 0,
    0, 5, 5, 5, 5, 5, 5, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 16, 8, 16, 16, 1,
    0, 5, 5, 5, 5, 5, 5, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 16, 16, 16, 16, 0,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
};
// clang-format on

static bool has_class(char c, uint8_t class) {
  return (literal_class[(unsigned char)c] & class) != 0;
}

static char lower(char c) {
  return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

const char *literal_number_end(const char *at) {
  char exponent = 'e';
  if (at[0] == '0' && lower(at[1]) == 'x') exponent = 'p';
  char last = '\0';
  for (;; last = *at++) {
    if (has_class(*at, CLASS_NAME) || *at == '.') continue;
    if ((*at == '+' || *at == '-') && lower(last) == exponent) continue;
    return at;
  }
}

static const char *skip_class(const char *at, const char *end, uint8_t class) {
  while (at < end && has_class(*at, class)) at++;
  return at;
}

// LL, ULL and i of LuaJIT; whole numbers only take the first two.
static bool suffix_valid(const char *at, const char *end, bool whole) {
  size_t size = (size_t)(end - at);
  if (size == 0) return true;
  if (size == 1) return lower(at[0]) == 'i';
  if (!whole) return false;
  if (lower(at[0]) == 'u') {
    at++;
    size--;
  }
  return size == 2 && lower(at[0]) == 'l' && lower(at[1]) == 'l';
}

static bool binary_valid(const char *at, const char *end) {
  const char *digits = at;
  while (at < end && (*at == '0' || *at == '1')) at++;
  return at > digits && suffix_valid(at, end, true);
}

bool literal_number_valid(const char *start, const char *end) {
  const char *at = start;
  bool hex = at + 1 < end && at[0] == '0' && lower(at[1]) == 'x';
  if (at + 1 < end && at[0] == '0' && lower(at[1]) == 'b') {
    return binary_valid(at + 2, end);
  }
  if (hex) at += 2;
  uint8_t class = hex ? CLASS_HEX : CLASS_DIGIT;
  const char *digits = at;
  at = skip_class(at, end, class);
  size_t count = (size_t)(at - digits);
  bool whole = true;
  if (at < end && *at == '.') {
    whole = false;
    digits = ++at;
    at = skip_class(at, end, class);
    count += (size_t)(at - digits);
  }
  if (count == 0) return false;
  if (at < end && lower(*at) == (hex ? 'p' : 'e')) {
    whole = false;
    at++;
    if (at < end && (*at == '+' || *at == '-')) at++;
    digits = at;
    at = skip_class(at, end, CLASS_DIGIT);
    if (at == digits) return false;
  }
  return suffix_valid(at, end, whole);
}

static unsigned hex_value(char c) {
  if (c <= '9') return (unsigned)(c - '0');
  return (unsigned)(lower(c) - 'a' + 10);
}

static void skip_line_end(LiteralPlace *place) {
  char first = *place->at++;
  if ((*place->at == '\n' || *place->at == '\r') && *place->at != first) {
    place->at++;
  }
  place->line++;
  place->line_start = place->at;
}

// UTF-8 of up to 31 bits, as Lua 5.4 has it.
static void add_utf8(Buffer *buffer, uint32_t code) {
  char bytes[6];
  size_t count = 0;
  if (code < 0x80) {
    bytes[5] = (char)code;
    count = 1;
  } else {
    uint32_t first = 0x3f;
    do {
      bytes[5 - count++] = (char)(0x80 | (code & 0x3f));
      code >>= 6;
      first >>= 1;
    } while (code > first);
    bytes[5 - count++] = (char)((~first << 1) | code);
  }
  buffer_add(buffer, bytes + 6 - count, count);
}

// `at` is behind "\u".
static const char *decode_utf8(LiteralPlace *place, Buffer *buffer) {
  if (*place->at != '{') return "missing '{' in \\u{xxxx}";
  const char *digits = ++place->at;
  uint32_t code = 0;
  while (has_class(*place->at, CLASS_HEX)) {
    if (code > 0x7ffffffu) return "UTF-8 value too large";
    code = code * 16 + hex_value(*place->at++);
  }
  if (place->at == digits) return "hexadecimal digit expected";
  if (*place->at != '}') return "missing '}' in \\u{xxxx}";
  place->at++;
  add_utf8(buffer, code);
  return NULL;
}

static const char *decode_hex(LiteralPlace *place, Buffer *buffer) {
  unsigned value = 0;
  for (int i = 0; i < 2; i++) {
    if (!has_class(*place->at, CLASS_HEX)) return "hexadecimal digit expected";
    value = value * 16 + hex_value(*place->at++);
  }
  buffer_add(buffer, &(char){(char)value}, 1);
  return NULL;
}

static const char *decode_decimal(LiteralPlace *place, Buffer *buffer) {
  unsigned value = 0;
  for (int i = 0; i < 3 && has_class(*place->at, CLASS_DIGIT); i++) {
    value = value * 10 + (unsigned)(*place->at++ - '0');
  }
  if (value > 255) return "decimal escape too large";
  buffer_add(buffer, &(char){(char)value}, 1);
  return NULL;
}

static void skip_white(LiteralPlace *place) {
  for (;;) {
    char c = *place->at;
    if (c == '\n' || c == '\r') {
      skip_line_end(place);
    } else if (c == ' ' || c == '\t' || c == '\v' || c == '\f') {
      place->at++;
    } else {
      return;
    }
  }
}

// `at` is behind the backslash.
static const char *decode_escape(LiteralPlace *place, Buffer *buffer) {
  static const char letters[] = "abfnrtv\\\"'";
  static const char values[] = "\a\b\f\n\r\t\v\\\"'";
  char c = *place->at;
  const char *letter = c != '\0' ? strchr(letters, c) : NULL;
  if (letter != NULL) {
    place->at++;
    buffer_add(buffer, &values[letter - letters], 1);
    return NULL;
  }
  if (has_class(c, CLASS_DIGIT)) return decode_decimal(place, buffer);
  switch (c) {
  case 'x':
    place->at++;
    return decode_hex(place, buffer);
  case 'u':
    place->at++;
    return decode_utf8(place, buffer);
  case 'z':
    place->at++;
    skip_white(place);
    return NULL;
  case '\n':
  case '\r':
    skip_line_end(place);
    buffer_add(buffer, "\n", 1);
    return NULL;
  case '\0':
    if (place->at >= place->limit) return "unfinished string";
  }
  // Lua 5.1 takes the character itself; the later ones' compilers object.
  place->at++;
  buffer_add(buffer, &c, 1);
  return NULL;
}

const char *literal_decode(LiteralPlace *place, Buffer *buffer) {
  char quote = *place->at++;
  buffer->size = 0;
  for (;;) {
    const char *run = place->at;
    while (!has_class(*place->at, CLASS_STRING_STOP)) place->at++;
    buffer_add(buffer, run, (size_t)(place->at - run));
    char c = *place->at;
    if (c == quote) {
      place->at++;
      return NULL;
    }
    if (c == '\n' || c == '\r') return "unfinished string";
    if (c == '\0' && place->at >= place->limit) return "unfinished string";
    place->at++;
    if (c == '\\') {
      const char *fault = decode_escape(place, buffer);
      if (fault != NULL) return fault;
    } else {
      buffer_add(buffer, &c, 1);
    }
  }
}
