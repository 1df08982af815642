// SPDX-License-Identifier: MIT
//
// Company: several engines in one process, each with natives of its own and a
// watcher, also of another copy of Graft; and a lua_State that its owner closes
// while all that is under way.

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <signal.h>
#include <time.h>

#include "engine_support.h"

// --- Natives ---------------------------------------------------------------

static void write_native(Host *host, const char *body) {
  char text[256];
  snprintf(text, sizeof text, "int calc_f(int n) {\n  %s\n}\n", body);
  host_write(host, "calc.c", text);
}

// A host whose folder is watched and has calc.c and m.lua.
static void start(Host *host, const char *body) {
  setenv("XDG_CACHE_HOME", host->folder, 1);
  write_native(host, body);
  host_write(host, "m.lua", "function now() return 'old' end\n");
  GraftStatus status =
      graft_engine_watch(host->engine, host->folder, &host->error);
  if (status == GRAFT_OK) {
    status = graft_engine_require(host->engine, "m", &host->error);
  }
  if (status < 0) {
    printf("FAIL start: %s\n", host->error.message);
    exit(2);
  }
}

static int call_native(Host *host) {
  GraftValue result = host_call(host, graft_engine_fn(host->engine, "calc.f"),
                                integer_value(1));
  return result.type == GRAFT_INTEGER  ? (int)result.as.integer
         : result.type == GRAFT_NUMBER ? (int)result.as.number
                                       : -1;
}

static double now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

// Comes to safe points until the events have this text.
static bool waits_for(Host *host, const char *text) {
  double end = now_ms() + 30000;
  while (strstr(host->events, text) == NULL) {
    if (now_ms() > end) {
      printf("# no \"%s\" in: %s\n", text, host->events);
      return false;
    }
    graft_engine_wait(host->engine, 100);
    graft_engine_update(host->engine, NULL);
  }
  return true;
}

// --- Two engines -----------------------------------------------------------

static void edits_and_crashes(Host *host, const char *who, int value) {
  char name[96], body[64];
  snprintf(body, sizeof body, "return n + %d;", value);
  *host->events = '\0';
  write_native(host, body);
  snprintf(name, sizeof name, "%s: a native is replaced", who);
  CHECK(name,
        waits_for(host, "Update calc.f") && call_native(host) == value + 1);
  *host->events = '\0';
  write_native(host, "return *(volatile int *)(long)(n - 1);");
  snprintf(name, sizeof name, "%s: one that crashes is put back", who);
  CHECK(name, waits_for(host, "Update calc.f") &&
                  call_native(host) == value + 1 &&
                  waits_for(host, "Revert calc.f"));
  *host->events = '\0';
  snprintf(body, sizeof body, "function now() return %d end\n", value);
  host_write(host, "m.lua", body);
  snprintf(name, sizeof name, "%s: a script is patched", who);
  CHECK(name, waits_for(host, "Update m.now"));
}

static void two_engines(void) {
  Host one, two;
  host_open(&one, NULL);
  host_open(&two, NULL);
  start(&one, "return n + 10;");
  start(&two, "return n + 20;");
  CHECK("each has its natives",
        call_native(&one) == 11 && call_native(&two) == 21);
  edits_and_crashes(&one, "the first", 30);
  edits_and_crashes(&two, "the second", 40);
  CHECK("the first has its own", call_native(&one) == 31);
  host_close(&one);
  edits_and_crashes(&two, "the second, alone", 50);
  host_close(&two);
}

// --- A state that is closed first ------------------------------------------

static void check_closed(const char *name, GraftStatus status,
                         const GraftError *error) {
  check_code(name, status, GRAFT_ERUN, error);
  check_holds(name, error->message, "was closed", NULL);
}

static bool keep_all(void *context, const GraftUnitFunction *function) {
  (void)context;
  (void)function;
  return true;
}

// What needs the state fails, and says why; all else works on.
static void use_closed(Host *host) {
  GraftEngine *engine = host->engine;
  GraftError error = {0};
  GraftOldCode old;
  GraftUnit *unit = NULL;
  check_closed("reset", graft_engine_reset(engine, "m.x", &error), &error);
  check_closed("defer", graft_engine_defer(engine, free, NULL, &error), &error);
  check_closed("old_code", graft_engine_old_code(engine, "m.now", &old, &error),
               &error);
  check_closed("watch", graft_engine_watch(engine, host->folder, &error),
               &error);
  check_closed(
      "run",
      graft_engine_run(engine, host_path(host, "m.lua"), 0, NULL, &error),
      &error);
  check_closed("rollback", graft_engine_rollback(engine, "m.now", 0, &error),
               &error);
  GraftUnitDesc desc = {.source = "function now() return 3 end", .module = "m"};
  graft_unit_compile(&desc, &unit, NULL);
  graft_unit_retain_functions(unit, &(GraftUnitFilter){keep_all, NULL});
  check_closed("merge", graft_engine_merge(engine, unit, NULL, &error), &error);
  graft_unit_free(unit);
  CHECK("nothing can be waited for", !graft_engine_wait(engine, 0));
  graft_engine_interrupt(engine);
  graft_engine_swap(engine, "calc.f", "native", NULL);
  GraftInfo info;
  graft_fn_info(graft_engine_fn(engine, "m.now"), &info);
  check_text("a slot keeps its name", info.name, "m.now");
}

