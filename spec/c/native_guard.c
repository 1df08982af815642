// SPDX-License-Identifier: MIT
//
// N5: a native on probation that crashes is taken out, state comes back, and
// the code before it answers the same call.

#include <errno.h>
#include <setjmp.h>

#include "guard_support.h"

// --- The five signals --------------------------------------------------------

static volatile int zero;

NATIVE int old(int value) {
  return value + 1;
}
NATIVE int new_good(int value) {
  state.hp += value;
  return value + 2;
}
NATIVE int writes_and_segv(int value) {
  state.hp = -1;
  strcpy(state.text, "half way");
  AT(8) = value;
  return value;
}
NATIVE int segv_read(int value) {
  return value + AT(16);
}
NATIVE int segv_call(int value) {
  int (*nobody)(int) = (int (*)(int))nowhere;
  return nobody(value) + 1;
}
NATIVE int fpe(int value) {
#if defined(__x86_64__)
  return value / zero;
#else
  raise(SIGFPE); // the processor gives zero
  return value + zero;
#endif
}
NATIVE int ill(int value) {
  __builtin_trap();
  return value;
}
NATIVE int aborts(int value) {
  state.hp = 12;
  abort();
  return value;
}
static char *bus_page;
NATIVE int bus(int value) {
  return value + *(volatile char *)bus_page;
}
NATIVE int overflow(int value) {
  volatile char room[512];
  room[value % 512] = (char)value;
  return value < 0 ? 0 : overflow(value + 1) + room[0];
}

// A page of a file that is not that long.
static void make_bus_page(void) {
  FILE *file = tmpfile();
  bus_page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fileno(file), 0);
  fclose(file);
}

typedef int Small(int);

static void crashes_as(const char *name, Small *code, const char *text) {
  Native native = new_version(CODE(code), CODE(old));
  state = (State){.hp = 100, .speed = 0.5, .text = "whole"};
  CHECK(name, CALL(native, Small)(41) == 42);
  CHECK("state is as before the call",
        state.hp == 100 && strcmp(state.text, "whole") == 0);
  check_crash(name, text);
  CHECK("the code before is in the cell", *native.thunk.cell == CODE(old));
  CHECK("and answers", CALL(native, Small)(1) == 2);
}

static void name_natives(void) {
  name_native("old", CODE(old));
  name_native("new_good", CODE(new_good));
  name_native("writes_and_segv", CODE(writes_and_segv));
  name_native("segv_read", CODE(segv_read));
  name_native("segv_call", CODE(segv_call));
  name_native("fpe", CODE(fpe));
  name_native("ill", CODE(ill));
  name_native("aborts", CODE(aborts));
  name_native("bus", CODE(bus));
  name_native("overflow", CODE(overflow));
}

static void signals(void) {
  open_usual();
  make_bus_page();
  crashes_as("a crash after a write", writes_and_segv,
             "crashed with SIGSEGV, " WRITING " 0x8 at writes_and_segv");
  crashes_as("a crash that reads", segv_read,
             "crashed with SIGSEGV, " READING " 0x10 at segv_read");
  crashes_as("a call of nothing", segv_call,
             "crashed with SIGSEGV, jumping to 0x0 at segv_call");
#if defined(__x86_64__)
  crashes_as("a division by zero", fpe, "divided by zero (SIGFPE) at fpe");
#else
  crashes_as("a floating-point exception", fpe, "crashed with SIGFPE at fpe");
#endif
  crashes_as("abort", aborts, "called abort (SIGABRT) at aborts");
  crashes_as("a bus error", bus, "crashed with SIGBUS, " READING " 0x");
  crashes_as("a stack overflow", overflow, "overflowed the stack at overflow");
#if defined(__x86_64__)
  crashes_as("an illegal instruction", ill,
             "crashed with an illegal instruction (SIGILL) at ill");
#endif
  crashes_as("and the first once more", writes_and_segv,
             "crashed with SIGSEGV, " WRITING " 0x8 at writes_and_segv");
  CHECK("the host was told each time", atomic_load(&noticed_count) >= 8);
  CHECK("nobody is in a call", guard_is_idle(guard));
  close_guard();
}

