// SPDX-License-Identifier: MIT
//
// The reader of signature text: declaration specifiers, stars, an optional
// name, and a parameter list.

#include "registry/signature.h"

#include <ctype.h>
#include <string.h>

#include "base/error.h"

typedef struct Word {
  const char *start;
  size_t size;
} Word;

typedef struct Reader {
  const char *text;
  const char *next;
  Arena arena; // pointer names until signature_new has copied them
  GraftError *error;
  GraftStatus status;
  int depth; // of function pointers in function pointers
} Reader;

enum { DEPTH_MOST = 8 };

// The specifiers of one declaration, as counts, since C allows any order.
typedef struct Specifiers {
  int has_void, has_bool, has_char, has_short, has_int, has_long;
  int has_float, has_double, has_signed, has_unsigned, has_const;
  int words;  // of the above but const
  Word named; // a typedef or a struct, or empty
  bool is_enum;
  bool is_struct;
} Specifiers;

static bool fail(Reader *self, const char *at, const char *what, Word word) {
  if (self->status != GRAFT_OK) return false;
  self->status = error_set(
      self->error, GRAFT_ESIGNATURE, "bad signature '%.300s': %s%.*s%s",
      self->text, what, (int)(word.size < 100 ? word.size : 100),
      word.size > 0 ? word.start : "", word.size > 0 ? "'" : "");
  error_at(self->error, "", 0, (int)(at - self->text) + 1);
  return false;
}

static bool fail_plain(Reader *self, const char *what) {
  return fail(self, self->next, what, (Word){0});
}

static void skip_space(Reader *self) {
  while (isspace((unsigned char)*self->next)) self->next++;
}

static bool is_word_character(char character) {
  return isalnum((unsigned char)character) || character == '_';
}

// The identifier ahead, empty when there is none.
static Word peek_word(Reader *self) {
  skip_space(self);
  Word word = {self->next, 0};
  if (isdigit((unsigned char)*self->next)) return word;
  while (is_word_character(word.start[word.size])) word.size++;
  return word;
}

static bool accept(Reader *self, char character) {
  skip_space(self);
  if (*self->next != character) return false;
  self->next++;
  return true;
}

static bool word_is(Word word, const char *text) {
  return word.size == strlen(text) && memcmp(word.start, text, word.size) == 0;
}

// A keyword's count in `specifiers`, or NULL.
static int *find_specifier(Specifiers *specifiers, Word word) {
  const struct {
    const char *text;
    int *count;
  } known[] = {
      {"void", &specifiers->has_void},
      {"bool", &specifiers->has_bool},
      {"_Bool", &specifiers->has_bool},
      {"char", &specifiers->has_char},
      {"short", &specifiers->has_short},
      {"int", &specifiers->has_int},
      {"long", &specifiers->has_long},
      {"float", &specifiers->has_float},
      {"double", &specifiers->has_double},
      {"signed", &specifiers->has_signed},
      {"unsigned", &specifiers->has_unsigned},
  };
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    if (word_is(word, known[i].text)) return known[i].count;
  }
  return NULL;
}

static bool is_qualifier(Word word) {
  return word_is(word, "volatile") || word_is(word, "restrict") ||
         word_is(word, "extern") || word_is(word, "__restrict");
}

// Reads `struct NAME`, `union NAME` or `enum NAME`; the keyword is behind us.
static bool read_tag(Reader *self, Specifiers *specifiers, bool is_enum) {
  Word name = peek_word(self);
  if (name.size == 0) return fail_plain(self, "expected a name");
  self->next += name.size;
  specifiers->named = name;
  specifiers->is_enum = is_enum;
  specifiers->is_struct = !is_enum;
  return true;
}

static bool read_specifiers(Reader *self, Specifiers *specifiers) {
  for (;;) {
    Word word = peek_word(self);
    int *count = find_specifier(specifiers, word);
    bool has_base = specifiers->words > 0 || specifiers->named.size > 0;
    if (word.size == 0) {
      return has_base || fail_plain(self, "expected a type");
    }
    if (word_is(word, "const")) {
      specifiers->has_const++;
    } else if (count != NULL) {
      ++*count;
      specifiers->words++;
    } else if (has_base && !is_qualifier(word)) {
      return true; // the name of what is declared
    } else if (word_is(word, "struct") || word_is(word, "union") ||
               word_is(word, "enum")) {
      self->next += word.size;
      if (!read_tag(self, specifiers, word_is(word, "enum"))) return false;
      continue;
    } else if (!is_qualifier(word)) {
      specifiers->named = word;
    }
    self->next += word.size;
  }
}

static TypeCode sized_integer(size_t size, bool is_unsigned) {
  switch (size) {
  case 1:
    return is_unsigned ? TYPE_UINT8 : TYPE_INT8;
  case 2:
    return is_unsigned ? TYPE_UINT16 : TYPE_INT16;
  case 4:
    return is_unsigned ? TYPE_UINT32 : TYPE_INT32;
  default:
    return is_unsigned ? TYPE_UINT64 : TYPE_INT64;
  }
}

