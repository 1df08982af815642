// SPDX-License-Identifier: MIT

#include "vm/view_class.h"

#include <string.h>

// ---------------------------------------------------------------------------
// What types are
// ---------------------------------------------------------------------------

static ViewCode integer_code(const Type *type) {
  switch (type->size) {
  case 1:
    return type->is_signed ? VIEW_INT8 : VIEW_UINT8;
  case 2:
    return type->is_signed ? VIEW_INT16 : VIEW_UINT16;
  case 4:
    return type->is_signed ? VIEW_INT32 : VIEW_UINT32;
  case 8:
    return type->is_signed ? VIEW_INT64 : VIEW_UINT64;
  default:
    return VIEW_OPAQUE;
  }
}

static bool is_viewable(const Type *target) {
  return target != NULL && target->kind != KIND_VOID &&
         target->kind != KIND_FUNCTION && target->kind != KIND_OPAQUE;
}

ViewCode view_code(const Type *type) {
  switch (type->kind) {
  case KIND_BOOL:
    return type->size == 1 ? VIEW_BOOL : VIEW_OPAQUE;
  case KIND_INTEGER:
  case KIND_ENUM:
    return integer_code(type);
  case KIND_FLOAT:
    return type->size == 4   ? VIEW_FLOAT
           : type->size == 8 ? VIEW_DOUBLE
                             : VIEW_OPAQUE;
  case KIND_POINTER:
    return is_viewable(type->target) ? VIEW_POINTER : VIEW_OPAQUE;
  case KIND_ARRAY:
  case KIND_STRUCT:
  case KIND_UNION:
    return VIEW_PART;
  case KIND_VOID:
  case KIND_FUNCTION:
  case KIND_OPAQUE:
    break;
  }
  return VIEW_OPAQUE;
}

// The types that need no file. Signatures call them by these names.
#define NUMBER_TYPE(type_name, c_type, type_kind, sign)                        \
  {                                                                            \
    .kind = (type_kind), .is_signed = (sign), .size = sizeof(c_type),          \
    .align = sizeof(c_type), .name = (type_name), .alias = "", .file = ""      \
  }

static const Type number_types[] = {
    NUMBER_TYPE("bool", bool, KIND_BOOL, false),
    NUMBER_TYPE("char", char, KIND_INTEGER, (char)-1 < 0),
    NUMBER_TYPE("int", int, KIND_INTEGER, true),
    NUMBER_TYPE("unsigned int", unsigned, KIND_INTEGER, false),
    NUMBER_TYPE("int8_t", int8_t, KIND_INTEGER, true),
    NUMBER_TYPE("uint8_t", uint8_t, KIND_INTEGER, false),
    NUMBER_TYPE("int16_t", int16_t, KIND_INTEGER, true),
    NUMBER_TYPE("uint16_t", uint16_t, KIND_INTEGER, false),
    NUMBER_TYPE("int64_t", int64_t, KIND_INTEGER, true),
    NUMBER_TYPE("uint64_t", uint64_t, KIND_INTEGER, false),
    NUMBER_TYPE("float", float, KIND_FLOAT, true),
    NUMBER_TYPE("double", double, KIND_FLOAT, true),
};

// What signatures call a number type, whatever its file does.
static const Type *number_type(const Type *type) {
  for (size_t i = 0; i < sizeof number_types / sizeof *number_types; i++) {
    const Type *known = &number_types[i];
    bool is_char = strcmp(known->name, "char") == 0;
    if (known->kind == type->kind && known->size == type->size &&
        (type->kind != KIND_INTEGER ||
         (known->is_signed == type->is_signed && is_char == type->is_char))) {
      return known;
    }
  }
  return NULL;
}

static const Type *find_number_type(const char *name) {
  for (size_t i = 0; i < sizeof number_types / sizeof *number_types; i++) {
    if (strcmp(number_types[i].name, name) == 0) return &number_types[i];
  }
  return NULL;
}

// ---------------------------------------------------------------------------
// Members
// ---------------------------------------------------------------------------

static size_t count_members(const Type *type) {
  size_t count = 0;
  for (size_t i = 0; i < type->member_count; i++) {
    const TypeMember *member = &type->members[i];
    count += *member->name != '\0' ? 1 : count_members(member->type);
  }
  return count;
}

// Members of an anonymous struct or union count as those of what it is in.
static void add_members(ViewClass *self, const Type *type, size_t base) {
  for (size_t i = 0; i < type->member_count; i++) {
    const TypeMember *member = &type->members[i];
    if (*member->name == '\0') {
      add_members(self, member->type, base + member->offset);
      continue;
    }
    self->members[self->member_count++] = (ViewMember){
        .name = member->name,
        .type = member->type,
        .code = member->bit_size > 0 ? VIEW_BITS : view_code(member->type),
        .offset = base + member->offset,
        .bit_offset = member->bit_offset,
        .bit_size = member->bit_size,
    };
  }
}

