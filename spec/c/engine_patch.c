// SPDX-License-Identifier: MIT
//
// Reloading, reports, rolling back, probation, watching and merging units, as
// a host sees them through graft.h.

#include "engine_support.h"

static const char *reload(Host *host) {
  const GraftReport *report = NULL;
  graft_engine_reload(host->engine, NULL, &report);
  return report_text(report);
}

static double number_of(Host *host, const char *name) {
  return host_number(host, graft_engine_fn(host->engine, name), 0);
}

static const char first[] = "local M = {}\n"
                            "function M.a() return 1 end\n"
                            "function M.b() return 1 end\n"
                            "function M.c() return 1 end\n"
                            "return M\n";

// --- A budget for the sweep -------------------------------------------------

static const char far_text[] =
    "far = {}\n"
    "for i = 1, 30000 do far[i] = {i} end\n"
    "far[29999].f = require('m').a\n"
    "function check_far() return far[29999].f() end\n";

// Comes to safe points until the sweep has ended; its event, or NULL.
static const GraftEvent *follow(Host *host, int *safe_points) {
  for (*safe_points = 1; *safe_points < 10000; ++*safe_points) {
    const GraftReport *report = NULL;
    if (!graft_engine_wait(host->engine, 0)) return NULL;
    if (graft_engine_update(host->engine, &report) == 0) continue;
    const GraftEvent *event = graft_report_event(report, 0);
    return event->kind == GRAFT_EVENT_SWEEP ? event : NULL;
  }
  return NULL;
}

static void budget(void) {
  Host host;
  host_open(&host, &(GraftEngineDesc){.sweep_budget_us = 1});
  host_write(&host, "m.lua", first);
  host_require(&host, "m");
  host_write(&host, "far.lua", far_text);
  host_require(&host, "far");
  host_write(&host, "m.lua",
             "local M = {}\n"
             "function M.a() return 2 end\n"
             "function M.b() return 1 end\n"
             "function M.c() return 1 end\n"
             "return M\n");
  const GraftReport *report = NULL;
  graft_engine_reload(host.engine, NULL, &report);
  const GraftEvent *patch =
      graft_report_event(report, graft_report_count(report) - 1);
  CHECK("the patch says that references follow",
        patch->kind == GRAFT_EVENT_PATCH && patch->ok && patch->sweeping);
  CHECK("the name has new code", number_of(&host, "m.a") == 2);
  CHECK("what is far has not", number_of(&host, "far.check_far") == 1);
  int safe_points = 0;
  const GraftEvent *sweep = follow(&host, &safe_points);
  CHECK("the sweep ends", sweep != NULL && sweep->count > 0 &&
                              sweep->safe_points == safe_points + 1 &&
                              *sweep->message == '\0');
  CHECK("all is new", number_of(&host, "far.check_far") == 2);
  CHECK("nothing is left to do",
        !graft_engine_wait(host.engine, 0) &&
            graft_engine_update(host.engine, NULL) == 0);
  host_write(&host, "m.lua", first);
  graft_engine_reload(host.engine, NULL, &report);
  CHECK("an engine may be closed in the middle", report != NULL);
  host_close(&host);
}

// --- Reports ---------------------------------------------------------------

static void reports(void) {
  Host host;
  host_open(&host, NULL);
  host_write(&host, "m.lua", first);
  host_require(&host, "m");
  CHECK("nothing to do", graft_engine_reload(host.engine, NULL, NULL) == 0);
  const GraftReport *report = NULL;
  graft_engine_reload(host.engine, NULL, &report);
  CHECK("has no report", report == NULL);
  host_write(&host, "m.lua",
             "local M = {}\n"
             "-- a line more\n"
             "function M.a() return 1 end\n"
             "function M.b() return 2 end\n"
             "function M.d() return 4 end\n"
             "return M\n");
  CHECK("something to do",
        graft_engine_reload(host.engine, NULL, &report) == 1);
  CHECK("has a report", report != NULL && graft_report_ok(report));
  check_text("of all that happened, in order", report_text(report),
             "move m.a m.lua:3 v1; update m.b m.lua:4 v2; "
             "add m.d m.lua:5 v1; delete m.c m.lua:4 v0; patch ok");
  size_t count = graft_report_count(report);
  CHECK("no event behind the last",
        graft_report_event(report, count) == NULL &&
            graft_report_event(report, (size_t)-1) == NULL);
  const GraftEvent *event = graft_report_event(report, count - 1);
  CHECK("the patch has times", event->kind == GRAFT_EVENT_PATCH && event->ok &&
                                   event->settle_ms >= 0 &&
                                   event->plan_ms > 0 && event->apply_ms >= 0 &&
                                   event->sweep_ms >= 0);
  CHECK("texts are never NULL", event->name != NULL && event->file != NULL &&
                                    event->from != NULL && event->to != NULL &&
                                    event->message != NULL &&
                                    event->source != NULL);
  event = graft_report_event(report, 1);
  check_text("the file is named in full", event->file,
             host_path(&host, "m.lua"));
  char text[64], json[300], small[8];
  size_t size = graft_event_text(event, text, sizeof text);
  CHECK("as text", strcmp(text, "Update m.b") == 0 && size == strlen(text));
  graft_event_json(event, json, sizeof json);
  check_holds("as JSON", json, "{\"event\":\"update\",\"name\":\"m.b\",",
              "\"line\":4,", "\"version\":2", NULL);
  CHECK("a small buffer is filled and ended",
        graft_event_text(event, small, sizeof small) == size &&
            strcmp(small, "Update ") == 0 &&
            graft_event_text(event, NULL, 0) == size);
  host_close(&host);
}

