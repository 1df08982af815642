// SPDX-License-Identifier: MIT
//
// Literals: character classes, numerals and strings with escapes, as Lua 5.1
// to 5.4 and LuaJIT read them.

#ifndef GRAFT_UNIT_LEXER_LITERAL_H
#define GRAFT_UNIT_LEXER_LITERAL_H

#include <stdint.h>

#include "base/buffer.h"

enum {
  CLASS_NAME = 1, // letters, digits, _ and, as in LuaJIT, all above 127
  CLASS_DIGIT = 2,
  CLASS_HEX = 4,
  CLASS_STRING_STOP = 8, // quotes, backslash, line ends, zero
  CLASS_SIGN = 16,
};

extern const uint8_t literal_class[256];

// `at` is on a digit, or a dot before one: the end of all that the VMs' lexers
// take for one numeral, be it valid or not.
const char *literal_number_end(const char *at);
bool literal_number_valid(const char *start, const char *end);

// A place in the source; `at` is on the opening quote, then behind the closing
// one, or where the fault is.
typedef struct LiteralPlace {
  const char *at;
  const char *limit;
  int line;
  const char *line_start;
} LiteralPlace;

// Puts the content into `buffer`; a fault's message, or NULL.
const char *literal_decode(LiteralPlace *place, Buffer *buffer);

#endif
