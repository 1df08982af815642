// SPDX-License-Identifier: MIT

#include "registry/signature.h"

#include <assert.h>
#include <ffi.h>
#include <string.h>

#include "base/buffer.h"
#include "registry/call.h"

// Behind the Signature, in the same block: what libffi needs, then the text.
typedef struct Interface {
  ffi_cif cif; // the first member, since Signature.interface points here
  ffi_type *params[SIGNATURE_PARAMS];
} Interface;

static const char *const type_names[] = {
    [TYPE_VOID] = "void",     [TYPE_BOOL] = "bool",
    [TYPE_INT8] = "int8_t",   [TYPE_UINT8] = "uint8_t",
    [TYPE_INT16] = "int16_t", [TYPE_UINT16] = "uint16_t",
    [TYPE_INT32] = "int",     [TYPE_UINT32] = "unsigned int",
    [TYPE_INT64] = "int64_t", [TYPE_UINT64] = "uint64_t",
    [TYPE_FLOAT] = "float",   [TYPE_DOUBLE] = "double",
    [TYPE_STRING] = "string", [TYPE_POINTER] = "void *",
};

const char *type_text(TypeCode type, const char *name) {
  return type == TYPE_POINTER && name != NULL ? name : type_names[type];
}

static const char *declared_text(SignatureType type) {
  if (type.code == TYPE_STRING) return "const char *";
  return type_text(type.code, type.name);
}

static ffi_type *ffi_type_of(TypeCode type) {
  switch (type) {
  case TYPE_VOID:
    return &ffi_type_void;
  case TYPE_BOOL:
  case TYPE_UINT8:
    return &ffi_type_uint8;
  case TYPE_INT8:
    return &ffi_type_sint8;
  case TYPE_INT16:
    return &ffi_type_sint16;
  case TYPE_UINT16:
    return &ffi_type_uint16;
  case TYPE_INT32:
    return &ffi_type_sint32;
  case TYPE_UINT32:
    return &ffi_type_uint32;
  case TYPE_INT64:
    return &ffi_type_sint64;
  case TYPE_UINT64:
    return &ffi_type_uint64;
  case TYPE_FLOAT:
    return &ffi_type_float;
  case TYPE_DOUBLE:
    return &ffi_type_double;
  case TYPE_STRING:
  case TYPE_POINTER:
    break;
  }
  return &ffi_type_pointer;
}

static void assign_registers(Signature *self) {
  int integers = 0, floats = 0;
  for (int i = 0; i < self->param_count; i++) {
    if (type_is_float(self->params[i])) {
      if (floats < SIGNATURE_FLOATS) self->floats[floats] = (uint8_t)i;
      floats++;
    } else {
      if (integers < SIGNATURE_INTEGERS) self->integers[integers] = (uint8_t)i;
      integers++;
    }
  }
  bool fits = integers <= SIGNATURE_INTEGERS && floats <= SIGNATURE_FLOATS;
  self->shape = !CALL_REGISTERS || !fits       ? CALL_LIBFFI
                : integers <= 2 && floats <= 2 ? CALL_TWO_TWO
                : floats == 0                  ? CALL_NO_FLOATS
                                               : CALL_ALL;
}

static void prepare_interface(Signature *self, Interface *interface) {
  for (int i = 0; i < self->param_count; i++) {
    interface->params[i] = ffi_type_of(self->params[i]);
  }
  ffi_status status =
      ffi_prep_cif(&interface->cif, FFI_DEFAULT_ABI, self->param_count,
                   ffi_type_of(self->result), interface->params);
  assert(status == FFI_OK);
  (void)status;
  self->interface = &interface->cif;
}

static void write_text(Buffer *text, const SignatureDesc *desc) {
  buffer_add_text(text, declared_text(desc->result));
  buffer_add_text(text, "(");
  for (int i = 0; i < desc->param_count; i++) {
    if (i > 0) buffer_add_text(text, ", ");
    buffer_add_text(text, declared_text(desc->params[i]));
  }
  buffer_add_text(text, desc->param_count == 0 ? "void)" : ")");
}

// Copies a pointer's name to `*to` and moves that behind it.
static const char *store_name(SignatureType type, char **to) {
  if (type.code != TYPE_POINTER) return NULL;
  const char *name = type_text(type.code, type.name);
  size_t size = strlen(name) + 1;
  char *stored = memcpy(*to, name, size);
  *to += size;
  return stored;
}

static size_t name_size(SignatureType type) {
  if (type.code != TYPE_POINTER) return 0;
  return strlen(type_text(type.code, type.name)) + 1;
}

static void fill(Signature *self, const SignatureDesc *desc, char *names) {
  self->result = (uint8_t)desc->result.code;
  self->result_name = store_name(desc->result, &names);
  self->param_count = (uint8_t)desc->param_count;
  for (int i = 0; i < desc->param_count; i++) {
    self->params[i] = (uint8_t)desc->params[i].code;
    self->param_names[i] = store_name(desc->params[i], &names);
  }
  self->lua = self->result == TYPE_INT32 && self->param_count == 1 &&
              self->params[0] == TYPE_POINTER &&
              strcmp(self->param_names[0], "lua_State *") == 0;
  assign_registers(self);
}

Signature *signature_new(const GraftAllocator *allocator,
                         const SignatureDesc *desc) {
  assert(desc->param_count <= SIGNATURE_PARAMS);
  Buffer text;
  buffer_init(&text, allocator);
  write_text(&text, desc);
  size_t size = sizeof(Signature) + sizeof(Interface) + text.size + 1;
  size += name_size(desc->result);
  for (int i = 0; i < desc->param_count; i++)
    size += name_size(desc->params[i]);
  Signature *self = text.failed ? NULL : memory_new(allocator, size);
  if (self != NULL) {
    Interface *interface = (Interface *)(self + 1);
    char *stored = memcpy(interface + 1, text.text, text.size + 1);
    self->text = stored;
    fill(self, desc, stored + text.size + 1);
    prepare_interface(self, interface);
  }
  buffer_clear(&text);
  return self;
}

Signature *signature_copy(const GraftAllocator *allocator,
                          const Signature *self) {
  SignatureDesc desc = {
      .result = {self->result, self->result_name},
      .param_count = self->param_count,
  };
  for (int i = 0; i < self->param_count; i++) {
    desc.params[i] = (SignatureType){self->params[i], self->param_names[i]};
  }
  return signature_new(allocator, &desc);
}

void signature_free(const GraftAllocator *allocator, Signature *self) {
  memory_free(allocator, self);
}

bool signature_equal(const Signature *a, const Signature *b) {
  if (a == NULL || b == NULL) return a == b;
  return strcmp(a->text, b->text) == 0;
}