static void syntax_errors(void) {
  Host host;
  host_open(&host, NULL);
  host_write(&host, "m.lua", first);
  host_require(&host, "m");
  host_write(&host, "m.lua",
             "local M = {}\nfunction M.a() return 1 + + 2 end\nreturn M\n");
  const GraftReport *report = NULL;
  CHECK("a syntax error",
        graft_engine_reload(host.engine, NULL, &report) == 1 &&
            report != NULL && !graft_report_ok(report));
  check_holds("has file, line, column and source", report_text(report),
              "reject m.lua:2:27 unexpected symbol near '+'",
              "[function M.a() return 1 + + 2 end]", "patch failed", NULL);
  CHECK("changes nothing", number_of(&host, "m.c") == 1);
  host_write(&host, "m.lua", first);
  check_text("mended to what it was", reload(&host), "");
  host_write(&host, "m.lua",
             "local M = {}\nfunction M.a() return 2 end\nerror 'half'\n"
             "return M\n");
  check_holds("a statement that raises", reload(&host),
              "reject m.lua:3:", "half", "patch failed", NULL);
  CHECK("is undone", number_of(&host, "m.a") == 1 &&
                         number_of(&host, "m.c") == 1 &&
                         host_info(&host, "m.a").version == 1);
  host_close(&host);
}

// A path picks one file; its name may have "./" in front.
static void one_path(void) {
  Host host;
  host_open(&host, NULL);
  host_write(&host, "m.lua", first);
  host_write(&host, "n.lua", first);
  host_require(&host, "m");
  host_require(&host, "n");
  host_write(&host, "m.lua",
             "local M = {}\nfunction M.a() return 2 end\n"
             "return M\n");
  host_write(&host, "n.lua",
             "local M = {}\nfunction M.a() return 2 end\n"
             "return M\n");
  CHECK("one path",
        graft_engine_reload(host.engine, host_path(&host, "n.lua"), NULL) == 1);
  CHECK("is one file's",
        number_of(&host, "n.a") == 2 && number_of(&host, "m.a") == 1);
  CHECK("a path that is not there",
        graft_engine_reload(host.engine, "/nowhere/x.lua", NULL) == 0);
  check_holds("all the rest", reload(&host), "update m.a", NULL);
  char folder[256];
  if (getcwd(folder, sizeof folder) == NULL || chdir(host.folder) != 0) {
    exit(2);
  }
  mkdir("sub", 0777);
  graft_engine_add_root(host.engine, "./sub", &host.error);
  host_write(&host, "sub/here.lua", first);
  host_require(&host, "here");
  host_write(&host, "sub/here.lua",
             "local M = {}\nfunction M.a() return 2 end\nreturn M\n");
  CHECK("a path with ./ in front",
        graft_engine_reload(host.engine, "./sub/here.lua", NULL) == 1);
  CHECK("is that file's", number_of(&host, "here.a") == 2);
  host_close(&host);
  if (chdir(folder) != 0) exit(2);
}

// --- Rolling back ----------------------------------------------------------

static GraftStatus roll_back(Host *host, uint32_t version) {
  return graft_engine_rollback(host->engine, "m.f", version, &host->error);
}

