// SPDX-License-Identifier: MIT
//
// Guest, what vm.c alone needs of it.

#ifndef GRAFT_VM_GUEST_STATE_H
#define GRAFT_VM_GUEST_STATE_H

#include "vm/state.h"

// The main thread of the state that `L` belongs to. May raise.
lua_State *guest_main_thread(lua_State *L);

// Whether an engine of this copy of Graft, or of another one, is in the state.
bool guest_is_taken(lua_State *L);

// Marks the state as taken, and sees to it that vm->closed is called when its
// owner closes it. May raise.
void guest_enter(Vm *vm, lua_State *L);

// Takes everything that Graft has put into the state out of it. May raise.
void guest_leave(Vm *vm, lua_State *L);

#endif
