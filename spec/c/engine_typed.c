// SPDX-License-Identifier: MIT
//
// R4 and R5 through graft.h: handles that are taken once reach native, script,
// patched script and native again; swaps, removal, info, failures of scripts
// behind C types.

#include "engine_support.h"

typedef double Gravity(double height);

static double gravity_native(double height) {
  return height + 1000;
}

// What a host takes once, when it starts.
typedef struct Handles {
  GraftFn *fn;
  GraftNative const *typed;
  Gravity *plain;
} Handles;

static Handles take(Host *host, const char *name) {
  Handles self = {.fn = graft_engine_fn(host->engine, name)};
  self.typed = graft_fn_typed(self.fn, "double(double)", &host->error);
  self.plain =
      (Gravity *)graft_fn_pointer(self.fn, "double(double)", &host->error);
  if (self.typed == NULL || self.plain == NULL) {
    printf("FAIL handles of %s: %s\n", name, host->error.message);
    exit(2);
  }
  return self;
}

// Whether all three ways of calling give this.
static bool gives(Host *host, const Handles *self, double arg,
                  double expected) {
  double typed = ((Gravity *)GRAFT_LOAD(self->typed))(arg);
  double plain = self->plain(arg);
  double dynamic = host_number(host, self->fn, arg);
  if (typed == expected && plain == expected && dynamic == expected) {
    return true;
  }
  printf("# typed %g, plain %g, dynamic %g, expected %g (%s)\n", typed, plain,
         dynamic, expected, host->error.message);
  return false;
}

static const char *reload(Host *host) {
  const GraftReport *report = NULL;
  graft_engine_reload(host->engine, NULL, &report);
  return report_text(report);
}

static const char no_override[] = "local M = {}\nreturn M\n";
static const char override[] = "local M = {}\n"
                               "function M.gravity(height)\n"
                               "  return height + 1\n"
                               "end\n"
                               "return M\n";
static const char edited[] = "local M = {}\n"
                             "function M.gravity(height)\n"
                             "  return height + 2\n"
                             "end\n"
                             "return M\n";

// --- R5 --------------------------------------------------------------------

static void life_of_a_handle(void) {
  Host host;
  host_open(&host, NULL);
  host_register(&host, "physics.gravity", (GraftNative)gravity_native,
                "double(double)");
  Handles handles = take(&host, "physics.gravity");
  CHECK("the native", gives(&host, &handles, 1, 1001));
  host_write(&host, "physics.lua", no_override);
  CHECK("a module of both kinds", host_require(&host, "physics"));
  CHECK("the native, with a script that lacks it",
        gives(&host, &handles, 1, 1001));
  host_write(&host, "physics.lua", override);
  check_holds("a script takes over", reload(&host), "add physics.gravity",
              "swap physics.gravity native to script", "patch ok", NULL);
  CHECK("for all handles", gives(&host, &handles, 1, 2));
  host_write(&host, "physics.lua", edited);
  check_text("it is patched", reload(&host),
             "update physics.gravity physics.lua:2 v3; patch ok");
  CHECK("for all handles", gives(&host, &handles, 1, 3));
  host_write(&host, "physics.lua", no_override);
  check_holds("the function is deleted", reload(&host),
              "delete physics.gravity", "swap physics.gravity script to native",
              NULL);
  CHECK("and the native is back", gives(&host, &handles, 1, 1001));
  host_write(&host, "physics.lua", override);
  reload(&host);
  CHECK("the script again", gives(&host, &handles, 1, 2));
  host_remove(&host, "physics.lua");
  check_holds("the file is deleted", reload(&host), "delete physics.gravity",
              "swap physics.gravity script to native", NULL);
  CHECK("and the native is back", gives(&host, &handles, 1, 1001));
  CHECK("the handles are the same",
        take(&host, "physics.gravity").typed == handles.typed &&
            take(&host, "physics.gravity").plain == handles.plain &&
            graft_engine_fn(host.engine, "physics.gravity") == handles.fn);
  host_close(&host);
}

