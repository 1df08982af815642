// SPDX-License-Identifier: MIT

#include "vm/view_cdef.h"

#include <string.h>

static void write_type(Vm *vm, const ViewClass *whole, const Type *type,
                       Buffer *text);

static bool is_record(const Type *type) {
  return type->kind == KIND_STRUCT || type->kind == KIND_UNION;
}

static const char *integer_text(const Type *type) {
  if (type->is_char) return "char";
  switch (view_code(type)) {
  case VIEW_INT8:
    return "int8_t";
  case VIEW_INT16:
    return "int16_t";
  case VIEW_INT32:
    return "int32_t";
  case VIEW_INT64:
    return "int64_t";
  case VIEW_UINT8:
    return "uint8_t";
  case VIEW_UINT16:
    return "uint16_t";
  case VIEW_UINT32:
    return "uint32_t";
  default:
    return type->is_signed ? "int64_t" : "uint64_t";
  }
}

static void write_record(Vm *vm, ViewClass *class, Buffer *text) {
  if (class->number == 0) class->number = ++vm->views->class_count;
  const char *word = class->type->kind == KIND_UNION ? "union" : "struct";
  buffer_format(text, "%s graft_%d", word, class->number);
}

// Without a declarator: arrays are written by who declares them. What cannot
// be pointed to by its type is pointed to as bytes.
static void write_type(Vm *vm, const ViewClass *whole, const Type *type,
                       Buffer *text) {
  switch (type->kind) {
  case KIND_BOOL:
    buffer_add_text(text, "bool");
    return;
  case KIND_INTEGER:
  case KIND_ENUM:
    buffer_add_text(text, integer_text(type));
    return;
  case KIND_FLOAT:
    buffer_add_text(text, type->size == 4 ? "float" : "double");
    return;
  case KIND_POINTER:
    if (view_code(type) != VIEW_POINTER || type->target->kind == KIND_ARRAY) {
      buffer_add_text(text, "void *");
    } else {
      if (type->is_const) buffer_add_text(text, "const ");
      write_type(vm, whole, type->target, text);
      buffer_add_text(text, " *");
    }
    return;
  case KIND_STRUCT:
  case KIND_UNION: {
    ViewClass *class = view_class_of(vm, whole, type);
    if (class == NULL) {
      text->failed = true;
    } else {
      write_record(vm, class, text);
    }
    return;
  }
  default:
    buffer_add_text(text, "void");
  }
}

// "double m[4][4]"; bytes for what has no form.
static void write_member(Vm *vm, const ViewClass *whole, const Type *type,
                         const char *name, Buffer *text) {
  const Type *element = type;
  while (element->kind == KIND_ARRAY) element = element->target;
  bool has_form = element->kind != KIND_OPAQUE &&
                  !(element->kind == KIND_FLOAT && element->size > 8);
  if (!has_form) {
    buffer_format(text, "uint8_t %s[%zu]", name, type->size);
    return;
  }
  write_type(vm, whole, element, text);
  buffer_format(text, " %s", name);
  for (; type->kind == KIND_ARRAY; type = type->target) {
    buffer_format(text, "[%zu]", type->count);
  }
}

static void declare_type(Vm *vm, ViewClass *class, const Type *type,
                         Buffer *text) {
  ViewClass *inner = view_class_of(vm, class, type);
  if (inner == NULL) {
    text->failed = true;
  } else {
    view_cdef_declare(vm, inner, text);
  }
}

// Parts come before the whole, what it points to behind it. Anonymous parts
// are written out.
static void declare_members(Vm *vm, ViewClass *class, const Type *type,
                            bool behind, Buffer *text) {
  for (size_t i = 0; i < type->member_count; i++) {
    const Type *part = type->members[i].type;
    while (part->kind == KIND_ARRAY) part = part->target;
    bool is_pointer = part->kind == KIND_POINTER;
    while (is_pointer && part->kind == KIND_POINTER && part->target != NULL) {
      part = part->target;
    }
    if (!is_record(part)) continue;
    if (*type->members[i].name == '\0') {
      declare_members(vm, class, part, behind, text);
    } else if (is_pointer == behind) {
      declare_type(vm, class, part, text);
    }
  }
}

// Members of an anonymous part are those of the whole, in the FFI as in C.
static void write_members(Vm *vm, const ViewClass *class, const Type *type,
                          Buffer *text) {
  for (size_t i = 0; i < type->member_count; i++) {
    const TypeMember *member = &type->members[i];
    buffer_add_text(text, " ");
    if (*member->name == '\0') {
      bool is_union = member->type->kind == KIND_UNION;
      buffer_add_text(text, is_union ? "union {" : "struct {");
      write_members(vm, class, member->type, text);
      buffer_add_text(text, " }");
    } else {
      write_member(vm, class, member->type, member->name, text);
    }
    if (member->bit_size > 0) buffer_format(text, " : %d", member->bit_size);
    buffer_add_text(text, ";");
  }
}

void view_cdef_declare(Vm *vm, ViewClass *class, Buffer *text) {
  if (class->is_declared || !is_record(class->type)) return;
  class->is_declared = true;
  if (class->type->is_incomplete) return;
  declare_members(vm, class, class->type, false, text);
  Buffer body;
  buffer_init(&body, &vm->allocator);
  write_members(vm, class, class->type, &body);
  write_record(vm, class, text);
  buffer_format(text, " {%s };\n", buffer_text(&body));
  text->failed |= body.failed;
  buffer_clear(&body);
  declare_members(vm, class, class->type, true, text);
}

void view_cdef_write(Vm *vm, const ViewClass *class, Buffer *text) {
  if (is_record(class->type)) {
    write_record(vm, (ViewClass *)class, text);
  } else {
    write_member(vm, class, class->type, "", text);
  }
}
