// SPDX-License-Identifier: MIT
//
// What the registry holds, as a host lists it, and values, cleanups and
// conforming for hosts.

#include "engine_support.h"

static const char goblin[] = "local M = { hp = 10 }\n"
                             "local name = 'grub'\n"
                             "function M.think() return 1 end\n"
                             "function M.hurt(by) M.hp = M.hp - by end\n"
                             "function M.rename() name = 'other' end\n"
                             "function M.name() return name end\n"
                             "return M\n";

static double native_think(double number) {
  return number;
}

// `goblin` with another think().
static const char *goblin_with(const char *think) {
  static char text[512];
  const char *at = strstr(goblin, "return 1");
  snprintf(text, sizeof text, "%.*s%s%s", (int)(at - goblin), goblin, think,
           at + strlen("return 1"));
  return text;
}

static void reload(Host *host, const char *text) {
  host_write(host, "goblin.lua", text);
  graft_engine_reload(host->engine, NULL, NULL);
}

static void open_goblin(Host *host) {
  host_open(host, NULL);
  host_write(host, "goblin.lua", goblin);
  if (!host_require(host, "goblin")) exit(2);
}

// --- Listing ---------------------------------------------------------------

static void lists_slots(void) {
  Host host;
  open_goblin(&host);
  GraftFn *later = graft_engine_fn(host.engine, "later.f");
  const char *const names[] = {"goblin.think", "goblin.hurt", "goblin.rename",
                               "goblin.name", "later.f"};
  int found = 0;
  size_t count = graft_engine_fn_count(host.engine);
  for (size_t i = 0; i < count; i++) {
    const char *name = graft_fn_name(graft_engine_fn_at(host.engine, i));
    for (int k = 0; k < 5; k++) found += strcmp(name, names[k]) == 0;
  }
  CHECK("each slot is listed once", found == 5);
  CHECK("the last added is last",
        graft_engine_fn_at(host.engine, count - 1) == later);
  CHECK("none is behind it", graft_engine_fn_at(host.engine, count) == NULL);
  GraftBacking backing;
  CHECK("what has no backing has none", graft_fn_backing_count(later) == 0 &&
                                            graft_fn_history_count(later) == 0);
  CHECK("nor a first one", !graft_fn_backing(later, 0, &backing) &&
                               !graft_fn_history(later, 0, &backing));
  host_close(&host);
}

static void lists_backings(void) {
  Host host;
  host_open(&host, NULL);
  host_register(&host, "goblin.think", (GraftNative)native_think,
                "double(double)");
  host_write(&host, "goblin.lua", goblin);
  host_require(&host, "goblin");
  GraftFn *think = graft_engine_fn(host.engine, "goblin.think");
  GraftBacking high = {0}, low = {0};
  CHECK("there are two backings", graft_fn_backing_count(think) == 2);
  CHECK("they are told",
        graft_fn_backing(think, 0, &high) && graft_fn_backing(think, 1, &low));
  check_text("the highest first", high.kind, "script");
  check_text("with its layer", high.layer, "script");
  CHECK("its place", high.line == 3 && strstr(high.file, "goblin.lua") != NULL);
  CHECK("its source",
        high.source_size == strlen("function M.think() return 1 end") -
                                strlen(" M.think") ||
            strncmp(high.source, "function", 8) == 0);
  check_text("the native", low.kind, "native");
  check_text("and its layer", low.layer, "built-in");
  check_text("and its C type", low.signature, "double(double)");
  CHECK("and no source", low.source == NULL && low.source_size == 0);
  CHECK("not more", !graft_fn_backing(think, 2, &low));
  host_close(&host);
}