// The script is there before anything is registered, as with R3.
static void script_first(void) {
  Host host;
  host_open(&host, NULL);
  Handles handles = take(&host, "physics.gravity");
  CHECK("nothing yet", ((Gravity *)GRAFT_LOAD(handles.typed))(1) == 0);
  check_holds("is an error event", host.events, "physics.gravity",
              "not defined", NULL);
  host_write(&host, "physics.lua", override);
  host_require(&host, "physics");
  CHECK("a handle from before the function", gives(&host, &handles, 1, 2));
  host_register(&host, "physics.gravity", (GraftNative)gravity_native,
                "double(double)");
  CHECK("a native below changes nothing", gives(&host, &handles, 1, 2));
  GraftStatus status = graft_engine_register(host.engine, "physics.gravity",
                                             (GraftNative)gravity_native,
                                             "int(int)", &host.error);
  check_code("a native of another type", status, GRAFT_ESIGNATURE, &host.error);
  check_holds("is refused with both", host.error.message, "physics.gravity",
              "int(int)", "double(double)", NULL);
  host_close(&host);
}

static void many_reloads(void) {
  Host host;
  host_open(&host, NULL);
  host_write(&host, "physics.lua", override);
  host_require(&host, "physics");
  Handles handles = take(&host, "physics.gravity");
  GraftFn *fns[50];
  char name[32], text[200];
  for (int i = 0; i < 50; i++) {
    snprintf(name, sizeof name, "physics.f%d", i);
    fns[i] = graft_engine_fn(host.engine, name);
  }
  int wrong = 0;
  for (int i = 0; i < 200; i++) {
    snprintf(text, sizeof text,
             "local M = {}\nfunction M.f%d() return %d end\n"
             "function M.gravity(h) return h + %d end\nreturn M\n",
             i % 50, i, i);
    host_write(&host, "physics.lua", text);
    graft_engine_reload(host.engine, NULL, NULL);
    wrong += !gives(&host, &handles, 1, 1 + i);
  }
  CHECK("200 reloads", wrong == 0);
  for (int i = 0; i < 50; i++) {
    snprintf(name, sizeof name, "physics.f%d", i);
    wrong += graft_engine_fn(host.engine, name) != fns[i];
  }
  CHECK("no slot has moved", wrong == 0);
  GraftInfo info = host_info(&host, "physics.gravity");
  CHECK("the version counts", info.version == 201);
  host_close(&host);
}

// --- Failures behind a C type ----------------------------------------------

static void failures(void) {
  Host host;
  host_open(&host, &(GraftEngineDesc){.on_error = GRAFT_ON_ERROR_REPORT});
  host_write(&host, "f.lua",
             "local M = {}\n"
             "function M.raises() error 'on purpose' end\n"
             "function M.text() return 'high' end\n"
             "function M.none() end\n"
             "function M.number() return 7 end\n"
             "function M.half() return 0.5 end\n"
             "function M.table() return {} end\n"
             "function M.args(...) return select('#', ...) end\n"
             "return M\n");
  host_require(&host, "f");
  static const struct {
    const char *name, *signature, *message;
  } cases[] = {
      {"f.raises", "double(void)", "on purpose"},
      {"f.text", "double(void)", "double expected, got string"},
      {"f.none", "double(void)", "double expected, got nil"},
      {"f.half", "int(void)", "int expected, got 0.5"},
      {"f.table", "int(void)", "int expected, got table"},
      {"f.number", "const char *(void)", "string expected, got number"},
      {"f.number", "Body *(void)", "f.number"}, // has another type by now
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    GraftFn *fn = graft_engine_fn(host.engine, cases[i].name);
    GraftNative code = graft_fn_pointer(fn, cases[i].signature, &host.error);
    *host.events = '\0';
    if (code == NULL) {
      check_holds("a second type is refused", host.error.message,
                  cases[i].message, "const char *(void)", "Body *(void)", NULL);
      continue;
    }
    bool zero = strncmp(cases[i].signature, "double", 6) == 0
                    ? ((double (*)(void))code)() == 0
                : strncmp(cases[i].signature, "int", 3) == 0
                    ? ((int (*)(void))code)() == 0
                    : ((const char *(*)(void))code)() == NULL;
    CHECK("a failure gives zero", zero);
    check_holds("and an error event", host.events, cases[i].name,
                cases[i].message, NULL);
  }
  GraftFn *args = graft_engine_fn(host.engine, "f.args");
  GraftNative code =
      graft_fn_pointer(args, "int(int, const char *, void *, bool)", NULL);
  *host.events = '\0';
  CHECK("arguments of all kinds",
        ((int (*)(int, const char *, void *, bool))code)(1, "x", NULL, true) ==
                4 &&
            *host.events == '\0');
  host_close(&host);
}

