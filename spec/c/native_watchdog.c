// SPDX-License-Identifier: MIT
//
// N5 for natives that do not return: the watchdog takes them out where it can,
// and names them where it cannot.

#include <sched.h>
#include <time.h>

#include "guard_support.h"
#include "native/watchdog.h"

typedef int Small(int);

enum { LIMIT_MS = 30 };

static volatile int never;
static int pipe_ends[2];

NATIVE int old(int value) {
  return value + 1;
}
NATIVE int loops(int value) {
  state.hp = value;
  while (never == 0) state.speed += 1;
  return value;
}
NATIVE int waits(int value) {
  char byte;
  return value + (int)read(pipe_ends[0], &byte, 1);
}
// Takes its time, but not as long as the limit at a time.
NATIVE int outer_old(int value) {
  return -value;
}
static Native inner_native;
NATIVE int outer(int value) {
  return CALL(inner_native, Small)(value) * 10;
}

static void open_limited(void (*tell)(void *)) {
  GuardDesc desc = guard_desc();
  desc.watchdog_ms = LIMIT_MS;
  if (tell != NULL) desc.host.noticed = tell;
  open_guard(&desc);
  name_native("old", CODE(old));
  name_native("loops", CODE(loops));
  name_native("waits", CODE(waits));
  name_native("outer", CODE(outer));
}

static void endless(void) {
  open_limited(NULL);
  Native native = new_version(CODE(loops), CODE(old));
  state.hp = 100;
  CHECK("an endless loop is taken out", CALL(native, Small)(41) == 42);
  CHECK("and state is put back", state.hp == 100);
  GuardCrash crash = take_crash();
  CHECK("it is told of", crash.fn == native.fn && crash.signal == 0 &&
                             crash.outcome == GUARD_WENT_BACK &&
                             crash.elapsed_ms >= LIMIT_MS);
  char text[512], expected[100];
  guard_crash_text(&crash, text, sizeof text);
  snprintf(expected, sizeof expected, "has not returned for %d ms at loops",
           crash.elapsed_ms);
  check_text("in words", text, expected);
  CHECK("the code before is in the cell", *native.thunk.cell == CODE(old));
  close_guard();
}

static void within(void) {
  open_limited(NULL);
  inner_native = new_version(CODE(loops), CODE(old));
  Native native = new_version(CODE(outer), CODE(outer_old));
  CHECK("a loop in a call within a call is that one's",
        CALL(native, Small)(4) == 50);
  CHECK("once", take_crash().fn == inner_native.fn &&
                    !guard_take_crash(guard, &(GuardCrash){0}));
  CHECK("the outer one is proven", *native.thunk.cell == CODE(outer));
  close_guard();
}

static void *call_on_thread(void *argument) {
  pthread_setname_np(pthread_self(), "mixer");
  const Native *native = argument;
  return (void *)(intptr_t)CALL(*native, Small)(41);
}

static void elsewhere(void) {
  open_limited(NULL);
  Native native = new_version(CODE(loops), CODE(old));
  pthread_t id;
  void *result;
  pthread_create(&id, NULL, call_on_thread, &native);
  pthread_join(id, &result);
  CHECK("on another thread", (intptr_t)result == 42);
  GuardCrash crash = take_crash();
  CHECK("which is named",
        strcmp(crash.thread_name, "mixer") == 0 && !crash.on_host_thread);
  close_guard();
}

static void end_wait(void *context) {
  noticed(context);
  if (write(pipe_ends[1], "x", 1) != 1) exit(1);
}

static void cannot(void) {
  open_limited(end_wait);
  Native native = new_version(CODE(waits), CODE(old));
  CHECK("one that sleeps in the system is left", CALL(native, Small)(41) == 42);
  GuardCrash crash = take_crash();
  CHECK("but named", crash.fn == native.fn && crash.outcome == GUARD_NAMED &&
                         crash.on_host_thread &&
                         atomic_load(&noticed_count) == 1);
  char text[512];
  guard_crash_text(&crash, text, sizeof text);
  CHECK("with its place", strstr(text, " at waits") != NULL);
  CHECK("it is proven when it returns", *native.thunk.cell == CODE(waits));
  close_guard();
}

static void none(void) {
  GuardDesc desc = guard_desc();
  desc.watchdog_ms = 10000;
  open_guard(&desc);
  Native native = new_version(CODE(old), NULL);
  for (int i = 0; i < 100; i++) {
    CALL(native, Small)(1);
    switch_to(&native, CODE(old), NULL);
  }
  CHECK("those that return are not named",
        !guard_take_crash(guard, &(GuardCrash){0}));
  close_guard();
}

int main(int count, char **arguments) {
  only_child = count > 1 ? arguments[1] : NULL;
  if (pipe(pipe_ends) != 0) return 1;
  if (!guard_is_supported()) {
    printf("ok no gates on this processor, nothing is guarded\n");
    return 0;
  }
  check_child("an endless loop", endless);
  check_child("within", within);
  check_child("elsewhere", elsewhere);
  static Child child;
  if (only_child == NULL) {
    run_child(&child, cannot);
    CHECK("what hangs on the host thread is told at once",
          child.status == 0 &&
              strstr(child.errors, "A native has not returned for ") != NULL);
  }
  check_child("none", none);
  return check_status();
}