static void describes(void) {
  open_usual();
  Native native = new_version(CODE(writes_and_segv), CODE(old));
  CALL(native, Small)(1);
  GuardCrash crash = take_crash();
  CHECK("a crash tells its native",
        crash.fn == native.fn && crash.code == CODE(writes_and_segv));
  CHECK("its signal and address", crash.signal == SIGSEGV &&
                                      crash.address == (void *)8 &&
                                      crash.access != MACHINE_READ);
  CHECK("what was done",
        crash.outcome == GUARD_WENT_BACK && crash.state_restored);
  CHECK("its thread", crash.on_host_thread && crash.thread == getpid());
  CHECK("once", !guard_take_crash(guard, &crash));
  char small[8];
  CHECK("a short buffer is enough for a length",
        guard_crash_text(&crash, small, sizeof small) > sizeof small &&
            strlen(small) == sizeof small - 1);
  close_guard();
}

// --- What stays out ----------------------------------------------------------

NATIVE int old_crash(int value) {
  state.hp = 1;
  return value + AT(32);
}

static void nothing_before(void) {
  open_usual();
  Native native = new_version(CODE(writes_and_segv), NULL);
  state.hp = 100;
  CHECK("a new function gives zero", CALL(native, Small)(41) == 0);
  CHECK("with the state as it was", state.hp == 100);
  GuardCrash crash = take_crash();
  CHECK("and says so", crash.outcome == GUARD_GAVE_ZERO);
  CHECK("it stays out",
        CALL(native, Small)(41) == 0 && !guard_take_crash(guard, &crash));
  switch_to(&native, CODE(new_good), NULL);
  CHECK("until the next version", CALL(native, Small)(41) == 43);
  close_guard();
}

static void both_crash(void) {
  open_usual();
  Native native = new_version(CODE(writes_and_segv), CODE(old_crash));
  state.hp = 100;
  CHECK("when the code before crashes as well there is zero",
        CALL(native, Small)(41) == 0);
  CHECK("with the state as it was", state.hp == 100);
  check_crash("the new is named", "crashed with SIGSEGV, " WRITING " 0x8 at");
  GuardCrash second = take_crash();
  CHECK("then the old", second.code == CODE(old_crash) &&
                            second.outcome == GUARD_GAVE_ZERO &&
                            second.address == (void *)32);
  for (int i = 0; i < 100; i++) CALL(native, Small)(41);
  CHECK("the program lives, and is told no more",
        state.hp == 100 && !guard_take_crash(guard, &second));
  close_guard();
}

static void removed(void) {
  open_usual();
  Native native = new_version(CODE(old), NULL);
  switch_one(&(GuardChange){.fn = native.fn});
  CHECK("without code there is zero", CALL(native, Small)(41) == 0);
  guard_fn_set(native.fn, CODE(new_good), false);
  CHECK("set by hand there is no probation",
        *native.thunk.cell == CODE(new_good) && CALL(native, Small)(1) == 3);
  close_guard();
}

static void other_in_cell(void) {
  open_usual();
  Native native = new_native(false);
  atomic_store(native.thunk.cell, CODE(old));
  switch_one(&(GuardChange){.fn = native.fn,
                            .code = CODE(new_good),
                            .probation = true,
                            .keep_cell = true});
  CHECK("what else is in the cell stays", CALL(native, Small)(1) == 2);
  GraftNative target = guard_fn_target(native.fn);
  CHECK("the target is the gate", target == guard_fn_gate(native.fn));
  CHECK("which works", ((Small *)target)(1) == 3);
  CHECK("and does not touch the cell", *native.thunk.cell == CODE(old));
  CHECK("then it is the code", guard_fn_target(native.fn) == CODE(new_good));
  close_guard();
}

// --- Calls within calls ------------------------------------------------------

static Native inner_native, outer_native;