// The standard typedefs; TYPE_VOID for any other name.
static TypeCode find_typedef(Word word) {
  static const struct {
    const char *text;
    size_t size;
    bool is_unsigned;
  } known[] = {
      {"int8_t", 1, false},
      {"uint8_t", 1, true},
      {"int16_t", 2, false},
      {"uint16_t", 2, true},
      {"int32_t", 4, false},
      {"uint32_t", 4, true},
      {"int64_t", 8, false},
      {"uint64_t", 8, true},
      {"size_t", sizeof(size_t), true},
      {"ssize_t", sizeof(size_t), false},
      {"ptrdiff_t", sizeof(ptrdiff_t), false},
      {"intptr_t", sizeof(intptr_t), false},
      {"uintptr_t", sizeof(uintptr_t), true},
  };
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    if (word_is(word, known[i].text)) {
      return sized_integer(known[i].size, known[i].is_unsigned);
    }
  }
  return TYPE_VOID;
}

// How many different base types the keywords name; 1 is right.
static int base_count(const Specifiers *self) {
  bool is_integer =
      self->has_int || self->has_short || self->has_long ||
      ((self->has_signed || self->has_unsigned) && !self->has_char);
  return (self->has_void > 0) + (self->has_bool > 0) + (self->has_char > 0) +
         (self->has_float > 0) + (self->has_double > 0) + is_integer;
}

static bool keywords_agree(const Specifiers *self) {
  bool has_sign = self->has_signed || self->has_unsigned;
  if (base_count(self) != 1) return false;
  if (self->has_void > 1 || self->has_bool > 1 || self->has_char > 1 ||
      self->has_int > 1 || self->has_float > 1 || self->has_double > 1 ||
      self->has_long > 2 || self->has_short > 1) {
    return false;
  }
  return self->has_signed + self->has_unsigned <= 1 &&
         !(self->has_short && self->has_long) &&
         !(has_sign && (self->has_void || self->has_bool || self->has_float ||
                        self->has_double));
}

static TypeCode keyword_type(const Specifiers *self) {
  if (self->has_void) return TYPE_VOID;
  if (self->has_bool) return TYPE_BOOL;
  if (self->has_float) return TYPE_FLOAT;
  if (self->has_double) return TYPE_DOUBLE;
  bool is_unsigned = self->has_unsigned > 0;
  if (self->has_char) {
    bool plain_unsigned = (char)-1 > 0 && !self->has_signed;
    return sized_integer(1, is_unsigned || plain_unsigned);
  }
  return sized_integer(self->has_short      ? sizeof(short)
                       : self->has_long > 1 ? sizeof(long long)
                       : self->has_long     ? sizeof(long)
                                            : sizeof(int),
                       is_unsigned);
}

// Stars and what stands between them.
static int read_stars(Reader *self) {
  int stars = 0;
  for (;;) {
    Word word = peek_word(self);
    if (word.size > 0 && (word_is(word, "const") || is_qualifier(word))) {
      self->next += word.size;
    } else if (accept(self, '*')) {
      stars++;
    } else {
      return stars;
    }
  }
}

// "Body" and 2 are "Body **".
static bool name_pointer(Reader *self, Word base, int stars,
                         SignatureType *type) {
  char *name = arena_new(&self->arena, base.size + (size_t)stars + 2);
  if (name == NULL) {
    self->status = error_memory(self->error);
    return false;
  }
  memcpy(name, base.start, base.size);
  name[base.size] = ' ';
  memset(name + base.size + 1, '*', (size_t)stars);
  *type = (SignatureType){.code = TYPE_POINTER, .name = name};
  return true;
}

static bool finish_type(Reader *self, const Specifiers *specifiers, int stars,
                        SignatureType *type) {
  Word named = specifiers->named;
  bool plain_char = specifiers->has_char && !specifiers->has_signed &&
                    !specifiers->has_unsigned;
  TypeCode code = named.size == 0       ? keyword_type(specifiers)
                  : specifiers->is_enum ? TYPE_INT32
                                        : find_typedef(named);
  bool is_unknown = named.size > 0 && code == TYPE_VOID;
  if (stars == 0) {
    if (is_unknown) {
      return fail(self, named.start,
                  specifiers->is_struct
                      ? "only pointers to structs can be passed, not '"
                      : "unknown type '",
                  named);
    }
    *type = (SignatureType){.code = code};
    return true;
  }
  if (stars == 1 && plain_char && specifiers->has_const) {
    *type = (SignatureType){.code = TYPE_STRING};
    return true;
  }
  const char *base = plain_char ? "char" : type_text(code, NULL);
  if (!is_unknown) named = (Word){base, strlen(base)};
  return name_pointer(self, named, stars, type);
}

// `[]` or `[3]` behind a name: in a parameter it is a star.
static bool read_dimension(Reader *self, int *stars) {
  if (!accept(self, '[')) return true;
  while (*self->next != ']') {
    if (*self->next == '\0') return fail_plain(self, "expected ']'");
    self->next++;
  }
  self->next++;
  ++*stars;
  skip_space(self);
  return *self->next != '[' ||
         fail_plain(self, "only one dimension is supported");
}

