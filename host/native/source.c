// SPDX-License-Identifier: MIT

#include "native/source.h"

#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "native/source_token.h"

// --- Pieces ------------------------------------------------------------------

// What stands at the top level, from one end of a declaration to the next.
typedef struct Piece {
  bool is_function;
  bool is_directive;
  bool has_value;   // a variable with an initialiser
  bool is_static;   // or inline: callers may have its code in theirs
  bool doubtful;    // has directives in its body
  bool ambiguous;   // has static variables that cannot be told apart
  SourceToken name; // of a function, or a variable with an initialiser
  uint64_t head;    // all but the body
  uint64_t body;
  uint64_t statics;  // the declarations of static variables in the body
  const char *start; // of the body, or else of the whole
  const char *end;
} Piece;

typedef struct Pieces {
  ARRAY(Piece) list;
  bool useless; // a text that a compiler would not take either, or one with an
                // ambiguous piece
} Pieces;

static uint64_t mix_token(uint64_t hash, const SourceToken *token) {
  hash = hash_mix(hash, (uint64_t)token->kind);
  if (token->kind == SOURCE_SIGN) return hash_mix(hash, (uint64_t)token->sign);
  return hash_bytes(hash, token->start, token->size);
}

// --- Heads -------------------------------------------------------------------

// The tokens of one head, so that its end can be looked at.
typedef ARRAY(SourceToken) Tokens;

static bool is_sign(const Tokens *tokens, size_t index, char sign) {
  const SourceToken *token = &tokens->items[index];
  return token->kind == SOURCE_SIGN && token->sign == sign;
}

// The index of the parenthesis that closes at `index`, or SIZE_MAX.
static size_t opening(const Tokens *tokens, size_t index) {
  size_t depth = 0;
  for (size_t i = index + 1; i-- > 0;) {
    if (is_sign(tokens, i, ')')) depth++;
    if (is_sign(tokens, i, '(') && --depth == 0) return i;
  }
  return SIZE_MAX;
}

static bool is_attribute(const SourceToken *token) {
  static const char *const names[] = {
      "__attribute__", "__attribute", "__asm__",   "__asm",
      "asm",           "_Alignas",    "__declspec"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (source_token_is(token, names[i])) return true;
  }
  return false;
}

static bool is_keyword(const SourceToken *token) {
  static const char *const names[] = {"if",     "while",    "for",   "switch",
                                      "sizeof", "typeof",   "union", "struct",
                                      "enum",   "_Generic", "return"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (source_token_is(token, names[i])) return true;
  }
  return false;
}

// The name of the function that `tokens` are the head of, NULL when a brace
// behind them opens something else.
static const SourceToken *function_name(const Tokens *tokens) {
  size_t count = tokens->count;
  while (count > 2 && is_sign(tokens, count - 1, ')')) {
    size_t open = opening(tokens, count - 1);
    if (open == SIZE_MAX || open == 0) return NULL;
    const SourceToken *name = &tokens->items[open - 1];
    if (name->kind != SOURCE_NAME || is_keyword(name)) return NULL;
    if (!is_attribute(name)) return name;
    count = open - 1;
  }
  return NULL;
}

// Whether a word is among them.
static bool has_name(const Tokens *tokens, const char *name) {
  for (size_t i = 0; i < tokens->count; i++) {
    if (tokens->items[i].kind == SOURCE_NAME &&
        source_token_is(&tokens->items[i], name)) {
      return true;
    }
  }
  return false;
}

// An initialiser follows, or has begun.
static bool has_assignment(const Tokens *tokens) {
  for (size_t i = 0; i < tokens->count; i++) {
    if (is_sign(tokens, i, '=')) return true;
  }
  return false;
}

// Finds the name in "static Op ops[] = {…}", and marks the piece if there is
// one. That of a function pointer is not found, but the last word outside of
// its parentheses, which only makes more functions count as its users. Two
// variables in one declaration are too much.
static void name_variable(const Tokens *tokens, Piece *piece) {
  SourceToken last = {0};
  int depth = 0, values = 0;
  for (size_t i = 0; i < tokens->count; i++) {
    const SourceToken *token = &tokens->items[i];
    if (token->kind == SOURCE_NAME && depth == 0) last = *token;
    if (token->kind != SOURCE_SIGN) continue;
    if (strchr("([{", token->sign) != NULL) depth++;
    if (strchr(")]}", token->sign) != NULL) depth--;
    if (depth > 0 || token->sign != '=') continue;
    if (values++ == 0) piece->name = last;
  }
  piece->has_value = values > 0;
  piece->doubtful = values > 1;
}

