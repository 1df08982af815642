// SPDX-License-Identifier: MIT

#include "state/type.h"

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "base/hash.h"

// --- Sets --------------------------------------------------------------------

struct TypeSet {
  const GraftAllocator *allocator;
  atomic_int references;
  Arena arena;
  ARRAY(const Type *) list;
};

TypeSet *type_set_new(const GraftAllocator *allocator) {
  TypeSet *self = memory_new(allocator, sizeof *self);
  if (self == NULL) return NULL;
  self->allocator = allocator;
  atomic_init(&self->references, 1);
  arena_init(&self->arena, allocator);
  return self;
}

TypeSet *type_set_retain(TypeSet *self) {
  atomic_fetch_add(&self->references, 1);
  return self;
}

void type_set_release(TypeSet *self) {
  if (self == NULL || atomic_fetch_sub(&self->references, 1) > 1) return;
  arena_clear(&self->arena);
  memory_free(self->allocator, self->list.items);
  memory_free(self->allocator, self);
}

void *type_set_allocate(TypeSet *self, size_t size) {
  return arena_new(&self->arena, size);
}

Type *type_set_add(TypeSet *self, TypeKind kind, bool listed) {
  Type *type = arena_new(&self->arena, sizeof *type);
  if (type == NULL) return NULL;
  *type = (Type){.kind = kind, .align = 1, .name = "", .alias = "", .file = ""};
  if (listed) {
    const Type **place = ARRAY_PUSH(self->allocator, &self->list);
    if (place == NULL) return NULL;
    *place = type;
  }
  return type;
}

size_t type_set_count(const TypeSet *self) {
  return self->list.count;
}

const Type *type_set_at(const TypeSet *self, size_t index) {
  return self->list.items[index];
}

// --- Finding by name ---------------------------------------------------------

#define BASIC(a_kind, c_type, sign)                                            \
  {                                                                            \
    .kind = (a_kind), .is_signed = (sign), .size = sizeof(c_type),             \
    .align = _Alignof(c_type), .name = #c_type, .alias = "", .file = ""        \
  }

// What needs no declaration, or has one in every file.
static const Type *find_basic(const char *name) {
  static const Type basics[] = {
      BASIC(KIND_BOOL, bool, false),
      BASIC(KIND_INTEGER, signed char, true),
      BASIC(KIND_INTEGER, unsigned char, false),
      BASIC(KIND_INTEGER, short, true),
      BASIC(KIND_INTEGER, unsigned short, false),
      BASIC(KIND_INTEGER, int, true),
      BASIC(KIND_INTEGER, unsigned int, false),
      BASIC(KIND_INTEGER, unsigned, false),
      BASIC(KIND_INTEGER, long, true),
      BASIC(KIND_INTEGER, unsigned long, false),
      BASIC(KIND_INTEGER, int8_t, true),
      BASIC(KIND_INTEGER, uint8_t, false),
      BASIC(KIND_INTEGER, int16_t, true),
      BASIC(KIND_INTEGER, uint16_t, false),
      BASIC(KIND_INTEGER, int32_t, true),
      BASIC(KIND_INTEGER, uint32_t, false),
      BASIC(KIND_INTEGER, int64_t, true),
      BASIC(KIND_INTEGER, uint64_t, false),
      BASIC(KIND_INTEGER, size_t, false),
      BASIC(KIND_FLOAT, float, true),
      BASIC(KIND_FLOAT, double, true),
      {.kind = KIND_INTEGER,
       .is_signed = (char)-1 < 0,
       .is_char = true,
       .size = 1,
       .align = 1,
       .name = "char",
       .alias = "",
       .file = ""},
  };
  for (size_t i = 0; i < sizeof basics / sizeof *basics; i++) {
    if (strcmp(basics[i].name, name) == 0) return &basics[i];
  }
  return strcmp(name, "_Bool") == 0 ? &basics[0] : NULL;
}

// Takes "struct " off and says which kind it asks for; KIND_VOID for any.
static TypeKind take_keyword(const char **name) {
  static const struct {
    const char *text;
    TypeKind kind;
  } keywords[] = {
      {"struct ", KIND_STRUCT}, {"union ", KIND_UNION}, {"enum ", KIND_ENUM}};
  for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++) {
    size_t size = strlen(keywords[i].text);
    if (strncmp(*name, keywords[i].text, size) == 0) {
      *name += size;
      return keywords[i].kind;
    }
  }
  return KIND_VOID;
}

