// SPDX-License-Identifier: MIT

#include "native/signature_type.h"

#include <stdio.h>
#include <string.h>

enum { PARTS_MOST = 64 }; // numbers in a struct by value

typedef struct Reading {
  Arena arena;
  char *why_not; // "" until there is a reason
} Reading;

static void refuse(Reading *self, const Type *type, const char *what) {
  if (*self->why_not != '\0') return;
  Buffer text;
  buffer_init(&text, self->arena.allocator);
  type_write(&text, type, "");
  snprintf(self->why_not, SIGNATURE_WHY_NOT, "%s%s", buffer_text(&text), what);
  buffer_clear(&text);
}

static void *no_memory(Reading *self) {
  snprintf(self->why_not, SIGNATURE_WHY_NOT, "out of memory");
  return NULL;
}

// --- Numbers -----------------------------------------------------------------

static TypeCode integer_code(const Type *type) {
  bool sign = type->is_signed;
  switch (type->size) {
  case 1:
    return sign ? TYPE_INT8 : TYPE_UINT8;
  case 2:
    return sign ? TYPE_INT16 : TYPE_UINT16;
  case 4:
    return sign ? TYPE_INT32 : TYPE_UINT32;
  case 8:
    return sign ? TYPE_INT64 : TYPE_UINT64;
  default:
    return TYPE_VOID;
  }
}

// TYPE_VOID for what has no code, such as long double.
static TypeCode number_code(const Type *type) {
  switch (type->kind) {
  case KIND_BOOL:
    return type->size == 1 ? TYPE_BOOL : TYPE_VOID;
  case KIND_INTEGER:
    return integer_code(type);
  case KIND_ENUM: // as in text
    return type->size == 4 ? TYPE_INT32 : integer_code(type);
  case KIND_FLOAT:
    return type->size == sizeof(float)    ? TYPE_FLOAT
           : type->size == sizeof(double) ? TYPE_DOUBLE
                                          : TYPE_VOID;
  default:
    return TYPE_VOID;
  }
}

static bool is_one_bit(uint64_t value) {
  return value != 0 && (value & (value - 1)) == 0;
}

// Enumerators such as 1, 2, 4, 8 are made to be joined; 0, 1, 2 are not.
static bool are_flags(const Type *type, uint64_t all) {
  size_t bits = 0;
  uint64_t single = 0;
  for (size_t i = 0; i < type->enumerator_count; i++) {
    uint64_t value = (uint64_t)type->enumerators[i].value;
    if (!is_one_bit(value) || (single & value) != 0) continue;
    single |= value;
    bits++;
  }
  return bits > 2 && single == all;
}

static SignatureType enum_type(Reading *self, const Type *type) {
  SignatureType made = {.code = number_code(type)};
  if (type->enumerator_count == 0 || type->size != 4) return made;
  TypeDetail *detail = arena_new(&self->arena, sizeof *detail);
  if (detail == NULL) {
    no_memory(self);
    return made;
  }
  detail->least = detail->most = type->enumerators[0].value;
  uint64_t all = 0;
  for (size_t i = 0; i < type->enumerator_count; i++) {
    int64_t value = type->enumerators[i].value;
    if (value < detail->least) detail->least = value;
    if (value > detail->most) detail->most = value;
    all |= (uint64_t)value;
  }
  if (detail->most > INT32_MAX) {
    return (SignatureType){.code = TYPE_UINT32};
  }
  if (detail->least >= 0 && are_flags(type, all)) {
    detail->least = 0;
    detail->most = (int64_t)all;
  }
  const char *name = type_name(type);
  return (SignatureType){TYPE_ENUM, *name != '\0' ? name : NULL, detail};
}

// --- Structs -----------------------------------------------------------------

typedef struct Parts {
  uint8_t codes[PARTS_MOST];
  size_t offsets[PARTS_MOST];
  int count;
} Parts;

