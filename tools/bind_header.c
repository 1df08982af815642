// SPDX-License-Identifier: MIT

#include "bind_header.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---------------------------------------------------------------------------
// Tokens
// ---------------------------------------------------------------------------

typedef struct Token {
  const char *text;
  size_t size;
} Token;

// A declaration as it is being read.
typedef struct Reader {
  Header *header;
  const char *name;  // of the header
  char folder[1024]; // whose headers all count; "": only the header
  bool ours;         // what is read now stands in such a header
  bool started_ours; // so did the declaration's first token
  Token *tokens;
  size_t count;
  size_t capacity;
} Reader;

static bool is(Token token, const char *text) {
  return strlen(text) == token.size &&
         memcmp(token.text, text, token.size) == 0;
}

static bool is_one_of(Token token, const char *const *list) {
  for (; *list != NULL; list++) {
    if (is(token, *list)) return true;
  }
  return false;
}

static bool is_word(Token token) {
  return isalpha((unsigned char)token.text[0]) || token.text[0] == '_';
}

static bool in_word(char character) {
  return isalnum((unsigned char)character) || character == '_';
}

// The token at `at`, which is none of white space.
static Token read_token(const char *at) {
  size_t size = 1;
  if (in_word(*at)) {
    while (in_word(at[size]) ||
           (isdigit((unsigned char)*at) && at[size] == '.'))
      size++;
  } else if (*at == '"' || *at == '\'') {
    while (at[size] != '\0' && at[size] != *at) {
      size += at[size] == '\\' && at[size + 1] != '\0' ? 2 : 1;
    }
    if (at[size] != '\0') size++;
  } else if (strncmp(at, "...", 3) == 0) {
    size = 3;
  }
  return (Token){at, size};
}

// ---------------------------------------------------------------------------
// Texts
// ---------------------------------------------------------------------------

typedef struct Text {
  char *text;
  size_t size;
  bool failed;
} Text;

static void add(Text *self, const char *text, size_t size) {
  char *grown = realloc(self->text, self->size + size + 1);
  self->failed |= grown == NULL;
  if (grown == NULL) return;
  memcpy(grown + self->size, text, size);
  self->text = grown;
  self->size += size;
  grown[self->size] = '\0';
}

static void add_token(Text *self, Token token) {
  bool tight = self->size == 0 || strchr(",)[]", token.text[0]) != NULL ||
               strchr("*([", self->text[self->size - 1]) != NULL;
  if (!tight) add(self, " ", 1);
  add(self, token.text, token.size);
}

static char *finish(Header *header, Text *self) {
  if (self->text == NULL) add(self, "", 0);
  header->failed |= self->failed;
  return self->text;
}

static char *copy(Header *header, const char *text, size_t size) {
  Text made = {0};
  add(&made, text, size);
  return finish(header, &made);
}

// ---------------------------------------------------------------------------
// Constants
// ---------------------------------------------------------------------------

// Takes its texts over.
static void add_constant(Header *self, const HeaderConstant *constant) {
  HeaderConstant *grown =
      realloc(self->constants, (self->constant_count + 1) * sizeof *grown);
  self->failed |= grown == NULL;
  if (grown == NULL) {
    free(constant->name);
    free(constant->text);
    return;
  }
  self->constants = grown;
  grown[self->constant_count++] = *constant;
}

static void add_integer(Header *self, Token name, long long value) {
  char text[32];
  int size = snprintf(text, sizeof text, "%lld", value);
  add_constant(self, &(HeaderConstant){.name = copy(self, name.text, name.size),
                                       .text = copy(self, text, (size_t)size),
                                       .is_integer = true,
                                       .value = value});
}

static bool is_number(const char *text) {
  char *end = NULL;
  strtod(text, &end);
  return end != text && *end == '\0' && strpbrk(text, "xXpP") == NULL;
}

// Of "#define NAME body"; others than constants are left alone.
static void read_define(Reader *self, const char *line, size_t size) {
  Token name = read_token(line);
  if (!is_word(name) || name.size >= size || line[name.size] == '(') return;
  char *body = copy(self->header, line + name.size, size - name.size);
  if (body == NULL) return;
  char *start = body;
  while (*start != '\0' && isspace((unsigned char)*start)) start++;
  size_t length = strlen(start);
  while (length > 0 && isspace((unsigned char)start[length - 1])) length--;
  start[length] = '\0';
  long long value = 0;
  bool is_text =
      length > 1 && *start == '"' && strcspn(start + 1, "\"\\") == length - 2;
  if (length == 0) {
    // A word that only says that it is there.
  } else if (header_evaluate(self->header, start, &value)) {
    add_integer(self->header, name, value);
  } else if (is_text || is_number(start)) {
    add_constant(
        self->header,
        &(HeaderConstant){.name = copy(self->header, name.text, name.size),
                          .text = copy(self->header, start, length)});
  }
  free(body);
}

