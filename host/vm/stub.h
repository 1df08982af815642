// SPDX-License-Identifier: MIT
//
// Stub: a native as a Lua function.

#ifndef GRAFT_VM_STUB_H
#define GRAFT_VM_STUB_H

#include "registry/slot.h"
#include "vm/state.h"

// Pushes the slot's stub, always the same function. May raise.
void stub_push(Vm *vm, lua_State *L, GraftFn *fn);

// Every stub raises from now on, since its slot goes. Never raises.
void stub_clear(Vm *vm, lua_State *L);

// Pushes what Lua code is given for a backing: the stub, the closure, or nil.
void stub_push_backing(Vm *vm, lua_State *L, GraftFn *fn,
                       const Backing *backing);

#endif
