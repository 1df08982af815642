// SPDX-License-Identifier: MIT

#include "vm/proto.h"

#include <string.h>

// Offsets in bytes, the same in 5.4.0 to 5.4.7 on 64-bit systems. A closure is
// an LClosure, a prototype a Proto, a line entry an AbsLineInfo.
enum {
  CLOSURE_PROTO = 24,
  PROTO_CHILD_COUNT = 32,
  PROTO_LINE_ENTRY_COUNT = 40,
  PROTO_LINE = 44,
  PROTO_LAST_LINE = 48,
  PROTO_CHILDREN = 72,
  PROTO_LINE_ENTRIES = 96,
  ENTRY_LINE = 4,
  ENTRY_SIZE = 8,
};

static int read_int(const void *object, int offset) {
  int number;
  memcpy(&number, (const char *)object + offset, sizeof number);
  return number;
}

static const void *read_pointer(const void *object, int offset) {
  const void *pointer;
  memcpy(&pointer, (const char *)object + offset, sizeof pointer);
  return pointer;
}

static void add_int(const void *object, int offset, int delta) {
  int number = read_int(object, offset) + delta;
  memcpy((char *)object + offset, &number, sizeof number);
}

const void *proto_of(lua_State *L, int index) {
  if (lua_iscfunction(L, index)) return NULL;
  return read_pointer(lua_topointer(L, index), CLOSURE_PROTO);
}

// Depth is bounded by the nesting that the compiler accepts.
static void list_proto(lua_State *L, const void *proto,
                       const GraftAllocator *allocator, ProtoList *list) {
  ProtoNode *node = ARRAY_PUSH(allocator, list);
  if (node == NULL) luaL_error(L, "out of memory");
  *node = (ProtoNode){.proto = proto,
                      .line = read_int(proto, PROTO_LINE),
                      .last_line = read_int(proto, PROTO_LAST_LINE)};
  const char *children = read_pointer(proto, PROTO_CHILDREN);
  int count = read_int(proto, PROTO_CHILD_COUNT);
  for (int i = 0; i < count; i++) {
    int offset = i * (int)sizeof(void *);
    list_proto(L, read_pointer(children, offset), allocator, list);
  }
}

void proto_list(lua_State *L, int index, const GraftAllocator *allocator,
                ProtoList *list) {
  list_proto(L, proto_of(L, index), allocator, list);
}

void proto_shift_lines(const void *proto, int delta) {
  add_int(proto, PROTO_LINE, delta);
  add_int(proto, PROTO_LAST_LINE, delta);
  const char *entries = read_pointer(proto, PROTO_LINE_ENTRIES);
  int count = read_int(proto, PROTO_LINE_ENTRY_COUNT);
  for (int i = 0; i < count; i++) {
    add_int(entries, i * ENTRY_SIZE + ENTRY_LINE, delta);
  }
}

void proto_unlock_cell(lua_State *L, int index, int n) {
  (void)L;
  (void)index;
  (void)n;
}

// A function whose lines are far enough apart to need entries of their own,
// with two functions inside. It returns the line it is called on.
static const char check_text[] =
    "return function()\n"
    "  local a = function() end\n"
    "  local b = function()\n\n end" //
    "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n"
    "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n"
    "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n"
    "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n"
    "  return debug.getinfo(1, 'l').currentline, a, b\n"
    "end\n";

enum { CHECK_LAST = 146, CHECK_CURRENT = 145, CHECK_SHIFT = 1000 };

static bool has_lines(const void *proto, int line, int last_line) {
  return read_int(proto, PROTO_LINE) == line &&
         read_int(proto, PROTO_LAST_LINE) == last_line;
}

// stack: function
static bool check_function(lua_State *L) {
  const void *proto = proto_of(L, -1);
  if (proto == NULL || !has_lines(proto, 1, CHECK_LAST) ||
      read_int(proto, PROTO_CHILD_COUNT) != 2 ||
      read_int(proto, PROTO_LINE_ENTRY_COUNT) < 1) {
    return false;
  }
  const void *children = read_pointer(proto, PROTO_CHILDREN);
  if (!has_lines(read_pointer(children, 0), 2, 2) ||
      !has_lines(read_pointer(children, sizeof(void *)), 3, 5)) {
    return false;
  }
  proto_shift_lines(proto, CHECK_SHIFT);
  lua_call(L, 0, 3);
  // stack: line, a, b
  return lua_tointeger(L, -3) == CHECK_CURRENT + CHECK_SHIFT &&
         proto_of(L, -2) == read_pointer(children, 0) &&
         proto_of(L, -1) == read_pointer(children, sizeof(void *));
}

bool proto_check(lua_State *L) {
  int top = lua_gettop(L);
  bool fits = false;
  if (sizeof(void *) == 8 && lua_version(L) == 504 &&
      luaL_loadbuffer(L, check_text, sizeof check_text - 1, "=graft") ==
          LUA_OK) {
    lua_call(L, 0, 1);
    fits = check_function(L);
  }
  lua_settop(L, top);
  return fits;
}
