// SPDX-License-Identifier: MIT
//
// Units against the real thing: loads Lua files with the VM's own compiler and
// compares its prototypes with the unit's definitions: count, nesting, first
// and last line, parameters, varargs, upvalues. Built once for each VM.
//
//   spec_unit_vm_lua54 [PATH...]   files, and folders with all .lua in them;
//                                  default: the fixtures, and all that Debian's
//                                  Lua packages have installed
//
// One line for each mismatch and each file that the VM rejects; exit status 1
// on any mismatch, or when a file the VM takes is rejected here.

#include <ftw.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "unit/unit.h"

#ifndef LUA_OK
#define LUA_OK 0
#endif

// A prototype, as the VM has it. In the order of a unit's definitions.
typedef struct Proto {
  int line;
  int last_line;
  int parameters;
  int upvalues;
  int children;
  bool vararg;
} Proto;

typedef ARRAY(Proto) ProtoList;

static int file_count, definition_count, skip_count, mismatch_count;

static Proto *add_proto(ProtoList *list) {
  Proto *proto = ARRAY_PUSH(&memory_default, list);
  if (proto == NULL) abort();
  return proto;
}

#if LUA_VERSION_NUM >= 504

// ---------------------------------------------------------------------------
// Lua 5.4: the output of lua_dump
// ---------------------------------------------------------------------------

typedef struct Dump {
  ARRAY(char) bytes;
  size_t at;
} Dump;

static int write_dump(lua_State *L, const void *bytes, size_t size,
                      void *context) {
  (void)L;
  Dump *dump = context;
  if (!array_reserve(&memory_default, (void **)&dump->bytes.items,
                     &dump->bytes.capacity, dump->bytes.count + size, 1)) {
    return 1;
  }
  if (size > 0) memcpy(dump->bytes.items + dump->bytes.count, bytes, size);
  dump->bytes.count += size;
  return 0;
}

static unsigned read_byte(Dump *dump) {
  return (unsigned char)dump->bytes.items[dump->at++];
}

// Seven bits a byte, the last one marked.
static size_t read_size(Dump *dump) {
  size_t value = 0;
  unsigned byte;
  do {
    byte = read_byte(dump);
    value = value << 7 | (byte & 0x7f);
  } while ((byte & 0x80) == 0);
  return value;
}

static void skip_string(Dump *dump) {
  size_t size = read_size(dump);
  if (size > 0) dump->at += size - 1;
}

static void skip_constant(Dump *dump) {
  switch (read_byte(dump)) {
  case 0x03: // integer
    dump->at += sizeof(lua_Integer);
    break;
  case 0x13: // float
    dump->at += sizeof(lua_Number);
    break;
  case 0x04:
  case 0x14:
    skip_string(dump);
  }
}

static void skip_debug(Dump *dump) {
  dump->at += read_size(dump);
  for (size_t count = read_size(dump); count > 0; count--) {
    read_size(dump);
    read_size(dump);
  }
  for (size_t count = read_size(dump); count > 0; count--) {
    skip_string(dump);
    read_size(dump);
    read_size(dump);
  }
  for (size_t count = read_size(dump); count > 0; count--) skip_string(dump);
}

static void read_proto(Dump *dump, ProtoList *list) {
  size_t index = list->count;
  add_proto(list);
  Proto proto;
  skip_string(dump);
  proto.line = (int)read_size(dump);
  proto.last_line = (int)read_size(dump);
  proto.parameters = (int)read_byte(dump);
  proto.vararg = read_byte(dump) != 0;
  read_byte(dump);
  dump->at += read_size(dump) * 4;
  for (size_t count = read_size(dump); count > 0; count--) skip_constant(dump);
  proto.upvalues = (int)read_size(dump);
  dump->at += (size_t)proto.upvalues * 3;
  proto.children = (int)read_size(dump);
  for (int i = 0; i < proto.children; i++) read_proto(dump, list);
  skip_debug(dump);
  list->items[index] = proto;
}

static void list_protos(lua_State *L, ProtoList *list) {
  Dump dump = {0};
  if (lua_dump(L, write_dump, &dump, 0) != 0) abort();
  // Header: signature, version, format, 6 bytes of data, 3 sizes, an integer
  // and a float; then the number of upvalues of the main function.
  dump.at = 4 + 1 + 1 + 6 + 3 + sizeof(lua_Integer) + sizeof(lua_Number) + 1;
  read_proto(&dump, list);
  memory_free(&memory_default, dump.bytes.items);
}

#else

// ---------------------------------------------------------------------------
// LuaJIT: jit.util
// ---------------------------------------------------------------------------

static const char walker[] =
    "local root, add = ...\n"
    "local util = require 'jit.util'\n"
    "local function walk(f)\n"
    "  local children, i = {}, -1\n"
    "  while true do\n"
    "    local k = util.funck(f, i)\n"
    "    if k == nil then break end\n"
    "    if type(k) == 'proto' then children[#children + 1] = k end\n"
    "    i = i - 1\n"
    "  end\n"
    "  local info = util.funcinfo(f)\n"
    "  add(info.linedefined, info.lastlinedefined, info.params,\n"
    "      info.upvalues, #children, info.isvararg)\n"
    "  for _, child in ipairs(children) do walk(child) end\n"
    "end\n"
    "walk(root)\n";

