// SPDX-License-Identifier: MIT
//
// Cells: the module-level variables of a script, for code that comes later.
// All of it may raise, and leaves the stack as it was unless said otherwise.

#ifndef GRAFT_VM_CELL_H
#define GRAFT_VM_CELL_H

#include "vm/script.h"
#include "vm/state.h"

// Pushes a new cell; its variable is nil. A cell is a function whose first
// upvalue is the variable.
void cell_push_new(Vm *vm, lua_State *L);

// Pushes the cell of a variable; it is made when the variable has none.
void cell_push(Script *script, lua_State *L, int variable);

// Pushes the variable's value.
void cell_get(Script *script, lua_State *L, int variable);
// Assigns it from the top of L; pops that.
void cell_set(Script *script, lua_State *L, int variable);

// Makes upvalue `n` of the function at `index` the variable's cell.
void cell_join(Script *script, lua_State *L, int variable, int index, int n);

// The true cells of the module-level variables that the closure at `index`
// holds become the script's; `proto` is what the closure stems from.
void cell_adopt(Script *script, lua_State *L, int index,
                const ScriptProto *proto);

// Reads the main chunk's variables off its frame when it returns.
void cell_save_frame(Script *script, lua_State *L, lua_Debug *frame);

// The capture with this name, or NULL.
const Capture *definition_capture(const Definition *definition,
                                  const char *name);
bool definition_captures(const Definition *definition, int variable);

#endif
