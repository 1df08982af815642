// SPDX-License-Identifier: MIT
//
// Guarded: what a native's guard (native/guard.h) asks about the VM, so that a
// crash leaves it as it was before the call. A crash inside a nested call of a
// script cannot, since the VM's own frames lie between.

#ifndef GRAFT_VM_GUARDED_H
#define GRAFT_VM_GUARDED_H

#include "native/guard.h"
#include "vm/vm.h"

// For GuardHost.script_depth.
uint64_t guarded_depth(const Vm *vm);

// For GuardHost.lua_*, with the lua_State as `L`.
void guarded_enter(void *L, uintptr_t words[GUARD_LUA_WORDS]);
bool guarded_can_resume(void *L, const uintptr_t words[GUARD_LUA_WORDS]);
void guarded_resume(void *L, const uintptr_t words[GUARD_LUA_WORDS]);

#endif
