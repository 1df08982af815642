// SPDX-License-Identifier: MIT
//
// Journal: what statements assign, so that it can be undone (T2). Single
// places where it is known what is assigned; whole tables, each once, where it
// is not. What functions do that a statement calls is not in it.

#ifndef GRAFT_VM_JOURNAL_H
#define GRAFT_VM_JOURNAL_H

#include "vm/script.h"
#include "vm/state.h"

typedef struct Patcher Patcher;
typedef struct PatchedFile PatchedFile;

// Each notes what is there now, and may raise.
void journal_add_place(Patcher *self, lua_State *L, int object);
void journal_add_metatable(Patcher *self, lua_State *L, int index);
// All fields of the table at `index`.
void journal_add_table(Patcher *self, lua_State *L, int index);
// What a statement of the new unit that runs as it stands may assign.
void journal_add_statement(Patcher *self, PatchedFile *file, lua_State *L,
                           int statement);

// Puts everything back, backwards.
void journal_undo(Patcher *self);

#endif
