// SPDX-License-Identifier: MIT
//
// Break: a script that is stopped where new code raised, for a look (T4). All
// of it happens in the message handler, so the frames are as they were at the
// error; what the host wants to be done is done after they are gone.
//
// What a frame sees is read and set through the VM's debug interface. A text
// is evaluated on a thread of its own, which has room where the stack that
// raised has none, with an environment that stands for the frame.
//
// Traded away: a function that was made by an evaluated text sees the frame
// for as long as the stop lasts, and its globals alone afterwards. Frames of a
// coroutine that raised are gone when the error comes out of it.

#ifndef GRAFT_VM_BREAK_H
#define GRAFT_VM_BREAK_H

#include "vm/vm.h"

// Asks the host; false: it was not asked. Called inside of the call that fails.
typedef bool VmBreak(void *context, GraftBreak *at, GraftRestart *restart);

// From now on new code that raises stops. GRAFT_ENOMEM.
GraftStatus vm_set_break(Vm *self, VmBreak *on_break, void *context,
                         GraftError *error);

// The context that was given.
void *break_context(const GraftBreak *at);

#endif