NATIVE int inner_old(int value) {
  return value * 2;
}
NATIVE int inner_crash(int value) {
  state.hp = 7;
  AT(0) = value;
  return 0;
}
NATIVE int outer_old(int value) {
  return -value;
}
NATIVE int outer_fine(int value) {
  state.hp = 50;
  return CALL(inner_native, Small)(value) + state.hp;
}
NATIVE int outer_crash(int value) {
  state.hp = 50;
  CALL(inner_native, Small)(value);
  AT(0) = state.hp;
  return 0;
}

static void nested(void) {
  open_usual();
  inner_native = new_version(CODE(inner_crash), CODE(inner_old));
  outer_native = new_version(CODE(outer_fine), CODE(outer_old));
  state.hp = 1;
  CHECK("a crash in a call within a call is that one's",
        CALL(outer_native, Small)(4) == 58);
  CHECK("the outer one is proven",
        *outer_native.thunk.cell == CODE(outer_fine));
  CHECK("state is the outer one's", state.hp == 50);
  CHECK("one crash", take_crash().fn == inner_native.fn &&
                         !guard_take_crash(guard, &(GuardCrash){0}));
  inner_native = new_version(CODE(inner_crash), CODE(inner_old));
  outer_native = new_version(CODE(outer_crash), CODE(outer_old));
  state.hp = 1;
  CHECK("both crash", CALL(outer_native, Small)(4) == -4);
  CHECK("state is as before the outer call", state.hp == 1);
  CHECK("two crashes", take_crash().fn == inner_native.fn &&
                           take_crash().fn == outer_native.fn);
  CHECK("nobody is in a call", guard_is_idle(guard));
  close_guard();
}

static Native recursive_native;

NATIVE int recursive(int depth) {
  state.hp++;
  if (depth == 0) return 0;
  return CALL(recursive_native, Small)(depth - 1) + 1;
}
NATIVE int recursive_crash(int depth) {
  state.hp++;
  if (depth == 0) AT(0) = 1;
  return CALL(recursive_native, Small)(depth - 1) + 1;
}
NATIVE int recursive_endless(int depth) {
  volatile char room[256];
  room[depth % 256] = 1;
  return CALL(recursive_native, Small)(depth + 1) + room[0];
}

static void recursion(void) {
  open_usual();
  recursive_native = new_version(CODE(recursive), NULL);
  state.hp = 0;
  CHECK("recursion", CALL(recursive_native, Small)(1000) == 1000);
  CHECK("is one call", state.hp == 1001);
  switch_to(&recursive_native, CODE(recursive_crash), CODE(recursive));
  state.hp = 0;
  CHECK("a crash deep inside takes all of it out",
        CALL(recursive_native, Small)(300) == 300);
  CHECK("and all of its state", state.hp == 301);
  switch_to(&recursive_native, CODE(recursive_endless), CODE(recursive));
  CHECK("endless recursion through the entry",
        CALL(recursive_native, Small)(10) == 10);
  CHECK("is a stack overflow",
        take_crash().signal == SIGSEGV && take_crash().overflow);
  close_guard();
}

// --- Threads -----------------------------------------------------------------

static void *call_on_thread(void *argument) {
  pthread_setname_np(pthread_self(), "worker");
  const Native *native = argument;
  return (void *)(intptr_t)CALL(*native, Small)(41);
}

static intptr_t on_thread(Native *native) {
  pthread_t id;
  void *result = NULL;
  pthread_create(&id, NULL, call_on_thread, native);
  pthread_join(id, &result);
  return (intptr_t)result;
}

static void threads(void) {
  open_usual();
  name_natives();
  Native native = new_version(CODE(writes_and_segv), CODE(old));
  state.hp = 100;
  CHECK("a crash on another thread", on_thread(&native) == 42);
  CHECK("puts state back", state.hp == 100);
  GuardCrash crash = take_crash();
  CHECK("and tells which", !crash.on_host_thread && crash.thread != getpid() &&
                               strcmp(crash.thread_name, "worker") == 0);
  char text[1024], expected[200];
  guard_crash_text(&crash, text, sizeof text);
  simplify(text);
  snprintf(expected, sizeof expected,
           "crashed with SIGSEGV, " WRITING " 0x8 on thread %d 'worker' at "
           "writes_and_segv",
           (int)crash.thread);
  check_text("in words", text, expected);
  native = new_version(CODE(overflow), CODE(old));
  CHECK("a stack overflow on another thread", on_thread(&native) == 42);
  CHECK("is one", take_crash().overflow);
  close_guard();
}

