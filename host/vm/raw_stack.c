// SPDX-License-Identifier: MIT

#include "vm/raw_stack.h"

static bool is_number(lua_State *L, int index, double expected) {
  double number = 0;
  return raw_stack_number(raw_stack_slot(L, index), &number) &&
         number == expected;
}

static bool is_integer(lua_State *L, int index, int64_t expected) {
  int64_t integer = 0;
  return raw_stack_integer(raw_stack_slot(L, index), &integer) &&
         integer == expected;
}

static bool is_boolean(lua_State *L, int index, bool expected) {
  bool boolean = !expected;
  return raw_stack_boolean(raw_stack_slot(L, index), &boolean) &&
         boolean == expected;
}

static bool is_other(lua_State *L, int index) {
  const char *slot = raw_stack_slot(L, index);
  double number;
  int64_t integer;
  bool boolean;
  return !raw_stack_number(slot, &number) &&
         !raw_stack_integer(slot, &integer) &&
         !raw_stack_boolean(slot, &boolean);
}

enum { CHECK_COUNT = 13 };

// stack: values as in check_text
static int check_values(lua_State *L) {
  bool fits = raw_stack_count(L) == CHECK_COUNT && is_number(L, 1, 1.5) &&
              is_integer(L, 2, -7) && is_number(L, 2, -7) &&
              is_boolean(L, 3, true) && is_boolean(L, 4, false) &&
              is_number(L, 12, -1 / 0.0) && is_integer(L, 13, 4294967296);
  for (int i = 5; i <= 11; i++) fits = fits && is_other(L, i);
  lua_pushboolean(L, fits);
  return 1;
}

// Other values are taken for no number, whatever their bits are.
static const char check_text[] =
    "local check, block = ...\n"
    "return check(1.5, -7, true, false, nil, 'text', {}, check, block,\n"
    "  coroutine.create(print), function() end, -1 / 0, 2^32 // 1 | 0)\n";

// 5.4 has integers apart from floats, LuaJIT has not.
static const char check_text_luajit[] =
    "local check, block = ...\n"
    "return check(1.5, -7, true, false, nil, 'text', {}, check, block,\n"
    "  coroutine.create(print), function() end, -1 / 0, 2^32)\n";

bool raw_stack_check(lua_State *L) {
  if (sizeof(void *) != 8) return false;
  int top = lua_gettop(L);
  const char *text = VM_LUAJIT ? check_text_luajit : check_text;
  if (luaL_loadbuffer(L, text, strlen(text), "=graft") != LUA_OK) lua_error(L);
  lua_pushcfunction(L, check_values);
  lua_pushlightuserdata(L, L);
  bool fits = lua_pcall(L, 2, 1, 0) == LUA_OK && lua_toboolean(L, -1) != 0;
  lua_settop(L, top);
  return fits && raw_stack_count(L) == top;
}