const ViewMember *view_class_member(const ViewClass *self, const char *name) {
  for (size_t i = 0; i < self->member_count; i++) {
    if (strcmp(self->members[i].name, name) == 0) return &self->members[i];
  }
  return NULL;
}

// ---------------------------------------------------------------------------
// Classes
// ---------------------------------------------------------------------------

static void free_class(const GraftAllocator *allocator, ViewClass *self) {
  if (self == NULL) return;
  type_set_release(self->types);
  memory_free(allocator, self->name);
  memory_free(allocator, self->pointer_name);
  memory_free(allocator, self->members);
  memory_free(allocator, self);
}

static bool fill_class(Vm *vm, ViewClass *self, const char *name) {
  const GraftAllocator *allocator = &vm->allocator;
  size_t size = strlen(name);
  self->name = memory_copy_string(allocator, name, size);
  self->pointer_name = memory_resize(allocator, NULL, size + 3);
  size_t count = count_members(self->type);
  self->members = memory_new(allocator, (count + 1) * sizeof *self->members);
  if (self->name == NULL || self->pointer_name == NULL ||
      self->members == NULL) {
    return false;
  }
  memcpy(self->pointer_name, name, size);
  // "Body **" is a pointer to "Body *".
  bool is_pointer = size > 0 && name[size - 1] == '*';
  strcpy(self->pointer_name + size, is_pointer ? "*" : " *");
  add_members(self, self->type, 0);
  return true;
}

// `named`: signatures know the type by this name.
static ViewClass *add_class(Vm *vm, const char *name, const Type *type,
                            TypeSet *types, bool named) {
  ViewState *state = vm->views;
  ViewClass *self = memory_new(&vm->allocator, sizeof *self);
  if (self == NULL) return NULL;
  self->type = type;
  self->types = types != NULL ? type_set_retain(types) : NULL;
  self->code = view_code(type);
  if (!fill_class(vm, self, name) ||
      (named && !map_set(&state->by_name, self->name, self))) {
    free_class(&vm->allocator, self);
    return NULL;
  }
  self->next = state->classes;
  state->classes = self;
  return self;
}

static ViewClass *make_named(Vm *vm, const char *name) {
  const Type *type = find_number_type(name);
  TypeSet *types = NULL;
  if (type == NULL) {
    const ViewHooks *hooks = vm->views->hooks;
    type = hooks->find(hooks->context, name, &types);
    // A typedef of a number is what signatures call that.
    const Type *number =
        type != NULL && type->kind != KIND_ENUM ? number_type(type) : NULL;
    if (number != NULL) return view_class_find(vm, number->name);
  }
  return type != NULL ? add_class(vm, name, type, types, true) : NULL;
}

ViewClass *view_class_find(Vm *vm, const char *name) {
  if (vm->views == NULL) return NULL;
  ViewClass *self = map_find(&vm->views->by_name, name);
  return self != NULL ? self : make_named(vm, name);
}

ViewClass *view_class_of_pointer(Vm *vm, const char *pointer_type) {
  char name[256];
  size_t size = strlen(pointer_type);
  if (size < 2 || size >= sizeof name || pointer_type[size - 1] != '*') {
    return NULL;
  }
  size -= pointer_type[size - 2] == ' ' ? 2 : 1;
  memcpy(name, pointer_type, size);
  name[size] = '\0';
  return view_class_find(vm, name);
}

static bool is_named(const Type *type) {
  return *type->alias != '\0' || *type->name != '\0';
}

// A struct that is only declared where it is used is looked for elsewhere.
static ViewClass *find_named(Vm *vm, const Type *type) {
  const Type *number = number_type(type);
  if (number != NULL && type->kind != KIND_ENUM) {
    return view_class_find(vm, number->name);
  }
  if (type->kind != KIND_STRUCT && type->kind != KIND_UNION) return NULL;
  if (!is_named(type)) return NULL;
  ViewClass *found = view_class_find(vm, type_name(type));
  if (found == NULL) return NULL;
  return type->is_incomplete || type_same(found->type, type) ? found : NULL;
}

ViewClass *view_class_of(Vm *vm, const ViewClass *whole, const Type *type) {
  ViewClass *self = pointer_map_find(&vm->views->types, type);
  if (self != NULL && !self->is_old) return self;
  self = find_named(vm, type);
  if (self == NULL) {
    Buffer text;
    buffer_init(&text, &vm->allocator);
    type_write(&text, type, "");
    if (!text.failed) {
      self = add_class(vm, buffer_text(&text), type, whole->types, false);
    }
    buffer_clear(&text);
  }
  // `type` is in a set that its whole retains.
  if (self != NULL) pointer_map_set(&vm->views->types, type, self);
  return self;
}

void view_class_free_all(Vm *vm) {
  ViewState *state = vm->views;
  while (state->classes != NULL) {
    ViewClass *next = state->classes->next;
    free_class(&vm->allocator, state->classes);
    state->classes = next;
  }
  map_clear(&state->by_name);
  pointer_map_clear(&state->types);
}
