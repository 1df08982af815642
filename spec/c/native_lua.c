// SPDX-License-Identifier: MIT
//
// Lua C functions that were placed in memory (fixture_lua.c): errors of the VM
// pass through their frames, by whatever way the VM has for it.

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "native_support.h"

static const char program[] =
    "local raise, call = ...\n"
    "local ok, message = pcall(raise, 9)\n"
    "assert(not ok and message:find('raised in C: 0', 1, true), message)\n"
    "local function fail() error({code = 7}) end\n"
    "local ok, value = pcall(call, fail)\n"
    "assert(not ok and value.code == 7)\n"
    "assert(call(function() end) == 1)\n"
    "for i = 1, 300 do pcall(call, fail) pcall(raise, i % 20) end\n"
    "assert(call(function() end) == 2)\n"
    "local co = coroutine.wrap(function() call(fail) end)\n"
    "assert(not pcall(co))\n"
    "assert(not pcall(call, function() call(function() raise(3) end) end))\n"
    "return 'done'\n";

static void push(lua_State *L, World *world, const char *symbol) {
  lua_pushcfunction(L, (lua_CFunction)(uintptr_t)world_function(world, symbol));
}

static void run(World *world, const char *name) {
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  bool loaded = luaL_loadstring(L, program) == 0;
  push(L, world, "fixture_raise");
  push(L, world, "fixture_call");
  bool passed = loaded && lua_pcall(L, 2, 1, 0) == 0;
  check_report(name, passed, lua_tostring(L, -1));
  lua_close(L);
}

int main(void) {
  static const char *const names[] = {"gcc-O0", "gcc-O2", "clang-O0",
                                      "clang-O2"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char path[600], name[80];
    GraftError error = {0};
    World world;
    Loaded loaded;
    snprintf(path, sizeof path, "%s/%s-%s.o", FIXTURES, SPEC_VM, names[i]);
    snprintf(name, sizeof name, "%s: errors pass through", names[i]);
    if (!world_open(&world, &memory_default) ||
        world_load(&world, path, &loaded, &error) < 0) {
      check_report(name, false, error.message);
      continue;
    }
    world_switch(&world, &loaded, true);
    run(&world, name);
    loaded_clear(&loaded);
    world_close(&world);
  }
  return check_status();
}