static void rollbacks(void) {
  Host host;
  char text[100];
  host_open(&host, NULL);
  for (int i = 1; i <= 3; i++) {
    snprintf(text, sizeof text,
             "local M = {}\nfunction M.f() return %d end\nreturn M\n", i);
    host_write(&host, "m.lua", text);
    if (i == 1) host_require(&host, "m");
    if (i == 1) {
      check_code("nothing before the first", roll_back(&host, 0),
                 GRAFT_ENOTFOUND, &host.error);
    }
    reload(&host);
  }
  check_code("rollback", roll_back(&host, 0), GRAFT_OK, &host.error);
  CHECK("is the version before", number_of(&host, "m.f") == 2);
  check_code("rollback to a version", roll_back(&host, 1), GRAFT_OK,
             &host.error);
  CHECK("is that version", number_of(&host, "m.f") == 1);
  check_code("a version that never was", roll_back(&host, 99), GRAFT_ENOTFOUND,
             &host.error);
  check_holds("lists what there is", host.error.message, "m.f", "99", "1, 2, 3",
              NULL);
  check_code("an unknown function",
             graft_engine_rollback(host.engine, "no.such", 0, &host.error),
             GRAFT_ENOTFOUND, &host.error);
  check_holds("is named", host.error.message, "no.such", NULL);
  host_write(&host, "m.lua",
             "local M = {}\nfunction M.f() return 5 end\nreturn M\n");
  reload(&host);
  CHECK("the next save applies", number_of(&host, "m.f") == 5);
  host_close(&host);
}

// --- Probation -------------------------------------------------------------

static const char raising[] = "local M = {}\n"
                              "function M.f() error 'new and broken' end\n"
                              "return M\n";

static void probation(GraftOnError on_error) {
  bool reverts = on_error == GRAFT_ON_ERROR_REVERT;
  Host host;
  host_open(&host, &(GraftEngineDesc){.on_error = on_error});
  host_write(&host, "m.lua",
             "local M = {}\nfunction M.f() return 1 end\nreturn M\n");
  host_require(&host, "m");
  GraftFn *fn = graft_engine_fn(host.engine, "m.f");
  CHECK("the old code", number_of(&host, "m.f") == 1);
  host_write(&host, "m.lua", raising);
  reload(&host);
  *host.events = '\0';
  host_call(&host, fn, nil_value());
  check_code("new code raises", host.error.status,
             reverts ? GRAFT_EREVERTED : GRAFT_ERUN, &host.error);
  check_holds("with its message", host.error.message, "new and broken",
              "traceback", NULL);
  if (reverts) {
    check_holds("and is reverted", host.events, "Revert m.f", "new and broken",
                NULL);
    CHECK("the old code is back", number_of(&host, "m.f") == 1);
  } else {
    CHECK("and stays", strstr(host.events, "Revert") == NULL);
    host_call(&host, fn, nil_value());
    check_code("it raises again", host.error.status, GRAFT_ERUN, &host.error);
  }
  host_write(&host, "m.lua",
             "local M = {}\nfunction M.f() return 3 end\nreturn M\n");
  reload(&host);
  CHECK("the next save applies", number_of(&host, "m.f") == 3);
  host_close(&host);
}

// Behind a C type, too: zero once, then the old code.
static void typed_probation(void) {
  Host host;
  host_open(&host, NULL);
  host_write(&host, "m.lua",
             "local M = {}\nfunction M.f() return 1 end\nreturn M\n");
  host_require(&host, "m");
  int (*f)(void) = (int (*)(void))graft_fn_pointer(
      graft_engine_fn(host.engine, "m.f"), "int(void)", &host.error);
  CHECK("a pointer", f() == 1);
  host_write(&host, "m.lua", raising);
  reload(&host);
  *host.events = '\0';
  int broken = f();
  CHECK("new code that raises gives zero", broken == 0);
  check_holds("is reverted", host.events, "Revert m.f", NULL);
  CHECK("and the old code answers", f() == 1);
  host_close(&host);
}

// --- Watching --------------------------------------------------------------

// Waits for an event with this text, through safe points.
static bool wait_for(Host *host, const char *text) {
  for (int i = 0; i < 300; i++) {
    if (strstr(host->events, text) != NULL) return true;
    graft_engine_wait(host->engine, 100);
    graft_engine_update(host->engine, NULL);
  }
  printf("# waited for \"%s\" in \"%s\"\n", text, host->events);
  return false;
}

static void watching(void) {
  Host host;
  host_open(&host, &(GraftEngineDesc){.grace_ms = 100});
  host_write(&host, "m.lua", first);
  check_code("watch", graft_engine_watch(host.engine, host.folder, &host.error),
             GRAFT_OK, &host.error);
  host_require(&host, "m");
  CHECK("nothing yet", graft_engine_update(host.engine, NULL) == 0);
  CHECK("waiting ends", !graft_engine_wait(host.engine, 1));
  host_write(&host, "m.lua",
             "local M = {}\nfunction M.a() return 2 end\nreturn M\n");
  CHECK("a save is waited for", graft_engine_wait(host.engine, 20000));
  CHECK("and still old", number_of(&host, "m.a") == 1);
  const GraftReport *report = NULL;
  CHECK("a safe point takes it",
        graft_engine_update(host.engine, &report) == 1 && report != NULL);
  check_text("and reports it", report_text(report),
             "update m.a m.lua:2 v2; delete m.b m.lua:3 v0; "
             "delete m.c m.lua:4 v0; patch ok");
  CHECK("it is new", number_of(&host, "m.a") == 2);
  CHECK("and done",
        graft_engine_update(host.engine, &report) == 0 && report == NULL);
  host_remove(&host, "m.lua");
  CHECK("a deleted file", wait_for(&host, "Delete m.a"));
  host_write(&host, "m.lua", first);
  CHECK("comes back", wait_for(&host, "Add m.a"));
  CHECK("with its functions", number_of(&host, "m.b") == 1);
  host_close(&host);
}

