// SPDX-License-Identifier: MIT
//
// T4 for a host: GRAFT_ON_ERROR_BREAK asks it at the error, with frames to look
// at, and does what it wants.

#include "engine_support.h"

static const char first[] = "local M = {}\n"
                            "local level = 1\n"
                            "function M.f(n) return n + level end\n"
                            "function M.g(n) return 1 + M.f(n) end\n"
                            "return M\n";

// M.f raises in line 5.
static const char raising[] = "local M = {}\n"
                              "local level = 1\n"
                              "function M.f(n)\n"
                              "  local inner = {}\n"
                              "  return n + inner.x + level\n"
                              "end\n"
                              "function M.g(n) return 1 + M.f(n) end\n"
                              "return M\n";

// What the host is to answer, and what it was asked.
static Host host;
static GraftRestart answers[8];
static void (*look)(GraftBreak *at);
static int asked;

static GraftRestart on_break(void *context, GraftBreak *at) {
  CHECK("the context is the engine's", context == &host);
  GraftRestart answer = answers[asked];
  asked++;
  if (look != NULL) look(at);
  return answer;
}

static void open_host(GraftOnError on_error, bool with_callback) {
  asked = 0;
  look = NULL;
  memset(answers, 0, sizeof answers);
  host_open(&host,
            &(GraftEngineDesc){.on_error = on_error,
                               .on_break = with_callback ? on_break : NULL});
  host_write(&host, "m.lua", first);
  host_require(&host, "m");
}

static void save(const char *text) {
  host_write(&host, "m.lua", text);
  graft_engine_reload(host.engine, NULL, NULL);
  *host.events = '\0';
}

static GraftFn *fn(const char *name) {
  return graft_engine_fn(host.engine, name);
}

// --- Looking ---------------------------------------------------------------

static void look_at_frames(GraftBreak *at) {
  GraftFrame frame;
  check_text("the function", graft_break_name(at), "m.f");
  check_holds("the error", graft_break_error(at)->message, "attempt to", NULL);
  CHECK("without a traceback",
        strstr(graft_break_error(at)->message, "traceback") == NULL);
  CHECK("its place", graft_break_error(at)->line == 5);
  CHECK("the call was the host's", graft_break_can_retry(at));
  CHECK("two frames", graft_break_frame_count(at) == 2);
  CHECK("the innermost", graft_break_place(at) == 0);
  CHECK("a frame", graft_break_frame(at, 0, &frame));
  check_text("its name", frame.name, "m.f");
  check_text("its file", frame.file, host_path(&host, "m.lua"));
  CHECK("its lines", frame.line == 5 && frame.first_line == 3 &&
                         frame.last_line == 6 && frame.is_new);
  CHECK("its caller", graft_break_frame(at, 1, &frame) && frame.line == 7);
  CHECK("which is old", !frame.is_new);
  CHECK("no more", !graft_break_frame(at, 2, &frame));
  check_text("the line", graft_break_line(at, 0, 5),
             "  return n + inner.x + level");
  CHECK("lines end", graft_break_line(at, 0, 9) == NULL &&
                         graft_break_line(at, 0, 0) == NULL);
}

static void look_at_variables(GraftBreak *at) {
  GraftVariable variable;
  CHECK("a parameter", graft_break_variable(at, 0, 0, &variable));
  check_text("its name", variable.name, "n");
  check_text("its value", variable.value, "41");
  CHECK("a local", graft_break_variable(at, 0, 1, &variable) &&
                       variable.kind == GRAFT_VARIABLE_LOCAL);
  check_text("a table", variable.value, "{}");
  CHECK("an upvalue", graft_break_variable(at, 0, 2, &variable) &&
                          variable.kind == GRAFT_VARIABLE_UPVALUE);
  check_text("its name", variable.name, "level");
  CHECK("no more", !graft_break_variable(at, 0, 3, &variable));
  CHECK("no frame", !graft_break_variable(at, 9, 0, &variable));
}

