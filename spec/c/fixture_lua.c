// Lua C functions that native_lua.c places: errors pass through their frames.

#include <lauxlib.h>
#include <lua.h>
#include <stdlib.h>

static int deep(lua_State *L, int depth) {
  char room[64];
  room[depth & 63] = (char)depth;
  if (depth == 0) return luaL_error(L, "raised in C: %d", room[0]);
  return deep(L, depth - 1) + room[depth & 63];
}

int fixture_raise(lua_State *L) {
  return deep(L, (int)lua_tointeger(L, 1));
}

// Calls its argument, which may raise, and counts how often it came back.
int fixture_call(lua_State *L) {
  static int returned;
  lua_settop(L, 1);
  lua_call(L, 0, 0);
  lua_pushinteger(L, ++returned);
  return 1;
}
