// SPDX-License-Identifier: MIT
//
// Heap, Lua 5.4: offsets in bytes, the same in 5.4.0 to 5.4.7 on 64-bit
// systems. Included by heap.h alone.

#ifndef GRAFT_VM_HEAP_LUA54_H
#define GRAFT_VM_HEAP_LUA54_H

enum {
  CLOSURE_CODE = CLOSURE_RAW_PROTO,
  HEAP_LISTS = 2, // all objects; those with finalizers
  OBJECT_TYPE = 8,
  OBJECT_MARK = 9,
  STATE_GLOBAL = 24,
  STATE_STACK = 32, // the frame, which comes with the stack
  // In the mark.
  MARK_WHITES = 3 << 3,
  MARK_FINALIZER = 1 << 6, // the object is in the second list
};

static inline HeapKind heap_kind(const void *object) {
  switch (raw_byte(object, OBJECT_TYPE)) {
  case 5:
    return HEAP_TABLE;
  case 6:
    return HEAP_LUA_FUNCTION;
  case 6 | 2 << 4:
    return HEAP_C_FUNCTION;
  case 7:
    return HEAP_USERDATA;
  case 8:
    return HEAP_THREAD;
  case 4:
  case 4 | 1 << 4: // strings
    return HEAP_PLAIN;
  default: // variables and prototypes
    return HEAP_INNER;
  }
}

static inline bool heap_has_finalizer(const void *object) {
  return (raw_byte(object, OBJECT_MARK) & MARK_FINALIZER) != 0;
}

static inline bool heap_has_user_values(const void *userdata) {
  return raw_byte(userdata, USERDATA_COUNT) != 0 ||
         raw_byte(userdata, USERDATA_COUNT + 1) != 0;
}

static inline void heap_write_nil(char *slot) {
  slot[SLOT_TAG] = 0;
}

static inline void heap_write_object(char *slot, const void *object) {
  memcpy(slot, &object, sizeof object);
  slot[SLOT_TAG] = (char)(raw_byte(object, OBJECT_TYPE) | TAG_COLLECTABLE);
}

static inline void heap_write_key(char *slot, const char *node) {
  const void *value = raw_pointer(node, NODE_KEY);
  memcpy(slot, &value, sizeof value);
  slot[SLOT_TAG] = node[NODE_KEY_TAG];
}

// Where a C function has its first variable.
static inline char *heap_holder_slot(const void *function) {
  return (char *)function + CLOSURE_CELLS;
}

#endif
