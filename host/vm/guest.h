// SPDX-License-Identifier: MIT
//
// Guest: a VM in a lua_State that somebody else owns. Graft leaves such a state
// as it found it, notices when its owner closes it first, and takes over the
// scripts that were running before it came: their chunk is still on the stack,
// and so are its prototypes and variables.
//
// What stays behind in the state after Graft has left (functions that stand
// for natives, the functions of the `graft` module) raises a clear error
// instead of reaching for what is gone. Traded away: modules that had returned
// before Graft came; nothing leads to their variables.

#ifndef GRAFT_VM_GUEST_H
#define GRAFT_VM_GUEST_H

#include "vm/script.h"

// Calls `found` for every chunk of a file that runs on the present thread and
// is no script's, the innermost first. `name` is what its loader called it,
// without "@"; `chunk` is for the functions below, until `found` returns.
typedef void GuestFound(void *context, const char *name, int chunk);
GraftStatus guest_find_chunks(Vm *vm, GuestFound *found, void *context,
                              GraftError *error);

// Whether it was compiled from this text.
bool guest_is_compiled_from(Vm *vm, int chunk, const char *text, size_t size);

// Makes it the chunk of `script`, as if Graft had loaded it.
GraftStatus guest_adopt_chunk(Script *script, int chunk, GraftError *error);

// Adopted scripts whose chunk does not run on the present thread any more are
// complete. At a safe point.
GraftStatus guest_finish_scripts(Vm *vm, GraftError *error);

#endif
