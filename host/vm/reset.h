// SPDX-License-Identifier: MIT
//
// Reset: gives a name the value that the source gives it, whatever the program
// made of it since. Tables stay the same tables.

#ifndef GRAFT_VM_RESET_H
#define GRAFT_VM_RESET_H

#include "vm/state.h"

// `name` is the module with what it shows, "ai.goblin.config.speed", or with
// its own variables, "ai.goblin:hp". GRAFT_ENOTFOUND, GRAFT_ERUN.
GraftStatus reset_name(Vm *vm, const char *name, GraftError *error);

#endif
