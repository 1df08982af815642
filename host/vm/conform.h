// SPDX-License-Identifier: MIT
//
// Conform: objects that derived something from a function are told when it has
// new code (P11). The Lua registry has a table of function → callbacks with
// weak keys, in which a sweep puts the new function in the place of the old
// one; the private table remembers the function that the callbacks were last
// told of. Where the two differ after a commit, the function was replaced.

#ifndef GRAFT_VM_CONFORM_H
#define GRAFT_VM_CONFORM_H

#include "vm/patcher.h"
#include "vm/state.h"

// stack: …, function, callback → …. May raise.
void conform_add(Vm *vm, lua_State *L);

// The table that keeps what followers were told; a sweep leaves it alone. May
// raise.
const void *conform_skipped(Vm *vm, lua_State *L);

// After a commit: calls back with each new function, and with nil for those
// that were deleted or silenced. What callbacks raise is noted. Never raises.
void conform_tell(Patcher *self);

#endif
