// SPDX-License-Identifier: MIT
//
// Threads, several engines in one process, interrupting, and no memory: the
// n-th call of the allocator fails, for every n.

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#include "engine_support.h"

static double gravity(double height) {
  return height + 1000;
}

static const char script[] = "local M = {}\n"
                             "M.count = 0\n"
                             "function M.f(x)\n"
                             "  M.count = M.count + 1\n"
                             "  return M.count\n"
                             "end\n"
                             "return M\n";

// --- Several engines -------------------------------------------------------

static void two_engines(void) {
  Host left, right;
  host_open(&left, NULL);
  host_open(&right, NULL);
  host_write(&left, "m.lua", script);
  host_write(&right, "m.lua", script);
  host_require(&left, "m");
  host_require(&right, "m");
  host_register(&left, "n.only", (GraftNative)gravity, "double(double)");
  GraftFn *left_fn = graft_engine_fn(left.engine, "m.f");
  GraftFn *right_fn = graft_engine_fn(right.engine, "m.f");
  CHECK("each has its slot", left_fn != right_fn);
  for (int i = 0; i < 5; i++) host_number(&left, left_fn, 0);
  CHECK("each has its state", host_number(&left, left_fn, 0) == 6 &&
                                  host_number(&right, right_fn, 0) == 1);
  CHECK("each has its natives",
        graft_engine_find(left.engine, "n.only") != NULL &&
            graft_engine_find(right.engine, "n.only") == NULL);
  host_write(&left, "m.lua",
             "local M = {}\nfunction M.f() return 77 end\nreturn M\n");
  graft_engine_reload(left.engine, NULL, NULL);
  graft_engine_reload(right.engine, NULL, NULL);
  CHECK("each has its files", host_number(&left, left_fn, 0) == 77 &&
                                  host_number(&right, right_fn, 0) == 2);
  CHECK("the events of the other are not told",
        strstr(left.events, "Update m.f") != NULL &&
            strstr(right.events, "Update m.f") == NULL);
  host_close(&left);
  CHECK("one goes on when the other is closed",
        host_number(&right, right_fn, 0) == 3);
  host_close(&right);
}

// --- Threads ---------------------------------------------------------------

typedef struct Visitor {
  GraftFn *native;
  GraftFn *script;
  double (*pointer)(double);
  GraftError error;
  int wrong;
  int zeros;
} Visitor;

static double call_number(GraftFn *fn, double arg, GraftError *error) {
  GraftValue value = number_value(arg), result = nil_value();
  GraftCall call = {
      .args = &value, .arg_count = 1, .results = &result, .result_capacity = 1};
  error->status = GRAFT_OK;
  return graft_fn_call(fn, &call, error) == GRAFT_OK ? result.as.number : -1;
}

static void *visit(void *context) {
  Visitor *self = context;
  for (int i = 0; i < 2000; i++) {
    self->wrong += call_number(self->native, i, &self->error) != i + 1000;
  }
  self->zeros = self->pointer(1) == 0;
  call_number(self->script, 1, &self->error);
  return NULL;
}