static void texts(void) {
  Host host;
  host_open(&host, NULL);
  host_write(&host, "t.lua",
             "local M = {}\n"
             "function M.greet(s) return 'hi ' .. (s or 'nobody') end\n"
             "function M.raise() error 'no' end\n"
             "return M\n");
  host_require(&host, "t");
  const char *(*greet)(const char *) =
      (const char *(*)(const char *))graft_fn_pointer(
          graft_engine_fn(host.engine, "t.greet"), "const char *(const char *)",
          &host.error);
  const char *text = greet("you");
  CHECK("a string comes back", strcmp(text, "hi you") == 0);
  CHECK("NULL is nil", strcmp(greet(NULL), "hi nobody") == 0);
  text = greet("me");
  graft_engine_run_text(host.engine, "collectgarbage() collectgarbage()", "=t",
                        NULL);
  CHECK("it outlives the garbage", strcmp(text, "hi me") == 0);
  GraftFn *fn = graft_engine_fn(host.engine, "t.greet");
  CHECK("another type", graft_fn_typed(fn, "int(int)", &host.error) == NULL);
  check_code("is refused", host.error.status, GRAFT_ESIGNATURE, &host.error);
  check_holds("with both", host.error.message, "t.greet", "int(int)",
              "const char *(const char *)", NULL);
  CHECK("a bad text", graft_fn_typed(fn, "int(", &host.error) == NULL &&
                          host.error.status == GRAFT_ESIGNATURE);
  host_register(&host, "t.native", (GraftNative)gravity_native,
                "double(double)");
  CHECK("a native's other type",
        graft_fn_pointer(graft_engine_fn(host.engine, "t.native"),
                         "float(double)", &host.error) == NULL);
  check_holds("is refused with both", host.error.message, "t.native",
              "float(double)", "double(double)", NULL);
  host_close(&host);
}

// --- R4 and R6 -------------------------------------------------------------

static GraftStatus swap(Host *host, const char *backing) {
  return graft_engine_swap(host->engine, "physics.gravity", backing,
                           &host->error);
}

static void swaps(void) {
  Host host;
  host_open(&host, NULL);
  host_register(&host, "physics.gravity", (GraftNative)gravity_native,
                "double(double)");
  Handles handles = take(&host, "physics.gravity");
  check_code("swap to a script that is not there", swap(&host, "script"),
             GRAFT_ENOTFOUND, &host.error);
  check_holds("lists what there is", host.error.message, "physics.gravity",
              "native version 1 (built-in)", NULL);
  host_write(&host, "physics.lua", override);
  host_require(&host, "physics");
  host_write(&host, "physics.lua", edited);
  reload(&host);
  *host.events = '\0';
  check_code("swap to native", swap(&host, "native"), GRAFT_OK, &host.error);
  CHECK("reaches all handles", gives(&host, &handles, 1, 1001));
  check_holds("is told", host.events,
              "Swap physics.gravity script \xe2\x86\x92 native", NULL);
  CHECK("its pin is known",
        host_info(&host, "physics.gravity").pin == GRAFT_PIN_NATIVE);
  check_code("swap to script", swap(&host, "script"), GRAFT_OK, &host.error);
  CHECK("reaches all handles", gives(&host, &handles, 1, 3));
  check_code("swap to a version", swap(&host, "2"), GRAFT_OK, &host.error);
  CHECK("reaches all handles", gives(&host, &handles, 1, 2));
  CHECK("its pin is known",
        host_info(&host, "physics.gravity").pin == GRAFT_PIN_VERSION &&
            host_info(&host, "physics.gravity").version == 2);
  check_code("swap to a version that never was", swap(&host, "9"),
             GRAFT_ENOTFOUND, &host.error);
  check_holds("lists the versions", host.error.message, "physics.gravity", "9",
              "1, 2, 3", NULL);
  check_code("swap to nonsense", swap(&host, "lua"), GRAFT_EARG, &host.error);
  check_holds("says what can be", host.error.message, "native", "script",
              "auto", "version", NULL);
  check_code("swap of what is not there",
             graft_engine_swap(host.engine, "no.such", "auto", &host.error),
             GRAFT_ENOTFOUND, &host.error);
  check_holds("names it", host.error.message, "no.such", NULL);
  check_code("swap to auto", swap(&host, "auto"), GRAFT_OK, &host.error);
  CHECK("is the highest again", gives(&host, &handles, 1, 3));
  swap(&host, "native");
  host_write(&host, "physics.lua", override);
  reload(&host);
  CHECK("a pin outlives a patch", gives(&host, &handles, 1, 1001));
  swap(&host, "auto");
  CHECK("auto takes the patch", gives(&host, &handles, 1, 2));
  host_close(&host);
}

