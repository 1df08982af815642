// SPDX-License-Identifier: MIT
//
// Cases of calls between C and Lua, and of whole programs. The baselines are
// what a careful host writes by hand over a state of its own.

#include <stdio.h>

#include "bench.h"
#include "project.h"

typedef struct World {
  Project *project;
  lua_State *stock;
  GraftFn *fn;
  int ref;       // of the function in the stock state
  int loop;      // of the loop in the engine's state
  int traceback; // message handler in the stock state
  char program[128];
} World;

static const char callee_text[] = "local M = {}\n"
                                  "function M.step(x, dt) return x + dt end\n"
                                  "return M\n";

// ---------------------------------------------------------------------------
// The two states
// ---------------------------------------------------------------------------

static lua_State *new_stock(void) {
  lua_State *L = luaL_newstate();
  if (L == NULL) bench_fail("out of memory");
  luaL_openlibs(L);
  return L;
}

// Leaves the results of a text on the stack.
static void run_stock(lua_State *L, const char *text, int result_count) {
  if (luaL_loadstring(L, text) != LUA_OK ||
      lua_pcall(L, 0, result_count, 0) != LUA_OK) {
    bench_fail("%s", lua_tostring(L, -1));
  }
}

static int add_traceback(lua_State *L) {
  luaL_traceback(L, L, lua_tostring(L, 1), 1);
  return 1;
}

static World *world_new(void) {
  World *self = memory_new(&memory_default, sizeof *self);
  if (self == NULL) bench_fail("out of memory");
  self->project = project_new();
  self->stock = new_stock();
  return self;
}

static void world_free(void *context) {
  World *self = context;
  lua_close(self->stock);
  project_free(self->project);
  memory_free(&memory_default, self);
}

// ---------------------------------------------------------------------------
// C → Lua
// ---------------------------------------------------------------------------

static void *set_up_call(const void *param) {
  (void)param;
  World *self = world_new();
  project_write(self->project, "main.lua", callee_text);
  project_open(self->project, true);
  project_require(self->project, "main");
  self->fn = graft_engine_fn(self->project->engine, "main.step");
  lua_State *L = self->stock;
  run_stock(L, callee_text, 1);
  lua_getfield(L, -1, "step");
  self->ref = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_pushcfunction(L, add_traceback);
  self->traceback = luaL_ref(L, LUA_REGISTRYINDEX);
  return self;
}

static void call_by_handle(void *context, BenchRun *run) {
  World *self = context;
  GraftValue args[2] = {{.type = GRAFT_NUMBER, .as.number = 0},
                        {.type = GRAFT_NUMBER, .as.number = 0.5}};
  GraftCall call = {
      .args = args, .arg_count = 2, .results = args, .result_capacity = 1};
  GraftError error;
  for (long i = 0; i < run->count; i++) {
    if (graft_fn_call(self->fn, &call, &error) < 0) {
      bench_fail("%s", error.message);
    }
  }
}

static void call_by_hand(void *context, BenchRun *run, bool with_handler) {
  World *self = context;
  lua_State *L = self->stock;
  double x = 0;
  for (long i = 0; i < run->count; i++) {
    int base = lua_gettop(L);
    if (with_handler) lua_rawgeti(L, LUA_REGISTRYINDEX, self->traceback);
    lua_rawgeti(L, LUA_REGISTRYINDEX, self->ref);
    lua_pushnumber(L, x);
    lua_pushnumber(L, 0.5);
    if (lua_pcall(L, 2, 1, with_handler ? base + 1 : 0) != LUA_OK) {
      bench_fail("%s", lua_tostring(L, -1));
    }
    x = lua_tonumber(L, -1);
    lua_settop(L, base);
  }
}

static void call_with_handler(void *context, BenchRun *run) {
  call_by_hand(context, run, true);
}

static void call_without_handler(void *context, BenchRun *run) {
  call_by_hand(context, run, false);
}

// ---------------------------------------------------------------------------
// Lua → C
// ---------------------------------------------------------------------------

static double native_scale(double x, int n) {
  return x * 0.5 + n;
}

static int stock_scale(lua_State *L) {
  double x = luaL_checknumber(L, 1);
  int n = (int)luaL_checkinteger(L, 2);
  lua_pushnumber(L, native_scale(x, n));
  return 1;
}

static const char loop_text[] = "local scale = require('bench').scale\n"
                                "return function(count)\n"
                                "  local x = 1.5\n"
                                "  for i = 1, count do x = scale(x, i) end\n"
                                "  return x\n"
                                "end\n";

static const char stock_loop_text[] =
    "package.preload.bench = function() return {scale = stock_scale} end\n";

static void *set_up_native(const void *param) {
  (void)param;
  World *self = world_new();
  GraftError error;
  if (graft_engine_register(self->project->engine, "bench.scale",
                            (GraftNative)native_scale, "double(double, int)",
                            &error) < 0) {
    bench_fail("%s", error.message);
  }
  run_stock(self->project->L, loop_text, 1);
  self->loop = luaL_ref(self->project->L, LUA_REGISTRYINDEX);
  lua_State *L = self->stock;
  lua_pushcfunction(L, stock_scale);
  lua_setglobal(L, "stock_scale");
  run_stock(L, stock_loop_text, 0);
  run_stock(L, loop_text, 1);
  self->ref = luaL_ref(L, LUA_REGISTRYINDEX);
  return self;
}

