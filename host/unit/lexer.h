// SPDX-License-Identifier: MIT
//
// Lexer: source text → tokens of Lua 5.1 to 5.4 and LuaJIT together. A token
// carries a hash of what it means, so that whoever consumes tokens makes
// fingerprints by mixing one number each. Numbers are not converted. Traded
// away: byte order independence; hashes are for one process only.

#ifndef GRAFT_UNIT_LEXER_H
#define GRAFT_UNIT_LEXER_H

#include <stdint.h>

#include "base/buffer.h"
#include "unit/symbol.h"

typedef enum TokenKind {
  TOKEN_END, // of the source
  TOKEN_NAME,
  TOKEN_NUMBER,
  TOKEN_STRING,
  // Keywords, in the order of `keywords` in lexer.c. `goto` is a name here.
  TOKEN_AND,
  TOKEN_BREAK,
  TOKEN_DO,
  TOKEN_ELSE,
  TOKEN_ELSEIF,
  TOKEN_END_KEYWORD,
  TOKEN_FALSE,
  TOKEN_FOR,
  TOKEN_FUNCTION,
  TOKEN_IF,
  TOKEN_IN,
  TOKEN_LOCAL,
  TOKEN_NIL,
  TOKEN_NOT,
  TOKEN_OR,
  TOKEN_REPEAT,
  TOKEN_RETURN,
  TOKEN_THEN,
  TOKEN_TRUE,
  TOKEN_UNTIL,
  TOKEN_WHILE,
  // Signs of more than one character; others are their own character.
  TOKEN_CONCAT = 128,
  TOKEN_DOTS,
  TOKEN_EQUAL,
  TOKEN_NOT_EQUAL,
  TOKEN_LESS_EQUAL,
  TOKEN_GREATER_EQUAL,
  TOKEN_SHIFT_LEFT,
  TOKEN_SHIFT_RIGHT,
  TOKEN_FLOOR_DIVIDE,
  TOKEN_LABEL,
} TokenKind;

typedef struct Token {
  uint32_t kind; // a TokenKind or a character
  uint32_t start;
  uint32_t end;
  uint32_t line_start; // offset of the line that it starts on
  int line;            // that it ends on, as the VMs count
  uint64_t hash;
  Symbol *symbol; // of a name or keyword
} Token;

typedef struct Lexer {
  const char *source; // terminated, with LEXER_PADDING readable zeros behind
  const char *at;
  const char *limit;
  SymbolTable *symbols;
  Buffer *buffer; // the content of the last string that had escapes
  uint32_t line_start;
  int line;
  // Where the source is wrong: a message without place, or NULL.
  const char *fault;
  int fault_line; // for faults that name the line of their start, else 0
  bool no_memory;
} Lexer;

enum { LEXER_PADDING = 16 };

// Makes symbols for the keywords. False when out of memory.
bool lexer_prepare(SymbolTable *symbols);

// Reads the next token; false when `fault` or `no_memory` is set.
bool lexer_next(Lexer *self, Token *token);

// The content of a string token as a symbol, which must be the last token
// read; NULL when out of memory.
Symbol *lexer_string_symbol(Lexer *self, const Token *token);

// How a kind reads in messages: "'end'", "<eof>".
const char *token_kind_text(uint32_t kind, char buffer[8]);

static inline uint64_t token_kind_hash(uint32_t kind) {
  return (kind + 1) * 0xd6e8feb86659fd93u;
}

#endif