// A new file over natives, as when a user overrides one for the first time.
static double gravity(double height) {
  return height + 1000;
}

static void reloaded_override(void) {
  Host host;
  host_open(&host, NULL);
  host_register(&host, "physics.gravity", (GraftNative)gravity,
                "double(double)");
  CHECK("natives alone", host_require(&host, "physics"));
  host_write(&host, "physics.lua",
             "local M = {}\nfunction M.gravity(h) return h + 1 end\n"
             "return M\n");
  const GraftReport *report = NULL;
  CHECK("a new file, by its path",
        graft_engine_reload(host.engine, host_path(&host, "physics.lua"),
                            &report) == 1);
  check_holds("is reported", report_text(report), "add physics.gravity",
              "swap physics.gravity native to script", "patch ok", NULL);
  CHECK("and called", number_of(&host, "physics.gravity") == 1);
  if (geteuid() != 0) {
    chmod(host_path(&host, "physics.lua"), 0);
    check_holds("a file that cannot be read", reload(&host), "reject",
                "physics.lua", "ermission", NULL);
    CHECK("keeps its functions", number_of(&host, "physics.gravity") == 1);
  }
  host_remove(&host, "physics.lua");
  mkdir(host_path(&host, "physics.lua"), 0777);
  check_holds("a folder in its place", reload(&host), "reject", "physics.lua",
              NULL);
  CHECK("keeps its functions", number_of(&host, "physics.gravity") == 1);
  host_close(&host);
}

static void new_override(void) {
  Host host;
  host_open(&host, NULL);
  host_register(&host, "physics.gravity", (GraftNative)gravity,
                "double(double)");
  graft_engine_watch(host.engine, host.folder, &host.error);
  host_write(&host, "main.lua",
             "local physics = require 'physics'\n"
             "function fall() return physics.gravity(1) end\n");
  host_require(&host, "main");
  CHECK("the native", number_of(&host, "main.fall") == 1001);
  host_write(&host, "physics.lua",
             "local M = {}\nfunction M.gravity(h) return h + 1 end\n"
             "return M\n");
  CHECK("a new file",
        wait_for(&host, "Swap physics.gravity native \xe2\x86\x92 script"));
  CHECK("is over it for Lua", number_of(&host, "main.fall") == 2);
  CHECK("and for C", number_of(&host, "physics.gravity") == 1);
  host_close(&host);
}

// --- Units -----------------------------------------------------------------

// The example of graft.h, in the section on units.
static bool is_think(void *context, const GraftUnitFunction *function) {
  (void)context;
  return strcmp(function->name, "ai.goblin.think") == 0;
}

static void units(void) {
  Host host;
  host_open(&host, NULL);
  mkdir(host_path(&host, "ai"), 0777);
  FILE *file = fopen(host_path(&host, "ai/goblin.lua"), "w");
  fputs("local M = {}\nfunction M.think() return 1 end\n"
        "function M.act() return 1 end\nreturn M\n",
        file);
  fclose(file);
  host_require(&host, "ai.goblin");
  const char *text = "local M = {}\nfunction M.think() return 2 end\n"
                     "function M.act() return 2 end\nerror 'runs'\nreturn M\n";
  GraftEngine *engine = host.engine;
  GraftError error;
  GraftUnit *unit = NULL;
  GraftUnitDesc desc = {.source = text, .module = "ai.goblin"};
  GraftStatus status = graft_unit_compile(&desc, &unit, &error);
  check_code("compile", status, GRAFT_OK, &error);
  graft_unit_retain_functions(unit, &(GraftUnitFilter){is_think, NULL});
  graft_unit_clear_statements(unit);
  status = graft_engine_merge(engine, unit, NULL, &error);
  check_code("merge", status, GRAFT_OK, &error);
  graft_unit_free(unit);
  CHECK("just that function", number_of(&host, "ai.goblin.think") == 2 &&
                                  number_of(&host, "ai.goblin.act") == 1);
  host_close(&host);
}

int main(void) {
  budget();
  reports();
  syntax_errors();
  one_path();
  rollbacks();
  probation(GRAFT_ON_ERROR_REVERT);
  probation(GRAFT_ON_ERROR_REPORT);
  typed_probation();
  watching();
  reloaded_override();
  new_override();
  units();
  return check_status();
}
