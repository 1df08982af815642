// SPDX-License-Identifier: MIT
//
// Statements: running what a new version of a file has at its top level, after
// all new functions are in place (S2). In order, each for all files: cleanups
// of what is gone, values that are gone, functions that are new, the other
// statements, and what is computed from changed values.

#ifndef GRAFT_VM_STATEMENT_H
#define GRAFT_VM_STATEMENT_H

#include "vm/merge.h"

typedef struct PatchedFile PatchedFile;

// statement_values.c. The `place`-th assignment of a statement.
const Assignment *statement_assignment(const GraftUnit *unit, int statement,
                                       uint32_t place);

// The old assignment that a new one replaces, or NULL: of those in statements
// that changed or went, the one to the same name.
const Assignment *statement_origin(const PatchedFile *file,
                                   const Assignment *now);

// Whether paths of the old and the new unit name the same.
bool statement_same_target(const Diff *diff, const Path *old, const Path *now);

// The last assignment of the new unit to what a path of the old one names, or
// NULL.
const Assignment *statement_find_last(const PatchedFile *file, const Path *old);

// A merge of what an old and a new assignment give; either may be NULL.
Merge statement_merge(Patcher *self, const PatchedFile *file,
                      const Assignment *old, const Assignment *now);

// Pushes what an old value was when the source gave it, to the place at
// `object`, or 0.
void statement_push_base(Patcher *self, const PatchedFile *file, lua_State *L,
                         const Assignment *old, int object);

// Puts what a statement gave, from `first` on L, where it belongs; the values
// stay. The second is for a `return`. Raise.
void statement_put_results(Patcher *self, PatchedFile *file, lua_State *L,
                           int statement, int first);
void statement_put_module(Patcher *self, PatchedFile *file, lua_State *L,
                          int statement, int first);

// Remembers what the calls of a statement gave that assigned them itself.
void statement_note_given(Patcher *self, PatchedFile *file, lua_State *L,
                          int statement);

// statement_calls.c: adds to the error what calls were made, because
// assignments are undone, but not what functions did that were called (T2).
void statement_list_calls(Patcher *self);

// remove.c: takes away what removed assignments gave (S5). Raises.
void statement_remove_values(Patcher *self, PatchedFile *file, lua_State *L);

#endif
