// SPDX-License-Identifier: MIT
//
// SourceToken: C text as tokens, just as exact as it takes to compare texts:
// comments, blanks and line ends do not count, names and numbers are one token
// each, any other character is a token by itself. For source.c and tier.c.

#ifndef GRAFT_NATIVE_SOURCE_TOKEN_H
#define GRAFT_NATIVE_SOURCE_TOKEN_H

#include <stdbool.h>
#include <stddef.h>

typedef enum SourceTokenKind {
  SOURCE_END,
  SOURCE_NAME,      // keywords, too
  SOURCE_TEXT,      // string, character, number
  SOURCE_SIGN,      // one character; digraphs as what they stand for
  SOURCE_DIRECTIVE, // from # to the end of its line
  SOURCE_BROKEN,    // a comment or string that does not end
} SourceTokenKind;

typedef struct SourceToken {
  SourceTokenKind kind;
  char sign; // of SOURCE_SIGN
  const char *start;
  size_t size;
} SourceToken;

typedef struct SourceLexer {
  const char *next;
  const char *end;
  bool at_line_start; // only blanks and comments since the line began
} SourceLexer;

void source_lexer_init(SourceLexer *self, const char *text, size_t size);
SourceToken source_lexer_next(SourceLexer *self);

// Whether the token is this name or text.
bool source_token_is(const SourceToken *self, const char *text);

#endif
