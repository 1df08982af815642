// SPDX-License-Identifier: MIT

#include "native/crash.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SIGNALS = 5, BELOW = 4 };

static const int numbers[SIGNALS] = {SIGSEGV, SIGFPE, SIGBUS, SIGILL, SIGABRT};

// What lies below our handler, the oldest first. Written under the mutex; read
// by handlers, which see each entry whole since `count` is set after it.
typedef struct Below {
  struct sigaction actions[BELOW];
  atomic_int count;
} Below;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int users;
static Below below[SIGNALS];
static _Atomic(CrashHandler *) current;

// Handlers may not allocate, and thread-locals of a library that was loaded
// late would.
#define HANDLER_LOCAL                                                          \
  static _Thread_local __attribute__((tls_model("initial-exec")))
HANDLER_LOCAL sigjmp_buf *escape;
// What was passed on by this thread's handler, and how often. A handler below
// may jump away and never come back, so that counting alone would not do.
HANDLER_LOCAL const siginfo_t *passing;
HANDLER_LOCAL int depth;

static void on_signal(int number, siginfo_t *info, void *machine);

// --- Passing on --------------------------------------------------------------

static int index_of(int number) {
  int index = 0;
  while (numbers[index] != number) index++;
  return index;
}

// The default action comes when the instruction is tried again; a signal that
// was sent is sent again.
static void pass_to_system(int number, const siginfo_t *info) {
  struct sigaction action = {.sa_handler = SIG_DFL};
  sigemptyset(&action.sa_mask);
  sigaction(number, &action, NULL);
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, number);
  if (info->si_code > 0) return;
  pthread_sigmask(SIG_BLOCK, &mask, NULL);
  syscall(SYS_tgkill, getpid(), (pid_t)syscall(SYS_gettid), number);
}

static void pass_to(const struct sigaction *action, const CrashSignal *signal) {
  siginfo_t info = *signal->info;
  passing = &info;
  sigset_t mask = action->sa_mask, before;
  if ((action->sa_flags & SA_NODEFER) == 0) sigaddset(&mask, signal->number);
  pthread_sigmask(SIG_BLOCK, &mask, &before);
  if ((action->sa_flags & SA_SIGINFO) != 0) {
    action->sa_sigaction(signal->number, &info, signal->machine);
  } else {
    action->sa_handler(signal->number);
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  passing = NULL;
}

// `level` handlers of this signal are under way above this one: those below
// ours that called it.
static void pass_on(const CrashSignal *signal, int level) {
  Below *under = &below[index_of(signal->number)];
  int at = atomic_load(&under->count) - 1 - level;
  const struct sigaction *action = at >= 0 ? &under->actions[at] : NULL;
  bool is_plain = action == NULL || (action->sa_flags & SA_SIGINFO) == 0;
  if (is_plain &&
      (action == NULL || action->sa_handler == SIG_DFL ||
       (action->sa_handler == SIG_IGN && signal->info->si_code > 0))) {
    pass_to_system(signal->number, signal->info);
  } else if (!is_plain || action->sa_handler != SIG_IGN) {
    pass_to(action, signal);
  }
}

// --- The handler -------------------------------------------------------------

static void unblock(void) {
  sigset_t mask;
  sigemptyset(&mask);
  for (int i = 0; i < SIGNALS; i++) sigaddset(&mask, numbers[i]);
  pthread_sigmask(SIG_UNBLOCK, &mask, NULL);
}

static void on_signal(int number, siginfo_t *info, void *machine) {
  // The unwinder aborts where it loses its way.
  if (escape != NULL && crash_is_own(info)) siglongjmp(*escape, 1);
  int before = errno;
  CrashSignal signal = {number, info, machine};
  int level = info == passing ? depth : 0;
  depth = level + 1;
  CrashHandler *handler = atomic_load(&current);
  bool done = false;
  if (level == 0 && handler != NULL) {
    unblock();
    done = handler(&signal);
  }
  if (!done) pass_on(&signal, level);
  errno = before;
}

bool crash_try(void (*run)(void *argument), void *argument) {
  sigjmp_buf here;
  sigjmp_buf *outer = escape;
  bool whole = false;
  if (sigsetjmp(here, 1) == 0) {
    escape = &here;
    run(argument);
    whole = true;
  }
  escape = outer;
  return whole;
}

bool crash_is_own(const siginfo_t *info) {
  return info->si_code > 0 ||
         (info->si_code == SI_TKILL && info->si_pid == getpid());
}

// --- Installing --------------------------------------------------------------

static bool is_ours(const struct sigaction *action) {
  return (action->sa_flags & SA_SIGINFO) != 0 &&
         action->sa_sigaction == on_signal;
}

// Mutex held.
static void install(int index) {
  Below *under = &below[index];
  int count = atomic_load(&under->count);
  struct sigaction present;
  sigaction(numbers[index], NULL, &present);
  if (is_ours(&present) || count == BELOW) return;
  under->actions[count] = present;
  atomic_store(&under->count, count + 1);
  struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK};
  action.sa_sigaction = on_signal;
  sigemptyset(&action.sa_mask);
  sigaction(numbers[index], &action, NULL);
}

// Mutex held.
static void remove_handler(int index) {
  Below *under = &below[index];
  int count = atomic_load(&under->count);
  struct sigaction present;
  sigaction(numbers[index], NULL, &present);
  if (count == 0 || !is_ours(&present)) return;
  sigaction(numbers[index], &under->actions[count - 1], NULL);
  atomic_store(&under->count, count - 1);
}

void crash_refresh(void) {
  pthread_mutex_lock(&mutex);
  for (int i = 0; i < SIGNALS; i++) install(i);
  pthread_mutex_unlock(&mutex);
}

void crash_open(CrashHandler *handler) {
  pthread_mutex_lock(&mutex);
  users++;
  atomic_store(&current, handler);
  for (int i = 0; i < SIGNALS; i++) install(i);
  pthread_mutex_unlock(&mutex);
}

void crash_close(void) {
  pthread_mutex_lock(&mutex);
  if (--users == 0) {
    atomic_store(&current, NULL);
    for (int i = 0; i < SIGNALS; i++) remove_handler(i);
  }
  pthread_mutex_unlock(&mutex);
}