typedef enum Match { MATCH_NONE, MATCH_DECLARED, MATCH_TAG, MATCH_ALIAS } Match;

static Match match(const Type *type, TypeKind kind, const char *name) {
  bool is_tagged = type->kind == KIND_STRUCT || type->kind == KIND_UNION ||
                   type->kind == KIND_ENUM;
  bool is_tag = is_tagged && strcmp(type->name, name) == 0 &&
                (kind == KIND_VOID || kind == type->kind);
  bool is_alias = kind == KIND_VOID && strcmp(type->alias, name) == 0;
  if (!is_tag && !is_alias) return MATCH_NONE;
  if (type->is_incomplete) return MATCH_DECLARED;
  return is_alias || kind != KIND_VOID ? MATCH_ALIAS : MATCH_TAG;
}

const Type *type_set_find(const TypeSet *self, const char *name) {
  TypeKind kind = take_keyword(&name);
  const Type *best = NULL;
  Match best_match = MATCH_NONE;
  if (*name == '\0') return NULL;
  for (size_t i = 0; i < self->list.count; i++) {
    Match found = match(self->list.items[i], kind, name);
    if (found <= best_match) continue;
    best = self->list.items[i];
    best_match = found;
  }
  return best != NULL || kind != KIND_VOID ? best : find_basic(name);
}

const char *type_name(const Type *self) {
  return *self->alias != '\0' ? self->alias : self->name;
}

// The name that makes a struct what it is in C.
static const char *tag_of(const Type *self) {
  return *self->name != '\0' ? self->name : self->alias;
}

// --- Comparing ---------------------------------------------------------------

typedef struct Pair {
  const Type *a, *b;
} Pair;

// How pointees are compared: by name, or, with a list of what is being
// compared already, as deep as they go.
typedef struct Comparison {
  const GraftAllocator *allocator; // NULL: by name
  ARRAY(Pair) pairs;
  bool failed;
} Comparison;

static bool same_type(Comparison *self, const Type *a, const Type *b);
static bool same_pointee(Comparison *self, const Type *a, const Type *b);

static bool same_enum(const Type *a, const Type *b) {
  for (size_t i = 0; i < a->enumerator_count; i++) {
    const TypeEnumerator *x = &a->enumerators[i];
    for (size_t j = 0; j < b->enumerator_count; j++) {
      const TypeEnumerator *y = &b->enumerators[j];
      if (strcmp(x->name, y->name) == 0 && x->value != y->value) return false;
    }
  }
  return a->is_signed == b->is_signed;
}

static bool same_members(Comparison *self, const Type *a, const Type *b) {
  if (a->member_count != b->member_count ||
      a->is_incomplete != b->is_incomplete) {
    return false;
  }
  for (size_t i = 0; i < a->member_count; i++) {
    const TypeMember *x = &a->members[i], *y = &b->members[i];
    if (x->offset != y->offset || x->bit_offset != y->bit_offset ||
        x->bit_size != y->bit_size || strcmp(x->name, y->name) != 0 ||
        !same_type(self, x->type, y->type)) {
      return false;
    }
  }
  return true;
}

static bool same_function(Comparison *self, const Type *a, const Type *b) {
  if (a->parameter_count != b->parameter_count ||
      a->is_variadic != b->is_variadic ||
      !same_pointee(self, a->target, b->target)) {
    return false;
  }
  for (size_t i = 0; i < a->parameter_count; i++) {
    if (!same_pointee(self, a->parameters[i].type, b->parameters[i].type)) {
      return false;
    }
  }
  return true;
}

// Whether the two are being compared already, or were. Remembers them.
static bool seen(Comparison *self, const Type *a, const Type *b) {
  for (size_t i = 0; i < self->pairs.count; i++) {
    if (self->pairs.items[i].a == a && self->pairs.items[i].b == b) return true;
  }
  Pair *pair = ARRAY_PUSH(self->allocator, &self->pairs);
  if (pair == NULL) {
    self->failed = true;
    return true;
  }
  *pair = (Pair){a, b};
  return false;
}

static bool same_pointee(Comparison *self, const Type *a, const Type *b) {
  if (a->kind != b->kind) return false;
  if (a->kind != KIND_STRUCT && a->kind != KIND_UNION) {
    return same_type(self, a, b);
  }
  bool is_named = *tag_of(a) != '\0' || *tag_of(b) != '\0';
  if (is_named && strcmp(tag_of(a), tag_of(b)) != 0) return false;
  if (self->allocator == NULL) return is_named || same_type(self, a, b);
  if (a->is_incomplete || b->is_incomplete || seen(self, a, b)) return true;
  return same_type(self, a, b);
}

