// SPDX-License-Identifier: MIT
//
// Raw, Lua 5.4: offsets in bytes, the same in 5.4.0 to 5.4.7 on 64-bit
// systems. Included by raw.h alone.

#ifndef GRAFT_VM_RAW_LUA54_H
#define GRAFT_VM_RAW_LUA54_H

enum {
  RAW_SLOT = 16, // a TValue
  RAW_NODE = 24, // a Node
  RAW_FIRST = 1,
  SLOT_TAG = 8,
  NODE_KEY_TAG = 9,
  NODE_KEY = 16,
  TABLE_FLAGS = 10,
  TABLE_NODE_BITS = 11, // number of nodes as a power of two
  TABLE_ARRAY_SIZE = 12,
  TABLE_ARRAY = 16,
  TABLE_NODES = 24,
  TABLE_METATABLE = 40,
  CLOSURE_COUNT = 10,
  CLOSURE_RAW_PROTO = 24,
  CLOSURE_CELLS = 32, // of a C function its values
  CELL_VALUE = 16,
  USERDATA_COUNT = 10, // of user values
  USERDATA_VALUES = 40,
  USERDATA_BLOCK = 32, // when it has none
};

enum {
  TAG_COLLECTABLE = 64,
  TAG_TABLE = 5 | TAG_COLLECTABLE,
  TAG_LUA_FUNCTION = 6 | TAG_COLLECTABLE,
  TAG_C_FUNCTION = 6 | 2 << 4 | TAG_COLLECTABLE,
  TAG_USERDATA = 7 | TAG_COLLECTABLE,
  TAG_THREAD = 8 | TAG_COLLECTABLE,
};

// Set when the size of the array is not the one that the table says.
enum { FLAG_ARRAY_SIZE = 128 };

// What lua_topointer gives for a userdata.
static inline const void *raw_block(const void *userdata) {
  uint16_t count;
  memcpy(&count, (const char *)userdata + USERDATA_COUNT, sizeof count);
  return (const char *)userdata +
         (count == 0 ? USERDATA_BLOCK
                     : USERDATA_VALUES + (size_t)count * RAW_SLOT);
}

static inline RawRef raw_ref(const void *object, unsigned tag) {
  switch (tag) {
  case TAG_TABLE:
    return (RawRef){object, RAW_TABLE};
  case TAG_LUA_FUNCTION:
    return (RawRef){object, RAW_LUA_FUNCTION};
  case TAG_C_FUNCTION:
    return (RawRef){object, RAW_C_FUNCTION};
  case TAG_USERDATA:
    return (RawRef){raw_block(object), RAW_OTHER};
  case TAG_THREAD:
    return (RawRef){object, RAW_OTHER};
  default:
    return (RawRef){NULL, RAW_PLAIN};
  }
}

static inline RawRef raw_slot(const void *slot) {
  return raw_ref(raw_pointer(slot, 0), raw_byte(slot, SLOT_TAG));
}

static inline const void *raw_slot_address(const void *slot) {
  return raw_pointer(slot, 0);
}

static inline RawSlots raw_array(const void *table) {
  uint32_t size = raw_u32(table, TABLE_ARRAY_SIZE);
  bool is_power = (size & (size - 1)) == 0;
  if ((raw_byte(table, TABLE_FLAGS) & FLAG_ARRAY_SIZE) && !is_power) {
    // The array has the next power of two.
    size = (uint32_t)1 << (32 - __builtin_clz(size));
  }
  return (RawSlots){raw_pointer(table, TABLE_ARRAY), size};
}

static inline RawSlots raw_nodes(const void *table) {
  return (RawSlots){raw_pointer(table, TABLE_NODES),
                    (size_t)1 << raw_byte(table, TABLE_NODE_BITS)};
}

// The low four bits are the type, 0 for nil.
static inline bool raw_node_is_free(const char *node) {
  return (raw_byte(node, SLOT_TAG) & 15) == 0;
}

static inline RawRef raw_node_value(const char *node) {
  return raw_slot(node);
}

static inline RawRef raw_node_key(const char *node) {
  return raw_ref(raw_pointer(node, NODE_KEY), raw_byte(node, NODE_KEY_TAG));
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
  const char *at = (const char *)function.object + CLOSURE_CELLS;
  if (function.kind == RAW_C_FUNCTION) {
    return raw_slot(at + (size_t)n * RAW_SLOT);
  }
  return raw_slot(raw_pointer(raw_cell(function.object, n), CELL_VALUE));
}

static inline const void *raw_proto(const void *function) {
  return raw_pointer(function, CLOSURE_RAW_PROTO);
}

static inline const void *raw_environment(const void *function) {
  (void)function;
  return NULL;
}

#endif