// `enum tag { A, B = 2 }` from its "{" on.
static void read_enum(Reader *self, size_t open) {
  long long next = 0;
  bool known = true;
  for (size_t i = open + 1; i < self->count && !is(self->tokens[i], "}");) {
    Token name = self->tokens[i++];
    Text value = {0};
    int depth = 0;
    bool has_value = i < self->count && is(self->tokens[i], "=");
    for (; i < self->count; i++) {
      Token token = self->tokens[i];
      if (depth == 0 && (is(token, ",") || is(token, "}"))) break;
      depth += is(token, "(") ? 1 : is(token, ")") ? -1 : 0;
      if (!is(token, "=")) add(&value, token.text, token.size);
    }
    if (has_value) {
      known = value.text != NULL &&
              header_evaluate(self->header, value.text, &next);
    }
    free(value.text);
    if (known && is_word(name)) add_integer(self->header, name, next);
    next++;
    if (i < self->count && is(self->tokens[i], ",")) i++;
  }
}

static void read_enums(Reader *self) {
  for (size_t i = 0; i + 1 < self->count; i++) {
    if (!is(self->tokens[i], "enum")) continue;
    size_t open = is(self->tokens[i + 1], "{") ? i + 1 : i + 2;
    if (open < self->count && is(self->tokens[open], "{")) {
      read_enum(self, open);
    }
  }
}

// ---------------------------------------------------------------------------
// Functions
// ---------------------------------------------------------------------------

// The index behind the group that opens at `open`.
static size_t skip_group(const Reader *self, size_t open) {
  int depth = 0;
  for (size_t i = open; i < self->count; i++) {
    if (strchr("([{", self->tokens[i].text[0]) != NULL) depth++;
    if (strchr(")]}", self->tokens[i].text[0]) != NULL && --depth == 0) {
      return i + 1;
    }
  }
  return self->count;
}

// Takes out what says how rather than what: attributes, storage.
static void drop_decoration(Reader *self) {
  static const char *const groups[] = {
      "__attribute__", "__attribute", "__asm__",  "asm",
      "__asm",         "__declspec",  "_Alignas", NULL};
  static const char *const words[] = {"extern",        "inline",   "__inline",
                                      "__inline__",    "static",   "_Noreturn",
                                      "__extension__", "register", NULL};
  size_t kept = 0;
  for (size_t i = 0; i < self->count;) {
    Token token = self->tokens[i];
    if (is_one_of(token, groups) && i + 1 < self->count &&
        is(self->tokens[i + 1], "(")) {
      i = skip_group(self, i + 1);
    } else if (is_one_of(token, words)) {
      i++;
    } else {
      self->tokens[kept++] = token;
      i++;
    }
  }
  self->count = kept;
}

static bool is_type_word(Token token) {
  static const char *const words[] = {
      "void",     "char",       "short",        "int",    "long",  "float",
      "double",   "signed",     "unsigned",     "_Bool",  "const", "volatile",
      "restrict", "__restrict", "__restrict__", "struct", "union", "enum",
      "_Complex", "__signed__", "__const",      NULL};
  return is_one_of(token, words);
}

// Where the name of a parameter stands, or where it is to be put: then
// `*missing`.
static size_t find_name(const Reader *self, size_t first, size_t end,
                        bool *missing) {
  *missing = false;
  for (size_t i = first; i + 1 < end; i++) {
    if (!is(self->tokens[i], "(") || !is(self->tokens[i + 1], "*")) continue;
    size_t at = i + 2;
    while (at < end && is_type_word(self->tokens[at])) at++;
    *missing = !is_word(self->tokens[at]);
    return at;
  }
  size_t last = end;
  while (last > first && is(self->tokens[last - 1], "]")) {
    while (last > first && !is(self->tokens[last - 1], "[")) last--;
    last--;
  }
  size_t at = last - 1;
  bool named = at > first && is_word(self->tokens[at]) &&
               !is_type_word(self->tokens[at]);
  // "struct Body" has no name, "const Body" neither.
  bool has_type = false;
  for (size_t i = first; named && i < at; i++) {
    static const char *const not_types[] = {"const", "volatile", "struct",
                                            "union", "enum",     NULL};
    bool tag = i > first && is_one_of(self->tokens[i - 1], not_types + 2);
    has_type |= tag || !is_one_of(self->tokens[i], not_types);
  }
  *missing = !named || !has_type;
  return *missing ? last : at;
}