static bool same_type(Comparison *self, const Type *a, const Type *b) {
  if (a == b) return true;
  if (a->kind != b->kind || a->size != b->size) return false;
  switch (a->kind) {
  case KIND_INTEGER:
    return a->is_signed == b->is_signed;
  case KIND_ENUM:
    return same_enum(a, b);
  case KIND_POINTER:
    return same_pointee(self, a->target, b->target);
  case KIND_ARRAY:
    return a->count == b->count && same_type(self, a->target, b->target);
  case KIND_STRUCT:
  case KIND_UNION:
    return same_members(self, a, b);
  case KIND_FUNCTION:
    return same_function(self, a, b);
  case KIND_OPAQUE:
    return strcmp(a->name, b->name) == 0;
  case KIND_VOID:
  case KIND_BOOL:
  case KIND_FLOAT:
    break;
  }
  return true;
}

bool type_same(const Type *a, const Type *b) {
  return same_type(&(Comparison){0}, a, b);
}

bool type_same_deep(const GraftAllocator *allocator, const Type *a,
                    const Type *b) {
  Comparison self = {.allocator = allocator};
  bool same = same_type(&self, a, b) && !self.failed;
  memory_free(allocator, self.pairs.items);
  return same;
}

uint64_t type_hash(const Type *self) {
  uint64_t hash = hash_mix((uint64_t)self->kind, self->size);
  switch (self->kind) {
  case KIND_INTEGER:
    return hash_mix(hash, self->is_signed);
  case KIND_POINTER:
    return hash_mix(hash, (uint64_t)self->target->kind);
  case KIND_ARRAY:
    return hash_mix(hash_mix(hash, self->count), type_hash(self->target));
  case KIND_STRUCT:
  case KIND_UNION:
    for (size_t i = 0; i < self->member_count; i++) {
      const TypeMember *member = &self->members[i];
      hash = hash_bytes(hash, member->name, strlen(member->name));
      hash = hash_mix(hash, member->offset);
      hash = hash_mix(hash, (uint64_t)(member->bit_offset * 64) +
                                (uint64_t)member->bit_size);
      hash = hash_mix(hash, type_hash(member->type));
    }
    return hash;
  default:
    return hash;
  }
}

// --- Text --------------------------------------------------------------------

static void write_declaration(Buffer *text, const Type *self,
                              const char *declarator, bool is_const);

static void write_words(Buffer *text, const char *words,
                        const char *declarator) {
  buffer_add_text(text, words);
  if (*declarator == '\0') return;
  if (*declarator != '[') buffer_add_text(text, " ");
  buffer_add_text(text, declarator);
}

static void write_name(Buffer *text, const Type *self, const char *declarator) {
  static const char *const keywords[] = {[KIND_STRUCT] = "struct ",
                                         [KIND_UNION] = "union ",
                                         [KIND_ENUM] = "enum "};
  const char *name = type_name(self);
  if (*self->alias == '\0') {
    switch (self->kind) {
    case KIND_STRUCT:
    case KIND_UNION:
    case KIND_ENUM:
      buffer_add_text(text, keywords[self->kind]);
      if (*name == '\0') name = "without a name";
      break;
    case KIND_VOID:
      name = "void";
      break;
    case KIND_BOOL:
      name = "bool";
      break;
    default:
      if (*name == '\0') name = "unknown";
    }
  }
  write_words(text, name, declarator);
}

static void write_pointer(Buffer *text, const Type *self,
                          const char *declarator, bool is_const) {
  Buffer inner;
  buffer_init(&inner, text->allocator);
  TypeKind kind = self->target->kind;
  bool is_wrapped = *self->target->alias == '\0' &&
                    (kind == KIND_ARRAY || kind == KIND_FUNCTION);
  buffer_add_text(&inner, is_wrapped ? "(*" : "*");
  if (is_const) buffer_add_text(&inner, *declarator ? "const " : "const");
  buffer_add_text(&inner, declarator);
  if (is_wrapped) buffer_add_text(&inner, ")");
  write_declaration(text, self->target, buffer_text(&inner), self->is_const);
  text->failed |= inner.failed;
  buffer_clear(&inner);
}

