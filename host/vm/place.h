// SPDX-License-Identifier: MIT
//
// Places: where a top-level name of a script keeps its value: a variable's
// cell, a global, or a field of a table. On the stack a place is two values,
// the object and the key in it: a cell and nil, or a table and a key.
//
// Reading and assigning go past metamethods, except where an object only has
// its fields by way of them (a proxy, a strict global table).

#ifndef GRAFT_VM_PLACE_H
#define GRAFT_VM_PLACE_H

#include "vm/script.h"
#include "vm/state.h"

typedef struct Patcher Patcher;

// Pushes the place that a path of the present unit names. False, with two nils
// pushed, when nothing is there that could have such a field. May raise.
bool place_push(Script *script, lua_State *L, const Path *path);

// Pushes the value of the place at `object`; nil where there is none.
void place_get(lua_State *L, int object);

// Assigns the place at `object` from the top of L; pops that. The journal of
// `patcher`, which may be NULL, gets what was there.
void place_set(Patcher *patcher, lua_State *L, int object);

// The same without journal and metamethods.
void place_set_raw(lua_State *L, int object);

// "M.config.speed"
void place_text(const Path *path, char *text, size_t size);

#endif
