// SPDX-License-Identifier: MIT
//
// The examples of graft.h, run. That they are those of graft.h is checked,
// too: each of their lines stands in this file. examples/host/host.c, the
// README's host, runs as a program of its own.

#include <ctype.h>

#include "engine_support.h"

#include <lauxlib.h>
#include <lualib.h>

// --- At the top ------------------------------------------------------------

static int running = 3;

static double gravity(double height) {
  running--;
  return height * 9.81;
}

static int top(void) {
  GraftCall call = {0};
  GraftEngine *engine = NULL;
  GraftError error;
  if (graft_engine_open(&(GraftEngineDesc){0}, &engine, &error) < 0) {
    fprintf(stderr, "%s\n", error.message);
    return 1;
  }
  graft_engine_register(engine, "physics.gravity", (GraftNative)gravity,
                        "double(double)", &error);
  graft_engine_watch(engine, "scripts", &error);
  graft_engine_require(engine, "main", &error);
  GraftFn *update = graft_engine_fn(engine, "main.update");
  while (running) {
    graft_engine_update(engine, NULL);
    graft_fn_call(update, &call, &error);
  }
  graft_engine_close(engine);
  return 0;
}

// --- Typed handles ---------------------------------------------------------

static double typed(GraftFn *fn, double height) {
  GraftError error;
  GraftNative const *gravity = graft_fn_typed(fn, "double(double)", &error);
  double g = ((double (*)(double))GRAFT_LOAD(gravity))(height);
  return g;
}

// --- Units -----------------------------------------------------------------

static GraftError error;

static int report(const GraftError *told) {
  printf("FAIL units: %s\n", told->message);
  return 1;
}

static bool is_think(void *context, const GraftUnitFunction *function) {
  (void)context;
  return strcmp(function->name, "ai.goblin.think") == 0;
}

static int patch(GraftEngine *engine, const char *text) {
  GraftUnit *unit = NULL;
  GraftUnitDesc desc = {.source = text, .module = "ai.goblin"};
  if (graft_unit_compile(&desc, &unit, &error) < 0) return report(&error);
  graft_unit_retain_functions(unit, &(GraftUnitFilter){is_think, NULL});
  graft_unit_clear_statements(unit);
  graft_engine_merge(engine, unit, NULL, &error);
  graft_unit_free(unit);
  return 0;
}

// --- Stopping --------------------------------------------------------------

static GraftRestart ask(void *context, GraftBreak *at) {
  (void)context;
  GraftFrame frame;
  for (size_t i = 0; graft_break_frame(at, i, &frame); i++) {
    printf("%zu %s %s:%d\n", i, frame.name, frame.file, frame.line);
  }
  const char *hp = "";
  size_t place = graft_break_place(at);
  graft_break_evaluate(at, place, "self.hp", &hp, NULL);
  printf("hp is %s\n", hp);
  CHECK("the example on stopping", strcmp(hp, "7") == 0);
  return GRAFT_RESTART_REVERT;
}

static void run_break(void) {
  Host host;
  host_open(&host, &(GraftEngineDesc){.on_error = GRAFT_ON_ERROR_BREAK,
                                      .on_break = ask});
  host_write(&host, "goblin.lua",
             "local M = { hp = 7 }\nfunction M:think() return 1 end\n"
             "function M.act() return M:think() end\nreturn M\n");
  host_require(&host, "goblin");
  host_write(&host, "goblin.lua",
             "local M = { hp = 7 }\nfunction M:think() return nil + 1 end\n"
             "function M.act() return M:think() end\nreturn M\n");
  graft_engine_reload(host.engine, NULL, NULL);
  GraftFn *act = graft_engine_fn(host.engine, "goblin.act");
  host_call(&host, act, nil_value());
  CHECK("is reverted", host.error.status == GRAFT_EREVERTED &&
                           host_number(&host, act, 0) == 1);
  host_close(&host);
}

// --- Listing, conforming, cleaning up --------------------------------------

