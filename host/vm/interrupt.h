// SPDX-License-Identifier: MIT
//
// Interrupt: brings a script that never returns to the host to a safe point,
// at its next VM instruction. Nothing is paid while nothing is pending: the
// watcher thread signals the host thread, whose handler sets a hook, as the
// stock interpreter does for Ctrl-C; the hook takes itself away and calls the
// host.
//
// Traded away: a loop that LuaJIT has compiled and that never leaves its trace
// sees no hook; such a program calls graft.update().

#ifndef GRAFT_VM_INTERRUPT_H
#define GRAFT_VM_INTERRUPT_H

#include "vm/vm.h"

// Called from the hook, on the host thread, inside a call of a script.
typedef void VmSafePoint(void *context);

// Prepares for `interrupt_send` from other threads. Takes over SIGURG if
// nobody has; GRAFT_EIO when somebody has, and then interrupts do nothing.
GraftStatus interrupt_open(Vm *vm, VmSafePoint *safe_point, void *context,
                           GraftError *error);

// Any thread, not after vm_close has begun.
void interrupt_send(Vm *vm);

// Makes the call of a script that runs now raise "interrupted" at its next
// instruction. On the host thread, also from a signal handler.
void interrupt_stop(Vm *vm);

// The call that was to be interrupted has ended by itself.
void interrupt_forget(void *state);

// Number of the outermost call of a script that runs now; 0 when none does.
// Any thread.
uint64_t interrupt_call(const Vm *vm);

#endif
