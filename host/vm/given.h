// SPDX-License-Identifier: MIT
//
// Given values: what calls in top-level statements gave. The text of a call
// does not tell its value, so what a place held when its chunk returned, or
// when a patch assigned it, is remembered as the base of later merges. Only
// values that cannot change in themselves are: numbers, strings, booleans and
// functions. They lie in the Lua registry, by object and key, and hold nothing
// back from collection.

#ifndef GRAFT_VM_GIVEN_H
#define GRAFT_VM_GIVEN_H

#include "vm/script.h"
#include "vm/state.h"

typedef struct Patcher Patcher;

// The chunk has returned. Raises.
void given_add_script(Script *script, lua_State *L);

// Remembers the value on top of L, which is popped, for the place at `object`.
// Raises.
void given_set(Patcher *patcher, lua_State *L, int object);

// Pushes what is remembered for the place at `object`, or the unknown value.
void given_push(lua_State *L, int object);

#endif
