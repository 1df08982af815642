// SPDX-License-Identifier: MIT

#include "vm/stub.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "registry/call.h"
#include "registry/convert.h"
#include "vm/raw_stack.h"
#include "vm/view_state.h"
#include "vm/stub_ffi.h"

static int raise(lua_State *L, const GraftError *error) {
  luaL_where(L, 1);
  lua_pushstring(L, error->message);
  lua_concat(L, 2);
  return lua_error(L);
}

// Any argument, with the message for a wrong one.
static CallWord convert_slowly(lua_State *L, const GraftFn *fn,
                               const Signature *signature, int index) {
  GraftValue value = vm_to_value(L, index + 1);
  CallWord word = {0};
  GraftError error;
  if (convert_argument(signature, fn->name, index, &value, &word, &error) < 0) {
    raise(L, &error);
  }
  return word;
}

static inline bool get_integer(lua_State *L, int index, int64_t *integer) {
#if VM_LUAJIT
  if (lua_type(L, index) != LUA_TNUMBER) return false;
  double number = lua_tonumber(L, index);
  // Within these bounds a conversion there and back tells a whole number.
  if (!(number >= -9007199254740992.0 && number <= 9007199254740992.0)) {
    return false;
  }
  *integer = (int64_t)number;
  return (double)*integer == number;
#else
  if (!lua_isinteger(L, index)) return false;
  *integer = lua_tointeger(L, index);
  return true;
#endif
}

static inline CallWord convert(lua_State *L, const GraftFn *fn,
                               const Signature *signature, int index) {
  int64_t integer = 0;
  switch (signature->params[index]) {
  case TYPE_DOUBLE:
    if (lua_type(L, index + 1) != LUA_TNUMBER) break;
    return (CallWord){.number = lua_tonumber(L, index + 1)};
  case TYPE_FLOAT:
    if (lua_type(L, index + 1) != LUA_TNUMBER) break;
    return call_float((float)lua_tonumber(L, index + 1));
  case TYPE_INT32:
    if (!get_integer(L, index + 1, &integer) || integer < INT32_MIN ||
        integer > INT32_MAX) {
      break;
    }
    return (CallWord){.integer = integer};
  case TYPE_INT64:
    if (!get_integer(L, index + 1, &integer)) break;
    return (CallWord){.integer = integer};
  case TYPE_BOOL:
    if (lua_type(L, index + 1) != LUA_TBOOLEAN) break;
    return (CallWord){.integer = lua_toboolean(L, index + 1)};
  default:
    break;
  }
  return convert_slowly(L, fn, signature, index);
}

// The same for what lies in `slot`, as far as it is a plain number or boolean.
static inline bool convert_raw(TypeCode type, const char *slot,
                               CallWord *word) {
  int64_t integer = 0;
  double number = 0;
  bool boolean = false;
  switch (type) {
  case TYPE_DOUBLE:
    if (!raw_stack_number(slot, &number)) return false;
    *word = (CallWord){.number = number};
    return true;
  case TYPE_FLOAT:
    if (!raw_stack_number(slot, &number)) return false;
    *word = call_float((float)number);
    return true;
  case TYPE_INT32:
    if (!raw_stack_integer(slot, &integer)) return false;
    *word = (CallWord){.integer = integer};
    return integer >= INT32_MIN && integer <= INT32_MAX;
  case TYPE_INT64:
    if (!raw_stack_integer(slot, &integer)) return false;
    *word = (CallWord){.integer = integer};
    return true;
  case TYPE_BOOL:
    if (!raw_stack_boolean(slot, &boolean)) return false;
    *word = (CallWord){.integer = boolean};
    return true;
  default:
    return false;
  }
}

static inline int push_result(lua_State *L, const Signature *signature,
                              CallWord word) {
  switch (signature->result) {
  case TYPE_VOID:
    return 0;
  case TYPE_STRUCT:
    return 1; // it is there already
  case TYPE_FLOAT:
  case TYPE_DOUBLE:
    lua_pushnumber(L, word.number);
    return 1;
  case TYPE_BOOL:
    lua_pushboolean(L, word.integer != 0);
    return 1;
  case TYPE_INT32:
    lua_pushinteger(L, (lua_Integer)word.integer);
    return 1;
  default:
    break;
  }
  GraftValue value =
      convert_word(signature->result, signature->result_name, word);
#if VM_LUAJIT
  // Its integers are as wide as a pointer, its numbers are not.
  if (value.type == GRAFT_INTEGER) {
    lua_pushnumber(L, (lua_Number)value.as.integer);
    return 1;
  }
#endif
  vm_push_value(L, &value);
  return 1;
}