static void look_at_values(GraftBreak *at) {
  const char *shown = NULL;
  GraftError error;
  check_code("an expression",
             graft_break_evaluate(at, 0, "n, level + 1", &shown, &error),
             GRAFT_OK, &error);
  check_text("its values", shown, "41\t2");
  check_code("statements",
             graft_break_evaluate(at, 0, "level = 7", &shown, NULL), GRAFT_OK,
             &error);
  check_text("have none", shown, "");
  check_code("a syntax error",
             graft_break_evaluate(at, 0, "level = = 7", &shown, &error),
             GRAFT_ESYNTAX, &error);
  check_text("shows nothing", shown, "");
  check_code("an error", graft_break_evaluate(at, 0, "error 'x'", &shown, NULL),
             GRAFT_ERUN, &error);
  check_code("no such frame", graft_break_evaluate(at, 9, "1", &shown, &error),
             GRAFT_EARG, &error);
  check_code("nothing changes",
             graft_engine_rollback(host.engine, "m.f", 1, &error), GRAFT_EARG,
             &error);
  CHECK("no safe point", graft_engine_update(host.engine, NULL) == 0);
}

// What is called here raises as it did: it is told, and nobody is asked.
static void look_by_calling(GraftBreak *at) {
  (void)at;
  host_call(&host, fn("m.f"), number_value(1));
  check_code("a call meanwhile", host.error.status, GRAFT_ERUN, &host.error);
}

static void looking(void) {
  static void (*const looks[])(GraftBreak *) = {
      look_at_frames, look_at_variables, look_at_values, look_by_calling};
  for (size_t i = 0; i < sizeof looks / sizeof looks[0]; i++) {
    open_host(GRAFT_ON_ERROR_BREAK, true);
    save(raising);
    look = looks[i];
    host_call(&host, fn("m.g"), integer_value(41));
    CHECK("asked once", asked == 1);
    check_holds("it is told", host.events, "Break m.f: ", "m.lua:5: ", NULL);
    check_code("and reverted", host.error.status, GRAFT_EREVERTED, &host.error);
    double answer = host_number(&host, fn("m.g"), 1);
    CHECK("what was set is there",
          answer == (looks[i] == look_at_values ? 9 : 3));
    host_close(&host);
  }
}

// --- Restarts --------------------------------------------------------------

static void goes_on(void) {
  open_host(GRAFT_ON_ERROR_BREAK, true);
  save(raising);
  answers[0] = GRAFT_RESTART_CONTINUE;
  host_call(&host, fn("m.f"), number_value(1));
  check_code("continue lets the error go", host.error.status, GRAFT_ERUN,
             &host.error);
  host_call(&host, fn("m.f"), number_value(1));
  check_code("the new version stays", host.error.status, GRAFT_ERUN,
             &host.error);
  CHECK("and is trusted", asked == 1);
  CHECK("nothing was reverted", strstr(host.events, "Revert") == NULL);
  host_close(&host);
}

static void set_level(GraftBreak *at) {
  const char *shown;
  GraftError error;
  if (asked < 3) return;
  check_code("it can be mended",
             graft_break_evaluate(at, 0, "_G.mended = 5", &shown, &error),
             GRAFT_OK, &error);
}

static void retries(void) {
  open_host(GRAFT_ON_ERROR_BREAK, true);
  save("local M = {}\nlocal level = 1\n"
       "function M.f(n) return n + mended + level end\n"
       "function M.g(n) return 1 + M.f(n) end\nreturn M\n");
  answers[0] = answers[1] = answers[2] = GRAFT_RESTART_RETRY;
  look = set_level;
  double answer = host_number(&host, fn("m.g"), 10);
  CHECK("the call is made again until it returns", asked == 3);
  CHECK("with its argument", answer == 17);
  host_close(&host);
}

