// SPDX-License-Identifier: MIT
//
// Raw stack: reads what lies on a Lua stack in place, where each question to
// the public interface costs as much as the answer does here. Nothing is
// written. Traded away: only plain numbers and booleans, and only where
// `raw_stack_check` has found the layout to be the one below; for all else
// there is the public way.

#ifndef GRAFT_VM_RAW_STACK_H
#define GRAFT_VM_RAW_STACK_H

#include "vm/raw.h"

// Whether this VM's stack is laid out as below. May raise; leaves the stack as
// it was.
bool raw_stack_check(lua_State *L);

#if VM_LUAJIT

// Offsets in bytes for GC64. A number fills its slot; all else has its kind in
// the upper 17 bits.
enum { STATE_BASE = 32, STATE_TOP = 40, KIND_SHIFT = 47 };

static inline const char *raw_stack_base(lua_State *L) {
  return raw_pointer(L, STATE_BASE);
}

static inline uint64_t raw_stack_bits(const char *slot) {
  uint64_t bits;
  memcpy(&bits, slot, sizeof bits);
  return bits;
}

// Kinds are counted downwards: nil, false, true, …, and numbers are below.
static inline uint32_t raw_stack_kind(const char *slot) {
  return (uint32_t)((int64_t)raw_stack_bits(slot) >> KIND_SHIFT);
}

static inline bool raw_stack_number(const char *slot, double *number) {
  if (raw_stack_kind(slot) >= ~(uint32_t)13) return false;
  memcpy(number, slot, sizeof *number);
  return true;
}

static inline bool raw_stack_integer(const char *slot, int64_t *integer) {
  double number;
  if (!raw_stack_number(slot, &number)) return false;
  // Within these bounds a conversion there and back tells a whole number.
  if (!(number >= -9007199254740992.0 && number <= 9007199254740992.0)) {
    return false;
  }
  *integer = (int64_t)number;
  return (double)*integer == number;
}

static inline bool raw_stack_boolean(const char *slot, bool *boolean) {
  uint32_t kind = raw_stack_kind(slot);
  *boolean = kind == ~(uint32_t)2;
  return *boolean || kind == ~(uint32_t)1;
}

#else

// Offsets in bytes, the same in 5.4.0 to 5.4.7 on 64-bit systems. A call's
// function lies in front of its values.
enum { STATE_TOP = 16, STATE_CALL = 32, CALL_FUNCTION = 0 };

enum {
  TAG_FALSE = 1,
  TAG_TRUE = 1 | 1 << 4,
  TAG_INTEGER = 3,
  TAG_FLOAT = 3 | 1 << 4,
};

static inline const char *raw_stack_base(lua_State *L) {
  const char *function = raw_pointer(raw_pointer(L, STATE_CALL), CALL_FUNCTION);
  return function + RAW_SLOT;
}

static inline bool raw_stack_integer(const char *slot, int64_t *integer) {
  if (raw_byte(slot, SLOT_TAG) != TAG_INTEGER) return false;
  memcpy(integer, slot, sizeof *integer);
  return true;
}

static inline bool raw_stack_number(const char *slot, double *number) {
  int64_t integer;
  if (raw_byte(slot, SLOT_TAG) == TAG_FLOAT) {
    memcpy(number, slot, sizeof *number);
    return true;
  }
  if (!raw_stack_integer(slot, &integer)) return false;
  *number = (double)integer;
  return true;
}

static inline bool raw_stack_boolean(const char *slot, bool *boolean) {
  unsigned tag = raw_byte(slot, SLOT_TAG);
  *boolean = tag == TAG_TRUE;
  return *boolean || tag == TAG_FALSE;
}

#endif

// The place of the value at `index`, from 1. Valid until the stack grows.
static inline const char *raw_stack_slot(lua_State *L, int index) {
  return raw_stack_base(L) + (index - 1) * (int)RAW_SLOT;
}

// What lua_gettop gives.
static inline int raw_stack_count(lua_State *L) {
  const char *top = raw_pointer(L, STATE_TOP);
  return (int)((top - raw_stack_base(L)) / (int)RAW_SLOT);
}

#endif