// One type and, where there is one, the name it declares.
static bool read_declaration(Reader *self, SignatureType *type) {
  Specifiers specifiers = {0};
  const char *start = self->next;
  if (!read_specifiers(self, &specifiers)) return false;
  bool mixed = specifiers.words > 0 && specifiers.named.size > 0;
  if (mixed || (specifiers.words > 0 && !keywords_agree(&specifiers)) ||
      (specifiers.has_long && specifiers.has_double)) {
    skip_space(self);
    while (isspace((unsigned char)*start)) start++;
    return fail(self, start, "unsupported type '",
                (Word){start, (size_t)(self->next - start)});
  }
  int stars = read_stars(self);
  self->next += peek_word(self).size;
  if (!read_dimension(self, &stars)) return false;
  skip_space(self);
  return finish_type(self, &specifiers, stars, type);
}

static bool read_parameters(Reader *self, SignatureDesc *desc);

// "int (*)(double)", from what has been read.
static bool name_function(Reader *self, const SignatureDesc *desc, int stars,
                          SignatureType *type) {
  Buffer text;
  buffer_init(&text, self->arena.allocator);
  signature_write_type(&text, desc->result);
  buffer_add_text(&text, " (");
  buffer_add_repeated(&text, '*', (size_t)stars);
  buffer_add_text(&text, ")(");
  for (int i = 0; i < desc->param_count; i++) {
    if (i > 0) buffer_add_text(&text, ", ");
    signature_write_type(&text, desc->params[i]);
  }
  buffer_add_text(&text, desc->param_count == 0 ? "void)" : ")");
  char *name = text.failed
                   ? NULL
                   : arena_copy_string(&self->arena, text.text, text.size);
  buffer_clear(&text);
  if (name == NULL) {
    self->status = error_memory(self->error);
    return false;
  }
  *type = (SignatureType){.code = TYPE_POINTER, .name = name};
  return true;
}

// What follows the result's type of a pointer to a function: "(*each)(int)".
static bool read_function(Reader *self, SignatureType *type) {
  SignatureDesc desc = {.result = *type};
  self->next++;
  int stars = read_stars(self);
  if (stars == 0) return fail_plain(self, "expected '*'");
  self->next += peek_word(self).size;
  if (!accept(self, ')')) return fail_plain(self, "expected ')'");
  if (!accept(self, '(')) return fail_plain(self, "expected '('");
  if (++self->depth > DEPTH_MOST) {
    return fail_plain(self, "too many function pointers in one another");
  }
  bool done = read_parameters(self, &desc);
  self->depth--;
  return done && name_function(self, &desc, stars, type);
}

static bool read_parameter(Reader *self, SignatureDesc *desc) {
  skip_space(self);
  const char *start = self->next;
  if (strncmp(start, "...", 3) == 0) {
    return fail_plain(self, "variable arguments are not supported");
  }
  if (desc->param_count == SIGNATURE_PARAMS) {
    return fail_plain(self, "more than 32 parameters");
  }
  SignatureType *type = &desc->params[desc->param_count];
  if (!read_declaration(self, type)) return false;
  if (*self->next == '(' && !read_function(self, type)) return false;
  if (type->code == TYPE_VOID) {
    return fail(self, start, "a parameter cannot be void", (Word){0});
  }
  desc->param_count++;
  return true;
}

static bool read_parameters(Reader *self, SignatureDesc *desc) {
  if (accept(self, ')')) return true;
  const char *start = self->next;
  Word word = peek_word(self);
  self->next += word.size;
  if (word_is(word, "void") && accept(self, ')')) return true;
  self->next = start;
  do {
    if (!read_parameter(self, desc)) return false;
  } while (accept(self, ','));
  return accept(self, ')') || fail_plain(self, "expected ',' or ')'");
}

static bool read_signature(Reader *self, SignatureDesc *desc) {
  if (!read_declaration(self, &desc->result)) return false;
  if (!accept(self, '(')) return fail_plain(self, "expected '('");
  skip_space(self);
  if (*self->next == '*') {
    return fail_plain(self, "a result cannot be a function pointer");
  }
  if (!read_parameters(self, desc)) return false;
  accept(self, ';');
  skip_space(self);
  return *self->next == '\0' ||
         fail_plain(self, "unexpected text behind the ')'");
}

GraftStatus signature_parse(const GraftAllocator *allocator, const char *text,
                            Signature **signature, GraftError *error) {
  *signature = NULL;
  if (text == NULL) {
    return error_set(error, GRAFT_ESIGNATURE, "no signature given");
  }
  Reader reader = {.text = text, .next = text, .error = error};
  arena_init(&reader.arena, allocator);
  SignatureDesc desc = {0};
  if (read_signature(&reader, &desc)) {
    *signature = signature_new(allocator, &desc);
    if (*signature == NULL) reader.status = error_memory(error);
  }
  arena_clear(&reader.arena);
  return reader.status;
}