// Lists the numbers and pointers of a type; false when there is something
// else, or too much.
static bool list_parts(const Type *type, size_t base, Parts *parts) {
  if (type->kind == KIND_ARRAY) {
    for (size_t i = 0; i < type->count; i++) {
      size_t at = base + i * type->target->size;
      if (!list_parts(type->target, at, parts)) return false;
    }
    return type->count > 0;
  }
  if (type->kind == KIND_STRUCT) {
    for (size_t i = 0; i < type->member_count; i++) {
      const TypeMember *member = &type->members[i];
      if (member->bit_size > 0 ||
          !list_parts(member->type, base + member->offset, parts)) {
        return false;
      }
    }
    return !type->is_incomplete;
  }
  TypeCode code = type->kind == KIND_POINTER ? TYPE_POINTER : number_code(type);
  if (code == TYPE_VOID || parts->count == PARTS_MOST) return false;
  parts->codes[parts->count] = (uint8_t)code;
  parts->offsets[parts->count++] = base;
  return true;
}

static SignatureType struct_type(Reading *self, const Type *type) {
  SignatureType made = {.code = TYPE_STRUCT};
  Parts parts = {.count = 0};
  TypeDetail *detail = arena_new(&self->arena, sizeof *detail);
  uint8_t *codes = arena_new(&self->arena, sizeof parts.codes);
  const char *name = type_name(type);
  char *pointer = arena_new(&self->arena, strlen(name) + 3);
  if (detail == NULL || codes == NULL || pointer == NULL) {
    no_memory(self);
    return made;
  }
  bool is_listed = list_parts(type, 0, &parts);
  memcpy(codes, parts.codes, sizeof parts.codes);
  *detail = (TypeDetail){.size = type->size,
                         .align = type->align,
                         .count = parts.count,
                         .codes = codes};
  if (!is_listed || *name == '\0' || !type_detail_fits(detail, parts.offsets)) {
    refuse(self, type, " by value");
  }
  sprintf(pointer, "%s *", name);
  made.name = pointer;
  made.detail = detail;
  return made;
}

// --- Pointers ----------------------------------------------------------------

static SignatureType value_type(Reading *self, const Type *type);

// A type in a function pointer's text. What cannot be passed by value does no
// harm there.
static void write_part(Reading *self, Buffer *text, const Type *type) {
  char why[SIGNATURE_WHY_NOT] = "";
  char *outer = self->why_not;
  self->why_not = why;
  SignatureType part = value_type(self, type);
  self->why_not = outer;
  if (*why == '\0') {
    signature_write_type(text, part);
  } else {
    type_write(text, type, "");
  }
}

// "int (*)(double)", each type as signatures have it.
static void write_function(Reading *self, Buffer *text, const Type *function,
                           int stars) {
  write_part(self, text, function->target);
  buffer_add_text(text, " (");
  buffer_add_repeated(text, '*', (size_t)stars);
  buffer_add_text(text, ")(");
  for (size_t i = 0; i < function->parameter_count; i++) {
    if (i > 0) buffer_add_text(text, ", ");
    write_part(self, text, function->parameters[i].type);
  }
  if (function->is_variadic) {
    buffer_add_text(text, ", ...)");
  } else {
    buffer_add_text(text, function->parameter_count == 0 ? "void)" : ")");
  }
}

// What is pointed at: numbers go by what they are, as they do in text;
// others by the name that a user knows.
static void write_target(Buffer *text, const Type *target) {
  TypeCode code = number_code(target);
  const char *name = type_name(target);
  if (target->kind == KIND_INTEGER && target->is_char) {
    name = "char";
  } else if (code != TYPE_VOID) {
    name = type_text(code, NULL);
  } else if (target->kind == KIND_VOID || *name == '\0') {
    name = "void";
  }
  buffer_add_text(text, name);
}

