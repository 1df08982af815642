// SPDX-License-Identifier: MIT
//
// Stubs: jumps through a word of the table, for calls that may be too far for
// their field. Both processors' are written by any, so that objects of another
// one can be placed for a look.

#include <string.h>

#include "native/link_inner.h"

// jmp *slot(%rip); the distance counts from the end of its six bytes.
static bool write_x86_64(char *stub, int64_t distance) {
  int64_t offset = distance - 6;
  if (offset != (int32_t)offset) return false;
  int32_t field = (int32_t)offset;
  memset(stub, 0xcc, LINK_STUB_SIZE);
  memcpy(stub, "\xff\x25", 2);
  memcpy(stub + 2, &field, sizeof field);
  return true;
}

// adrp x16, slot; ldr x16, [x16, slot]; br x16; brk.
static bool write_aarch64(char *stub, const uint64_t *slot) {
  static const uint32_t code[] = {0x90000010, 0xf9400210, 0xd61f0200,
                                  0xd4200000};
  static const RelocationType page = {.basis = BASIS_PAGE, .field = FIELD_ADR};
  static const RelocationType low = {
      .basis = BASIS_LOW, .field = FIELD_LOAD12, .scale = 3};
  uint64_t target = (uintptr_t)slot, place = (uintptr_t)stub;
  memcpy(stub, code, sizeof code);
  unsigned char *field = (unsigned char *)stub;
  return relocation_write(&page, field,
                          relocation_value(&page, target, place, 0)) &&
         relocation_write(&low, field + 4,
                          relocation_value(&low, target, place + 4, 0));
}

bool link_stub_write(ObjectMachine machine, char *stub, const uint64_t *slot) {
  if (machine == OBJECT_AARCH64) return write_aarch64(stub, slot);
  return write_x86_64(stub, (const char *)slot - stub);
}
