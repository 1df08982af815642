// SPDX-License-Identifier: MIT
//
// Inspect: who still has old code of a function. It walks everything, as a
// sweep does, and changes nothing.

#ifndef GRAFT_VM_INSPECT_H
#define GRAFT_VM_INSPECT_H

#include "vm/state.h"

// Pushes {running = calls that run superseded code, closures = closures of it
// that are held}. `name` is the registry name. May raise.
void inspect_old_code(Vm *vm, lua_State *L, const char *name);

#endif