static int add_from_lua(lua_State *L) {
  ProtoList *list = lua_touserdata(L, lua_upvalueindex(1));
  *add_proto(list) = (Proto){.line = (int)lua_tointeger(L, 1),
                             .last_line = (int)lua_tointeger(L, 2),
                             .parameters = (int)lua_tointeger(L, 3),
                             .upvalues = (int)lua_tointeger(L, 4),
                             .children = (int)lua_tointeger(L, 5),
                             .vararg = lua_toboolean(L, 6)};
  return 0;
}

static void list_protos(lua_State *L, ProtoList *list) {
  if (luaL_loadstring(L, walker) != LUA_OK) abort();
  lua_pushvalue(L, -2);
  lua_pushlightuserdata(L, list);
  lua_pushcclosure(L, add_from_lua, 1);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK) {
    fprintf(stderr, "FAIL walker: %s\n", lua_tostring(L, -1));
    abort();
  }
}

#endif

// ---------------------------------------------------------------------------
// Comparison
// ---------------------------------------------------------------------------

static void compare_number(const char *file, const Definition *definition,
                           const char *what, int ours, int theirs) {
  if (ours == theirs) return;
  mismatch_count++;
  printf("FAIL %s:%d: %s: %s is %d, the VM has %d\n", file, definition->line,
         definition->name, what, ours, theirs);
}

static void compare_definition(const char *file, const Definition *ours,
                               const Proto *theirs) {
  compare_number(file, ours, "line", ours->line, theirs->line);
  compare_number(file, ours, "last line", ours->last_line, theirs->last_line);
  compare_number(file, ours, "parameters", ours->parameter_count,
                 theirs->parameters);
  compare_number(file, ours, "vararg", ours->vararg, theirs->vararg);
  compare_number(file, ours, "children", ours->child_count, theirs->children);
#if LUA_VERSION_NUM >= 504
  int upvalues = ours->upvalue_count_54;
#else
  int upvalues = ours->capture_count_jit;
#endif
  compare_number(file, ours, "upvalues", upvalues, theirs->upvalues);
}

static void compare(const char *file, const GraftUnit *unit,
                    const ProtoList *list) {
  if ((size_t)unit->definition_count + 1 != list->count) {
    mismatch_count++;
    printf("FAIL %s: %d functions, the VM has %zu\n", file,
           unit->definition_count, list->count - 1);
    return;
  }
  definition_count += unit->definition_count;
  for (int i = 0; i < unit->definition_count; i++) {
    compare_definition(file, &unit->definitions[i], &list->items[i + 1]);
  }
}

static char *read_file(const char *path, size_t *size) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) return NULL;
  fseek(file, 0, SEEK_END);
  *size = (size_t)ftell(file);
  rewind(file);
  char *text = memory_new(&memory_default, *size + 1);
  if (text != NULL && fread(text, 1, *size, file) != *size) abort();
  fclose(file);
  return text;
}

static GraftUnit *compile_file(const char *path, GraftError *error) {
  size_t size = 0;
  GraftUnit *unit = NULL;
  char *text = read_file(path, &size);
  if (text == NULL) abort();
  GraftUnitDesc desc = {
      .source = text, .size = size, .module = "m", .file = path};
  graft_unit_compile(&desc, &unit, error);
  memory_free(&memory_default, text);
  return unit;
}

static void check_file(const char *path) {
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  GraftError error = {0};
  GraftUnit *unit = compile_file(path, &error);
  file_count++;
  if (luaL_loadfile(L, path) != LUA_OK) {
    skip_count++;
    printf("skip %s\n     unit: %s%s%s\n", lua_tostring(L, -1),
           unit ? "taken" : "rejected", unit ? "" : ": ",
           unit ? "" : error.message);
  } else if (unit == NULL) {
    mismatch_count++;
    printf("FAIL %s:%d:%d: %s, the VM takes it\n", path, error.line,
           error.column, error.message);
  } else {
    ProtoList list = {0};
    list_protos(L, &list);
    compare(path, unit, &list);
    memory_free(&memory_default, list.items);
  }
  graft_unit_free(unit);
  lua_close(L);
}

static int visit(const char *path, const struct stat *status, int type,
                 struct FTW *place) {
  (void)status;
  size_t size = strlen(path);
  if (type != FTW_F) return 0;
  bool given = place->level == 0;
  if (given || (size > 4 && strcmp(path + size - 4, ".lua") == 0)) {
    check_file(path);
  }
  return 0;
}

static void check_path(const char *path, bool required) {
  if (nftw(path, visit, 16, FTW_PHYS) == 0 || !required) return;
  printf("FAIL %s: cannot be read\n", path);
  mismatch_count++;
}

int main(int argc, char **argv) {
  for (int i = 1; i < argc; i++) check_path(argv[i], true);
  if (argc == 1) {
    check_path(FIXTURES, true);
    check_path("/usr/share/lua", false);
  }
  printf("%s %d files, %d functions, %d rejected by the VM, %d mismatches\n",
         mismatch_count ? "FAIL" : "ok", file_count, definition_count,
         skip_count, mismatch_count);
  return mismatch_count > 0;
}
