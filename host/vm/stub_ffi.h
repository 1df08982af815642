// SPDX-License-Identifier: MIT
//
// Stub, FFI: a native as a function that LuaJIT compiles into its traces:
// checks of the arguments, written for this signature, and a call through the
// slot's entry. What does not pass the checks goes to the slot's stub, which
// converts or raises with its message. Only for natives from which no Lua code
// can be reached, since a compiled call cannot come back into the VM.

#ifndef GRAFT_VM_STUB_FFI_H
#define GRAFT_VM_STUB_FFI_H

#include "registry/slot.h"
#include "vm/state.h"

// For VM set-up. May raise.
void stub_ffi_set_up(Vm *vm, lua_State *L);

#if VM_LUAJIT

// Pushes the function for a native of this signature; always the same one.
// False, and nothing pushed, when there is none. May raise.
bool stub_ffi_push(Vm *vm, lua_State *L, GraftFn *fn, const Backing *backing);

// The slot has no backing any more, or has one again, `to`: what is held of it
// raises, or calls what is there, once traces are flushed. May raise.
void stub_ffi_follow(Vm *vm, lua_State *L, GraftFn *fn, const Backing *to);

// They raise from now on, once traces are flushed. Never raises.
void stub_ffi_clear(Vm *vm, lua_State *L);

#else

static inline bool stub_ffi_push(Vm *vm, lua_State *L, GraftFn *fn,
                                 const Backing *backing) {
  (void)vm, (void)L, (void)fn, (void)backing;
  return false;
}

static inline void stub_ffi_follow(Vm *vm, lua_State *L, GraftFn *fn,
                                   const Backing *to) {
  (void)vm, (void)L, (void)fn, (void)to;
}

#endif

#endif