static void threads(void) {
  Host host;
  host_open(&host, NULL);
  host_write(&host, "m.lua", script);
  host_require(&host, "m");
  host_register(&host, "n.f", (GraftNative)gravity, "double(double)");
  *host.events = '\0';
  Visitor visitors[3];
  pthread_t ids[3];
  GraftFn *fn = graft_engine_fn(host.engine, "m.f");
  double (*pointer)(double) =
      (double (*)(double))graft_fn_pointer(fn, "double(double)", NULL);
  for (int i = 0; i < 3; i++) {
    visitors[i] = (Visitor){.native = graft_engine_fn(host.engine, "n.f"),
                            .script = fn,
                            .pointer = pointer};
    pthread_create(&ids[i], NULL, visit, &visitors[i]);
  }
  for (int i = 0; i < 50; i++) {
    host_register(&host, "n.f", (GraftNative)gravity, "double(double)");
    host_number(&host, fn, 1);
  }
  int wrong = 0, refused = 0, zeros = 0;
  for (int i = 0; i < 3; i++) {
    pthread_join(ids[i], NULL);
    wrong += visitors[i].wrong;
    zeros += visitors[i].zeros;
    refused += visitors[i].error.status == GRAFT_ETHREAD;
  }
  CHECK("natives on any thread, while they are switched", wrong == 0);
  CHECK("a script on another thread is refused", refused == 3);
  check_holds("with its name", visitors[0].error.message, "m.f",
              "another thread", NULL);
  CHECK("behind a C type it gives zero", zeros == 3);
  CHECK("nothing is told on other threads",
        strstr(host.events, "Error ") == NULL);
  CHECK("there is something to take", graft_engine_wait(host.engine, 0));
  CHECK("a safe point", graft_engine_update(host.engine, NULL) == 1);
  check_holds("tells of what failed on other threads", host.events, "Error ",
              "m.f is a script now", "another thread", "(3 times) [m.f]", NULL);
  CHECK("once", strstr(strstr(host.events, "Error ") + 1, "Error ") == NULL);
  CHECK("every call counts", host_info(&host, "n.f").calls == 6000);
  host_close(&host);
}

// --- Interrupting ----------------------------------------------------------

static GraftEngine *interrupted;
static atomic_bool started;

static void on_alarm(int number) {
  (void)number;
  graft_engine_interrupt(interrupted);
}

static void is_started(void) {
  atomic_store(&started, true);
}

static void *send_alarm(void *host_thread) {
  while (!atomic_load(&started)) {
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
  }
  pthread_kill(*(pthread_t *)host_thread, SIGUSR1);
  return NULL;
}

static void interrupting(void) {
  Host host;
  host_open(&host, NULL);
  interrupted = host.engine;
  graft_engine_interrupt(host.engine);
  host_register(&host, "n.started", (GraftNative)is_started, "void(void)");
  host_write(&host, "m.lua",
             "local M, n = {}, require 'n'\n"
             "local function step(i) return i + 1 end\n"
             "function M.loop()\n"
             "  if jit then jit.off(true, true) end\n"
             "  local i = 0\n"
             "  n.started()\n"
             "  while true do i = step(i) end\n"
             "end\n"
             "function M.f() return 5 end\n"
             "return M\n");
  host_require(&host, "m");
  CHECK("nothing happens between calls",
        host_number(&host, graft_engine_fn(host.engine, "m.f"), 0) == 5);
  struct sigaction action = {.sa_handler = on_alarm}, old;
  sigaction(SIGUSR1, &action, &old);
  pthread_t self = pthread_self(), id;
  pthread_create(&id, NULL, send_alarm, &self);
  host_call(&host, graft_engine_fn(host.engine, "m.loop"), nil_value());
  pthread_join(id, NULL);
  sigaction(SIGUSR1, &old, NULL);
  check_code("a loop is interrupted", host.error.status, GRAFT_ERUN,
             &host.error);
  check_holds("with a message", host.error.message, "interrupted", NULL);
  CHECK("and the engine goes on",
        host_number(&host, graft_engine_fn(host.engine, "m.f"), 0) == 5);
  host_close(&host);
}

// --- No memory -------------------------------------------------------------

enum { ATTEMPTS_MOST = 20000 };

static void no_memory_to_open(void) {
  CheckMemory memory;
  GraftError error;
  int odd = 0, leaks = 0;
  long n = 1;
  for (; n < ATTEMPTS_MOST; n++) {
    check_memory_init(&memory, n);
    GraftEngine *engine = NULL;
    GraftStatus status = graft_engine_open(
        &(GraftEngineDesc){.allocator = &memory.allocator}, &engine, &error);
    odd += status < 0 ? status != GRAFT_ENOMEM || engine != NULL : 0;
    graft_engine_close(engine);
    leaks += memory.alive != 0;
    if (memory.calls < n) break;
  }
  printf("# opening asks for memory %ld times\n", n - 1);
  CHECK("opening without memory is ENOMEM", odd == 0);
  CHECK("and leaves nothing", leaks == 0);
}

