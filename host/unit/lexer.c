// SPDX-License-Identifier: MIT

#include "unit/lexer.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "unit/lexer_literal.h"

static const char *const keywords[] = {
    "and", "break",    "do",     "else", "elseif", "end",   "false",
    "for", "function", "if",     "in",   "local",  "nil",   "not",
    "or",  "repeat",   "return", "then", "true",   "until", "while",
};

enum { KEYWORD_COUNT = sizeof keywords / sizeof *keywords };

bool lexer_prepare(SymbolTable *symbols) {
  for (uint32_t i = 0; i < KEYWORD_COUNT; i++) {
    char padded[LEXER_PADDING + 8] = {0};
    size_t size = strlen(keywords[i]);
    memcpy(padded, keywords[i], size);
    uint64_t hash = symbol_hash(padded, size);
    Symbol *symbol = symbol_intern(symbols, padded, size, hash);
    if (symbol == NULL) return false;
    symbol->keyword = TOKEN_AND + i;
  }
  return true;
}

const char *token_kind_text(uint32_t kind, char buffer[8]) {
  static const char *const signs[] = {
      "..", "...", "==", "~=", "<=", ">=", "<<", ">>", "//", "::"};
  if (kind == TOKEN_END) return "<eof>";
  if (kind == TOKEN_NAME) return "<name>";
  if (kind >= TOKEN_AND && kind < TOKEN_AND + KEYWORD_COUNT) {
    return keywords[kind - TOKEN_AND];
  }
  if (kind >= TOKEN_CONCAT) return signs[kind - TOKEN_CONCAT];
  snprintf(buffer, 8, "%c", (int)kind);
  return buffer;
}

static bool fail(Lexer *self, const char *fault) {
  self->fault = fault;
  return false;
}

// `at` is on a line end, which may be two characters.
static void skip_line_end(Lexer *self) {
  char first = *self->at++;
  if ((*self->at == '\n' || *self->at == '\r') && *self->at != first) {
    self->at++;
  }
  self->line++;
  self->line_start = (uint32_t)(self->at - self->source);
}

// `at` is on "[". The number of = when a long bracket opens here, -1 for a
// plain "[", -2 for "[=" without a second "[".
static int bracket_level(const char *at) {
  const char *end = at + 1;
  while (*end == '=') end++;
  if (*end == '[') return (int)(end - at - 1);
  return end == at + 1 ? -1 : -2;
}

// Skips a long bracket; the content is left in `content`.
static bool skip_long(Lexer *self, int level, const char *what,
                      const char *content[2]) {
  int start_line = self->line;
  self->at += level + 2;
  if (*self->at == '\n' || *self->at == '\r') skip_line_end(self);
  content[0] = self->at;
  for (;;) {
    char c = *self->at;
    if (c == ']') {
      const char *close = self->at++;
      while (*self->at == '=') self->at++;
      if (*self->at == ']' && self->at - close - 1 == level) {
        self->at++;
        content[1] = close;
        return true;
      }
    } else if (c == '\n' || c == '\r') {
      skip_line_end(self);
    } else if (c == '\0' && self->at >= self->limit) {
      self->fault_line = start_line;
      return fail(self, what);
    } else {
      self->at++;
    }
  }
}

// `at` is behind "--".
static bool skip_comment(Lexer *self) {
  if (*self->at == '[') {
    int level = bracket_level(self->at);
    const char *content[2];
    if (level >= 0) {
      return skip_long(self, level, "unfinished long comment", content);
    }
  }
  while (*self->at != '\n' && *self->at != '\r') {
    if (*self->at == '\0' && self->at >= self->limit) break;
    self->at++;
  }
  return true;
}

static bool read_name(Lexer *self, Token *token) {
  const char *start = self->at;
  do {
    self->at++;
  } while (literal_class[(unsigned char)*self->at] & CLASS_NAME);
  size_t size = (size_t)(self->at - start);
  uint64_t hash = symbol_hash(start, size);
  Symbol *symbol = symbol_intern(self->symbols, start, size, hash);
  if (symbol == NULL) {
    self->no_memory = true;
    return false;
  }
  token->kind = symbol->keyword ? symbol->keyword : TOKEN_NAME;
  token->symbol = symbol;
  token->hash = hash;
  return true;
}

static bool read_number(Lexer *self, Token *token) {
  const char *start = self->at;
  self->at = literal_number_end(start);
  if (!literal_number_valid(start, self->at)) {
    return fail(self, "malformed number");
  }
  token->kind = TOKEN_NUMBER;
  token->hash = hash_bytes(TOKEN_NUMBER, start, (size_t)(self->at - start));
  return true;
}

static bool read_string(Lexer *self, Token *token) {
  const char *start = self->at + 1;
  char quote = *self->at;
  const char *end = start;
  while (!(literal_class[(unsigned char)*end] & CLASS_STRING_STOP)) end++;
  while ((*end == '"' || *end == '\'') && *end != quote) {
    end++;
    while (!(literal_class[(unsigned char)*end] & CLASS_STRING_STOP)) end++;
  }
  token->kind = TOKEN_STRING;
  if (*end == quote) {
    self->at = end + 1;
    token->hash = hash_bytes(TOKEN_STRING, start, (size_t)(end - start));
    return true;
  }
  // Escapes, zero bytes or an error: the slow way.
  LiteralPlace place = {self->at, self->limit, self->line,
                        self->source + self->line_start};
  const char *fault = literal_decode(&place, self->buffer);
  self->at = place.at;
  self->line = place.line;
  self->line_start = (uint32_t)(place.line_start - self->source);
  if (fault != NULL) return fail(self, fault);
  if (self->buffer->failed) {
    self->no_memory = true;
    return false;
  }
  token->hash =
      hash_bytes(TOKEN_STRING, buffer_text(self->buffer), self->buffer->size);
  return true;
}

