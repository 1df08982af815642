// SPDX-License-Identifier: MIT
//
// An engine in a lua_State that the host owns: who may close what first, and
// what is left in the state.

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "engine_support.h"

static int twice(int number) {
  return 2 * number;
}

static const char brain[] =
    "local M, calls = {}, 0\n"
    "function M.think() calls = calls + 1; return 'old ' .. calls end\n"
    "return M\n";
static const char new_brain[] =
    "local M, calls = {}, 0\n"
    "function M.think() calls = calls + 1; return 'new ' .. calls end\n"
    "return M\n";

static lua_State *new_state(void) {
  lua_State *L = luaL_newstate();
  if (L == NULL) exit(2);
  luaL_openlibs(L);
  return L;
}

// What a text returns, as text; a failure is its message.
static const char *run(lua_State *L, const char *text) {
  static char result[512];
  lua_settop(L, 0);
  if (luaL_loadstring(L, text) == 0) lua_pcall(L, 0, 1, 0);
  const char *value = lua_tostring(L, -1);
  snprintf(result, sizeof result, "%s", value != NULL ? value : "nil");
  lua_settop(L, 0);
  return result;
}

// The folder with brain.lua is a root of an engine in the state.
static void attach(Host *host, lua_State *L) {
  *host = (Host){.folder = "/tmp/graft-spec-XXXXXX"};
  GraftEngineDesc desc = {.on_event = host_on_event, .context = host};
  if (mkdtemp(host->folder) == NULL ||
      graft_engine_attach(&desc, L, &host->engine, &host->error) < 0 ||
      graft_engine_add_root(host->engine, host->folder, &host->error) < 0) {
    printf("FAIL attach: %s\n", host->error.message);
    exit(2);
  }
  host_write(host, "brain.lua", brain);
  host_register(host, "math2.twice", (GraftNative)twice, "int(int)");
}

static void works(void) {
  lua_State *L = new_state();
  Host host;
  attach(&host, L);
  CHECK("it is the host's state", graft_engine_state(host.engine) == L);
  check_text("scripts are found", run(L, "return require'brain'.think()"),
             "old 1");
  check_text("natives are found", run(L, "return require'math2'.twice(21)"),
             "42");
  host_write(&host, "brain.lua", new_brain);
  graft_engine_reload(host.engine, NULL, NULL);
  check_text("scripts are patched", run(L, "return require'brain'.think()"),
             "new 2");
  int top = lua_gettop(L);
  graft_engine_update(host.engine, NULL);
  CHECK("the stack is the host's", lua_gettop(L) == top);
  host_close(&host);
  lua_close(L);
}

static void engine_goes_first(void) {
  lua_State *L = new_state();
  run(L, "searchers = #(package.searchers or package.loaders)");
  Host host;
  attach(&host, L);
  run(L, "brain, native = require'brain', require'math2'.twice");
  run(L, "graft = require'graft'; brain.think()");
  host_close(&host);
  check_text("its searcher is gone",
             run(L, "return #(package.searchers or package.loaders) - "
                    "searchers"),
             "0");
  check_text("so is its module", run(L, "return package.loaded.graft"), "nil");
  check_text("scripts live on", run(L, "return brain.think()"), "old 2");
  check_text("a native says why not",
             run(L, "return select(2, pcall(native, 1))"),
             "the engine is closed");
  check_text("so does a function of the module",
             run(L, "return select(2, pcall(graft.update))"),
             "the engine is closed");
  attach(&host, L);
  run(L, "package.loaded.math2 = nil");
  check_text("another may come", run(L, "return require'math2'.twice(4)"), "8");
  host_close(&host);
  lua_close(L);
}

static void state_goes_first(void) {
  lua_State *L = new_state();
  Host host;
  attach(&host, L);
  run(L, "require'brain'.think()");
  GraftFn *think = graft_engine_fn(host.engine, "brain.think");
  graft_engine_watch(host.engine, host.folder, NULL);
  lua_close(L);
  GraftValue result;
  GraftCall call = {.results = &result, .result_capacity = 1};
  GraftError error = {.status = GRAFT_OK};
  CHECK("a call of a script fails",
        graft_fn_call(think, &call, &error) == GRAFT_ERUN);
  check_text("and says why", error.message,
             "the lua_State of this engine was closed");
  CHECK("there is no state any more", graft_engine_state(host.engine) == NULL);
  GraftValue arg = {.type = GRAFT_INTEGER, .as.integer = 4};
  call.args = &arg;
  call.arg_count = 1;
  CHECK("a native can be called",
        graft_fn_call(graft_engine_fn(host.engine, "math2.twice"), &call,
                      &error) == GRAFT_OK &&
            result.as.integer == 8);
  host_write(&host, "brain.lua", new_brain);
  CHECK("no change is taken", graft_engine_update(host.engine, NULL) == 0);
  graft_engine_reload(host.engine, NULL, NULL);
  CHECK("nothing runs",
        graft_engine_run_text(host.engine, "x = 1", "x", &error) == GRAFT_ERUN);
  CHECK("nothing is required",
        graft_engine_require(host.engine, "brain", &error) == GRAFT_ERUN);
  host_close(&host);
}

static void refuses(void) {
  lua_State *L = new_state();
  Host host;
  attach(&host, L);
  GraftEngine *engine = (GraftEngine *)L;
  GraftError error = {.status = GRAFT_OK};
  CHECK("a second engine in a state is refused",
        graft_engine_attach(&(GraftEngineDesc){0}, L, &engine, &error) ==
                GRAFT_EARG &&
            engine == NULL);
  CHECK("by name", strstr(error.message, "has an engine already") != NULL);
  check_text("the first one goes on", run(L, "return require'brain'.think()"),
             "old 1");
  CHECK("so is no state", graft_engine_attach(&(GraftEngineDesc){0}, NULL,
                                              &engine, &error) == GRAFT_EARG);
  host_close(&host);
  lua_close(L);
}

// The example of graft.h, as it stands there.
static void example(void) {
  Host host;
  host_open(&host, NULL);
  mkdir(host_path(&host, "scripts"), 0777);
  host_write(&host, "scripts/main.lua", "answer = 42\n");
  if (chdir(host.folder) != 0) exit(2);
  GraftEngine *engine = NULL;
  GraftError error;
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  graft_engine_attach(&(GraftEngineDesc){0}, L, &engine, &error);
  graft_engine_watch(engine, "scripts", &error);
  graft_engine_require(engine, "main", &error);
  lua_getglobal(L, "answer");
  CHECK("the example on attaching", lua_tonumber(L, -1) == 42);
  graft_engine_close(engine);
  lua_close(L);
  host_close(&host);
}

static void several(void) {
  lua_State *a = new_state(), *b = new_state();
  Host one, two, own;
  attach(&one, a);
  attach(&two, lua_newthread(b));
  host_open(&own, NULL);
  host_write(&two, "brain.lua", new_brain);
  check_text("each state has its own", run(a, "return require'brain'.think()"),
             "old 1");
  check_text("the other one, from a coroutine",
             run(b, "return require'brain'.think()"), "new 1");
  host_close(&one);
  check_text("closing one leaves the other",
             run(b, "return require'brain'.think()"), "new 2");
  host_close(&own);
  host_close(&two);
  lua_close(b);
  lua_close(a);
}

int main(void) {
  example();
  works();
  engine_goes_first();
  state_goes_first();
  refuses();
  several();
  return check_status();
}
