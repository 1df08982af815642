// SPDX-License-Identifier: MIT

#include "vm/proto.h"

#include <string.h>

// Offsets in bytes for a LuaJIT built with 64-bit object references (GC64),
// the default since 2022. A closure (GCfuncL) points at its bytecode, which
// follows the prototype (GCproto); a variable is a GCupval.
enum {
  CLOSURE_BYTECODE = 32,
  PROTO_SIZE = 104,
  PROTO_LINE = 72,
  CELL_IMMUTABLE = 11,
};

// LuaJIT shows a prototype to Lua as a value of this type.
enum { TYPE_PROTO = 9 };

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

// Pushes jit.util's table, which the VM carries built in.
static void push_jit_util(lua_State *L) {
  lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
  lua_getfield(L, -1, "jit.util");
  if (lua_isnil(L, -1)) {
    lua_pop(L, 2);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "jit.util");
    lua_call(L, 1, 1);
    return;
  }
  lua_remove(L, -2);
}

static int field_int(lua_State *L, int index, const char *name) {
  lua_getfield(L, index, name);
  int number = (int)lua_tointeger(L, -1);
  lua_pop(L, 1);
  return number;
}

// stack: …, prototype or function; leaves it as it was. `util` is where
// jit.util is.
static void list_proto(lua_State *L, int util, const GraftAllocator *allocator,
                       ProtoList *list) {
  luaL_checkstack(L, 6, "function nested too deeply");
  int subject = lua_gettop(L);
  lua_getfield(L, util, "funcinfo");
  lua_pushvalue(L, subject);
  lua_call(L, 1, 1);
  // stack: subject, info
  lua_getfield(L, -1, "proto");
  ProtoNode node = {.proto = lua_topointer(L, -1),
                    .line = field_int(L, subject + 1, "linedefined"),
                    .last_line = field_int(L, subject + 1, "lastlinedefined")};
  int constants = field_int(L, subject + 1, "gcconsts");
  ProtoNode *added = ARRAY_PUSH(allocator, list);
  if (added == NULL) luaL_error(L, "out of memory");
  *added = node;
  for (int i = 1; i <= constants; i++) {
    lua_settop(L, subject);
    lua_getfield(L, util, "funck");
    lua_pushvalue(L, subject);
    lua_pushinteger(L, -i);
    lua_call(L, 2, 1);
    if (lua_type(L, -1) == TYPE_PROTO) list_proto(L, util, allocator, list);
  }
  lua_settop(L, subject);
}

void proto_list(lua_State *L, int index, const GraftAllocator *allocator,
                ProtoList *list) {
  index = lua_absindex(L, index);
  push_jit_util(L);
  int util = lua_gettop(L);
  lua_pushvalue(L, index);
  list_proto(L, util, allocator, list);
  lua_pop(L, 2);
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

static const char check_text[] =
    "local fixed, changed = 1, 2\n"
    "return function()\n"
    "  changed = fixed\n"
    "  return debug.getinfo(1, 'l').currentline, function() end\n"
    "end\n";

enum { CHECK_LINE = 2, CHECK_CURRENT = 4, CHECK_SHIFT = 1000 };

// stack: function
static bool check_function(lua_State *L) {
  const void *proto = proto_of(L, -1);
  ProtoList list = {0};
  proto_list(L, -1, &memory_default, &list);
  bool fits = list.count == 2 && list.items[0].proto == proto &&
              read_int(proto, PROTO_LINE) == CHECK_LINE &&
              *immutable_flag(L, -1, 1) == 0 && *immutable_flag(L, -1, 2) == 1;
  const void *child = fits ? list.items[1].proto : NULL;
  memory_free(&memory_default, list.items);
  if (!fits) return false;
  proto_shift_lines(proto, CHECK_SHIFT);
  lua_call(L, 0, 2);
  // stack: line, child
  return lua_tointeger(L, -2) == CHECK_CURRENT + CHECK_SHIFT &&
         proto_of(L, -1) == child;
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
