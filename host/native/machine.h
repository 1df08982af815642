// SPDX-License-Identifier: MIT
//
// Machine: what the guard and the stacks must know of the processor and of the
// context that the kernel hands to signal handlers, one machine_*.c each.
// `context` is a handler's third argument. Everything here may be called in
// signal handlers.

#ifndef GRAFT_NATIVE_MACHINE_H
#define GRAFT_NATIVE_MACHINE_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MACHINE_WORDS = 40 };

// False on processors that have no machine_*.c; then nothing else is called.
bool machine_is_known(void);

// Writes a gate's GATE_SIZE bytes of code, whose cell lies `distance` bytes
// behind.
void machine_write_gate(unsigned char *entry, size_t distance);

// What guard_*.S needs to know to keep vector registers; see GuardFn.
uint64_t machine_vectors(void);

uintptr_t machine_pc(const void *context);
uintptr_t machine_sp(const void *context);

// All general registers, at most MACHINE_WORDS; returns how many.
size_t machine_registers(const void *context, uintptr_t *words);

// After a jump to nowhere: back to where the call came from, with the pc at
// the return address. Reads the stack. `before` is for machine_redo_call.
typedef struct MachinePlace {
  uintptr_t pc, sp;
} MachinePlace;
void machine_undo_call(void *context, MachinePlace *before);
void machine_redo_call(void *context, const MachinePlace *before);

// Whether code at `address`, which can be read, comes behind a call.
bool machine_is_return(uintptr_t address);

// What a SIGSEGV or SIGBUS was about, where the system tells.
typedef enum MachineAccess {
  MACHINE_TOUCH,
  MACHINE_READ,
  MACHINE_WRITE,
} MachineAccess;
MachineAccess machine_access(const void *context);

// Makes the handler's return go to `code` with `call` in the register that
// guard_*.S expects, its frame, and this signal mask.
typedef struct MachineResume {
  void *code;
  uintptr_t call; // also the stack pointer
  uintptr_t frame;
  const sigset_t *mask;
} MachineResume;
void machine_resume(void *context, const MachineResume *resume);

#endif
