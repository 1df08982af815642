// SPDX-License-Identifier: MIT

#include "native/machine.h"

#if defined(__x86_64__)

#include <cpuid.h>
#include <string.h>
#include <ucontext.h>

#include "native/guard_frame.h"

bool machine_is_known(void) {
  return true;
}

void machine_write_gate(unsigned char *entry, size_t distance) {
  // endbr64; lea offset(%rip), %r11; jmp *(%r11); int3. The offset counts from
  // the end of the lea.
  enum { LEA_END = 11, SIZE = 16 };
  unsigned char code[SIZE] = {0xf3, 0x0f, 0x1e, 0xfa, 0x4c, 0x8d, 0x1d, 0,
                              0,    0,    0,    0x41, 0xff, 0x23, 0xcc, 0xcc};
  int32_t offset = (int32_t)(distance - LEA_END);
  memcpy(code + 7, &offset, sizeof offset);
  memcpy(entry, code, SIZE);
}

// The x87, SSE, AVX and AVX-512 registers, of those that there are and whose
// place is within what a GuardCall has for them.
uint64_t machine_vectors(void) {
  enum { OSXSAVE = 1 << 27, EXTENDED = 13 };
  unsigned a, b, c, d;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & OSXSAVE) == 0) return 0;
  unsigned low, high;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  uint64_t mask = low & 3;
  static const int more[] = {2, 5, 6, 7};
  for (size_t i = 0; i < sizeof more / sizeof more[0]; i++) {
    if ((low >> more[i] & 1) == 0) continue;
    __cpuid_count(EXTENDED, (unsigned)more[i], a, b, c, d);
    if (a + b <= GUARD_VECTORS) mask |= 1u << more[i];
  }
  return mask;
}

static greg_t *registers(void *context) {
  return ((ucontext_t *)context)->uc_mcontext.gregs;
}

uintptr_t machine_pc(const void *context) {
  return (uintptr_t)registers((void *)context)[REG_RIP];
}

uintptr_t machine_sp(const void *context) {
  return (uintptr_t)registers((void *)context)[REG_RSP];
}

size_t machine_registers(const void *context, uintptr_t *words) {
  const greg_t *from = registers((void *)context);
  size_t count = 0;
  for (int i = REG_R8; i <= REG_RIP; i++) words[count++] = (uintptr_t)from[i];
  return count;
}

void machine_undo_call(void *context, MachinePlace *before) {
  greg_t *values = registers(context);
  *before = (MachinePlace){machine_pc(context), machine_sp(context)};
  memcpy(&values[REG_RIP], (const void *)before->sp, sizeof values[REG_RIP]);
  values[REG_RSP] += 8;
}

void machine_redo_call(void *context, const MachinePlace *before) {
  registers(context)[REG_RIP] = (greg_t)before->pc;
  registers(context)[REG_RSP] = (greg_t)before->sp;
}

// call offset; or call *register, call *memory in one of its lengths.
bool machine_is_return(uintptr_t address) {
  enum { CALL = 0xe8, GROUP = 0xff, KIND = 2 };
  const unsigned char *end = (const unsigned char *)address;
  if (end[-5] == CALL) return true;
  for (int size = 2; size <= 7; size++) {
    if (end[-size] == GROUP && (end[1 - size] >> 3 & 7) == KIND) return true;
  }
  return false;
}

MachineAccess machine_access(const void *context) {
  enum { WRITE = 2 };
  bool written = (registers((void *)context)[REG_ERR] & WRITE) != 0;
  return written ? MACHINE_WRITE : MACHINE_READ;
}

void machine_resume(void *context, const MachineResume *resume) {
  greg_t *values = registers(context);
  values[REG_RIP] = (greg_t)(uintptr_t)resume->code;
  values[REG_RSP] = (greg_t)resume->call;
  values[REG_RBX] = (greg_t)resume->call;
  values[REG_RBP] = (greg_t)resume->frame;
  // The kernel's mask is shorter than the C library's type.
  memcpy(&((ucontext_t *)context)->uc_sigmask, resume->mask, _NSIG / 8);
}

#else

typedef int machine_is_no_x86_64;

#endif
