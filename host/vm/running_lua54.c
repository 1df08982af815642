// SPDX-License-Identifier: MIT

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "vm/running.h"

// Offsets in bytes, the same in 5.4.0 to 5.4.7 on 64-bit systems.
enum {
  STATE_CALL = 32,   // lua_State.ci
  CALL_FUNCTION = 0, // CallInfo.func
  VALUE_SIZE = 16,   // TValue
  VALUE_TAG = 8,
  CLOSURE_FUNCTION = 24, // CClosure.f
  CLOSURE_UPVALUE = 32,
  TAG_LIGHT_FUNCTION = 0x16,
  TAG_CLOSURE = 0x66,
  TAG_THREAD = 0x48,
};

enum { NESTING_LIMIT = 200 };

static const char *read_pointer(const void *object, int offset) {
  const char *pointer;
  memcpy(&pointer, (const char *)object + offset, sizeof pointer);
  return pointer;
}

static bool is_function(const char *address, lua_CFunction function) {
  return address == (const char *)(uintptr_t)function;
}

static lua_State *read_thread(const char *value) {
  if (value[VALUE_TAG] != TAG_THREAD) return NULL;
  return (lua_State *)read_pointer(value, 0);
}

// The thread that `L` has resumed, or NULL.
static lua_State *resumed_by(const Running *self, lua_State *L) {
  const char *call = read_pointer(L, STATE_CALL);
  const char *function = read_pointer(call, CALL_FUNCTION);
  const char *target = read_pointer(function, 0);
  if (function[VALUE_TAG] == TAG_LIGHT_FUNCTION) {
    bool resumes = is_function(target, self->resume);
    return resumes ? read_thread(function + VALUE_SIZE) : NULL;
  }
  if (function[VALUE_TAG] != TAG_CLOSURE ||
      !is_function(read_pointer(target, CLOSURE_FUNCTION), self->wrapped)) {
    return NULL;
  }
  return read_thread(target + CLOSURE_UPVALUE);
}

lua_State *running_thread(const Running *self, lua_State *main) {
  lua_State *running = main;
  for (int i = 0; self->known && i < NESTING_LIMIT; i++) {
    lua_State *next = resumed_by(self, running);
    if (next == NULL || next == running) break;
    running = next;
  }
  return running;
}

// Runs inside a coroutine inside another: is it found?
static int probe(lua_State *L) {
  const Running *self = lua_touserdata(L, 1);
  lua_State *main = lua_touserdata(L, 2);
  lua_pushboolean(L, running_thread(self, main) == L);
  return 1;
}

static const char check_text[] =
    "local probe, self, main = ...\n"
    "return coroutine.wrap(function()\n"
    "  local ok, found = coroutine.resume(coroutine.create(probe), self,"
    " main)\n"
    "  return ok and found\n"
    "end)()\n";

static lua_CFunction library_function(lua_State *L, const char *name) {
  lua_getfield(L, -1, name);
  lua_CFunction function = lua_tocfunction(L, -1);
  lua_pop(L, 1);
  return function;
}

// stack: coroutine library
static lua_CFunction wrapped_function(lua_State *L) {
  lua_getfield(L, -1, "wrap");
  lua_pushcfunction(L, probe);
  lua_call(L, 1, 1);
  lua_CFunction function = lua_tocfunction(L, -1);
  lua_pop(L, 1);
  return function;
}

void running_init(Running *self, lua_State *L) {
  int top = lua_gettop(L);
  *self = (Running){.known = false};
  lua_getglobal(L, "coroutine");
  if (lua_istable(L, -1)) {
    self->resume = library_function(L, "resume");
    self->wrapped = wrapped_function(L);
    self->known = true;
    if (luaL_loadbuffer(L, check_text, sizeof check_text - 1, "=graft") ==
        LUA_OK) {
      lua_pushcfunction(L, probe);
      lua_pushlightuserdata(L, self);
      lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
      lua_State *main = lua_tothread(L, -1);
      lua_pop(L, 1);
      lua_pushlightuserdata(L, main);
      lua_call(L, 3, 1);
      self->known = lua_toboolean(L, -1) != 0;
    }
  }
  lua_settop(L, top);
}
