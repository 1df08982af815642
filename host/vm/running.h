// SPDX-License-Identifier: MIT
//
// Running: which coroutine runs, asked from a signal handler. LuaJIT has one
// hook for all threads, Lua 5.4 one for each and no way to ask, so this
// follows calls of coroutine.resume from the main thread on, reading the VM's
// structures at offsets that `running_check` verifies.
//
// One file for each VM implements this: running_lua54.c and running_luajit.c.

#ifndef GRAFT_VM_RUNNING_H
#define GRAFT_VM_RUNNING_H

#include "vm/compat.h"

typedef struct Running {
  lua_CFunction resume;  // coroutine.resume
  lua_CFunction wrapped; // what coroutine.wrap returns
  bool known;
} Running;

// May raise; leaves the stack as it was.
void running_init(Running *self, lua_State *L);

// The thread that a hook is to be set on. Async-signal-safe.
lua_State *running_thread(const Running *self, lua_State *main);

#endif
