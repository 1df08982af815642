// SPDX-License-Identifier: MIT

#include "vm/place.h"

#include <stdio.h>

#include "vm/cell.h"
#include "vm/chunk.h"
#include "vm/patcher_state.h"
#include "vm/proto.h"

static bool has_metamethod(lua_State *L, int index, const char *name) {
  if (!luaL_getmetafield(L, index, name)) return false;
  lua_pop(L, 1);
  return true;
}

// stack: …, object, key → …, value
static void get_field(lua_State *L) {
  int object = lua_gettop(L) - 1;
  if (lua_type(L, object) == LUA_TTABLE) {
    lua_pushvalue(L, -1);
    lua_rawget(L, object);
    if (!lua_isnil(L, -1) || !has_metamethod(L, object, "__newindex")) {
      lua_replace(L, object);
      lua_settop(L, object);
      return;
    }
    lua_pop(L, 1);
  } else if (!has_metamethod(L, object, "__index")) {
    lua_pop(L, 2);
    lua_pushnil(L);
    return;
  }
  lua_gettable(L, object);
  lua_replace(L, object);
}

static bool may_have_fields(lua_State *L, int index) {
  return lua_type(L, index) == LUA_TTABLE ||
         (lua_type(L, index) == LUA_TUSERDATA &&
          has_metamethod(L, index, "__newindex"));
}

bool place_push(Script *script, lua_State *L, const Path *path) {
  luaL_checkstack(L, 8, "place");
  if (path->variable >= 0) {
    cell_push(script, L, path->variable);
    lua_pushnil(L);
  } else {
    script_push_root(script, L, SHOWN_GLOBAL);
    lua_pushstring(L, path->name);
  }
  for (uint32_t i = 0; i < path->key_count; i++) {
    int object = lua_gettop(L) - 1;
    place_get(L, object);
    lua_replace(L, object);
    lua_pushstring(L, path->keys[i]);
    lua_replace(L, object + 1);
    if (may_have_fields(L, object)) continue;
    lua_pop(L, 2);
    lua_pushnil(L);
    lua_pushnil(L);
    return false;
  }
  return true;
}

void place_get(lua_State *L, int object) {
  if (lua_isnil(L, object + 1)) {
    if (lua_getupvalue(L, object, 1) == NULL) lua_pushnil(L);
    return;
  }
  lua_pushvalue(L, object);
  lua_pushvalue(L, object + 1);
  get_field(L);
}

void place_set_raw(lua_State *L, int object) {
  if (lua_isnil(L, object + 1)) {
    proto_unlock_cell(L, object, 1);
    lua_setupvalue(L, object, 1);
    return;
  }
  lua_pushvalue(L, object + 1);
  lua_insert(L, -2);
  lua_rawset(L, object);
}

static bool is_raw(lua_State *L, int object) {
  if (lua_isnil(L, object + 1)) return true;
  if (lua_type(L, object) != LUA_TTABLE) return false;
  if (!has_metamethod(L, object, "__newindex")) return true;
  lua_pushvalue(L, object + 1);
  lua_rawget(L, object);
  bool present = !lua_isnil(L, -1);
  lua_pop(L, 1);
  return present;
}

void place_set(Patcher *patcher, lua_State *L, int object) {
  if (patcher != NULL) journal_add_place(patcher, L, object);
  if (is_raw(L, object)) {
    place_set_raw(L, object);
    return;
  }
  lua_pushvalue(L, object + 1);
  lua_insert(L, -2);
  lua_settable(L, object);
}

void place_text(const Path *path, char *text, size_t size) {
  int used = snprintf(text, size, "%s", path->name);
  for (uint32_t i = 0; i < path->key_count; i++) {
    if (used < 0 || (size_t)used >= size) return;
    used += snprintf(text + used, size - (size_t)used, ".%s", path->keys[i]);
  }
}
