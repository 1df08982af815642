// SPDX-License-Identifier: MIT

#include "native/machine.h"

#if !defined(__x86_64__) && !defined(__aarch64__)

bool machine_is_known(void) {
  return false;
}

void machine_write_gate(unsigned char *entry, size_t distance) {
  (void)entry, (void)distance;
}

uint64_t machine_vectors(void) {
  return 0;
}

uintptr_t machine_pc(const void *context) {
  (void)context;
  return 0;
}

uintptr_t machine_sp(const void *context) {
  (void)context;
  return 0;
}

size_t machine_registers(const void *context, uintptr_t *words) {
  (void)context, (void)words;
  return 0;
}

void machine_undo_call(void *context, MachinePlace *before) {
  (void)context, (void)before;
}

void machine_redo_call(void *context, const MachinePlace *before) {
  (void)context, (void)before;
}

bool machine_is_return(uintptr_t address) {
  (void)address;
  return false;
}

MachineAccess machine_access(const void *context) {
  (void)context;
  return MACHINE_TOUCH;
}

void machine_resume(void *context, const MachineResume *resume) {
  (void)context, (void)resume;
}

#else

typedef int machine_is_in_a_file_of_its_own;

#endif
