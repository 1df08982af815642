// SPDX-License-Identifier: MIT

#include "native/thunk.h"

#include <string.h>

bool thunk_write_aarch64(unsigned char *entry, size_t distance) {
#if defined(__aarch64__)
  // bti c; ldr x16, cell; br x16; brk. x16 is the linker's scratch register.
  // The literal's offset counts words from the ldr, the second instruction,
  // in 19 bits: up to 1 MiB, and pages have 64 KiB at most.
  uint32_t words = (uint32_t)((distance - 4) / 4);
  uint32_t code[THUNK_SIZE / 4] = {
      0xd503245fu,
      0x58000010u | words << 5,
      0xd61f0200u,
      0xd4200000u,
  };
  memcpy(entry, code, THUNK_SIZE);
  return true;
#else
  (void)entry, (void)distance;
  return false;
#endif
}