// --- Bodies ------------------------------------------------------------------

// A static variable being declared in a body.
typedef struct StaticVariable {
  bool active;
  int depth;        // of brackets in its declaration
  bool named;       // beyond the first name
  SourceToken last; // the last name before what follows it
} StaticVariable;

typedef struct BodyReader {
  const GraftAllocator *allocator;
  Piece *piece;
  StaticVariable variable;
  Tokens names; // of static variables
  bool failed;
} BodyReader;

// Two variables of one name in one body cannot be told apart in what the fast
// compiler gives, which has their names alone.
static void add_static(BodyReader *self) {
  const SourceToken *last = &self->variable.last;
  for (size_t i = 0; i < self->names.count; i++) {
    const SourceToken *name = &self->names.items[i];
    if (name->size == last->size &&
        memcmp(name->start, last->start, name->size) == 0) {
      self->piece->ambiguous = true;
    }
  }
  SourceToken *place = ARRAY_PUSH(self->allocator, &self->names);
  if (place != NULL) *place = *last;
  self->failed = self->failed || place == NULL;
  self->variable.named = true;
}

// A sign outside of brackets; "static int a = 1, b[2], *c;" declares three.
static void read_static_sign(BodyReader *self, char sign) {
  StaticVariable *variable = &self->variable;
  if (!variable->named && strchr("=[;,", sign) != NULL) add_static(self);
  if (sign == ',') variable->named = false;
  if (sign == ';') variable->active = false;
}

static void read_static(BodyReader *self, const SourceToken *token) {
  StaticVariable *variable = &self->variable;
  self->piece->statics = mix_token(self->piece->statics, token);
  if (token->kind == SOURCE_NAME && variable->depth == 0 && !variable->named) {
    variable->last = *token;
  }
  if (token->kind != SOURCE_SIGN) return;
  if (variable->depth == 0) read_static_sign(self, token->sign);
  // A function pointer's name is in parentheses: who knows which one it is.
  if (token->sign == '(' && !variable->named) self->piece->ambiguous = true;
  if (strchr("([{", token->sign) != NULL) variable->depth++;
  if (strchr(")]}", token->sign) != NULL) variable->depth--;
}

static void read_body_token(BodyReader *self, const SourceToken *token) {
  self->piece->body = mix_token(self->piece->body, token);
  if (token->kind == SOURCE_DIRECTIVE) self->piece->doubtful = true;
  if (self->variable.active) {
    read_static(self, token);
  } else if (token->kind == SOURCE_NAME && source_token_is(token, "static")) {
    self->variable = (StaticVariable){.active = true};
  }
}

// Reads from behind the opening brace to behind the closing one. False when
// there is none, or no memory.
static bool read_body(const GraftAllocator *allocator, SourceLexer *lexer,
                      Piece *piece, GraftStatus *status) {
  BodyReader reader = {.allocator = allocator, .piece = piece};
  piece->start = lexer->next;
  bool closed = false;
  for (int depth = 1; !closed && !reader.failed;) {
    SourceToken token = source_lexer_next(lexer);
    if (token.kind == SOURCE_END || token.kind == SOURCE_BROKEN) break;
    bool brace = token.kind == SOURCE_SIGN;
    if (brace && token.sign == '{') depth++;
    if (brace && token.sign == '}') depth--;
    closed = depth == 0;
    if (!closed) read_body_token(&reader, &token);
  }
  piece->end = lexer->next;
  memory_free(allocator, reader.names.items);
  if (reader.failed) *status = GRAFT_ENOMEM;
  return closed;
}

// --- Reading -----------------------------------------------------------------

typedef struct Reader {
  const GraftAllocator *allocator;
  SourceLexer lexer;
  Pieces *pieces;
  Tokens tokens; // of the piece so far, at the top level
  uint64_t head;
  int depth; // of brackets
  GraftStatus status;
} Reader;

static Piece *add_piece(Reader *self) {
  Piece *piece = ARRAY_PUSH(self->allocator, &self->pieces->list);
  if (piece == NULL) {
    self->status = GRAFT_ENOMEM;
    return NULL;
  }
  piece->head = self->head;
  self->head = HASH_EMPTY;
  self->tokens.count = 0;
  return piece;
}