static pthread_barrier_t together;
NATIVE int crash_together(int value) {
  pthread_barrier_wait(&together);
  AT(8) = value;
  return 0;
}

static void threads_together(void) {
  enum { COUNT = 4 };
  open_usual();
  pthread_barrier_init(&together, NULL, COUNT);
  Native native = new_version(CODE(crash_together), CODE(old));
  pthread_t ids[COUNT];
  int wrong = 0;
  for (int i = 0; i < COUNT; i++) {
    pthread_create(&ids[i], NULL, call_on_thread, &native);
  }
  for (int i = 0; i < COUNT; i++) {
    void *result;
    pthread_join(ids[i], &result);
    wrong += (intptr_t)result != 42;
  }
  CHECK("four threads crash at once", wrong == 0);
  take_crash();
  CHECK("and one of them is told of",
        !guard_take_crash(guard, &(GuardCrash){0}));
  close_guard();
}

// --- Left by a jump ----------------------------------------------------------

static jmp_buf way_out;

NATIVE int jumps(int value) {
  if (value > 0) longjmp(way_out, 1);
  return value;
}

static __attribute__((noinline)) void dig(int depth) {
  volatile char room[64 * 1024];
  room[depth] = 0;
  if (depth > 0) dig(depth - 1);
  AT(8) = room[depth]; // not in a native
}

static void leave_by_jump(const Native *native) {
  if (setjmp(way_out) == 0) CALL(*native, Small)(1);
}

static void left_by_jump(void) {
  open_usual();
  Native native = new_version(CODE(jumps), CODE(old));
  leave_by_jump(&native);
  CHECK("a call that was left proves nothing",
        guard_fn_on_probation(native.fn));
  CHECK("it is known", guard_take_left(guard) == native.fn);
  CHECK("once", guard_take_left(guard) == NULL);
  CHECK("nobody is in a call", guard_is_idle(guard));
  CHECK("later it is proven",
        CALL(native, Small)(0) == 0 && !guard_fn_on_probation(native.fn));
  for (int i = 0; i < 1000; i++) {
    switch_to(&native, CODE(jumps), CODE(old));
    leave_by_jump(&native);
  }
  CHECK("records do not run out", !guard_is_idle(guard));
  switch_to(&native, CODE(jumps), CODE(old));
  CHECK("nor does the guard",
        CALL(native, Small)(0) == 0 && !guard_fn_on_probation(native.fn));
  close_guard();
}

static __attribute__((noinline)) void leave_deep(const Native *native,
                                                 int depth) {
  volatile char room[4096];
  room[0] = 0;
  if (depth > 0) leave_deep(native, depth - 1 + room[0]);
  if (depth == 0) leave_by_jump(native);
}

// A crash in the host, deeper than where a native was left, is not taken for
// one in that native.
NATIVE int not_called(int value) {
  _exit(value);
}
static void crash_after_jump(void) {
  open_usual();
  Native native = new_version(CODE(jumps), CODE(not_called));
  leave_deep(&native, 4);
  dig(2);
}

// --- Not on probation --------------------------------------------------------

NATIVE int calls_segv(int value) {
  return writes_and_segv(value) + 1;
}

