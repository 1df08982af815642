// SPDX-License-Identifier: MIT
//
// Stub: a native as a Lua function.

#ifndef GRAFT_VM_STUB_H
#define GRAFT_VM_STUB_H

#include "registry/slot.h"
#include "vm/state.h"

// Pushes the slot's stub, always the same function. May raise.
void stub_push(Vm *vm, lua_State *L, GraftFn *fn);

// The slot that the function at `index` is the stub of, or NULL.
GraftFn *stub_fn(lua_State *L, int index);

// Pushes what Lua code is given for a backing: the stub, the closure, or nil.
void stub_push_backing(Vm *vm, lua_State *L, GraftFn *fn,
                       const Backing *backing);

#endif
