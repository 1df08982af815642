// SPDX-License-Identifier: MIT
//
// Standing: how a Lua stack stands in a call of a native on probation, so that
// it can be called by another version after a crash (native/guard.h).

#ifndef GRAFT_VM_STANDING_H
#define GRAFT_VM_STANDING_H

#include "native/guard.h"

// For GuardHost; `L` is a lua_State, `context` is not used.
void standing_note(void *context, void *L, uintptr_t words[GUARD_LUA_WORDS]);
bool standing_is_same(void *context, void *L,
                      const uintptr_t words[GUARD_LUA_WORDS]);
void standing_restore(void *context, void *L,
                      const uintptr_t words[GUARD_LUA_WORDS]);

#endif
