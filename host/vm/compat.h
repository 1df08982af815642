// SPDX-License-Identifier: MIT
//
// Compat: the one place that knows how the C interfaces of Lua 5.4 and LuaJIT
// differ in name. The rest of vm/ and bindings/ is written once. What differs
// in behaviour has a function in the module that it belongs to.

#ifndef GRAFT_VM_COMPAT_H
#define GRAFT_VM_COMPAT_H

#include <lua.h>
#include <lauxlib.h>
#include <lualib.h>

// The headers do not say that these never return, which compilers and checkers
// want to know.
__attribute__((noreturn)) int lua_error(lua_State *L);
__attribute__((noreturn)) int luaL_error(lua_State *L, const char *format, ...);

#if LUA_VERSION_NUM == 501
#define VM_LUAJIT 1
#include <luajit.h>

#define LUA_OK 0
#define lua_rawlen(L, index) lua_objlen((L), (index))
#define lua_pushglobaltable(L) lua_pushvalue((L), LUA_GLOBALSINDEX)
#define luaL_loadbufferx_text(L, text, size, name)                             \
  luaL_loadbufferx((L), (text), (size), (name), "t")
#define VM_NAME "luajit"

static inline int lua_absindex(lua_State *L, int index) {
  return index > 0 || index <= LUA_REGISTRYINDEX ? index
                                                 : lua_gettop(L) + index + 1;
}

// So that no compiled trace goes on with what has changed (P10).
static inline void compat_flush(lua_State *L) {
  luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_FLUSH);
}

// LuaJIT counts attempts to compile that a hook made fail against the code;
// flushing forgets them.
static inline void compat_remove_hook(lua_State *L) {
  lua_sethook(L, NULL, 0, 0);
  compat_flush(L);
}

// P10: what is compiled may hold old values.
static inline void compat_flush_traces(lua_State *L) {
  luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_FLUSH);
}

static inline void lua_rawgetp(lua_State *L, int index, const void *key) {
  index = lua_absindex(L, index);
  lua_pushlightuserdata(L, (void *)key);
  lua_rawget(L, index);
}

static inline void lua_rawsetp(lua_State *L, int index, const void *key) {
  index = lua_absindex(L, index);
  lua_pushlightuserdata(L, (void *)key);
  lua_insert(L, -2);
  lua_rawset(L, index);
}

#else
#define VM_LUAJIT 0

static inline void compat_flush_traces(lua_State *L) {
  (void)L;
}

#define luaL_loadbufferx_text(L, text, size, name)                             \
  luaL_loadbufferx((L), (text), (size), (name), "t")
#define VM_NAME "lua54"

static inline void compat_flush(lua_State *L) {
  (void)L;
}

static inline void compat_remove_hook(lua_State *L) {
  lua_sethook(L, NULL, 0, 0);
}

#endif

#endif