// Everything a host does at its start.
static void no_memory_to_start(void) {
  CheckMemory memory;
  int leaks = 0, stuck = 0;
  long n = 1;
  for (; n < ATTEMPTS_MOST; n++) {
    Host host;
    check_memory_init(&memory, 0);
    host_open(&host, &(GraftEngineDesc){.allocator = &memory.allocator});
    host_write(&host, "m.lua", script);
    long before = memory.calls;
    memory.fail_at = before + n;
    GraftFn *fn = NULL;
    GraftNative pointer = NULL;
    bool ok = graft_engine_register(host.engine, "n.f", (GraftNative)gravity,
                                    "double(double)", NULL) == GRAFT_OK;
    ok &= graft_engine_require(host.engine, "m", NULL) == GRAFT_OK;
    fn = graft_engine_fn(host.engine, "m.f");
    ok &= fn != NULL;
    if (fn != NULL) pointer = graft_fn_pointer(fn, "double(double)", NULL);
    ok &= pointer != NULL;
    bool failed = memory.calls >= memory.fail_at;
    ok &= graft_engine_find(host.engine, "m.f") != NULL;
    memory.fail_at = 0;
    if (!ok) {
      ok = graft_engine_run_text(host.engine,
                                 "package.loaded.m = nil require 'm'", "=t",
                                 &host.error) == GRAFT_OK;
      if (!ok) printf("# %ld: not mended: %s\n", n, host.error.message);
      stuck += !ok;
    }
    host_close(&host);
    leaks += memory.alive != 0;
    if (!failed) break;
  }
  printf("# starting asks for memory %ld times\n", n - 1);
  CHECK("what could not start without memory can be tried again", stuck == 0);
  CHECK("and leaves nothing", leaks == 0);
}

static const char patched[] = "local M = {}\n"
                              "M.count = 0\n"
                              "local function helper() return M.count end\n"
                              "function M.f(x)\n"
                              "  M.count = M.count + 100\n"
                              "  return helper()\n"
                              "end\n"
                              "function M.g() return helper end\n"
                              "return M\n";

// Either all is done, or nothing, and then it works when there is memory.
static void no_memory_to_reload(void) {
  CheckMemory memory;
  int half = 0, leaks = 0, lost = 0, silent = 0;
  long n = 1;
  for (; n < ATTEMPTS_MOST; n++) {
    Host host;
    check_memory_init(&memory, 0);
    host_open(&host, &(GraftEngineDesc){.allocator = &memory.allocator});
    host_write(&host, "m.lua", script);
    host_require(&host, "m");
    GraftFn *fn = graft_engine_fn(host.engine, "m.f");
    double (*pointer)(double) =
        (double (*)(double))graft_fn_pointer(fn, "double(double)", NULL);
    host_number(&host, fn, 0);
    host_write(&host, "m.lua", patched);
    *host.events = '\0';
    memory.fail_at = memory.calls + n;
    const GraftReport *report = NULL;
    int changed = graft_engine_reload(host.engine, NULL, &report);
    bool failed = memory.calls >= memory.fail_at;
    memory.fail_at = 0;
    double now = pointer(0);
    bool old = now == 2, new = now == 101;
    half += !old && !new;
    if (!old && !new) printf("# %ld: %g %s\n", n, now, host.events);
    silent += failed && (changed == 0 || report == NULL);
    graft_engine_reload(host.engine, NULL, NULL);
    now = pointer(0);
    bool mended = now == (old ? 102 : 201) && host_number(&host, fn, 0) > now &&
                  graft_engine_find(host.engine, "m.g") != NULL;
    lost += !mended;
    if (!mended) printf("# %ld: after it %g %s\n", n, now, host.events);
    host_close(&host);
    leaks += memory.alive != 0;
    if (!failed) break;
  }
  printf("# reloading asks for memory %ld times\n", n - 1);
  CHECK("reloading without memory does all or nothing", half == 0);
  CHECK("and says so", silent == 0);
  CHECK("and the next reload takes it", lost == 0);
  CHECK("and leaves nothing", leaks == 0);
}

int main(void) {
  two_engines();
  threads();
  interrupting();
  no_memory_to_open();
  no_memory_to_start();
  no_memory_to_reload();
  return check_status();
}