static void add_function(Reader *self, const SourceToken *name) {
  SourceToken copy = *name;
  bool is_static = has_name(&self->tokens, "static") ||
                   has_name(&self->tokens, "inline") ||
                   has_name(&self->tokens, "__inline__") ||
                   has_name(&self->tokens, "__inline");
  Piece *piece = add_piece(self);
  if (piece == NULL) return;
  piece->is_function = true;
  piece->is_static = is_static;
  piece->name = copy;
  if (!read_body(self->allocator, &self->lexer, piece, &self->status) ||
      piece->ambiguous) {
    self->pieces->useless = true;
  }
}

static void add_declaration(Reader *self, const SourceToken *end) {
  Piece found = {.start = self->tokens.items[0].start, .end = end->start};
  name_variable(&self->tokens, &found);
  Piece *piece = add_piece(self);
  if (piece == NULL) return;
  found.head = piece->head;
  *piece = found;
}

static void add_token(Reader *self, const SourceToken *token) {
  self->head = mix_token(self->head, token);
  SourceToken *place = ARRAY_PUSH(self->allocator, &self->tokens);
  if (place == NULL) {
    self->status = GRAFT_ENOMEM;
    return;
  }
  *place = *token;
  if (token->kind != SOURCE_SIGN) return;
  if (strchr("([{", token->sign) != NULL) self->depth++;
  if (strchr(")]}", token->sign) != NULL) self->depth--;
  if (self->depth < 0) self->pieces->useless = true;
  if (token->sign == ';' && self->depth == 0) add_declaration(self, token);
}

static void read_top(Reader *self, const SourceToken *token) {
  bool opens = token->kind == SOURCE_SIGN && token->sign == '{';
  if (token->kind == SOURCE_DIRECTIVE) {
    // In the middle of a declaration it belongs to that.
    self->head = mix_token(self->head, token);
    if (self->tokens.count == 0) {
      Piece *piece = add_piece(self);
      if (piece == NULL) return;
      piece->is_directive = true;
      piece->start = token->start + 1;
      piece->end = token->start + token->size;
    }
  } else if (opens && self->depth == 0 && !has_assignment(&self->tokens) &&
             function_name(&self->tokens) != NULL) {
    add_function(self, function_name(&self->tokens));
  } else {
    add_token(self, token);
  }
}

static GraftStatus read_pieces(const GraftAllocator *allocator, SourceText text,
                               Pieces *pieces) {
  Reader self = {.allocator = allocator, .pieces = pieces};
  source_lexer_init(&self.lexer, text.text, text.size);
  while (self.status == GRAFT_OK && !pieces->useless) {
    SourceToken token = source_lexer_next(&self.lexer);
    pieces->useless = token.kind == SOURCE_BROKEN;
    if (token.kind == SOURCE_END || pieces->useless) break;
    read_top(&self, &token);
  }
  if (self.tokens.count > 0) pieces->useless = true;
  memory_free(allocator, self.tokens.items);
  return self.status;
}

// --- Comparing ---------------------------------------------------------------

static bool same_head(const Piece *a, const Piece *b) {
  return a->is_function == b->is_function && a->head == b->head;
}

// Whether they differ in bodies alone, and in none that is in doubt.
static bool differ_in_bodies(const Pieces *old, const Pieces *changed) {
  if (old->useless || changed->useless ||
      old->list.count != changed->list.count) {
    return false;
  }
  for (size_t i = 0; i < old->list.count; i++) {
    const Piece *a = &old->list.items[i];
    const Piece *b = &changed->list.items[i];
    if (!same_head(a, b)) return false;
    if (a->body == b->body) continue;
    if (a->doubtful || b->doubtful || a->statics != b->statics) return false;
  }
  return true;
}

static bool mentions(const Piece *piece, const SourceToken *name) {
  SourceLexer lexer;
  source_lexer_init(&lexer, piece->start, (size_t)(piece->end - piece->start));
  lexer.at_line_start = !piece->is_directive;
  for (;;) {
    SourceToken token = source_lexer_next(&lexer);
    if (token.kind == SOURCE_END || token.kind == SOURCE_BROKEN) return false;
    if (token.kind == SOURCE_NAME && token.size == name->size &&
        memcmp(token.start, name->start, name->size) == 0) {
      return true;
    }
  }
}

