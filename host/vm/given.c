// SPDX-License-Identifier: MIT

#include "vm/given.h"

#include "vm/evaluate.h"
#include "vm/journal.h"
#include "vm/place.h"
#include "vm/state.h"

static const char given_key = 0; // object → key → value, in the Lua registry

// Pushes the values of the object at `object`, which are made if there are
// none.
static void push_values(lua_State *L, int object) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &given_key);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    vm_push_weak(L, "k");
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &given_key);
  }
  lua_pushvalue(L, object);
  lua_rawget(L, -2);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    vm_push_weak(L, "v");
    lua_pushvalue(L, object);
    lua_pushvalue(L, -2);
    lua_rawset(L, -4);
  }
  lua_remove(L, -2);
}

// A cell has one value.
static void push_key(lua_State *L, int object) {
  lua_pushvalue(L, object + 1);
  if (!lua_isnil(L, -1)) return;
  lua_pop(L, 1);
  lua_pushboolean(L, 1);
}

static bool is_remembered(lua_State *L, int index) {
  int type = lua_type(L, index);
  return type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TBOOLEAN ||
         type == LUA_TFUNCTION;
}

void given_set(Patcher *patcher, lua_State *L, int object) {
  luaL_checkstack(L, 10, "given");
  int value = lua_gettop(L);
  push_values(L, object);
  push_key(L, object);
  if (patcher != NULL) journal_add_place(patcher, L, value + 1);
  lua_pushvalue(L, value);
  if (!is_remembered(L, value)) {
    lua_pop(L, 1);
    lua_pushnil(L);
  }
  lua_rawset(L, value + 1);
  lua_settop(L, value - 1);
}

void given_push(lua_State *L, int object) {
  luaL_checkstack(L, 8, "given");
  push_values(L, object);
  push_key(L, object);
  lua_rawget(L, -2);
  lua_remove(L, -2);
  if (!lua_isnil(L, -1)) return;
  lua_pop(L, 1);
  evaluate_push_unknown(L);
}

void given_add_script(Script *script, lua_State *L) {
  const GraftUnit *unit = script->unit;
  int top = lua_gettop(L);
  for (int i = 0; i < unit->assignment_count; i++) {
    const Assignment *assignment = &unit->assignments[i];
    if (assignment->in_block || assignment->value < 0 ||
        assignment->target.name == NULL || assignment->target.computed ||
        !unit->values[assignment->value].has_call) {
      continue;
    }
    if (place_push(script, L, &assignment->target)) {
      place_get(L, top + 1);
      given_set(NULL, L, top + 1);
    }
    lua_settop(L, top);
  }
}
