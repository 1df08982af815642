// SPDX-License-Identifier: MIT
//
// A program that has Lua already: it made the lua_State, put functions of its
// own into it, and calls Lua functions with lua_pcall. Attaching Graft adds a
// dozen lines, and everything in scripts/ can be edited while it runs. Ctrl-C
// ends it.

#include <graft.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static volatile sig_atomic_t stopped;

static void on_signal(int number) {
  (void)number;
  stopped = 1;
}

// --- What the program had before -------------------------------------------

static int log_text(lua_State *L) {
  printf("log: %s\n", luaL_checkstring(L, 1));
  fflush(stdout);
  return 0;
}

static lua_State *open_lua(void) {
  lua_State *L = luaL_newstate();
  if (L == NULL) return NULL;
  luaL_openlibs(L);
  lua_pushcfunction(L, log_text);
  lua_setglobal(L, "log");
  return L;
}

// Shows what greet() returns whenever that is new. This is plain Lua: a new
// greet() is there because Graft has put it into the global. Lua code that is
// called like this and raises is not put back: its error is the host's.
static void greet(lua_State *L) {
  static char shown[256];
  lua_getglobal(L, "greet");
  lua_pushliteral(L, "world");
  lua_pcall(L, 1, 1, 0);
  const char *text = lua_tostring(L, -1);
  if (text != NULL && strcmp(text, shown) != 0) {
    puts(text);
    fflush(stdout);
    snprintf(shown, sizeof shown, "%s", text);
  }
  lua_pop(L, 1);
}

// --- What Graft adds -------------------------------------------------------

static void on_event(void *context, const GraftEvent *event) {
  (void)context;
  char text[4096];
  if (event->kind == GRAFT_EVENT_MOVE) return;
  graft_event_text(event, text, sizeof text);
  fprintf(stderr, "%s\n", text);
}

static int run(GraftEngine *engine, lua_State *L) {
  GraftError error;
  if (graft_engine_watch(engine, "scripts", &error) < 0 ||
      graft_engine_require(engine, "main", &error) < 0) {
    fprintf(stderr, "%s:%d: %s\n", error.file, error.line, error.message);
    return 1;
  }
  GraftFn *tick = graft_engine_fn(engine, "main.tick");
  while (!stopped) {
    graft_engine_wait(engine, 10);
    graft_engine_update(engine, NULL); // saved files take effect here
    // Called through its slot, new code that raises is put back.
    GraftStatus status = graft_fn_call(tick, &(GraftCall){0}, &error);
    if (status < 0 && status != GRAFT_EREVERTED) {
      fprintf(stderr, "%s\n", error.message);
    }
    greet(L);
  }
  return 0;
}

int main(void) {
  signal(SIGINT, on_signal);
  signal(SIGTERM, on_signal);
  lua_State *L = open_lua();
  if (L == NULL) return 1;
  GraftEngine *engine = NULL;
  GraftError error;
  int result = 1;
  if (graft_engine_attach(&(GraftEngineDesc){.on_event = on_event}, L, &engine,
                          &error) < 0) {
    fprintf(stderr, "%s\n", error.message);
  } else {
    result = run(engine, L);
  }
  graft_engine_close(engine); // first: then the state is as it was
  lua_close(L);
  return result;
}
