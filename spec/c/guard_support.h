// SPDX-License-Identifier: MIT
//
// What the guard's specs share: natives in a section of their own, so that a
// place can be told from an address; one cell for each, as the engine has it;
// state that a crash must put back; and children, for what ends a program.

#ifndef GRAFT_SPEC_GUARD_SUPPORT_H
#define GRAFT_SPEC_GUARD_SUPPORT_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"
#include "check.h"
#include "native/guard.h"
#include "native/thunk.h"

#if defined(__SANITIZE_ADDRESS__)
enum { SANITIZED = 1 };
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif
#else
enum { SANITIZED = 0 };
#endif

// Emulators of aarch64 do not tell in which way memory was touched, so there it
// is not looked at.
#if defined(__aarch64__)
#define READING "touching"
#define WRITING "touching"
static inline void simplify(char *text) {
  static const char *const ways[] = {"reading from", "writing to"};
  for (int i = 0; i < 2; i++) {
    for (char *at = text; (at = strstr(at, ways[i])) != NULL;) {
      size_t size = strlen(ways[i]), wanted = strlen("touching");
      memmove(at + wanted, at + size, strlen(at + size) + 1);
      memcpy(at, "touching", wanted);
    }
  }
}
#else
#define READING "reading from"
#define WRITING "writing to"
static inline void simplify(char *text) {
  (void)text;
}
#endif

// Natives crash on purpose, which sanitizers would report before.
#define NATIVE                                                                 \
  static __attribute__((section("natives"), noinline, used,                    \
                        no_sanitize("address", "undefined")))

extern const char __start_natives[], __stop_natives[];

// Memory that is not there, which compilers must not know.
static __attribute__((unused)) volatile uintptr_t nowhere;
#define AT(address) (*(volatile int *)(nowhere + (address)))

// --- State -------------------------------------------------------------------

typedef struct State {
  int hp;
  double speed;
  char text[40];
} State;

static State state, *more_state; // the latter is a mapping, or NULL

static inline void visit_state(void *context, GuardVisit *visit,
                               void *for_visit) {
  (void)context;
  visit(for_visit, &state, sizeof state);
  if (more_state != NULL) visit(for_visit, more_state, sizeof *more_state);
}

// --- Names of natives --------------------------------------------------------

typedef struct Named {
  const char *name;
  const void *code;
} Named;

static Named named[80];
static size_t named_count;

static inline void name_native(const char *name, GraftNative code) {
  named[named_count++] = (Named){name, (const void *)(uintptr_t)code};
}

static inline bool place(void *context, const void *address, bool is_return,
                         GuardPlace *found) {
  (void)context;
  uintptr_t at = (uintptr_t)address - (is_return ? 1 : 0);
  if (at < (uintptr_t)__start_natives || at >= (uintptr_t)__stop_natives) {
    return false;
  }
  const Named *best = NULL;
  for (size_t i = 0; i < named_count; i++) {
    uintptr_t code = (uintptr_t)named[i].code;
    if (code > at || (best != NULL && code < (uintptr_t)best->code)) continue;
    best = &named[i];
  }
  *found = (GuardPlace){best != NULL ? best->name : "a native", NULL, 0};
  return true;
}

// --- The guard ---------------------------------------------------------------

static Guard *guard;
static atomic_int noticed_count;
static ThunkTable thunks;

static inline void noticed(void *context) {
  (void)context;
  atomic_fetch_add(&noticed_count, 1);
}

static inline GuardDesc guard_desc(void) {
  return (GuardDesc){
      .allocator = &memory_default,
      .host = {.place = place, .each_range = visit_state, .noticed = noticed}};
}

static inline void open_guard(const GuardDesc *desc) {
  GraftError error;
  thunk_table_init(&thunks, &memory_default, NULL);
  if (guard_open(desc, &guard, &error) < 0) {
    printf("FAIL guard_open: %s\n", error.message);
    exit(1);
  }
}

static inline void open_usual(void) {
  GuardDesc desc = guard_desc();
  open_guard(&desc);
}

static inline void close_guard(void) {
  guard_close(guard);
  thunk_table_clear(&thunks);
  guard = NULL;
}