// The call of a native that the script calls is made again, not the script's.
static int calls;
static int (*pointer)(int);

static int call_back(int n) {
  calls++;
  return pointer(n);
}

static const char outer[] =
    "local m, native, M = require 'm', require 'native', {}\n"
    "function M.h(n) return native.call_back(n) * 100 end\nreturn M\n";

static void typed(GraftRestart restart) {
  open_host(GRAFT_ON_ERROR_BREAK, true);
  calls = 0;
  host_register(&host, "native.call_back", (GraftNative)call_back, "int(int)");
  pointer = (int (*)(int))graft_fn_pointer(fn("m.f"), "int(int)", &host.error);
  host_write(&host, "outer.lua", outer);
  host_require(&host, "outer");
  save("local M = {}\nlocal level = 1\n"
       "function M.f(n)\n  local x = mended\n  mended = 5\n"
       "  return n + x + level\nend\n"
       "function M.g(n) return 1 + M.f(n) end\nreturn M\n");
  answers[0] = restart;
  double answer = host_number(&host, fn("outer.h"), 10);
  CHECK("asked inside of a native", asked == 1);
  CHECK("which is called once", calls == 1);
  bool again = restart == GRAFT_RESTART_RETRY;
  CHECK("the pointer's call is made again, or gives zero",
        answer == (again ? 1600 : 0));
  if (restart == GRAFT_RESTART_REVERT) {
    CHECK("and is reverted", host_number(&host, fn("m.f"), 1) == 2);
  }
  host_close(&host);
}

// --- Nobody is asked -------------------------------------------------------

static void without_callback(void) {
  open_host(GRAFT_ON_ERROR_BREAK, false);
  save(raising);
  host_call(&host, fn("m.f"), number_value(1));
  check_code("without a callback it reverts", host.error.status,
             GRAFT_EREVERTED, &host.error);
  check_holds("and says so", host.events, "Notice", "on_break", "Revert m.f",
              NULL);
  *host.events = '\0';
  save(raising);
  host_call(&host, fn("m.f"), number_value(1));
  CHECK("once", strstr(host.events, "Notice") == NULL);
  host_close(&host);
}

// A native behind a C pointer swallows the error, so no script can catch it.
static void typed_inside(void) {
  open_host(GRAFT_ON_ERROR_REVERT, true);
  calls = 0;
  host_register(&host, "native.call_back", (GraftNative)call_back, "int(int)");
  pointer = (int (*)(int))graft_fn_pointer(fn("m.f"), "int(int)", &host.error);
  host_write(&host, "outer.lua", outer);
  host_require(&host, "outer");
  save(raising);
  CHECK("zero once", host_number(&host, fn("outer.h"), 10) == 0);
  check_holds("a typed call inside a script's is reverted", host.events,
              "Revert m.f", NULL);
  CHECK("and told once", strstr(host.events, "Error") == NULL);
  CHECK("the old code answers", host_number(&host, fn("outer.h"), 10) == 1100);
  CHECK("nobody was asked", asked == 0);
  host_close(&host);
}

static void in_transaction(void) {
  open_host(GRAFT_ON_ERROR_BREAK, true);
  host_write(&host, "m.lua",
             "local M = {}\nlocal level = 1\n"
             "function M.f(n) error 'within' end\n"
             "function M.g(n) return 1 + M.f(n) end\nM.f(1)\nreturn M\n");
  graft_engine_reload(host.engine, NULL, NULL);
  check_holds("a transaction is undone", host.events, "Reject", "within", NULL);
  CHECK("and asks nobody", asked == 0);
  host_close(&host);
}

int main(void) {
  looking();
  goes_on();
  retries();
  typed(GRAFT_RESTART_RETRY);
  typed(GRAFT_RESTART_REVERT);
  typed(GRAFT_RESTART_CONTINUE);
  without_callback();
  typed_inside();
  in_transaction();
  return check_status();
}
