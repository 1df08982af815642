// SPDX-License-Identifier: MIT

#include "native/source_token.h"

#include <ctype.h>
#include <string.h>

void source_lexer_init(SourceLexer *self, const char *text, size_t size) {
  *self = (SourceLexer){text, text + size, true};
}

// The character `ahead` places on, or zero at the end.
static char peek(const SourceLexer *self, size_t ahead) {
  return (size_t)(self->end - self->next) > ahead ? self->next[ahead] : '\0';
}

// The size of a backslash with the end of its line, or 0.
static size_t splice_size(const SourceLexer *self) {
  if (peek(self, 0) != '\\') return 0;
  if (peek(self, 1) == '\n') return 2;
  return peek(self, 1) == '\r' && peek(self, 2) == '\n' ? 3 : 0;
}

// Goes behind a comment. False when it does not end.
static bool skip_comment(SourceLexer *self) {
  if (peek(self, 1) == '/') {
    while (self->next < self->end && *self->next != '\n') {
      size_t splice = splice_size(self);
      self->next += splice > 0 ? splice : 1;
    }
    return true;
  }
  for (self->next += 2; self->next < self->end; self->next++) {
    if (*self->next == '*' && peek(self, 1) == '/') {
      self->next += 2;
      return true;
    }
  }
  return false;
}

static bool is_comment(const SourceLexer *self) {
  return peek(self, 0) == '/' && (peek(self, 1) == '/' || peek(self, 1) == '*');
}

// Goes to the next token. False at a comment that does not end.
static bool skip_blanks(SourceLexer *self) {
  while (self->next < self->end) {
    size_t splice = splice_size(self);
    if (splice > 0) {
      self->next += splice;
    } else if (*self->next == '\n') {
      self->at_line_start = true;
      self->next++;
    } else if (isspace((unsigned char)*self->next)) {
      self->next++;
    } else if (!is_comment(self)) {
      return true;
    } else if (!skip_comment(self)) {
      return false;
    }
  }
  return true;
}

// Goes behind a string or character. False when it does not end in its line.
static bool skip_text(SourceLexer *self) {
  char quote = *self->next++;
  while (self->next < self->end && *self->next != '\n') {
    if (*self->next == quote) {
      self->next++;
      return true;
    }
    size_t splice = splice_size(self);
    self->next += splice > 0 ? splice : *self->next == '\\' ? 2 : 1;
  }
  if (self->next > self->end) self->next = self->end;
  return false;
}

// A directive goes to the end of its line, comments and splices included, but
// for a // comment that follows it.
static bool skip_directive(SourceLexer *self) {
  while (self->next < self->end && *self->next != '\n') {
    size_t splice = splice_size(self);
    if (splice > 0) {
      self->next += splice;
    } else if (is_comment(self)) {
      if (!skip_comment(self)) return false;
    } else if (*self->next == '"' || *self->next == '\'') {
      skip_text(self); // `#error don't` is fine
    } else {
      self->next++;
    }
  }
  return true;
}

static bool is_name_part(const SourceLexer *self) {
  char character = peek(self, 0);
  return isalnum((unsigned char)character) || character == '_' ||
         character == '$' || (character & 0x80) != 0;
}

// "1.5e-3f", "0x1p+2" and "a1": what a digit or letter starts.
static void skip_word(SourceLexer *self, bool number) {
  while (self->next < self->end) {
    char character = *self->next;
    size_t splice = splice_size(self);
    if (splice > 0) {
      self->next += splice;
    } else if (is_name_part(self) || (number && character == '.')) {
      self->next++;
    } else if (number && (character == '+' || character == '-') &&
               strchr("eEpP", self->next[-1]) != NULL) {
      self->next++;
    } else {
      return;
    }
  }
}

// What <: :> <% %> stand for, or zero.
static char digraph(const SourceLexer *self) {
  static const char pairs[][4] = {"<%{", "%>}", "<:[", ":>]"};
  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
    if (peek(self, 0) == pairs[i][0] && peek(self, 1) == pairs[i][1]) {
      return pairs[i][2];
    }
  }
  return '\0';
}

static SourceTokenKind read_sign(SourceLexer *self, SourceToken *token) {
  token->sign = digraph(self);
  self->next += token->sign != '\0' ? 2 : 1;
  if (token->sign == '\0') token->sign = *token->start;
  return token->sign != '\0' ? SOURCE_SIGN : SOURCE_BROKEN;
}

static SourceTokenKind read_kind(SourceLexer *self, SourceToken *token) {
  bool first = self->at_line_start;
  char character = peek(self, 0);
  self->at_line_start = false;
  if (first &&
      (character == '#' || (character == '%' && peek(self, 1) == ':'))) {
    return skip_directive(self) ? SOURCE_DIRECTIVE : SOURCE_BROKEN;
  }
  if (character == '"' || character == '\'') {
    return skip_text(self) ? SOURCE_TEXT : SOURCE_BROKEN;
  }
  bool number = isdigit((unsigned char)character) ||
                (character == '.' && isdigit((unsigned char)peek(self, 1)));
  if (number) {
    self->next++;
    skip_word(self, true);
    return SOURCE_TEXT;
  }
  if (is_name_part(self)) {
    skip_word(self, false);
    return SOURCE_NAME;
  }
  return read_sign(self, token);
}

SourceToken source_lexer_next(SourceLexer *self) {
  bool fine = skip_blanks(self);
  SourceToken token = {.kind = fine ? SOURCE_END : SOURCE_BROKEN,
                       .start = self->next};
  if (fine && self->next < self->end) token.kind = read_kind(self, &token);
  token.size = (size_t)(self->next - token.start);
  return token;
}

bool source_token_is(const SourceToken *self, const char *text) {
  return self->size == strlen(text) &&
         memcmp(self->start, text, self->size) == 0;
}