static void proven_crash(void) {
  open_usual();
  name_natives();
  name_native("calls_segv", CODE(calls_segv));
  Native native = new_native(false);
  guard_fn_set(native.fn, CODE(calls_segv), false);
  CALL(native, Small)(1);
}
static void proven_abort(void) {
  open_usual();
  name_natives();
  Native native = new_native(false);
  guard_fn_set(native.fn, CODE(aborts), false);
  CALL(native, Small)(1);
}
static void proven_overflow(void) {
  open_usual();
  name_natives();
  Native native = new_native(false);
  guard_fn_set(native.fn, CODE(overflow), false);
  CALL(native, Small)(1);
}
static void reported_crash(void) {
  GuardDesc desc = guard_desc();
  desc.on_error = GRAFT_ON_ERROR_REPORT;
  open_guard(&desc);
  name_natives();
  Native native = new_version(CODE(segv_read), CODE(old));
  CALL(native, Small)(1);
}
static volatile uint64_t scripts_under_way;
static uint64_t script_depth(void *context) {
  (void)context;
  return scripts_under_way;
}
NATIVE int calls_script(int value) {
  scripts_under_way++;
  AT(8) = value; // as if in the VM
  scripts_under_way--;
  return 0;
}
static void script_crash(void) {
  GuardDesc desc = guard_desc();
  desc.host.script_depth = script_depth;
  open_guard(&desc);
  name_native("calls_script", CODE(calls_script));
  Native native = new_version(CODE(calls_script), CODE(old));
  CALL(native, Small)(1);
}
static void host_crash(void) {
  open_usual();
  AT(8) = 1;
}

static void fatal(void) {
  check_dies("a crash of a proven native is named", proven_crash, SIGSEGV,
             "A native crashed with SIGSEGV, " WRITING " 0x8 at "
             "writes_and_segv\n  called from calls_segv\n");
  check_dies("abort in one", proven_abort, SIGABRT,
             "A native called abort (SIGABRT) at aborts\n");
  check_dies("a stack overflow of one", proven_overflow, SIGSEGV,
             "A native overflowed the stack at overflow");
  check_dies("with --on-error report there is no way back", reported_crash,
             SIGSEGV, "A native crashed with SIGSEGV, " READING " 0x10 at");
  check_dies("nor from inside a script", script_crash, SIGSEGV,
             "A native crashed with SIGSEGV, " WRITING " 0x8 at calls_script");
  check_dies("a crash of the host is its own", host_crash, SIGSEGV, "");
  check_dies("also where a native was left by a jump", crash_after_jump,
             SIGSEGV, "");
}

// --- Handlers of others ------------------------------------------------------

static sigjmp_buf host_way_out;
static volatile sig_atomic_t host_caught;
static struct sigaction found;

static void host_handler(int number, siginfo_t *info, void *machine) {
  (void)number, (void)info, (void)machine;
  host_caught++;
  siglongjmp(host_way_out, 1);
}

static void passing_handler(int number, siginfo_t *info, void *machine) {
  host_caught++;
  found.sa_sigaction(number, info, machine);
}

static void install(void (*handler)(int, siginfo_t *, void *)) {
  struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK};
  action.sa_sigaction = handler;
  sigaction(SIGSEGV, &action, &found);
}

static bool host_crashes(void) {
  int before = host_caught;
  if (sigsetjmp(host_way_out, 1) == 0) AT(8) = 1;
  return host_caught == before + 1;
}

static void handler_before(void) {
  install(host_handler);
  open_usual();
  CHECK("a handler that was there gets what is not ours", host_crashes());
  CHECK("each time", host_crashes() && host_crashes());
  crashes_as("ours is still ours", segv_read, "crashed with SIGSEGV");
  CHECK("and the other one's its", host_crashes());
  close_guard();
  struct sigaction now;
  sigaction(SIGSEGV, NULL, &now);
  CHECK("it is back after the guard", now.sa_sigaction == host_handler);
}

static void handler_after(void) {
  install(host_handler);
  open_usual();
  install(passing_handler);
  host_caught = 0;
  crashes_as("with a handler put over ours, which passes on", segv_read,
             "crashed with SIGSEGV");
  host_caught = 0;
  if (sigsetjmp(host_way_out, 1) == 0) AT(8) = 1;
  CHECK("what is not ours goes through all of them", host_caught == 2);
  if (sigsetjmp(host_way_out, 1) == 0) AT(8) = 1;
  CHECK("again", host_caught == 4);
  close_guard();
  open_usual();
  crashes_as("a second guard", segv_read, "crashed with SIGSEGV");
  close_guard();
}