static bool read_long_string(Lexer *self, Token *token, int level) {
  const char *content[2];
  if (!skip_long(self, level, "unfinished long string", content)) return false;
  token->kind = TOKEN_STRING;
  token->hash =
      hash_bytes(TOKEN_STRING, content[0], (size_t)(content[1] - content[0]));
  return true;
}

static void take_sign(Lexer *self, Token *token, uint32_t kind, int size) {
  self->at += size;
  token->kind = kind;
  token->hash = token_kind_hash(kind);
}

// Signs that may go on; others are one character.
static void read_sign(Lexer *self, Token *token) {
  char first = self->at[0], second = self->at[1];
  if (second == '=') {
    switch (first) {
    case '=':
      take_sign(self, token, TOKEN_EQUAL, 2);
      return;
    case '~':
      take_sign(self, token, TOKEN_NOT_EQUAL, 2);
      return;
    case '<':
      take_sign(self, token, TOKEN_LESS_EQUAL, 2);
      return;
    case '>':
      take_sign(self, token, TOKEN_GREATER_EQUAL, 2);
      return;
    }
  } else if (first == second) {
    switch (first) {
    case '<':
      take_sign(self, token, TOKEN_SHIFT_LEFT, 2);
      return;
    case '>':
      take_sign(self, token, TOKEN_SHIFT_RIGHT, 2);
      return;
    case '/':
      take_sign(self, token, TOKEN_FLOOR_DIVIDE, 2);
      return;
    case ':':
      take_sign(self, token, TOKEN_LABEL, 2);
      return;
    case '.':
      if (self->at[2] == '.') {
        take_sign(self, token, TOKEN_DOTS, 3);
      } else {
        take_sign(self, token, TOKEN_CONCAT, 2);
      }
      return;
    }
  }
  take_sign(self, token, (unsigned char)first, 1);
}

// Skips what is no token; false on an unfinished comment.
static bool skip_space(Lexer *self) {
  for (;;) {
    char c = *self->at;
    if (c == ' ' || c == '\t' || c == '\v' || c == '\f') {
      self->at++;
    } else if (c == '\n' || c == '\r') {
      skip_line_end(self);
    } else if (c == '-' && self->at[1] == '-') {
      self->at += 2;
      if (!skip_comment(self)) return false;
    } else {
      return true;
    }
  }
}

static bool read_token(Lexer *self, Token *token) {
  unsigned char c = (unsigned char)*self->at;
  uint8_t class = literal_class[c];
  if (class & CLASS_DIGIT) return read_number(self, token);
  if (class & CLASS_NAME) return read_name(self, token);
  switch (c) {
  case '"':
  case '\'':
    return read_string(self, token);
  case '.':
    if (literal_class[(unsigned char)self->at[1]] & CLASS_DIGIT) {
      return read_number(self, token);
    }
    break;
  case '[': {
    int level = bracket_level(self->at);
    if (level >= 0) return read_long_string(self, token, level);
    if (level == -2) return fail(self, "invalid long string delimiter");
    break;
  }
  case '\0':
    if (self->at < self->limit) return fail(self, "unexpected symbol");
    token->kind = TOKEN_END;
    token->hash = 0;
    return true;
  default:
    if (!(class & CLASS_SIGN)) return fail(self, "unexpected symbol");
  }
  read_sign(self, token);
  return true;
}

bool lexer_next(Lexer *self, Token *token) {
  bool space = skip_space(self);
  token->start = (uint32_t)(self->at - self->source);
  token->line_start = self->line_start;
  token->symbol = NULL;
  bool done = space && read_token(self, token);
  token->end = (uint32_t)(self->at - self->source);
  token->line = self->line;
  return done;
}

Symbol *lexer_string_symbol(Lexer *self, const Token *token) {
  const char *text = self->source + token->start;
  const char *content = text + 1;
  size_t size = token->end - token->start - 2;
  if (*text == '[') {
    size_t level = 0;
    while (content[level] == '=') level++;
    content += level + 1;
    size -= 2 * level + 2;
    if (size > 0 && (*content == '\n' || *content == '\r')) {
      bool two = size > 1 && (content[1] == '\n' || content[1] == '\r') &&
                 content[1] != content[0];
      content += two ? 2 : 1;
      size -= two ? 2 : 1;
    }
  } else if (memchr(content, '\\', size) != NULL) {
    // symbol_hash may read up to 8 bytes behind the end.
    size = self->buffer->size;
    buffer_add_repeated(self->buffer, '\0', 8);
    self->buffer->size = size;
    content = buffer_text(self->buffer);
  }
  Symbol *symbol =
      symbol_intern(self->symbols, content, size, symbol_hash(content, size));
  if (symbol == NULL) self->no_memory = true;
  return symbol;
}
