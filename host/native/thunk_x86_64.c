// SPDX-License-Identifier: MIT

#include "native/thunk.h"

#include <string.h>

bool thunk_write_x86_64(unsigned char *entry, size_t distance) {
#if defined(__x86_64__)
  // endbr64; jmp *offset(%rip); int3 up to the next entry. The offset counts
  // from the end of the jump.
  enum { JUMP_END = 10 };
  unsigned char code[THUNK_SIZE] = {0xf3, 0x0f, 0x1e, 0xfa, 0xff, 0x25};
  int32_t offset = (int32_t)(distance - JUMP_END);
  memcpy(code + 6, &offset, sizeof offset);
  memset(code + JUMP_END, 0xcc, THUNK_SIZE - JUMP_END);
  memcpy(entry, code, THUNK_SIZE);
  return true;
#else
  (void)entry, (void)distance;
  return false;
#endif
}
