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
    [TYPE_ENUM] = "int",      [TYPE_STRUCT] = "struct *",
};

static bool has_name(TypeCode type) {
  return type == TYPE_POINTER || type == TYPE_STRUCT || type == TYPE_ENUM;
}

const char *type_text(TypeCode type, const char *name) {
  return has_name(type) && name != NULL ? name : type_names[type];
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
  case TYPE_ENUM:
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
  case TYPE_STRUCT: // has one of its own
    break;
  }
  return &ffi_type_pointer;
}

static bool has_struct(const Signature *self) {
  bool found = self->result == TYPE_STRUCT;
  for (int i = 0; i < self->param_count; i++) {
    found |= self->params[i] == TYPE_STRUCT;
  }
  return found;
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
  self->shape = !CALL_REGISTERS || !fits || has_struct(self) ? CALL_LIBFFI
                : integers <= 2 && floats <= 2               ? CALL_TWO_TWO
                : floats == 0                                ? CALL_NO_FLOATS
                                                             : CALL_ALL;
}

// --- Memory ------------------------------------------------------------------

// All that a signature has lies in one block: the Signature, an Interface,
// then for each enum and struct what storing it takes, aligned, then texts.
typedef struct Store {
  char *next; // NULL: only counting
  size_t size;
} Store;

static void *store(Store *self, size_t size, size_t align) {
  size_t skip = (align - self->size % align) % align;
  self->size += skip + size;
  if (self->next == NULL) return NULL;
  char *place = self->next + skip;
  self->next = place + size;
  return place;
}

// A copy of the detail, and for a struct libffi's view of it right behind.
typedef struct StoredDetail {
  TypeDetail detail;
  ffi_type type;
} StoredDetail;

static const TypeDetail *store_detail(Store *self, const TypeDetail *detail) {
  if (detail == NULL) return NULL;
  size_t count = (size_t)detail->count;
  StoredDetail *stored = store(self, sizeof *stored, _Alignof(StoredDetail));
  ffi_type **elements =
      store(self, (count + 1) * sizeof *elements, _Alignof(ffi_type *));
  uint8_t *codes = store(self, count, 1);
  if (stored == NULL) return NULL;
  stored->detail = *detail;
  stored->detail.codes = codes;
  for (size_t i = 0; i < count; i++) {
    codes[i] = detail->codes[i];
    elements[i] = ffi_type_of(detail->codes[i]);
  }
  stored->type = (ffi_type){.size = detail->size,
                            .alignment = (unsigned short)detail->align,
                            .type = FFI_TYPE_STRUCT,
                            .elements = elements};
  return &stored->detail;
}

static const char *store_name(Store *self, SignatureType type) {
  if (!has_name(type.code) || (type.code == TYPE_ENUM && type.name == NULL)) {
    return NULL;
  }
  const char *name = type_text(type.code, type.name);
  size_t size = strlen(name) + 1;
  char *stored = store(self, size, 1);
  return stored != NULL ? memcpy(stored, name, size) : NULL;
}

static ffi_type *interface_type(TypeCode type, const TypeDetail *detail) {
  if (type != TYPE_STRUCT) return ffi_type_of(type);
  return &((StoredDetail *)(uintptr_t)detail)->type;
}

static void prepare_interface(Signature *self, Interface *interface) {
  for (int i = 0; i < self->param_count; i++) {
    interface->params[i] =
        interface_type(self->params[i], self->param_details[i]);
  }
  ffi_status status = ffi_prep_cif(
      &interface->cif, FFI_DEFAULT_ABI, self->param_count,
      interface_type(self->result, self->result_detail), interface->params);
  assert(status == FFI_OK);
  (void)status;
  self->interface = &interface->cif;
}

bool type_detail_fits(const TypeDetail *detail, const size_t *offsets) {
  size_t at = 0, align = 1;
  for (int i = 0; i < detail->count; i++) {
    const ffi_type *type = ffi_type_of(detail->codes[i]);
    at = (at + type->alignment - 1) / type->alignment * type->alignment;
    if (at != offsets[i]) return false;
    at += type->size;
    if (type->alignment > align) align = type->alignment;
  }
  return detail->count > 0 && (at + align - 1) / align * align == detail->size;
}

// --- Text --------------------------------------------------------------------

void signature_write_type(Buffer *text, SignatureType type) {
  const char *name = type_text(type.code, type.name);
  if (type.code == TYPE_STRING) {
    buffer_add_text(text, "const char *");
  } else if (type.code == TYPE_ENUM) {
    buffer_add_text(text, "int");
  } else if (type.code == TYPE_STRUCT) {
    buffer_add(text, name, strlen(name) - strlen(" *"));
  } else {
    buffer_add_text(text, name);
  }
}