typedef struct Marks {
  bool *taken; // for each piece
  ARRAY(size_t) list;
} Marks;

static bool take(const GraftAllocator *allocator, Marks *marks, size_t piece) {
  if (marks->taken[piece]) return true;
  size_t *place = ARRAY_PUSH(allocator, &marks->list);
  if (place == NULL) return false;
  *place = piece;
  marks->taken[piece] = true;
  return true;
}

// What may lead to the code of a piece without going through its entry: a
// static function, which compilers put into its callers, or a variable that has
// one's address, which they may know the value of.
static bool is_seen_through(const Piece *piece) {
  return piece->is_function ? piece->is_static : piece->has_value;
}

// Takes whoever may have the code of a static function in its own. False when
// out of memory; `*known` is false when a macro hides who that is.
static bool take_callers(const GraftAllocator *allocator, const Pieces *pieces,
                         Marks *marks, bool *known) {
  for (size_t i = 0; i < marks->list.count; i++) {
    const Piece *piece = &pieces->list.items[marks->list.items[i]];
    if (!is_seen_through(piece)) continue;
    for (size_t j = 0; j < pieces->list.count; j++) {
      const Piece *other = &pieces->list.items[j];
      bool matters =
          other->is_function || other->is_directive || other->has_value;
      if (!matters || marks->taken[j] || !mentions(other, &piece->name)) {
        continue;
      }
      if (other->is_directive || (other->has_value && other->doubtful)) {
        *known = false;
        return true;
      }
      if (!take(allocator, marks, j)) return false;
    }
  }
  return true;
}

static bool add_name(SourceDifference *difference, const SourceToken *name) {
  const GraftAllocator *allocator = difference->arena.allocator;
  const char *copy =
      arena_copy_string(&difference->arena, name->start, name->size);
  const char **place =
      copy != NULL ? ARRAY_PUSH(allocator, &difference->functions) : NULL;
  if (place == NULL) return false;
  *place = copy;
  return true;
}

static bool list_functions(const Pieces *old, const Pieces *changed,
                           Marks *marks, SourceDifference *difference) {
  const GraftAllocator *allocator = difference->arena.allocator;
  for (size_t i = 0; i < changed->list.count; i++) {
    if (old->list.items[i].body != changed->list.items[i].body &&
        !take(allocator, marks, i)) {
      return false;
    }
  }
  difference->changed = marks->list.count;
  if (!take_callers(allocator, changed, marks, &difference->bodies_only)) {
    return false;
  }
  for (size_t i = 0; i < marks->list.count; i++) {
    const Piece *piece = &changed->list.items[marks->list.items[i]];
    if (piece->is_function && !add_name(difference, &piece->name)) {
      return false;
    }
  }
  return true;
}

static bool list_all(const Pieces *old, const Pieces *changed,
                     SourceDifference *difference) {
  const GraftAllocator *allocator = difference->arena.allocator;
  Marks marks = {.taken = memory_new(allocator, changed->list.count + 1)};
  bool listed =
      marks.taken != NULL && list_functions(old, changed, &marks, difference);
  memory_free(allocator, marks.taken);
  memory_free(allocator, marks.list.items);
  return listed;
}

GraftStatus source_compare(const GraftAllocator *allocator, SourceText old,
                           SourceText changed, SourceDifference *difference) {
  *difference = (SourceDifference){0};
  arena_init(&difference->arena, allocator);
  Pieces before = {0}, after = {0};
  GraftStatus status = read_pieces(allocator, old, &before);
  if (status == GRAFT_OK) status = read_pieces(allocator, changed, &after);
  difference->bodies_only =
      status == GRAFT_OK && differ_in_bodies(&before, &after);
  if (difference->bodies_only && !list_all(&before, &after, difference)) {
    status = GRAFT_ENOMEM;
  }
  memory_free(allocator, before.list.items);
  memory_free(allocator, after.list.items);
  if (status < 0 || !difference->bodies_only) {
    source_difference_clear(difference);
  }
  return status;
}

void source_difference_clear(SourceDifference *self) {
  const GraftAllocator *allocator = self->arena.allocator;
  memory_free(allocator, self->functions.items);
  arena_clear(&self->arena);
  *self = (SourceDifference){0};
  arena_init(&self->arena, allocator);
}
