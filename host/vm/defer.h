// SPDX-License-Identifier: MIT
//
// Defer: cleanups that top-level statements register (S6). They lie in the Lua
// registry, where a sweep gives them new code like any function; those of
// statements that go or change are taken out before the sweep, so that they
// undo what their statement did with the code that did it.

#ifndef GRAFT_VM_DEFER_H
#define GRAFT_VM_DEFER_H

#include "vm/patcher.h"
#include "vm/state.h"

typedef struct PatchedFile PatchedFile;

// Registers the function on top of L, which is popped, as a cleanup of the
// top-level statement that runs. False when none does. May raise.
bool defer_add(Vm *vm, lua_State *L);

// A script's chunk begins to run.
void defer_clear(Script *script, lua_State *L);

// Runs the cleanups of a script whose chunk has raised, the last one first, and
// forgets them. May raise for lack of memory.
void defer_run_raised(Script *script, lua_State *L, VmCallbackFailed *failed,
                      void *context);

// Before the sweep: takes out what this patch will run. May raise.
void defer_collect(PatchedFile *file, lua_State *L);

// Runs the cleanups of an old statement, the last one first. What they raise
// is noted. May raise for lack of memory.
void defer_run(Patcher *self, PatchedFile *file, lua_State *L, int statement);

// The new statements are the present ones. Never raises.
GraftStatus defer_commit(Patcher *self, GraftError *error);

// Runs what new statements registered, and puts back what was taken out.
void defer_undo(Patcher *self);

#endif
