// SPDX-License-Identifier: MIT
//
// Raw: reads tables and closures in place, at offsets that `settle_check`
// verifies on the running VM. Going through a table by `lua_next` costs several
// times what the garbage collector pays for it; this costs less. Nothing is
// written. Traded away: it holds only while the collector rests, and only for
// the layouts in raw_lua54.h and raw_luajit.h; others take the public way.

#ifndef GRAFT_VM_RAW_H
#define GRAFT_VM_RAW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "vm/compat.h"

typedef enum RawKind {
  RAW_PLAIN, // what leads to no function, such as a number or a string
  RAW_TABLE,
  RAW_LUA_FUNCTION,
  RAW_C_FUNCTION, // with variables of its own
  RAW_OTHER,      // userdata and threads
} RawKind;

typedef struct RawRef {
  const void *object;
  RawKind kind;
} RawRef;

// A run of slots in memory.
typedef struct RawSlots {
  const char *first;
  size_t count;
} RawSlots;

static inline const void *raw_pointer(const void *object, size_t offset) {
  const void *pointer;
  memcpy(&pointer, (const char *)object + offset, sizeof pointer);
  return pointer;
}

static inline uint32_t raw_u32(const void *object, size_t offset) {
  uint32_t number;
  memcpy(&number, (const char *)object + offset, sizeof number);
  return number;
}

static inline unsigned raw_byte(const void *object, size_t offset) {
  return ((const unsigned char *)object)[offset];
}

// Each of these files has, beside the sizes RAW_SLOT and RAW_NODE, and
// RAW_FIRST, the key of the first slot of an array:
//   raw_slot(slot)             what a slot of an array holds; reads the object
//   raw_slot_address(slot)     the same without reading it; any bits if plain
//   raw_array(table)           its array part, slots of RAW_SLOT bytes
//   raw_nodes(table)           its hash part, nodes of RAW_NODE bytes
//   raw_node_is_free(node), raw_node_value(node), raw_node_key(node)
//   raw_metatable(table)       or NULL
//   raw_upvalue_count(function), raw_upvalue(function, n), n from 0
//   raw_cell(function, n)      where a Lua function has it; opaque
//   raw_proto(function)        of a Lua function
//   raw_environment(function)  or NULL where functions have none
#if VM_LUAJIT
#include "vm/raw_luajit.h"
#else
#include "vm/raw_lua54.h"
#endif

#endif