static void state_goes_first(void) {
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  Host host = {.folder = "/tmp/graft-spec-XXXXXX"};
  GraftEngineDesc desc = {.on_event = host_on_event, .context = &host};
  if (mkdtemp(host.folder) == NULL ||
      graft_engine_attach(&desc, L, &host.engine, &host.error) < 0) {
    exit(2);
  }
  start(&host, "return n + 10;");
  typedef int Calc(int);
  GraftFn *fn = graft_engine_fn(host.engine, "calc.f");
  GraftNative const *typed = graft_fn_typed(fn, "int(int)", &host.error);
  double (*script)(double) = (double (*)(double))graft_fn_pointer(
      graft_engine_fn(host.engine, "m.now"), "double(double)", NULL);
  write_native(&host, "return n + 20;"); // is being compiled
  host_write(&host, "m.lua", "function now() return 'new' end\n");
  lua_close(L);
  int result = ((Calc *)GRAFT_LOAD(typed))(1);
  CHECK("a native can be called", result == 11 || result == 21);
  CHECK("also with values", call_native(&host) == result);
  CHECK("a script gives zero to C", script != NULL && script(1) == 0);
  CHECK("no change is taken", graft_engine_update(host.engine, NULL) == 0);
  use_closed(&host);
  CHECK("and natives still work", call_native(&host) == result);
  host_close(&host);
}

// --- Another copy of Graft -------------------------------------------------

static lua_State *stock_state(void) {
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  lua_getglobal(L, "package");
  lua_pushliteral(L, SPEC_MODULES "/?.so");
  lua_setfield(L, -2, "cpath");
  lua_settop(L, 0);
  return L;
}

static const char *run(lua_State *L, const char *text) {
  static char result[1024];
  lua_settop(L, 0);
  if (luaL_loadstring(L, text) == 0) lua_pcall(L, 0, 1, 0);
  const char *value = lua_tostring(L, -1);
  snprintf(result, sizeof result, "%s", value != NULL ? value : "nil");
  lua_settop(L, 0);
  return result;
}

// Lua code that reloads the other copy's native and calls it.
static const char other[] =
    "local graft = require 'graft'\n"
    "graft.on('*', function() return true end)\n"
    "local folder = os.getenv 'OTHER'\n"
    "local function write(name, text)\n"
    "  local file = assert(io.open(folder .. '/' .. name, 'w'))\n"
    "  file:write(text) file:close()\n"
    "end\n"
    "write('sum.c', 'int sum_f(int n) { return n + 1; }')\n"
    "assert(graft.watch(folder))\n"
    "local sum = require 'sum'\n"
    "local first = sum.f(1)\n"
    "write('sum.c', 'int sum_f(int n) { return n + 2; }')\n"
    "repeat graft.update() until sum.f(1) == 3\n"
    "write('o.lua', 'function o() return 1 end')\n"
    "require 'o'\n"
    "local told\n"
    "graft.conform(o, function(new) told = new() end)\n"
    "write('o.lua', 'function o() return 2 end')\n"
    "graft.reload()\n"
    "assert(told == 2, 'not told')\n"
    "return ('%s %d %d'):format(graft.vm, first, sum.f(1))\n";

static void another_copy(void) {
  Host host;
  host_open(&host, NULL);
  start(&host, "return n + 10;");
  char folder[] = "/tmp/graft-spec-XXXXXX";
  if (mkdtemp(folder) == NULL) exit(2);
  setenv("OTHER", folder, 1);
  lua_State *L = stock_state();
  check_text("the module works beside the library", run(L, other),
             SPEC_VM " 2 3");
  edits_and_crashes(&host, "beside a module", 30);
  check_text("the module works on", run(L, "return require'sum'.f(4)"), "6");
  lua_close(L);
  edits_and_crashes(&host, "after the module", 40);
  nftw(folder, host_unlink, 16, FTW_DEPTH | FTW_PHYS);
  host_close(&host);
}

static void in_one_state(void) {
  Host host;
  host_open(&host, NULL);
  lua_State *L = graft_engine_state(host.engine);
  lua_settop(L, 0);
  check_holds("a second copy in a state is refused",
              run(L,
                  "return select(2, pcall(assert(package.loadlib('" SPEC_MODULES
                  "/graft.so', 'luaopen_graft'))))"),
              "has an engine already", NULL);
  host_close(&host);
  L = stock_state();
  GraftEngine *engine = NULL;
  run(L, "require 'graft'");
  check_code(
      "so is an engine beside a module",
      graft_engine_attach(&(GraftEngineDesc){0}, L, &engine, &host.error),
      GRAFT_EARG, &host.error);
  check_text("the module is the same twice",
             run(L, "local a = require 'graft' package.loaded.graft = nil "
                    "return tostring(a == require 'graft')"),
             "true");
  lua_close(L);
}

int main(void) {
  two_engines();
  state_goes_first();
  another_copy();
  in_one_state();
  return check_status();
}