static const char *pointer_name(Reading *self, const Type *target, int stars) {
  Buffer text;
  buffer_init(&text, self->arena.allocator);
  if (target->kind == KIND_FUNCTION) {
    write_function(self, &text, target, stars);
  } else {
    write_target(&text, target);
    buffer_add_text(&text, " ");
    buffer_add_repeated(&text, '*', (size_t)stars);
  }
  const char *name =
      text.failed ? NULL
                  : arena_copy_string(&self->arena, text.text, text.size);
  buffer_clear(&text);
  return name != NULL ? name : no_memory(self);
}

static SignatureType pointer_type(Reading *self, const Type *type) {
  int stars = 1;
  const Type *target = type->target;
  bool is_text =
      type->is_const && target->kind == KIND_INTEGER && target->is_char;
  if (is_text) return (SignatureType){.code = TYPE_STRING};
  while (target->kind == KIND_POINTER) {
    stars++;
    target = target->target;
  }
  // A pointer to an array is one to its first element, for who calls.
  while (target->kind == KIND_ARRAY) target = target->target;
  return (SignatureType){.code = TYPE_POINTER,
                         .name = pointer_name(self, target, stars)};
}

// --- Signatures --------------------------------------------------------------

static SignatureType value_type(Reading *self, const Type *type) {
  if (type->kind == KIND_VOID) return (SignatureType){.code = TYPE_VOID};
  if (type->kind == KIND_POINTER) return pointer_type(self, type);
  if (type->kind == KIND_STRUCT) return struct_type(self, type);
  if (type->kind == KIND_ENUM) return enum_type(self, type);
  TypeCode code = number_code(type);
  if (code == TYPE_VOID) {
    refuse(self, type, type_is_scalar(type) ? "" : " by value");
  }
  return (SignatureType){.code = code};
}

// "parameter 2 is union Value by value"
static void say_where(char *why_not, size_t parameter) {
  char what[SIGNATURE_WHY_NOT];
  snprintf(what, sizeof what, "%s", why_not);
  if (strcmp(what, "out of memory") == 0) return;
  if (parameter == 0) {
    snprintf(why_not, SIGNATURE_WHY_NOT, "its result is %.120s", what);
  } else {
    snprintf(why_not, SIGNATURE_WHY_NOT, "parameter %zu is %.120s", parameter,
             what);
  }
}

static bool read_types(Reading *self, const Type *function,
                       SignatureDesc *desc) {
  desc->result = value_type(self, function->target);
  if (*self->why_not != '\0') say_where(self->why_not, 0);
  for (size_t i = 0; i < function->parameter_count; i++) {
    if (*self->why_not != '\0') return false;
    desc->params[i] = value_type(self, function->parameters[i].type);
    if (*self->why_not != '\0') say_where(self->why_not, i + 1);
  }
  desc->param_count = (int)function->parameter_count;
  return *self->why_not == '\0';
}

static const char *reason_against(const Type *function) {
  if (function == NULL || function->kind != KIND_FUNCTION) {
    return "its C type is not known";
  }
  if (function->is_variadic) return "it takes variable arguments";
  return function->parameter_count > SIGNATURE_PARAMS
             ? "it has more than 32 parameters"
             : NULL;
}

Signature *signature_of_type(const GraftAllocator *allocator,
                             const Type *function,
                             char why_not[SIGNATURE_WHY_NOT]) {
  *why_not = '\0';
  const char *reason = reason_against(function);
  if (reason != NULL) {
    snprintf(why_not, SIGNATURE_WHY_NOT, "%s", reason);
    return NULL;
  }
  Reading reading = {.why_not = why_not};
  arena_init(&reading.arena, allocator);
  SignatureDesc desc = {0};
  Signature *made = NULL;
  if (read_types(&reading, function, &desc)) {
    made = signature_new(allocator, &desc);
    if (made == NULL) no_memory(&reading);
  }
  arena_clear(&reading.arena);
  return made;
}
