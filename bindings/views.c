// SPDX-License-Identifier: MIT

#include <string.h>

#include "graft_module.h"
#include "vm/view_state.h"

static size_t count_argument(lua_State *L, int index) {
  lua_Number count = luaL_checknumber(L, index);
  luaL_argcheck(L, count >= 1 && count <= 1e15 && count == (size_t)count, index,
                "a count of at least 1 expected");
  return (size_t)count;
}

// stack: …, view. Fills it from the table at `index`, as assignments do.
static void fill(lua_State *L, int index) {
  lua_pushnil(L);
  while (lua_next(L, index)) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_settable(L, -4);
  }
}

// graft.new(type[, count or fields]) → view that owns its memory
static int new (lua_State *L) {
  const char *type = luaL_checkstring(L, 1);
  bool has_fields = lua_istable(L, 2);
  bool has_count = !has_fields && !lua_isnoneornil(L, 2);
  size_t count = has_count ? count_argument(L, 2) : 1;
  if (!view_push_new(module_vm(L), L, type, count)) {
    return luaL_error(L, "no native has a type called '%s'", type);
  }
  if (has_fields) fill(L, 2);
  return 1;
}

// graft.string(pointer or array of char[, size]) → text up to a zero, or of
// that size
static int string(lua_State *L) {
  void *address = NULL;
  const char *type = NULL;
  if (lua_type(L, 1) == LUA_TSTRING || lua_isnil(L, 1)) {
    lua_settop(L, 1);
    return 1;
  }
  if (!view_get(module_vm(L), L, 1, &address, &type) ||
      (strcmp(type, "char *") != 0 && strcmp(type, "int8_t *") != 0 &&
       strcmp(type, "uint8_t *") != 0)) {
    return luaL_argerror(L, 1, "a pointer to char expected");
  }
  size_t most = view_extent(L, 1);
  size_t size = lua_isnoneornil(L, 2) ? 0 : count_argument(L, 2);
  if (size == 0) {
    size = most > 0 ? strnlen(address, most) : strlen(address);
  } else if (most > 0 && size > most) {
    return luaL_argerror(L, 2, "there are fewer bytes");
  }
  lua_pushlstring(L, address, size);
  return 1;
}

void views_add_functions(lua_State *L) {
  lua_pushcfunction(L, new);
  lua_setfield(L, -2, "new");
  lua_pushcfunction(L, string);
  lua_setfield(L, -2, "string");
}