// Pushes memory of Lua's own for a struct that a native returns by value: a
// view, or bytes that can be passed on where its type is not known.
static void *push_struct(lua_State *L, const Signature *signature) {
  char name[200];
  Vm *vm = vm_of(L);
  size_t size = signature->result_detail->size;
  const char *pointer = signature->result_name; // "Body *"
  snprintf(name, sizeof name, "%.*s", (int)strlen(pointer) - 2, pointer);
  if (!view_push_new(vm, L, name, 1)) return lua_newuserdata(L, size);
  void *address;
  const char *type;
  if (view_get(vm, L, -1, &address, &type) && strcmp(type, pointer) == 0) {
    return address;
  }
  lua_pop(L, 1);
  return lua_newuserdata(L, size);
}

static int call_other(lua_State *L, GraftFn *fn) {
  const Backing *backing = fn->active;
  GraftError error;
  if (backing == NULL) {
    slot_missing(fn, &error);
    return raise(L, &error);
  }
  if (backing->kind == BACKING_LUA_C) {
    slot_count_call(fn);
    GraftNative code = atomic_load_explicit(&fn->code, memory_order_relaxed);
    return ((lua_CFunction)code)(L);
  }
  if (backing->kind == BACKING_NATIVE) {
    error_set(&error, GRAFT_ESIGNATURE, "%s cannot be called from Lua: %s",
              fn->name, backing->why_not);
    return raise(L, &error);
  }
  slot_count_call(fn);
  vm_push(vm_of(L), L, (int)backing->script);
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

static int raise_count(lua_State *L, const GraftFn *fn,
                       const Signature *signature, int count) {
  GraftError error;
  convert_count_error(signature, fn->name, count, &error);
  return raise(L, &error);
}

static inline int finish_stub(lua_State *L, GraftFn *fn,
                              const Signature *signature,
                              const CallWord *words) {
  slot_count_call(fn);
  CallWord result = {.integer = 0};
  // A struct by value becomes Lua's own.
  if (signature->result == TYPE_STRUCT) {
    result.pointer = push_struct(L, signature);
  }
  GraftNative code = atomic_load_explicit(&fn->code, memory_order_relaxed);
  call_native(signature, code, words, &result);
  return push_result(L, signature, result);
}

static inline bool is_native(const Backing *backing) {
  return backing != NULL && backing->kind == BACKING_NATIVE &&
         backing->signature != NULL;
}

static int call_stub(lua_State *L) {
  GraftFn *fn = lua_touserdata(L, lua_upvalueindex(1));
  if (fn == NULL) return luaL_error(L, "the engine is closed");
  const Backing *backing = fn->active;
  if (!is_native(backing)) return call_other(L, fn);
  const Signature *signature = backing->signature;
  int count = lua_gettop(L);
  if (count != signature->param_count) {
    return raise_count(L, fn, signature, count);
  }
  CallWord words[SIGNATURE_PARAMS];
  words[0] = (CallWord){.integer = 0};
  for (int i = 0; i < count; i++) words[i] = convert(L, fn, signature, i);
  return finish_stub(L, fn, signature, words);
}

// The same where the stack may be read in place. What is no plain number goes
// the other way, which has the messages.
static int call_stub_raw(lua_State *L) {
  GraftFn *fn = lua_touserdata(L, lua_upvalueindex(1));
  if (fn == NULL) return luaL_error(L, "the engine is closed");
  const Backing *backing = fn->active;
  if (!is_native(backing)) return call_other(L, fn);
  const Signature *signature = backing->signature;
  int count = raw_stack_count(L);
  if (count != signature->param_count) {
    return raise_count(L, fn, signature, count);
  }
  CallWord words[SIGNATURE_PARAMS];
  words[0] = (CallWord){.integer = 0};
  for (int i = 0; i < count; i++) {
    // A conversion may have moved the stack.
    if (!convert_raw(signature->params[i], raw_stack_slot(L, i + 1),
                     &words[i])) {
      words[i] = convert(L, fn, signature, i);
    }
  }
  return finish_stub(L, fn, signature, words);
}

void stub_push(Vm *vm, lua_State *L, GraftFn *fn) {
  vm_push(vm, L, vm->stubs_ref);
  lua_pushlightuserdata(L, fn);
  lua_rawget(L, -2);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_pushlightuserdata(L, fn);
    lua_pushcclosure(L, vm->raw_stack ? call_stub_raw : call_stub, 1);
    lua_pushlightuserdata(L, fn);
    lua_pushvalue(L, -2);
    lua_rawset(L, -4);
  }
  lua_remove(L, -2);
}

void stub_clear(Vm *vm, lua_State *L) {
  if (vm->stubs_ref == VM_NO_REF) return;
  vm_push(vm, L, vm->stubs_ref);
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    lua_pushlightuserdata(L, NULL);
    lua_setupvalue(L, -2, 1);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

void stub_push_backing(Vm *vm, lua_State *L, GraftFn *fn,
                       const Backing *backing) {
  if (backing == NULL) {
    lua_pushnil(L);
  } else if (backing->kind == BACKING_SCRIPT) {
    vm_push(vm, L, (int)backing->script);
  } else if (!VM_LUAJIT || !stub_ffi_push(vm, L, fn, backing)) {
    stub_push(vm, L, fn);
  }
}
