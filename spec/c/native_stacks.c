// SPDX-License-Identifier: MIT
//
// N6: whether a thread may be inside code that is to be unloaded.

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "guard_support.h"
#include "native/stacks.h"

typedef int Small(int);

static atomic_int inside;
static atomic_bool leave;
static int pipe_ends[2];

NATIVE int spins(int value) {
  atomic_store(&inside, 1);
  while (!atomic_load(&leave)) continue;
  return value;
}
NATIVE int sleeps(int value) {
  char byte;
  atomic_store(&inside, 1);
  ssize_t got = read(pipe_ends[0], &byte, 1);
  return value + (int)got;
}
static void spin_outside(void) {
  atomic_store(&inside, 1);
  while (!atomic_load(&leave)) continue;
}
NATIVE int calls_host(int value) {
  spin_outside();
  return value + 1;
}
static StacksAnswer ask(void);
static StacksAnswer answer_inside;
NATIVE int asks(int value) {
  answer_inside = ask();
  return value + 1;
}

static StacksAnswer ask(void) {
  StacksRange ranges[] = {{"", ""}, {__start_natives, __stop_natives}};
  StacksAnswer answer;
  GraftError error;
  if (stacks_ask(&(StacksDesc){.ranges = ranges, .count = 2}, &answer, &error) <
      0) {
    printf("FAIL stacks_ask: %s\n", error.message);
    exit(1);
  }
  return answer;
}

static void *on_thread(void *argument) {
  prctl(PR_SET_NAME, "player");
  Small *code = (Small *)(uintptr_t)argument;
  if (code != NULL) code(1);
  if (code == NULL) sleeps(0);
  return NULL;
}

static pthread_t start(Small *code) {
  pthread_t id;
  atomic_store(&inside, 0);
  atomic_store(&leave, false);
  pthread_create(&id, NULL, on_thread, (void *)(uintptr_t)code);
  while (atomic_load(&inside) == 0) sched_yield();
  return id;
}

static void finish(pthread_t id) {
  atomic_store(&leave, true);
  ssize_t written = write(pipe_ends[1], "x", 1);
  pthread_join(id, NULL);
  char byte;
  if (written != 1) exit(1);
  // What the thread did not read.
  fcntl(pipe_ends[0], F_SETFL, O_NONBLOCK);
  while (read(pipe_ends[0], &byte, 1) > 0) continue;
  fcntl(pipe_ends[0], F_SETFL, 0);
}

// While a thread runs, its registers may hold what they held in a native.
static bool gets_outside(void) {
  for (int i = 0; i < 10000; i++) {
    if (!ask().inside) return true;
    sched_yield();
  }
  return false;
}

static void one(const char *name, Small *code) {
  pthread_t id = start(code);
  StacksAnswer answer = ask();
  CHECK(name, answer.inside && answer.range == 1 && !answer.is_caller &&
                  !answer.silent && strcmp(answer.thread_name, "player") == 0);
  const char *at = answer.address;
  CHECK("at an address in it", at >= __start_natives && at <= __stop_natives);
  finish(id);
  CHECK("not any more", gets_outside());
}

// Sleeps in the host, where its stack still has what natives left there.
static __attribute__((noinline)) int sleep_outside(int value) {
  char byte;
  atomic_store(&inside, 1);
  return value + (int)read(pipe_ends[0], &byte, 1);
}
NATIVE int deep(int value) {
  volatile char room[200] = {0};
  room[value % 200] = 1;
  return value > 40 ? (int)syscall(SYS_getppid) : deep(value + 1) + room[0];
}
static void *deep_then_sleep(void *argument) {
  (void)argument;
  deep(0);
  sleep_outside(1);
  return NULL;
}

static void left_overs(void) {
  pthread_t id;
  atomic_store(&inside, 0);
  pthread_create(&id, NULL, deep_then_sleep, NULL);
  while (atomic_load(&inside) == 0) sched_yield();
  CHECK("what calls have left on a stack does not count", gets_outside());
  finish(id);
}

static void *without_signals(void *argument) {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, NULL);
  (void)argument;
  spin_outside();
  return NULL;
}

static void silent(void) {
  pthread_t id;
  atomic_store(&inside, 0);
  atomic_store(&leave, false);
  pthread_create(&id, NULL, without_signals, NULL);
  while (atomic_load(&inside) == 0) sched_yield();
  StacksAnswer answer = ask();
  CHECK("a thread that does not answer counts",
        answer.inside && answer.silent && answer.address == NULL);
  finish(id);
  CHECK("not when it is gone", !ask().inside);
}

// --- At a gate ---------------------------------------------------------------

static Native gated;

NATIVE int gated_old(int value) {
  return deep(value);
}
static void *call_gated(void *argument) {
  while (!atomic_load(&leave)) {
    CALL(gated, Small)(0);
    atomic_fetch_add(&inside, 1);
  }
  return argument;
}

static void at_a_gate(void) {
  open_usual();
  gated = new_version(CODE(gated_old), NULL);
  pthread_t id;
  atomic_store(&inside, 0);
  atomic_store(&leave, false);
  pthread_create(&id, NULL, call_gated, NULL);
  while (atomic_load(&inside) < 100) sched_yield();
  GuardChange change = {.fn = gated.fn, .code = CODE(deep)};
  guard_switch_begin(guard, &change, 1, NULL);
  CHECK("a thread that waits at its gate is outside", gets_outside());
  CHECK("and remains so", !ask().inside);
  guard_switch_commit(guard);
  atomic_store(&leave, true);
  pthread_join(id, NULL);
  close_guard();
}

int main(void) {
  if (pipe(pipe_ends) != 0) return 1;
  CHECK("nobody", !ask().inside);
  one("a thread that runs inside", spins);
  one("a thread that sleeps inside", sleeps);
  one("a thread that runs in what a native called", calls_host);
  CHECK("the calling thread",
        asks(1) == 2 && answer_inside.inside && answer_inside.is_caller);
  CHECK("afterwards", !ask().inside);
  left_overs();
  silent();
  if (guard_is_supported()) at_a_gate();
  return check_status();
}
