// SPDX-License-Identifier: MIT
//
// What the files of vm/ share about probation.

#ifndef GRAFT_VM_PROBATION_STATE_H
#define GRAFT_VM_PROBATION_STATE_H

#include "vm/state.h"

// The hook on returns; an interrupt may replace it.
void probation_hook(lua_State *L, lua_Debug *frame);

// For the message handler, at the place of the error.
void probation_note_error(Vm *vm, lua_State *L, const char *message);

// Trusts what has failed, and all new code that is being called.
void probation_trust_stack(Vm *vm, lua_State *L);

#endif