static void write_array(Buffer *text, const Type *self, const char *declarator,
                        bool is_const) {
  Buffer inner;
  buffer_init(&inner, text->allocator);
  buffer_add_text(&inner, declarator);
  if (self->count > 0) {
    buffer_format(&inner, "[%zu]", self->count);
  } else {
    buffer_add_text(&inner, "[]");
  }
  write_declaration(text, self->target, buffer_text(&inner), is_const);
  text->failed |= inner.failed;
  buffer_clear(&inner);
}

static void write_function(Buffer *text, const Type *self,
                           const char *declarator) {
  Buffer inner;
  buffer_init(&inner, text->allocator);
  buffer_add_text(&inner, declarator);
  buffer_add_text(&inner, "(");
  for (size_t i = 0; i < self->parameter_count; i++) {
    if (i > 0) buffer_add_text(&inner, ", ");
    write_declaration(&inner, self->parameters[i].type, "", false);
  }
  if (self->is_variadic) {
    buffer_add_text(&inner, self->parameter_count > 0 ? ", ..." : "...");
  } else if (self->parameter_count == 0) {
    buffer_add_text(&inner, "void");
  }
  buffer_add_text(&inner, ")");
  write_declaration(text, self->target, buffer_text(&inner), false);
  text->failed |= inner.failed;
  buffer_clear(&inner);
}

static void write_declaration(Buffer *text, const Type *self,
                              const char *declarator, bool is_const) {
  bool is_named = *self->alias != '\0';
  if (!is_named && self->kind == KIND_POINTER) {
    write_pointer(text, self, declarator, is_const);
  } else if (!is_named && self->kind == KIND_ARRAY) {
    write_array(text, self, declarator, is_const);
  } else if (!is_named && self->kind == KIND_FUNCTION) {
    write_function(text, self, declarator);
  } else {
    if (is_const) buffer_add_text(text, "const ");
    write_name(text, self, declarator);
  }
}

void type_write(Buffer *text, const Type *self, const char *declarator) {
  write_declaration(text, self, declarator, false);
}

// --- Looking into types ------------------------------------------------------

bool type_has_pointer(const Type *self) {
  if (self->kind == KIND_POINTER) return true;
  if (self->kind == KIND_ARRAY) return type_has_pointer(self->target);
  for (size_t i = 0; i < self->member_count; i++) {
    if (type_has_pointer(self->members[i].type)) return true;
  }
  return false;
}

const TypeMember *type_member(const Type *self, const char *name,
                              size_t *base) {
  *base = 0;
  for (size_t i = 0; i < self->member_count; i++) {
    const TypeMember *member = &self->members[i];
    if (*member->name != '\0') {
      if (strcmp(member->name, name) == 0) return member;
      continue;
    }
    const TypeMember *inner = type_member(member->type, name, base);
    if (inner != NULL) {
      *base += member->offset;
      return inner;
    }
  }
  return NULL;
}

bool type_is_meant(const Type *self, const Type *pointee) {
  if (self->kind != pointee->kind) return false;
  if (self->kind == KIND_STRUCT || self->kind == KIND_UNION) {
    return strcmp(tag_of(self), tag_of(pointee)) == 0;
  }
  return self->kind != KIND_INTEGER || self->size == pointee->size;
}

// The member that holds the byte; of a union the first.
static const TypeMember *member_at(const Type *self, size_t offset) {
  for (size_t i = 0; i < self->member_count; i++) {
    const TypeMember *member = &self->members[i];
    if (offset >= member->offset &&
        offset < member->offset + member->type->size) {
      return member;
    }
  }
  return NULL;
}

const Type *type_part(const Type *self, size_t offset, const Type *wanted) {
  if (offset == 0 && type_is_meant(self, wanted)) return self;
  if (self->kind == KIND_ARRAY && self->target->size > 0 &&
      offset < self->size) {
    return type_part(self->target, offset % self->target->size, wanted);
  }
  const TypeMember *member = member_at(self, offset);
  if (member == NULL) return NULL;
  return type_part(member->type, offset - member->offset, wanted);
}

void type_write_path(Buffer *text, const Type *self, size_t offset) {
  for (;;) {
    if (self->kind == KIND_ARRAY && self->target->size > 0 &&
        offset < self->size) {
      buffer_format(text, "[%zu]", offset / self->target->size);
      offset %= self->target->size;
      self = self->target;
      continue;
    }
    const TypeMember *member = member_at(self, offset);
    if (member == NULL) return;
    if (*member->name != '\0') buffer_format(text, ".%s", member->name);
    offset -= member->offset;
    self = member->type;
  }
}
