// SPDX-License-Identifier: MIT
//
// Heap, LuaJIT: offsets in bytes for a build with 64-bit object references
// (GC64). Userdata, which follow the main thread in the list, hold tables
// alone, and are left out. Included by heap.h alone.

#ifndef GRAFT_VM_HEAP_LUAJIT_H
#define GRAFT_VM_HEAP_LUAJIT_H

enum {
  CLOSURE_CODE = CLOSURE_RAW_BYTECODE,
  HEAP_LISTS = 1,
  OBJECT_MARK = 8,
  OBJECT_TYPE = 9,
  STATE_GLOBAL = 16,
  STATE_STACK = 56,
  MARK_WHITES = 3, // in the mark
};

static inline HeapKind heap_kind(const void *object) {
  switch (raw_byte(object, OBJECT_TYPE)) {
  case 11:
    return HEAP_TABLE;
  case 8:
    return raw_byte(object, CLOSURE_KIND) == 0 ? HEAP_LUA_FUNCTION
                                               : HEAP_C_FUNCTION;
  case 6:
    return HEAP_THREAD;
  case 4:
  case 10: // strings and C data
    return HEAP_PLAIN;
  default: // variables, prototypes, traces
    return HEAP_INNER;
  }
}

static inline bool heap_has_finalizer(const void *object) {
  (void)object;
  return false;
}

static inline bool heap_has_user_values(const void *userdata) {
  (void)userdata;
  return false;
}

static inline void heap_write_nil(char *slot) {
  memset(slot, 0xff, RAW_SLOT);
}

// The type in the upper 17 bits is the complement of the object's.
static inline void heap_write_object(char *slot, const void *object) {
  uint64_t type = ~(uint64_t)raw_byte(object, OBJECT_TYPE);
  uint64_t word = type << 47 | (uint64_t)(uintptr_t)object;
  memcpy(slot, &word, sizeof word);
}

static inline void heap_write_key(char *slot, const char *node) {
  memcpy(slot, node + NODE_KEY, RAW_SLOT);
}

static inline char *heap_holder_slot(const void *function) {
  return (char *)function + CLOSURE_C_VALUES;
}

#endif