static void lists_history(void) {
  Host host;
  open_goblin(&host);
  reload(&host, goblin_with("return 2"));
  reload(&host, goblin_with("return 3"));
  GraftFn *think = graft_engine_fn(host.engine, "goblin.think");
  GraftBacking version;
  int right = 0;
  for (size_t i = 0; i < graft_fn_history_count(think); i++) {
    char expected[32];
    snprintf(expected, sizeof expected, "return %zu", i + 1);
    if (!graft_fn_history(think, i, &version)) break;
    right += version.version == i + 1 && version.source != NULL &&
             memmem(version.source, version.source_size, expected,
                    strlen(expected)) != NULL;
  }
  CHECK("three versions, the oldest first",
        right == 3 && graft_fn_history_count(think) == 3);
  for (int i = 0; i < 20; i++) {
    char text[32];
    snprintf(text, sizeof text, "return %d", i + 10);
    reload(&host, goblin_with(text));
  }
  CHECK("sixteen are kept", graft_fn_history_count(think) == 16 &&
                                graft_fn_history(think, 0, &version) &&
                                version.version == 8);
  host_close(&host);
}

static void counts_old_code(void) {
  Host host;
  open_goblin(&host);
  GraftOldCode old = {7, 7};
  CHECK("nothing is old at first",
        graft_engine_old_code(host.engine, "goblin.think", &old, &host.error) ==
                GRAFT_OK &&
            old.running == 0 && old.closures == 0);
  graft_engine_run_text(host.engine,
                        "sleeper = coroutine.wrap(require 'goblin'.think)",
                        "=t", &host.error);
  reload(&host, goblin_with("coroutine.yield() return 2"));
  graft_engine_run_text(host.engine,
                        "sleeper = coroutine.wrap(require 'goblin'.think) "
                        "sleeper()",
                        "=t", &host.error);
  reload(&host, goblin_with("return 3"));
  graft_engine_old_code(host.engine, "goblin.think", &old, &host.error);
  CHECK("a suspended call runs old code", old.running == 1);
  graft_engine_old_code(host.engine, "goblin.hurt", &old, &host.error);
  CHECK("of that function alone", old.running == 0 && old.closures == 0);
  host_close(&host);
}

// --- Values ----------------------------------------------------------------

static void resets(void) {
  Host host;
  open_goblin(&host);
  graft_engine_run_text(host.engine,
                        "local g = require 'goblin' g.hurt(3) g.rename()", "=t",
                        &host.error);
  CHECK("a field is reset",
        graft_engine_reset(host.engine, "goblin.hp", &host.error) == GRAFT_OK);
  CHECK("and a local", graft_engine_reset(host.engine, "goblin:name",
                                          &host.error) == GRAFT_OK);
  CHECK("to what the source says",
        graft_engine_run_text(host.engine,
                              "local g = require 'goblin' "
                              "assert(g.hp == 10 and g.name() == 'grub')",
                              "=t", &host.error) == GRAFT_OK);
  check_code("what is not there is not found",
             graft_engine_reset(host.engine, "goblin.wings", &host.error),
             GRAFT_ENOTFOUND, &host.error);
  check_holds("by name", host.error.message, "goblin.wings", NULL);
  check_code("nor a module that is not loaded",
             graft_engine_reset(host.engine, "dragon.hp", &host.error),
             GRAFT_ENOTFOUND, &host.error);
  host_close(&host);
}

// --- Conforming ------------------------------------------------------------

typedef struct Follower {
  Host *host;
  int told;
  uint32_t version;
  char kind[16];
  bool ends;
  bool takes_changes;
} Follower;

static void on_new(void *context, GraftFn *fn) {
  Follower *self = context;
  GraftInfo info;
  graft_fn_info(fn, &info);
  self->told++;
  self->version = info.version;
  snprintf(self->kind, sizeof self->kind, "%s", info.kind);
  if (self->ends) graft_fn_conform(fn, NULL, self, NULL);
  if (graft_engine_update(self->host->engine, NULL) != 0) {
    self->takes_changes = true;
  }
}

