// SPDX-License-Identifier: MIT

#include "vm/proto.h"

#include <string.h>

// Offsets in bytes for a LuaJIT built with 64-bit object references (GC64),
// the default since 2022. A closure (GCfuncL) points at its bytecode, which
// follows the prototype (GCproto); a variable is a GCupval.
enum {
  OBJECT_KIND = 9,
  CLOSURE_BYTECODE = 32,
  PROTO_SIZE = 104,
  PROTO_CONSTANTS = 32,
  PROTO_OBJECT_COUNT = 48,
  PROTO_FLAGS = 61,
  PROTO_LINE = 72,
  PROTO_LINE_COUNT = 76,
  CELL_IMMUTABLE = 11,
};

enum { KIND_PROTO = 7, FLAG_CHILD = 1 };

static int read_int(const void *object, int offset) {
  int number;
  memcpy(&number, (const char *)object + offset, sizeof number);
  return number;
}

const void *proto_of(lua_State *L, int index) {
  if (lua_iscfunction(L, index)) return NULL;
  const char *bytecode;
  memcpy(&bytecode, (const char *)lua_topointer(L, index) + CLOSURE_BYTECODE,
         sizeof bytecode);
  return bytecode - PROTO_SIZE;
}

static const void *read_pointer(const void *object, int offset) {
  const void *pointer;
  memcpy(&pointer, (const char *)object + offset, sizeof pointer);
  return pointer;
}

static int read_byte(const void *object, int offset) {
  return ((const unsigned char *)object)[offset];
}

// Depth is bounded by the nesting that the compiler accepts. Constants that
// are objects lie below where PROTO_CONSTANTS points, the first one nearest.
static void list_proto(lua_State *L, const void *proto,
                       const GraftAllocator *allocator, ProtoList *list) {
  ProtoNode *node = ARRAY_PUSH(allocator, list);
  if (node == NULL) luaL_error(L, "out of memory");
  int line = read_int(proto, PROTO_LINE);
  *node = (ProtoNode){.proto = proto,
                      .line = line,
                      .last_line = line + read_int(proto, PROTO_LINE_COUNT)};
  if ((read_byte(proto, PROTO_FLAGS) & FLAG_CHILD) == 0) return;
  const char *constants = read_pointer(proto, PROTO_CONSTANTS);
  int count = read_int(proto, PROTO_OBJECT_COUNT);
  for (int i = 1; i <= count; i++) {
    const void *object = read_pointer(constants, -i * (int)sizeof(void *));
    if (read_byte(object, OBJECT_KIND) == KIND_PROTO) {
      list_proto(L, object, allocator, list);
    }
  }
}

void proto_list(lua_State *L, int index, const GraftAllocator *allocator,
                ProtoList *list) {
  list_proto(L, proto_of(L, index), allocator, list);
}

// The other lines are kept relative to the first one.
void proto_shift_lines(const void *proto, int delta) {
  int line = read_int(proto, PROTO_LINE) + delta;
  memcpy((char *)proto + PROTO_LINE, &line, sizeof line);
}

static unsigned char *immutable_flag(lua_State *L, int index, int n) {
  return (unsigned char *)lua_upvalueid(L, index, n) + CELL_IMMUTABLE;
}

void proto_unlock_cell(lua_State *L, int index, int n) {
  *immutable_flag(L, index, n) = 0;
}

// A function with constants of other kinds than functions, too. It returns the
// line it is called on, and the two functions inside.
static const char check_text[] =
    "local fixed, changed = 1, 2\n"
    "return function()\n"
    "  changed = fixed\n"
    "  return debug.getinfo(1, 'l').currentline, function() end,\n"
    "    function()\n"
    "      return {'a', 1.5, b = 'c'}\n"
    "    end\n"
    "end\n";

enum { CHECK_CURRENT = 4, CHECK_SHIFT = 1000 };

static bool has_lines(const ProtoNode *node, int line, int last_line) {
  return node->line == line && node->last_line == last_line;
}

static bool check_list(const ProtoList *list, const void *proto) {
  return list->count == 3 && list->items[0].proto == proto &&
         has_lines(&list->items[0], 2, 8) && has_lines(&list->items[1], 4, 4) &&
         has_lines(&list->items[2], 5, 7);
}

// stack: function
static bool check_function(lua_State *L) {
  const void *proto = proto_of(L, -1);
  ProtoList list = {0};
  const void *children[2] = {NULL, NULL};
  proto_list(L, -1, &memory_default, &list);
  bool fits = check_list(&list, proto) && *immutable_flag(L, -1, 1) == 0 &&
              *immutable_flag(L, -1, 2) == 1;
  for (int i = 0; i < 2 && fits; i++) children[i] = list.items[i + 1].proto;
  memory_free(&memory_default, list.items);
  if (!fits) return false;
  proto_shift_lines(proto, CHECK_SHIFT);
  lua_call(L, 0, 3);
  // stack: line, children
  return lua_tointeger(L, -3) == CHECK_CURRENT + CHECK_SHIFT &&
         proto_of(L, -2) == children[0] && proto_of(L, -1) == children[1];
}

bool proto_check(lua_State *L) {
  int top = lua_gettop(L);
  bool fits = false;
  if (sizeof(void *) == 8 &&
      luaL_loadbuffer(L, check_text, sizeof check_text - 1, "=graft") ==
          LUA_OK) {
    lua_call(L, 0, 1);
    fits = check_function(L);
  }
  lua_settop(L, top);
  return fits;
}
