// SPDX-License-Identifier: MIT

#include "graft_module.h"
#include "vm/conform.h"
#include "vm/defer.h"
#include "vm/reset.h"

// graft.defer(f)
static int defer(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  if (!defer_add(module_vm(L), L)) {
    return luaL_error(L, "graft.defer: no top-level statement of a watched "
                         "script is running");
  }
  return 0;
}

// graft.reset(name) → true, or nil, message, code
static int reset(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  GraftError error;
  lua_State *previous = module_enter(L);
  GraftStatus status = reset_name(vm_of(L), name, &error);
  module_leave(L, previous);
  if (status < 0) return module_fail(L, &error);
  lua_pushboolean(L, 1);
  return 1;
}

// graft.conform(fn, callback)
static int conform(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_settop(L, 2);
  conform_add(module_vm(L), L);
  return 0;
}

void values_add_functions(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"defer", defer}, {"reset", reset}, {"conform", conform}};
  for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
    lua_pushcfunction(L, functions[i].func);
    lua_setfield(L, -2, functions[i].name);
  }
}