static void conforms(void) {
  Host host;
  open_goblin(&host);
  GraftFn *think = graft_engine_fn(host.engine, "goblin.think");
  Follower one = {.host = &host}, other = {.host = &host, .ends = true};
  graft_fn_conform(think, on_new, &one, NULL);
  graft_fn_conform(think, on_new, &other, NULL);
  CHECK("nothing is told at first", one.told == 0);
  reload(&host, goblin_with("return 2"));
  CHECK("new code is told", one.told == 1 && one.version == 2);
  CHECK("to all", other.told == 1);
  reload(&host, goblin_with("return 2 -- the same"));
  CHECK("a comment is not new code", one.told == 1);
  reload(&host, goblin_with("return 2 end function M.more() return 1"));
  CHECK("another function is not told", one.told == 1);
  graft_engine_rollback(host.engine, "goblin.think", 1, &host.error);
  CHECK("a rollback is told", one.told == 2);
  CHECK("not to who has ended it", other.told == 1);
  host_register(&host, "goblin.think", (GraftNative)native_think,
                "double(double)");
  CHECK("a native below is not told", one.told == 2);
  graft_engine_swap(host.engine, "goblin.think", "native", &host.error);
  CHECK("a swap is told", one.told == 3 && strcmp(one.kind, "native") == 0);
  graft_engine_swap(host.engine, "goblin.think", "auto", &host.error);
  CHECK("and back", one.told == 4 && strcmp(one.kind, "script") == 0);
  CHECK("no change is taken in between", !one.takes_changes);
  graft_fn_conform(think, NULL, &one, NULL);
  reload(&host, goblin_with("return 9"));
  CHECK("who has ended it is not told", one.told == 4);
  host_close(&host);
}

static void conforms_to_the_end(void) {
  Host host;
  open_goblin(&host);
  GraftFn *name = graft_engine_fn(host.engine, "goblin.name");
  GraftFn *later = graft_engine_fn(host.engine, "goblin.later");
  Follower gone = {.host = &host}, new = {.host = &host};
  graft_fn_conform(name, on_new, &gone, NULL);
  graft_fn_conform(later, on_new, &new, NULL);
  reload(&host, goblin_with("return 2 end error 'on purpose' do"));
  CHECK("what is undone is not told", gone.told == 0 && new.told == 0);
  reload(&host, "local M = { hp = 10 }\n"
                "function M.later() return 1 end\n"
                "return M\n");
  CHECK("the end of a function is told",
        gone.told == 1 && strcmp(gone.kind, "none") == 0);
  CHECK("and the beginning of one",
        new.told == 1 && strcmp(new.kind, "script") == 0);
  host_close(&host);
}

// --- Cleanups --------------------------------------------------------------

static GraftEngine *engine;
static char cleaned[64];
static GraftStatus outside;

static void clean(void *context) {
  strcat(cleaned, context);
}

static void subscribe(int number) {
  static char names[][2] = {"a", "b", "c"};
  outside = graft_engine_defer(engine, clean, names[number], NULL);
}

static void defers(void) {
  Host host;
  host_open(&host, NULL);
  engine = host.engine;
  *cleaned = '\0';
  host_register(&host, "list.add", (GraftNative)subscribe, "void(int)");
  host_write(&host, "m.lua",
             "local list = require 'list'\nlist.add(0)\nlist.add(1)\n"
             "function late() list.add(2) end\n");
  host_require(&host, "m");
  check_text("nothing is to be undone yet", cleaned, "");
  host_write(&host, "m.lua",
             "local list = require 'list'\nlist.add(0)\nlist.add(2)\n"
             "function late() list.add(2) end\n");
  graft_engine_reload(host.engine, NULL, NULL);
  check_text("a statement that changed is undone, once", cleaned, "b");
  host_write(&host, "m.lua",
             "local list = require 'list'\nlist.add(0)\n"
             "function late() list.add(2) end\n");
  graft_engine_reload(host.engine, NULL, NULL);
  check_text("so is one that goes", cleaned, "bc");
  graft_engine_run_text(host.engine, "late()", "=t", &host.error);
  CHECK("elsewhere there is nothing to undo", outside == GRAFT_ERUN);
  host_close(&host);
  check_text("the end of the engine undoes nothing", cleaned, "bc");
}

int main(void) {
  lists_slots();
  lists_backings();
  lists_history();
  counts_old_code();
  resets();
  conforms();
  conforms_to_the_end();
  defers();
  return check_status();
}