static void run_loop(lua_State *L, int ref, long count) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, ref);
  lua_pushinteger(L, (lua_Integer)count);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) bench_fail("%s", lua_tostring(L, -1));
}

static void loop_engine(void *context, BenchRun *run) {
  World *self = context;
  run_loop(self->project->L, self->loop, run->count);
}

static void loop_stock(void *context, BenchRun *run) {
  World *self = context;
  run_loop(self->stock, self->ref, run->count);
}

// ---------------------------------------------------------------------------
// A whole program
// ---------------------------------------------------------------------------

// %d: a number that patches change, and that makes no difference.
static const char program_text[] =
    "local function fib(n)\n"
    "  if n < 2 then return n end\n"
    "  return fib(n - 1) + fib(n - 2)\n"
    "end\n"
    "local Account = {}\n"
    "Account.__index = Account\n"
    "function Account.new() return setmetatable({sum = 0}, Account) end\n"
    "function Account:add(n) self.sum = (self.sum + n) %% 1000003 end\n"
    "function Account:twice(n) self:add(n) self:add(n + 1) end\n"
    "local function counter(step)\n"
    "  local n = 0\n"
    "  return function() n = n + step return n end\n"
    "end\n"
    "local function words(count)\n"
    "  local parts = {}\n"
    "  for i = 1, count do\n"
    "    parts[#parts + 1] = ('item %%d'):format(i %% 97):upper()\n"
    "  end\n"
    "  return #table.concat(parts, ','):gsub('ITEM', 'it')\n"
    "end\n"
    "function work()\n"
    "  local unused = %d\n"
    "  local account, total = Account.new(), fib(30)\n"
    "  for i = 1, 1000000 do account:twice(i) end\n"
    "  for i = 1, 100000 do\n"
    "    local count = counter(i)\n"
    "    for k = 1, 10 do total = total + count() end\n"
    "  end\n"
    "  return total + account.sum + words(200000)\n"
    "end\n"
    "if not later then work() end\n";

static void write_program(const World *self, int number) {
  char text[4096];
  snprintf(text, sizeof text, program_text, number);
  project_write(self->project, "program.lua", text);
}

static void *set_up_program(const void *param) {
  (void)param;
  World *self = world_new();
  project_path(self->project, "program.lua", self->program);
  write_program(self, 0);
  project_open(self->project, true);
  return self;
}

static void run_in_engine(World *self) {
  GraftError error;
  if (graft_engine_run(self->project->engine, self->program, 0, NULL, &error) <
      0) {
    bench_fail("%s", error.message);
  }
}

static void run_in_stock(World *self) {
  if (luaL_loadfile(self->stock, self->program) != LUA_OK ||
      lua_pcall(self->stock, 0, 0, 0) != LUA_OK) {
    bench_fail("%s", lua_tostring(self->stock, -1));
  }
}

static void program_engine(void *context, BenchRun *run) {
  (void)run;
  run_in_engine(context);
}

static void program_stock(void *context, BenchRun *run) {
  (void)run;
  run_in_stock(context);
}

// ---------------------------------------------------------------------------
// The same after patches
// ---------------------------------------------------------------------------

enum { PATCH_COUNT = 100 };

static void *set_up_patched(const void *param) {
  World *self = set_up_program(param);
  lua_pushboolean(self->project->L, 1);
  lua_setglobal(self->project->L, "later");
  lua_pushboolean(self->stock, 1);
  lua_setglobal(self->stock, "later");
  run_in_engine(self);
  for (int i = 1; i <= PATCH_COUNT; i++) {
    write_program(self, i);
    project_reload(self->project, "program.lua");
  }
  run_in_stock(self);
  return self;
}

static void work(lua_State *L) {
  lua_getglobal(L, "work");
  if (lua_pcall(L, 0, 0, 0) != LUA_OK) bench_fail("%s", lua_tostring(L, -1));
}

static void patched_engine(void *context, BenchRun *run) {
  (void)run;
  work(((World *)context)->project->L);
}

static void patched_stock(void *context, BenchRun *run) {
  (void)run;
  work(((World *)context)->stock);
}

void bench_add_call(Bench *self) {
  static const BenchCase cases[] = {
      {.name = "call: C to Lua with values",
       .against = "push, lua_pcall with a traceback handler, by hand",
       .aim = 1.15,
       .ours = call_by_handle,
       .baseline = call_with_handler,
       .setup = set_up_call,
       .teardown = world_free},
      {.name = "call: C to Lua with values, no handler by hand",
       .against = "push, lua_pcall without a handler, by hand",
       .ours = call_by_handle,
       .baseline = call_without_handler,
       .setup = set_up_call,
       .teardown = world_free},
      {.name = "call: Lua to a built-in native",
       .against = "lua_CFunction with luaL_check…, by hand",
       .aim = 1.5,
       .ours = loop_engine,
       .baseline = loop_stock,
       .setup = set_up_native,
       .teardown = world_free},
      {.name = "program: full of calls, folder watched",
       .against = "stock interpreter",
       .aim = 1.02,
       .count = 1,
       .ours = program_engine,
       .baseline = program_stock,
       .setup = set_up_program,
       .teardown = world_free},
      {.name = "program: the same after 100 patches",
       .against = "stock interpreter",
       .aim = 1.02,
       .count = 1,
       .ours = patched_engine,
       .baseline = patched_stock,
       .setup = set_up_patched,
       .teardown = world_free},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    bench_add(self, &cases[i]);
  }
}