static void read_parameter(const Reader *self, size_t first, size_t end,
                           Text *texts) {
  bool missing;
  char made[24];
  Text *parameters = &texts[0];
  Text *arguments = &texts[1];
  size_t at = find_name(self, first, end, &missing);
  int number = 1;
  for (size_t i = 0; i < arguments->size; i++) {
    number += arguments->text[i] == ',';
  }
  number += arguments->size > 0;
  int size = snprintf(made, sizeof made, "p%d", number);
  Token name = missing ? (Token){made, (size_t)size} : self->tokens[at];
  if (arguments->size > 0) {
    add(parameters, ", ", 2);
    add(arguments, ", ", 2);
  }
  Text one = {0};
  for (size_t i = first; i < end; i++) {
    if (i == at && missing) add_token(&one, name);
    add_token(&one, self->tokens[i]);
  }
  if (missing && at == end) add_token(&one, name);
  if (one.text != NULL) add(parameters, one.text, one.size);
  parameters->failed |= one.failed;
  free(one.text);
  add(arguments, name.text, name.size);
}

// Between the parentheses at `open` and before `end`. Returns why not, or NULL.
static const char *read_parameters(const Reader *self, size_t open, size_t end,
                                   Text *texts) {
  bool none = open + 2 == end && is(self->tokens[open + 1], "void");
  if (open + 1 == end || none) return NULL;
  int depth = 0;
  size_t first = open + 1;
  for (size_t i = first; i <= end; i++) {
    if (i < end && is(self->tokens[i], "...")) {
      return "takes a variable number of arguments";
    }
    bool over = i == end || (depth == 0 && is(self->tokens[i], ","));
    if (over && i > first) read_parameter(self, first, i, texts);
    if (over) first = i + 1;
    if (i < end && strchr("([{", self->tokens[i].text[0]) != NULL) depth++;
    if (i < end && strchr(")]}", self->tokens[i].text[0]) != NULL) depth--;
  }
  return NULL;
}

static bool has_function(const Header *self, Token name) {
  for (size_t i = 0; i < self->function_count; i++) {
    if (is(name, self->functions[i].name)) return true;
  }
  return false;
}

static void add_function(Reader *self, size_t at, size_t close) {
  Header *header = self->header;
  Token name = self->tokens[at];
  HeaderFunction *grown =
      realloc(header->functions, (header->function_count + 1) * sizeof *grown);
  header->failed |= grown == NULL;
  if (grown == NULL) return;
  header->functions = grown;
  Text result = {0};
  Text texts[2] = {{0}, {0}};
  for (size_t i = 0; i < at; i++) add_token(&result, self->tokens[i]);
  const char *why_not = read_parameters(self, at + 1, close, texts);
  if (close + 1 < self->count && is(self->tokens[close + 1], "(")) {
    why_not = "returns a function in a way that is not understood";
  }
  if (texts[0].size == 0) add(&texts[0], "void", 4);
  grown[header->function_count++] = (HeaderFunction){
      .is_inline = close + 1 < self->count && is(self->tokens[close + 1], "{"),
      .name = copy(header, name.text, name.size),
      .result = finish(header, &result),
      .parameters = finish(header, &texts[0]),
      .arguments = finish(header, &texts[1]),
      .why_not =
          why_not != NULL ? copy(header, why_not, strlen(why_not)) : NULL};
}

// `self->tokens` are a declaration, without what ends it.
static void read_declaration(Reader *self) {
  if (!self->started_ours || self->count == 0) return;
  read_enums(self);
  if (is(self->tokens[0], "typedef")) return;
  drop_decoration(self);
  for (size_t i = 1; i + 1 < self->count; i++) {
    Token token = self->tokens[i];
    if (is(token, "=") || is(token, "{") || is(token, "[")) return;
    if (is(token, "(")) return; // a pointer to a function
    if (!is_word(token) || !is(self->tokens[i + 1], "(")) continue;
    size_t close = skip_group(self, i + 1) - 1;
    bool hidden = token.size > 1 && memcmp(token.text, "__", 2) == 0;
    if (!hidden && !is_type_word(token) && !has_function(self->header, token)) {
      add_function(self, i, close);
    }
    return;
  }
}