static void list(GraftEngine *engine) {
  for (size_t i = 0; i < graft_engine_fn_count(engine); i++) {
    GraftInfo info;
    graft_fn_info(graft_engine_fn_at(engine, i), &info);
    printf("%s: %s\n", info.name, info.kind);
  }
}

typedef struct Prices {
  double of[3];
} Prices;

static double price_of(GraftFn *fn, int item) {
  GraftValue arg = {.type = GRAFT_INTEGER, .as.integer = item};
  GraftValue result = {.type = GRAFT_NIL};
  graft_fn_call(fn,
                &(GraftCall){.args = &arg,
                             .arg_count = 1,
                             .results = &result,
                             .result_capacity = 1},
                NULL);
  return result.type == GRAFT_INTEGER ? (double)result.as.integer
                                      : result.as.number;
}

static void compute_prices(void *context, GraftFn *fn) {
  Prices *prices = context;
  for (int i = 0; i < 3; i++) prices->of[i] = price_of(fn, i);
}

static GraftEngine *engine; // of the native below
static int items;

static void remove_item(void *context) {
  (void)context;
  items--;
}

static void add_item(const char *name) {
  (void)name;
  items++;
  graft_engine_defer(engine, remove_item, NULL, NULL);
}

static const char shop[] = "local items = require 'items'\n"
                           "items.add('bread')\nitems.add('salt')\n"
                           "function price(item) return 2 * item end\n";
static const char new_shop[] = "local items = require 'items'\n"
                               "items.add('bread')\n"
                               "function price(item) return 3 * item end\n";

static void run_shop(void) {
  Host host;
  Prices prices;
  host_open(&host, NULL);
  engine = host.engine;
  host_register(&host, "items.add", (GraftNative)add_item,
                "void(const char *)");
  host_write(&host, "shop.lua", shop);
  host_require(&host, "shop");
  GraftFn *fn = graft_engine_fn(host.engine, "shop.price");
  compute_prices(&prices, fn);
  graft_fn_conform(fn, compute_prices, &prices, &error);
  CHECK("before the change", prices.of[2] == 4 && items == 2);
  host_write(&host, "shop.lua", new_shop);
  graft_engine_reload(host.engine, NULL, NULL);
  CHECK("the example on conforming", prices.of[2] == 6);
  CHECK("the example on cleanups", items == 1);
  list(host.engine);
  host_close(&host);
}

// --- In a host's state -----------------------------------------------------

static void attach(Host *host) {
  engine = NULL;
  host_write(host, "scripts/physics.lua", "return {}\n");
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  graft_engine_attach(&(GraftEngineDesc){0}, L, &engine, &error);
  graft_engine_watch(engine, "scripts", &error);
  graft_engine_require(engine, "main", &error);
  lua_getglobal(L, "update");
  CHECK("the example on attaching", lua_isfunction(L, -1));
  graft_engine_close(engine);
  lua_close(L);
  host_remove(host, "scripts/physics.lua");
}

// --- Running them ----------------------------------------------------------

static double number_of(Host *host, const char *name) {
  return host_number(host, graft_engine_fn(host->engine, name), 0);
}

static void run_units(Host *host) {
  mkdir("ai", 0777);
  host_write(host, "ai/goblin.lua",
             "local M = {}\nfunction M.think() return 1 end\n"
             "function M.act() return 1 end\nreturn M\n");
  host_require(host, "ai.goblin");
  patch(host->engine,
        "local M = {}\nfunction M.think() return 2 end\n"
        "function M.act() return 2 end\nerror 'never runs'\nreturn M\n");
  CHECK("the example on units", number_of(host, "ai.goblin.think") == 2 &&
                                    number_of(host, "ai.goblin.act") == 1);
}

static char *read_file(const char *path);

static void run_state(Host *host) {
  setenv("CFLAGS", "'-I" SPEC_INCLUDE "'", 1);
  setenv("XDG_CACHE_HOME", host->folder, 1);
  mkdir("natives", 0777);
  char *text = read_file(SPEC_STATE);
  host_write(host, "natives/physics.c", text);
  free(text);
  GraftStatus status = graft_engine_natives(host->engine, "natives", &error);
  if (status < 0) printf("# %s\n", error.message);
  GraftValue value = {.type = GRAFT_INTEGER, .as.integer = 7};
  GraftCall call = {.args = &value, .arg_count = 1};
  GraftFn *fn = graft_engine_fn(host->engine, "physics.init");
  size_t count = 0;
  CHECK("the example on state",
        graft_fn_call(fn, &call, NULL) == GRAFT_OK &&
            graft_state_find(host->engine, "bodies", &count) != NULL &&
            count == 7);
}

