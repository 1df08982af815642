// SPDX-License-Identifier: MIT

#include "registry/call.h"

#include <ffi.h>
#include <string.h>

// Where libffi finds the value of a type within a word.
static const void *value_in(const CallWord *word, TypeCode type) {
  size_t size = 8;
  switch (type) {
  case TYPE_BOOL:
  case TYPE_INT8:
  case TYPE_UINT8:
    size = 1;
    break;
  case TYPE_INT16:
  case TYPE_UINT16:
    size = 2;
    break;
  case TYPE_INT32:
  case TYPE_UINT32:
  case TYPE_ENUM:
  case TYPE_FLOAT:
    size = 4;
    break;
  case TYPE_STRING:
  case TYPE_POINTER:
    return &word->pointer;
  case TYPE_STRUCT:
    return word->pointer;
  default:
    break;
  }
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  return (const char *)word + (8 - size);
#else
  (void)size;
  return word;
#endif
}

static void call_libffi(const Signature *signature, GraftNative code,
                        const CallWord *args, CallWord *result) {
  void *values[SIGNATURE_PARAMS];
  for (int i = 0; i < signature->param_count; i++) {
    values[i] = (void *)value_in(&args[i], signature->params[i]);
  }
  union {
    ffi_arg integer; // integers come widened to at least this
    int64_t wide;
    float single;
    double number;
    void *pointer;
    uint64_t words[2]; // a struct in registers
  } returned = {.wide = 0};
  bool is_struct = signature->result == TYPE_STRUCT;
  size_t size = is_struct ? signature->result_detail->size : 0;
  void *place = size > sizeof returned ? (void *)result->pointer : &returned;
  ffi_call(signature->interface, code, place, values);
  if (is_struct) {
    if (place == &returned) memcpy((void *)result->pointer, place, size);
    return;
  }
  if (signature->result == TYPE_FLOAT) {
    result->number = (double)returned.single;
  } else if (signature->result == TYPE_DOUBLE) {
    result->number = returned.number;
  } else if (sizeof(ffi_arg) < sizeof(int64_t) &&
             signature->result < TYPE_INT64) {
    result->integer = (int64_t)returned.integer;
  } else if (signature->result >= TYPE_STRING) {
    result->pointer = returned.pointer;
  } else {
    result->integer = returned.wide;
  }
}

// The upper bits of a register are not the callee's duty.
static void extend(TypeCode type, CallWord *result) {
  int64_t integer = result->integer;
  switch (type) {
  case TYPE_BOOL:
    result->integer = (uint8_t)integer != 0;
    break;
  case TYPE_INT8:
    result->integer = (int8_t)integer;
    break;
  case TYPE_UINT8:
    result->integer = (uint8_t)integer;
    break;
  case TYPE_INT16:
    result->integer = (int16_t)integer;
    break;
  case TYPE_UINT16:
    result->integer = (uint16_t)integer;
    break;
  case TYPE_INT32:
  case TYPE_ENUM:
    result->integer = (int32_t)integer;
    break;
  case TYPE_UINT32:
    result->integer = (uint32_t)integer;
    break;
  default:
    break;
  }
}

void call_native(const Signature *signature, GraftNative code,
                 const CallWord *args, CallWord *result) {
  if (signature->shape == CALL_LIBFFI) {
    call_libffi(signature, code, args, result);
  } else {
    call_registers(signature, code, args, result);
  }
  if (signature->result <= TYPE_ENUM) extend(signature->result, result);
}