// ---------------------------------------------------------------------------
// Lines
// ---------------------------------------------------------------------------

static bool ends_with(const char *path, size_t size, const char *end) {
  size_t tail = strlen(end);
  while (strncmp(end, "./", 2) == 0) end += 2, tail -= 2;
  return size >= tail && memcmp(path + size - tail, end, tail) == 0 &&
         (size == tail || path[size - tail - 1] == '/' || end[0] == '/');
}

// A folder that only this library uses: below, and not itself, a system's.
static void set_folder(Reader *self, const char *path, size_t size) {
  while (size > 0 && path[size - 1] != '/') size--;
  char folder[sizeof self->folder];
  if (size == 0 || size >= sizeof folder) return;
  memcpy(folder, path, size);
  folder[size] = '\0';
  bool shared = strcmp(folder, "/usr/include/") == 0 ||
                strcmp(folder, "/usr/local/include/") == 0 ||
                (strncmp(folder, "/usr/include/", 13) == 0 &&
                 strstr(folder, "-linux-gnu") != NULL &&
                 strchr(strstr(folder, "-linux-gnu"), '/')[1] == '\0');
  if (!shared) memcpy(self->folder, folder, size + 1);
}

// `# 12 "/usr/include/zlib.h" 1 3`
static void read_marker(Reader *self, const char *line) {
  const char *open = strchr(line, '"');
  const char *end = strchr(line, '\n');
  if (open == NULL || (end != NULL && open > end)) return;
  const char *path = open + 1;
  size_t size = strcspn(path, "\"");
  self->ours = ends_with(path, size, self->name);
  if (self->ours && !self->header->found) {
    self->header->found = true;
    set_folder(self, path, size);
  }
  size_t folder = strlen(self->folder);
  self->ours |=
      folder > 0 && size > folder && memcmp(path, self->folder, folder) == 0;
}

static const char *read_directive(Reader *self, const char *line) {
  size_t size = strcspn(line, "\n");
  if (strncmp(line, "#define ", 8) == 0) {
    if (self->ours) read_define(self, line + 8, size - 8);
  } else if (line[1] == ' ' && isdigit((unsigned char)line[2])) {
    read_marker(self, line);
  }
  return line + size;
}

static void push(Reader *self, Token token) {
  if (self->count == self->capacity) {
    size_t capacity = self->capacity * 2 + 64;
    Token *grown = realloc(self->tokens, capacity * sizeof *grown);
    self->header->failed |= grown == NULL;
    if (grown == NULL) return;
    self->tokens = grown;
    self->capacity = capacity;
  }
  if (self->count == 0) self->started_ours = self->ours;
  self->tokens[self->count++] = token;
}

static void read_all(Reader *self, const char *at) {
  int depth = 0;
  bool body = false; // of a function
  while (*at != '\0') {
    if (*at == '#') {
      at = read_directive(self, at);
      continue;
    }
    if (isspace((unsigned char)*at)) {
      at++;
      continue;
    }
    Token token = read_token(at);
    at += token.size;
    bool opens = strchr("([{", token.text[0]) != NULL;
    bool closes = strchr(")]}", token.text[0]) != NULL;
    if (depth == 0 && is(token, "{") && self->count > 0) {
      body = is(self->tokens[self->count - 1], ")");
    }
    depth += opens ? 1 : closes ? -1 : 0;
    if (depth < 0) depth = 0;
    bool over = depth == 0 && (is(token, ";") || (body && is(token, "}")));
    if (!over) {
      push(self, token);
      continue;
    }
    read_declaration(self);
    self->count = 0;
    body = false;
  }
}

void header_read(Header *self, const char *text, const char *name) {
  *self = (Header){0};
  Reader reader = {.header = self, .name = name};
  read_all(&reader, text);
  free(reader.tokens);
}

void header_clear(Header *self) {
  for (size_t i = 0; i < self->function_count; i++) {
    free(self->functions[i].name);
    free(self->functions[i].result);
    free(self->functions[i].parameters);
    free(self->functions[i].arguments);
    free(self->functions[i].why_not);
  }
  for (size_t i = 0; i < self->constant_count; i++) {
    free(self->constants[i].name);
    free(self->constants[i].text);
  }
  free(self->functions);
  free(self->constants);
  *self = (Header){0};
}
