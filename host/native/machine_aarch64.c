// SPDX-License-Identifier: MIT

#include "native/machine.h"

#if defined(__aarch64__)

#include <asm/sigcontext.h>
#include <string.h>
#include <ucontext.h>

bool machine_is_known(void) {
  return true;
}

void machine_write_gate(unsigned char *entry, size_t distance) {
  // bti c; adr x16, cell; ldr x17, [x16]; br x17. The offset of the adr counts
  // from itself, the second instruction, in 21 bits: up to 1 MiB.
  uint32_t offset = (uint32_t)(distance - 4);
  uint32_t code[4] = {
      0xd503245fu,
      0x10000010u | (offset & 3) << 29 | (offset >> 2 & 0x7ffff) << 5,
      0xf9400211u,
      0xd61f0220u,
  };
  memcpy(entry, code, sizeof code);
}

uint64_t machine_vectors(void) {
  return 0;
}

static mcontext_t *machine(void *context) {
  return &((ucontext_t *)context)->uc_mcontext;
}

uintptr_t machine_pc(const void *context) {
  return (uintptr_t)machine((void *)context)->pc;
}

uintptr_t machine_sp(const void *context) {
  return (uintptr_t)machine((void *)context)->sp;
}

size_t machine_registers(const void *context, uintptr_t *words) {
  const mcontext_t *from = machine((void *)context);
  size_t count = 0;
  for (int i = 0; i < 31; i++) words[count++] = (uintptr_t)from->regs[i];
  words[count++] = (uintptr_t)from->pc;
  return count;
}

void machine_undo_call(void *context, MachinePlace *before) {
  *before = (MachinePlace){machine_pc(context), machine_sp(context)};
  machine(context)->pc = machine(context)->regs[30];
}

void machine_redo_call(void *context, const MachinePlace *before) {
  machine(context)->pc = before->pc;
}

// bl offset; blr register.
bool machine_is_return(uintptr_t address) {
  uint32_t code;
  if (address % sizeof code != 0) return false;
  memcpy(&code, (const void *)(address - sizeof code), sizeof code);
  return (code & 0xfc000000u) == 0x94000000u ||
         (code & 0xfffffc1fu) == 0xd63f0000u;
}

// The kernel appends the cause of the fault as a record of its own; emulators
// do not.
MachineAccess machine_access(const void *context) {
  enum { WRITE = 1 << 6 };
  const mcontext_t *from = machine((void *)context);
  const unsigned char *at = from->__reserved;
  const unsigned char *end = at + sizeof from->__reserved;
  while (at + sizeof(struct _aarch64_ctx) <= end) {
    struct _aarch64_ctx head;
    memcpy(&head, at, sizeof head);
    if (head.magic == 0 || head.size < sizeof head) return MACHINE_TOUCH;
    if (head.magic == ESR_MAGIC) {
      struct esr_context cause;
      memcpy(&cause, at, sizeof cause);
      return (cause.esr & WRITE) != 0 ? MACHINE_WRITE : MACHINE_READ;
    }
    at += head.size;
  }
  return MACHINE_TOUCH;
}

void machine_resume(void *context, const MachineResume *resume) {
  mcontext_t *values = machine(context);
  values->pc = (uintptr_t)resume->code;
  values->sp = resume->call;
  values->regs[19] = resume->call;
  values->regs[29] = resume->frame;
  // The kernel's mask is shorter than the C library's type.
  memcpy(&((ucontext_t *)context)->uc_sigmask, resume->mask, _NSIG / 8);
}

#else

typedef int machine_is_no_aarch64;

#endif