static void run_all(void) {
  Host host;
  host_open(&host, NULL);
  if (chdir(host.folder) != 0) exit(2);
  mkdir("scripts", 0777);
  host_write(&host, "scripts/main.lua",
             "local physics = require 'physics'\n"
             "function update() physics.gravity(1) end\n");
  CHECK("the example at the top", top() == 0 && running == 0);
  host_register(&host, "physics.gravity", (GraftNative)gravity,
                "double(double)");
  GraftFn *fn = graft_engine_fn(host.engine, "physics.gravity");
  CHECK("the example on typed handles", typed(fn, 2) == 2 * 9.81);
  run_units(&host);
  run_state(&host);
  host_write(&host, "scripts/main.lua",
             "local physics, count = require 'physics', 0\n"
             "function update()\n"
             "  count = count + 1\n"
             "  if count == 3 then return physics.gravity(1) end\n"
             "end\n");
  attach(&host);
  CHECK("the README's host", system("'" SPEC_HOST "' > out.txt") == 0);
  host_write(&host, "scripts/main.lua", "error 'on purpose'\n");
  CHECK("tells an error",
        system("'" SPEC_HOST "' > out.txt; grep -q '^scripts/main.lua:1: on "
               "purpose' out.txt") == 0);
  host_close(&host);
}

// --- Comparing with the header ---------------------------------------------

static char *read_file(const char *path) {
  FILE *file = fopen(path, "rb");
  char *text = calloc(1, 200000);
  if (file == NULL || text == NULL) {
    perror(path);
    exit(2);
  }
  size_t size = fread(text, 1, 199999, file);
  text[size] = '\0';
  fclose(file);
  return text;
}

// Whether a line with this text, but for what is in front, is in the source.
static bool has_line(const char *source, const char *line, size_t size) {
  for (const char *at = source; *at != '\0'; at += strcspn(at, "\n") + 1) {
    const char *start = at;
    while (*start == ' ') start++;
    if (strcspn(start, "\n") == size && memcmp(start, line, size) == 0) {
      return true;
    }
    if (at[strcspn(at, "\n")] == '\0') break;
  }
  return false;
}

// Lines of examples are comments that are indented. The one on attaching runs
// in engine_attach.c, which knows lua.h, the one on state is a native.
static void compare(void) {
  char *header = read_file(SPEC_HEADER);
  char *source = read_file(SPEC_SOURCE);
  char *attach = read_file(SPEC_ATTACH);
  char *state = read_file(SPEC_STATE);
  int lines = 0, missing = 0;
  char *rest = NULL;
  for (char *at = strtok_r(header, "\n", &rest); at != NULL;
       at = strtok_r(NULL, "\n", &rest)) {
    if (strncmp(at, "//   ", 5) != 0) continue;
    while (*at == '/' || *at == ' ') at++;
    lines++;
    size_t size = strlen(at);
    if (has_line(source, at, size) || has_line(attach, at, size) ||
        has_line(state, at, size)) {
      continue;
    }
    missing++;
    printf("# graft.h has an example with \"%s\"\n", at);
  }
  CHECK("graft.h has examples", lines > 20);
  CHECK("and they are what ran", missing == 0);
  char *readme = read_file(SPEC_README);
  char *host = read_file(SPEC_HOST_SOURCE);
  const char *text = strstr(host, "#include <graft.h>");
  CHECK("the README shows the host",
        text != NULL && strstr(readme, text) != NULL);
  free(host);
  free(readme);
  free(header);
  free(source);
  free(attach);
  free(state);
}

int main(void) {
  compare();
  run_break();
  run_shop();
  run_all();
  return check_status();
}