static void write_text(Buffer *text, const SignatureDesc *desc) {
  signature_write_type(text, desc->result);
  buffer_add_text(text, "(");
  for (int i = 0; i < desc->param_count; i++) {
    if (i > 0) buffer_add_text(text, ", ");
    signature_write_type(text, desc->params[i]);
  }
  buffer_add_text(text, desc->param_count == 0 ? "void)" : ")");
}

// --- Making ------------------------------------------------------------------

static void fill(Signature *self, const SignatureDesc *desc) {
  self->result = (uint8_t)desc->result.code;
  self->param_count = (uint8_t)desc->param_count;
  for (int i = 0; i < desc->param_count; i++) {
    self->params[i] = (uint8_t)desc->params[i].code;
  }
}

// With `self`, its parts are put into the store; without, they are counted.
static void store_parts(Store *parts, const SignatureDesc *desc,
                        Signature *self) {
  const TypeDetail *detail = store_detail(parts, desc->result.detail);
  if (self != NULL) self->result_detail = detail;
  for (int i = 0; i < desc->param_count; i++) {
    detail = store_detail(parts, desc->params[i].detail);
    if (self != NULL) self->param_details[i] = detail;
  }
  const char *name = store_name(parts, desc->result);
  if (self != NULL) self->result_name = name;
  for (int i = 0; i < desc->param_count; i++) {
    name = store_name(parts, desc->params[i]);
    if (self != NULL) self->param_names[i] = name;
  }
}

static Signature *make(const GraftAllocator *allocator,
                       const SignatureDesc *desc, const Buffer *text) {
  Store parts = {0};
  store_parts(&parts, desc, NULL);
  size_t size = sizeof(Signature) + sizeof(Interface);
  Signature *self = memory_new(allocator, size + parts.size + text->size + 1);
  if (self == NULL) return NULL;
  Interface *interface = (Interface *)(self + 1);
  parts = (Store){.next = (char *)(interface + 1)};
  fill(self, desc);
  store_parts(&parts, desc, self);
  self->text = memcpy(parts.next, text->text, text->size + 1);
  self->lua = self->result == TYPE_INT32 && self->param_count == 1 &&
              self->params[0] == TYPE_POINTER &&
              strcmp(self->param_names[0], "lua_State *") == 0;
  assign_registers(self);
  prepare_interface(self, interface);
  return self;
}

Signature *signature_new(const GraftAllocator *allocator,
                         const SignatureDesc *desc) {
  assert(desc->param_count <= SIGNATURE_PARAMS);
  Buffer text;
  buffer_init(&text, allocator);
  write_text(&text, desc);
  Signature *self = text.failed ? NULL : make(allocator, desc, &text);
  buffer_clear(&text);
  return self;
}

static SignatureType result_of(const Signature *self) {
  return (SignatureType){self->result, self->result_name, self->result_detail};
}

static SignatureType param_of(const Signature *self, int index) {
  return (SignatureType){self->params[index], self->param_names[index],
                         self->param_details[index]};
}

Signature *signature_copy(const GraftAllocator *allocator,
                          const Signature *self) {
  SignatureDesc desc = {
      .result = result_of(self),
      .param_count = self->param_count,
  };
  for (int i = 0; i < self->param_count; i++) {
    desc.params[i] = param_of(self, i);
  }
  return signature_new(allocator, &desc);
}

void signature_free(const GraftAllocator *allocator, Signature *self) {
  memory_free(allocator, self);
}

// Bounds do not matter to callers; what is in a struct does.
static bool same_detail(TypeCode type, const TypeDetail *a,
                        const TypeDetail *b) {
  if (type != TYPE_STRUCT) return true;
  return a->size == b->size && a->count == b->count &&
         memcmp(a->codes, b->codes, (size_t)a->count) == 0;
}

bool signature_equal(const Signature *a, const Signature *b) {
  if (a == NULL || b == NULL) return a == b;
  if (strcmp(a->text, b->text) != 0 ||
      !same_detail(a->result, a->result_detail, b->result_detail)) {
    return false;
  }
  for (int i = 0; i < a->param_count; i++) {
    if (!same_detail(a->params[i], a->param_details[i], b->param_details[i])) {
      return false;
    }
  }
  return true;
}

static bool same_enum(const SignatureType *a, const SignatureType *b) {
  if (a->code != b->code) return false;
  if (a->code != TYPE_ENUM) return true;
  const char *name_a = type_text(TYPE_ENUM, a->name);
  return strcmp(name_a, type_text(TYPE_ENUM, b->name)) == 0 &&
         a->detail->least == b->detail->least &&
         a->detail->most == b->detail->most;
}

bool signature_identical(const Signature *a, const Signature *b) {
  if (!signature_equal(a, b) || a == NULL) return a == b;
  SignatureType x = result_of(a), y = result_of(b);
  bool same = same_enum(&x, &y);
  for (int i = 0; i < a->param_count && same; i++) {
    x = param_of(a, i), y = param_of(b, i);
    same = same_enum(&x, &y);
  }
  return same;
}