static void removal(void) {
  Host host;
  host_open(&host, NULL);
  host_write(&host, "physics.lua", override);
  host_require(&host, "physics");
  Handles handles = take(&host, "physics.gravity");
  host_write(&host, "physics.lua", no_override);
  reload(&host);
  host_call(&host, handles.fn, number_value(1));
  check_code("the last backing is gone", host.error.status, GRAFT_EREMOVED,
             &host.error);
  check_holds("what, by what and where", host.error.message, "physics.gravity",
              "deleted from", "physics.lua:2", NULL);
  GraftInfo info = host_info(&host, "physics.gravity");
  CHECK("info has it", strcmp(info.kind, "none") == 0 && info.version == 0 &&
                           info.removed != NULL &&
                           strstr(info.removed, "physics.lua:2") != NULL);
  *host.events = '\0';
  CHECK("a typed call gives zero", handles.plain(1) == 0);
  check_holds("and an error event", host.events, "physics.gravity",
              "physics.lua:2", NULL);
  CHECK("it is not found",
        graft_engine_find(host.engine, "physics.gravity") == NULL);
  host_write(&host, "physics.lua", override);
  reload(&host);
  CHECK("it comes back", gives(&host, &handles, 1, 2));
  CHECK("and is not removed",
        host_info(&host, "physics.gravity").removed == NULL);
  host_close(&host);
}

static void infos(void) {
  Host host;
  host_open(&host, NULL);
  host_register(&host, "physics.gravity", (GraftNative)gravity_native,
                "double(double)");
  host_write(&host, "physics.lua", override);
  host_require(&host, "physics");
  Handles handles = take(&host, "physics.gravity");
  for (int i = 0; i < 5; i++) host_number(&host, handles.fn, 1);
  handles.plain(1);
  GraftInfo info = host_info(&host, "physics.gravity");
  check_text("name", info.name, "physics.gravity");
  check_text("kind", info.kind, "script");
  check_text("layer", info.layer, "script");
  check_text("file", info.file, host_path(&host, "physics.lua"));
  check_text("signature", info.signature, "double(double)");
  CHECK("line and version", info.line == 2 && info.version == 2);
  CHECK("calls", info.calls == 5);
  CHECK("pin", info.pin == GRAFT_PIN_AUTO);
  swap(&host, "native");
  graft_engine_run_text(host.engine,
                        "local f = require('physics').gravity\n"
                        "for i = 1, 3 do f(i) end",
                        "=t", NULL);
  CHECK("calls from Lua count", host_info(&host, "physics.gravity").calls == 8);
  host_close(&host);
}

int main(void) {
  life_of_a_handle();
  script_first();
  many_reloads();
  failures();
  texts();
  swaps();
  removal();
  infos();
  return check_status();
}
