// SPDX-License-Identifier: MIT
//
// Raw, LuaJIT: offsets in bytes for a build with 64-bit object references
// (GC64). Included by raw.h alone.

#ifndef GRAFT_VM_RAW_LUAJIT_H
#define GRAFT_VM_RAW_LUAJIT_H

enum {
  RAW_SLOT = 8,  // a TValue
  RAW_NODE = 24, // a Node
  RAW_FIRST = 0,
  NODE_KEY = 8,
  TABLE_ARRAY = 16,
  TABLE_METATABLE = 32,
  TABLE_NODES = 40,
  TABLE_ARRAY_SIZE = 48,
  TABLE_NODE_MASK = 52,
  CLOSURE_KIND = 10, // 0 for a Lua function
  CLOSURE_COUNT = 11,
  CLOSURE_ENVIRONMENT = 16,
  CLOSURE_RAW_BYTECODE = 32,
  CLOSURE_CELLS = 40,    // of a Lua function
  CLOSURE_C_VALUES = 48, // of a C function
  CELL_VALUE = 32,
  USERDATA_BLOCK = 48,
  PROTO_RAW_SIZE = 104,
};

// The upper 17 bits of a slot.
enum {
  TAG_NIL = -1,
  TAG_THREAD = -7,
  TAG_FUNCTION = -9,
  TAG_TABLE = -12,
  TAG_USERDATA = -13,
};

static const uint64_t pointer_mask = ((uint64_t)1 << 47) - 1;

static inline int64_t raw_word(const void *slot) {
  int64_t word;
  memcpy(&word, slot, sizeof word);
  return word;
}

static inline RawRef raw_slot(const void *slot) {
  int64_t word = raw_word(slot);
  const void *object = (const void *)((uint64_t)word & pointer_mask);
  switch (word >> 47) {
  case TAG_TABLE:
    return (RawRef){object, RAW_TABLE};
  case TAG_FUNCTION:
    return (RawRef){object, raw_byte(object, CLOSURE_KIND) == 0
                                ? RAW_LUA_FUNCTION
                                : RAW_C_FUNCTION};
  case TAG_USERDATA: // lua_topointer gives its block
    return (RawRef){(const char *)object + USERDATA_BLOCK, RAW_OTHER};
  case TAG_THREAD:
    return (RawRef){object, RAW_OTHER};
  default:
    return (RawRef){NULL, RAW_PLAIN};
  }
}

static inline const void *raw_slot_address(const void *slot) {
  return (const void *)((uint64_t)raw_word(slot) & pointer_mask);
}

static inline RawSlots raw_array(const void *table) {
  return (RawSlots){raw_pointer(table, TABLE_ARRAY),
                    raw_u32(table, TABLE_ARRAY_SIZE)};
}

static inline RawSlots raw_nodes(const void *table) {
  return (RawSlots){raw_pointer(table, TABLE_NODES),
                    (size_t)raw_u32(table, TABLE_NODE_MASK) + 1};
}

static inline bool raw_node_is_free(const char *node) {
  return raw_word(node) >> 47 == TAG_NIL;
}

static inline RawRef raw_node_value(const char *node) {
  return raw_slot(node);
}

static inline RawRef raw_node_key(const char *node) {
  return raw_slot(node + NODE_KEY);
}

static inline const void *raw_metatable(const void *table) {
  return raw_pointer(table, TABLE_METATABLE);
}

static inline int raw_upvalue_count(RawRef function) {
  return (int)raw_byte(function.object, CLOSURE_COUNT);
}

static inline const void *raw_cell(const void *function, int n) {
  return raw_pointer(function, CLOSURE_CELLS + (size_t)n * sizeof(void *));
}

static inline RawRef raw_upvalue(RawRef function, int n) {
  const char *at = function.object;
  if (function.kind == RAW_C_FUNCTION) {
    return raw_slot(at + CLOSURE_C_VALUES + (size_t)n * RAW_SLOT);
  }
  return raw_slot(raw_pointer(raw_cell(function.object, n), CELL_VALUE));
}

static inline const void *raw_proto(const void *function) {
  return (const char *)raw_pointer(function, CLOSURE_RAW_BYTECODE) -
         PROTO_RAW_SIZE;
}

static inline const void *raw_environment(const void *function) {
  return raw_pointer(function, CLOSURE_ENVIRONMENT);
}

#endif
