// SPDX-License-Identifier: MIT

#include "native/relocation.h"

#include <string.h>

int relocation_size(const RelocationType *type) {
  return type->field == FIELD_WORD64 ? 8 : 4;
}

static uint64_t page_of(uint64_t address) {
  return address & ~(uint64_t)0xfff;
}

int64_t relocation_value(const RelocationType *type, uint64_t target,
                         uint64_t place, uint64_t table) {
  switch (type->basis) {
  case BASIS_RELATIVE:
    return (int64_t)(target - place);
  case BASIS_PAGE:
    return (int64_t)(page_of(target) - page_of(place)) / 4096;
  case BASIS_LOW:
    return (int64_t)(target & 0xfff);
  case BASIS_TABLE_PAGE:
    return (int64_t)(target - page_of(table));
  case BASIS_ABSOLUTE:
    break;
  }
  return (int64_t)target;
}

// Whether a signed value fits into so many bits.
static bool fits(int64_t value, int bits) {
  int64_t limit = (int64_t)1 << (bits - 1);
  return value >= -limit && value < limit;
}

static bool fits_word(const RelocationType *type, int64_t value) {
  if (fits(value, 32)) return true;
  return type->basis == BASIS_ABSOLUTE && value >= 0 && value <= UINT32_MAX;
}

// Replaces the bits of `mask` in an instruction.
static bool write_bits(unsigned char *field, uint32_t mask, uint32_t bits) {
  uint32_t code;
  memcpy(&code, field, sizeof code);
  code = (code & ~mask) | (bits & mask);
  memcpy(field, &code, sizeof code);
  return true;
}

// A distance in words, `bits` wide, from bit `shift` on.
static bool write_branch(unsigned char *field, int64_t value, int bits,
                         int shift) {
  if (value % 4 != 0 || !fits(value / 4, bits)) return false;
  uint32_t mask = (((uint32_t)1 << bits) - 1) << shift;
  return write_bits(field, mask, (uint32_t)(value / 4) << shift);
}

static bool write_adr(unsigned char *field, int64_t value) {
  if (!fits(value, 21)) return false;
  uint32_t bits = (uint32_t)value;
  return write_bits(field, 0x60ffffe0,
                    (bits & 3) << 29 | (bits >> 2 & 0x7ffff) << 5);
}

static bool write_low(unsigned char *field, int64_t value, int scale) {
  if ((value & ((1 << scale) - 1)) != 0) return false;
  return write_bits(field, 0x003ffc00, (uint32_t)(value >> scale) << 10);
}

bool relocation_write(const RelocationType *type, unsigned char *field,
                      int64_t value) {
  switch (type->field) {
  case FIELD_WORD64:
    memcpy(field, &value, sizeof value);
    return true;
  case FIELD_WORD32: {
    int32_t word = (int32_t)value;
    if (!fits_word(type, value)) return false;
    memcpy(field, &word, sizeof word);
    return true;
  }
  case FIELD_BRANCH26:
    return write_branch(field, value, 26, 0);
  case FIELD_BRANCH19:
    return write_branch(field, value, 19, 5);
  case FIELD_BRANCH14:
    return write_branch(field, value, 14, 5);
  case FIELD_ADR:
    return write_adr(field, value);
  case FIELD_ADD12:
    return write_low(field, value, 0);
  case FIELD_LOAD12:
    return write_low(field, value, type->scale);
  case FIELD_LOAD15:
    return value >= 0 && value < 1 << 15 && write_low(field, value, 3);
  }
  return false;
}
