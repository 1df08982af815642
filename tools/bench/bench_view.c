// SPDX-License-Identifier: MIT
//
// Cases of C structs and compiled natives in Lua: fields against what is
// written by hand (Lua 5.4) or in C (LuaJIT), calls against the barest there
// are.

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "project.h"

typedef struct Body {
  int hp;
  double x;
} Body;

typedef struct World {
  Project *project;
  lua_State *stock;
  int ours;     // loop in the engine's state
  int baseline; // loop in the stock state, or in the engine's for LuaJIT
  Body body;
} World;

static const char native_text[] =
    "typedef struct Body { int hp; double x; } Body;\n"
    "static Body body;\n"
    "Body *world_body(void) { return &body; }\n"
    "double world_scale(double x, int n) { return x * 0.5 + n; }\n";

static const char field_text[] = "local body = ...\n"
                                 "return function(count)\n"
                                 "  local body = body\n"
                                 "  for i = 1, count do\n"
                                 "    body.hp = body.hp - 1\n"
                                 "    body.x = body.x + 0.5\n"
                                 "  end\n"
                                 "end\n";

static const char call_text[] = "local scale = ...\n"
                                "return function(count)\n"
                                "  local x = 1.5\n"
                                "  for i = 1, count do x = scale(x, i) end\n"
                                "  return x\n"
                                "end\n";

// stack: …, argument → reference to the loop that a text makes of it
static int make_loop(lua_State *L, const char *text) {
  if (luaL_loadstring(L, text) != LUA_OK) bench_fail("%s", lua_tostring(L, -1));
  lua_insert(L, -2);
  if (lua_pcall(L, 1, 1, 0) != LUA_OK) bench_fail("%s", lua_tostring(L, -1));
  return luaL_ref(L, LUA_REGISTRYINDEX);
}

// Leaves what an expression gives on the stack.
static void evaluate(lua_State *L, const char *expression) {
  char text[256];
  snprintf(text, sizeof text, "return %s", expression);
  if (luaL_loadstring(L, text) != LUA_OK || lua_pcall(L, 0, 1, 0) != LUA_OK) {
    bench_fail("%s", lua_tostring(L, -1));
  }
}

static void run_loop(lua_State *L, int ref, long count) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, ref);
  lua_pushinteger(L, (lua_Integer)count);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) bench_fail("%s", lua_tostring(L, -1));
}

// ---------------------------------------------------------------------------
// By hand
// ---------------------------------------------------------------------------

#if !VM_LUAJIT

static int body_index(lua_State *L) {
  const Body *body = *(Body **)luaL_checkudata(L, 1, "Body");
  const char *key = luaL_checkstring(L, 2);
  if (strcmp(key, "hp") == 0) {
    lua_pushinteger(L, body->hp);
  } else if (strcmp(key, "x") == 0) {
    lua_pushnumber(L, body->x);
  } else {
    return luaL_error(L, "Body has no field '%s'", key);
  }
  return 1;
}

static int body_assign(lua_State *L) {
  Body *body = *(Body **)luaL_checkudata(L, 1, "Body");
  const char *key = luaL_checkstring(L, 2);
  if (strcmp(key, "hp") == 0) {
    body->hp = (int)luaL_checkinteger(L, 3);
  } else if (strcmp(key, "x") == 0) {
    body->x = luaL_checknumber(L, 3);
  } else {
    return luaL_error(L, "Body has no field '%s'", key);
  }
  return 0;
}

static void push_stock_body(lua_State *L, Body *body) {
  *(Body **)lua_newuserdata(L, sizeof body) = body;
  luaL_newmetatable(L, "Body");
  lua_pushcfunction(L, body_index);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, body_assign);
  lua_setfield(L, -2, "__newindex");
  lua_setmetatable(L, -2);
}

static int stock_scale(lua_State *L) {
  double x = luaL_checknumber(L, 1);
  int n = (int)luaL_checkinteger(L, 2);
  lua_pushnumber(L, x * 0.5 + n);
  return 1;
}

#endif

// ---------------------------------------------------------------------------
// Setting up
// ---------------------------------------------------------------------------

static World *world_new(void) {
  World *self = memory_new(&memory_default, sizeof *self);
  if (self == NULL) bench_fail("out of memory");
  self->project = project_new();
  project_write(self->project, "world.c", native_text);
  char path[128];
  GraftError error;
  project_path(self->project, "world.c", path);
  if (graft_engine_natives(self->project->engine, path, &error) < 0) {
    bench_fail("%s", error.message);
  }
  self->stock = luaL_newstate();
  if (self->stock == NULL) bench_fail("out of memory");
  luaL_openlibs(self->stock);
  return self;
}

static void world_free(void *context) {
  World *self = context;
  lua_close(self->stock);
  project_free(self->project);
  memory_free(&memory_default, self);
}

static void *set_up_fields(const void *param) {
  (void)param;
  World *self = world_new();
  evaluate(self->project->L, "require('world').body()");
  self->ours = make_loop(self->project->L, field_text);
#if !VM_LUAJIT
  push_stock_body(self->stock, &self->body);
  self->baseline = make_loop(self->stock, field_text);
#endif
  return self;
}

static void *set_up_calls(const void *param) {
  (void)param;
  World *self = world_new();
  evaluate(self->project->L, "require('world').scale");
  self->ours = make_loop(self->project->L, call_text);
#if VM_LUAJIT
  GraftFn *fn = graft_engine_fn(self->project->engine, "world.scale");
  GraftNative code = graft_fn_pointer(fn, "double(double, int)", NULL);
  if (code == NULL) bench_fail("world.scale has no pointer");
  lua_pushlightuserdata(self->stock, (void *)(uintptr_t)code);
  lua_setglobal(self->stock, "code");
  evaluate(self->stock, "require('ffi').cast('double (*)(double, int)', code)");
#else
  lua_pushcfunction(self->stock, stock_scale);
#endif
  self->baseline = make_loop(self->stock, call_text);
  return self;
}

static void loop_ours(void *context, BenchRun *run) {
  World *self = context;
  run_loop(self->project->L, self->ours, run->count);
}

static void loop_stock(void *context, BenchRun *run) {
  World *self = context;
  run_loop(self->stock, self->baseline, run->count);
}

#if VM_LUAJIT

static void loop_in_c(void *context, BenchRun *run) {
  World *self = context;
  Body *body = &self->body;
  for (long i = 0; i < run->count; i++) {
    body->hp = body->hp - 1;
    body->x = body->x + 0.5;
  }
}

#endif

void bench_add_view(Bench *self) {
  static const BenchCase cases[] = {
      {.name = "view: two fields of a C struct read and written",
#if VM_LUAJIT
       .against = "the same in C",
       .aim = 1.5,
       .baseline = loop_in_c,
#else
       .against = "userdata with accessors by hand",
       .aim = 1.2,
       .baseline = loop_stock,
#endif
       .ours = loop_ours,
       .setup = set_up_fields,
       .teardown = world_free},
      {.name = "call: Lua to a compiled native",
#if VM_LUAJIT
       .against = "a function pointer of the FFI",
       .aim = 1.1,
#else
       .against = "lua_CFunction with luaL_check…, by hand",
       .aim = 1.15,
#endif
       .ours = loop_ours,
       .baseline = loop_stock,
       .setup = set_up_calls,
       .teardown = world_free},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    bench_add(self, &cases[i]);
  }
}
