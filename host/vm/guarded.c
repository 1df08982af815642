// SPDX-License-Identifier: MIT

#include "vm/guarded.h"

#include "vm/state.h"

uint64_t guarded_depth(const Vm *vm) {
  return (uint64_t)vm->busy;
}

// How high the stack is, and of which call.
enum { HEIGHT, CALL };

// Reading a call's place in the VM changes nothing, so a signal handler may.
static bool find_call(lua_State *L, uintptr_t *call) {
  lua_Debug frame;
  if (lua_getstack(L, 0, &frame) == 0) return false;
  *call = (uintptr_t)frame.i_ci;
  return true;
}

void guarded_enter(void *L, uintptr_t words[GUARD_LUA_WORDS]) {
  words[HEIGHT] = (uintptr_t)lua_gettop(L);
  if (!find_call(L, &words[CALL])) words[CALL] = 0;
}

bool guarded_can_resume(void *L, const uintptr_t words[GUARD_LUA_WORDS]) {
  uintptr_t call;
  return find_call(L, &call) && call == words[CALL];
}

void guarded_resume(void *L, const uintptr_t words[GUARD_LUA_WORDS]) {
  lua_settop(L, (int)words[HEIGHT]);
}