static void two_guards(void) {
  open_usual();
  Guard *first = guard;
  open_usual();
  crashes_as("the second of two guards", segv_read, "crashed with SIGSEGV");
  guard_close(guard);
  guard = first;
  crashes_as("the first, when the second is closed", segv_read,
             "crashed with SIGSEGV");
  close_guard();
}

// --- What the call leaves behind ---------------------------------------------

NATIVE int changes_thread(int value) {
  sigset_t all;
  sigfillset(&all);
  sigdelset(&all, SIGSEGV);
  pthread_sigmask(SIG_SETMASK, &all, NULL);
  errno = 77;
  AT(0) = value;
  return 0;
}
NATIVE int frees_inside(int value) {
  static char *block;
  block = calloc(1, 3000);
  void *volatile inside = block + 16;
  free(inside); // NOLINT(clang-analyzer-unix.Malloc): what is to be caught
  return block[0] + value;
}
NATIVE int unmaps(int value) {
  more_state->hp = 3;
  munmap(more_state, sizeof *more_state);
  AT(0) = value;
  return 0;
}
NATIVE int reads_errno(int value) {
  return errno + value;
}

static void afterwards(void) {
  open_usual();
  Native native = new_version(CODE(changes_thread), CODE(old));
  CALL(native, Small)(1);
  sigset_t mask;
  pthread_sigmask(SIG_SETMASK, NULL, &mask);
  CHECK("the signal mask is as before", !sigismember(&mask, SIGINT));
  native = new_version(CODE(reads_errno), NULL);
  errno = 5;
  CHECK("errno reaches the native", CALL(native, Small)(1) == 6);
  if (!SANITIZED) {
    native = new_version(CODE(frees_inside), CODE(old));
    take_crash();
    CHECK("a corrupt block", CALL(native, Small)(41) == 42);
    check_crash("is an abort", "called abort (SIGABRT) at ");
    free(malloc(3000));
    CHECK("malloc still works", true);
  }
  more_state = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  state.hp = 8;
  take_crash();
  native = new_version(CODE(unmaps), CODE(old));
  CHECK("state that is gone", CALL(native, Small)(41) == 42);
  CHECK("is told of", !take_crash().state_restored && state.hp == 8);
  more_state = NULL;
  close_guard();
}

static void memory(void) {
  for (long at = 1; at < 8; at++) {
    CheckMemory memory;
    check_memory_init(&memory, at);
    GuardDesc desc = guard_desc();
    desc.allocator = &memory.allocator;
    desc.watchdog_ms = 1000;
    GraftError error;
    if (guard_open(&desc, &guard, &error) == GRAFT_OK) {
      _Atomic(GraftNative) cell = CODE(old);
      GuardFn *fn = guard_fn_new(guard, &(GuardFnDesc){.cell = &cell});
      GuardChange change = {.fn = fn, .keep_cell = true};
      if (fn != NULL &&
          guard_switch_begin(guard, &change, 1, &error) == GRAFT_OK) {
        guard_switch_cancel(guard);
      }
      guard_close(guard);
    }
    CHECK("without memory nothing is left behind", memory.alive == 0);
  }
}

int main(int count, char **arguments) {
  only_child = count > 1 ? arguments[1] : NULL;
  name_natives();
  if (!guard_is_supported()) {
    printf("ok no gates on this processor, nothing is guarded\n");
    return 0;
  }
  check_child("signals", signals);
  check_child("describes", describes);
  check_child("nothing before", nothing_before);
  check_child("both crash", both_crash);
  check_child("removed", removed);
  check_child("something else in the cell", other_in_cell);
  check_child("nested", nested);
  check_child("recursion", recursion);
  check_child("threads", threads);
  check_child("threads together", threads_together);
  check_child("left by a jump", left_by_jump);
  fatal();
  check_child("a handler before", handler_before);
  check_child("a handler after", handler_after);
  check_child("two guards", two_guards);
  check_child("afterwards", afterwards);
  check_child("memory", memory);
  return check_status();
}