// A native with its entry, which is what callers call.
typedef struct Native {
  GuardFn *fn;
  Thunk thunk;
} Native;

static inline Native new_native(bool lua) {
  Native native;
  thunk_table_add(&thunks, NULL, &native.thunk);
  GuardFnDesc desc = {.cell = native.thunk.cell, .lua = lua};
  native.fn = guard_fn_new(guard, &desc);
  return native;
}

static inline void switch_one(const GuardChange *change) {
  guard_switch_begin(guard, change, 1, NULL);
  guard_switch_commit(guard);
}

static inline void switch_to(const Native *native, GraftNative code,
                             GraftNative previous) {
  switch_one(&(GuardChange){
      .fn = native->fn, .code = code, .previous = previous, .probation = true});
}

// A native on probation, with what was before it.
static inline Native new_version(GraftNative code, GraftNative previous) {
  Native native = new_native(false);
  switch_to(&native, code, previous);
  return native;
}

#define CALL(native, Type) ((__typeof__(Type) *)(native).thunk.entry)
#define CODE(function) ((GraftNative)(function))

static inline GuardCrash take_crash(void) {
  GuardCrash crash = {0};
  guard_take_crash(guard, &crash);
  return crash;
}

static inline void check_crash(const char *name, const char *expected) {
  GuardCrash crash;
  char text[1024] = "no crash";
  if (guard_take_crash(guard, &crash)) {
    guard_crash_text(&crash, text, sizeof text);
  }
  simplify(text);
  bool good = strncmp(text, expected, strlen(expected)) == 0;
  if (good) {
    check_report(name, true, "");
  } else {
    check_text(name, text, expected);
  }
}

// --- Children ----------------------------------------------------------------

typedef struct Child {
  int status;
  char errors[16 * 1024];
} Child;

enum { CHILD_SECONDS = 60 };

static inline void read_all(int from, Child *child) {
  size_t size = 0;
  ssize_t got;
  while (size < sizeof child->errors - 1 &&
         (got = read(from, child->errors + size,
                     sizeof child->errors - 1 - size)) > 0) {
    size += (size_t)got;
  }
  child->errors[size] = '\0';
  simplify(child->errors);
  char rest[512];
  while (read(from, rest, sizeof rest) > 0) continue;
  close(from);
}

// The argument of the program: the one check to make, in this process, where a
// debugger sees it.
static const char *only_child;

// Runs in a child process, whose checks count as ours.
static inline void run_child(Child *child, void (*run)(void)) {
  int ends[2];
  fflush(stdout);
  if (pipe(ends) != 0) exit(1);
  pid_t process = fork();
  if (process == 0) {
    dup2(ends[1], STDERR_FILENO);
    close(ends[0]);
    close(ends[1]);
    alarm(CHILD_SECONDS);
    check_failures = 0;
    run();
    fflush(stdout);
    _exit(check_status());
  }
  close(ends[1]);
  read_all(ends[0], child);
  waitpid(process, &child->status, 0);
}

static inline void check_child(const char *name, void (*run)(void)) {
  static Child child;
  if (only_child != NULL && strcmp(name, only_child) == 0) run();
  if (only_child != NULL) return;
  run_child(&child, run);
  bool good = WIFEXITED(child.status) && WEXITSTATUS(child.status) == 0;
  char why[1024];
  snprintf(why, sizeof why, "status %x: %.900s", child.status, child.errors);
  check_report(name, good, why);
}

// Ends by a signal, after saying `text`. Sanitizers have handlers of their own
// for some, which must have had their say.
static inline void check_dies(const char *name, void (*run)(void), int number,
                              const char *text) {
  static Child child;
  if (only_child != NULL && strcmp(name, only_child) == 0) run();
  if (only_child != NULL) return;
  run_child(&child, run);
  bool died = WIFSIGNALED(child.status) && WTERMSIG(child.status) == number;
  if (SANITIZED && strstr(child.errors, "AddressSanitizer") != NULL) {
    died = WIFEXITED(child.status) && WEXITSTATUS(child.status) != 0;
  }
  char why[1400];
  snprintf(why, sizeof why, "status %x: %.1200s", child.status, child.errors);
  check_report(name, died && strstr(child.errors, text) != NULL, why);
}

#endif
