// SPDX-License-Identifier: MIT

#include "vm/standing.h"

#include <lua.h>

// Its height, and which call it is of.
void standing_note(void *context, void *L, uintptr_t words[GUARD_LUA_WORDS]) {
  (void)context;
  lua_Debug frame = {0};
  lua_getstack(L, 0, &frame);
  words[0] = (uintptr_t)lua_gettop(L);
  words[1] = (uintptr_t)frame.i_ci;
}

bool standing_is_same(void *context, void *L,
                      const uintptr_t words[GUARD_LUA_WORDS]) {
  (void)context;
  lua_Debug frame = {0};
  return lua_getstack(L, 0, &frame) != 0 && (uintptr_t)frame.i_ci == words[1];
}

// What the native did to its arguments stays done.
void standing_restore(void *context, void *L,
                      const uintptr_t words[GUARD_LUA_WORDS]) {
  (void)context;
  lua_settop(L, (int)words[0]);
}
