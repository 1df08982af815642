// SPDX-License-Identifier: MIT

#include "native/poke.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"

// The one poke under way. `word` is its number, times four, plus its state, so
// that a signal which comes late finds another number and does nothing.
enum { WAITING, RUNNING, DONE, CANCELLED, STATES };

typedef struct Slot {
  atomic_uint word;
  PokeHandler *handler;
  void *argument;
} Slot;

static pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t poking = PTHREAD_MUTEX_INITIALIZER;
static int users;
static int number; // of the signal
static struct sigaction before;
static Slot slot;

static long futex(int operation, unsigned value, const struct timespec *limit) {
  return syscall(SYS_futex, &slot.word, operation, value, limit, NULL, 0);
}

// --- The handler -------------------------------------------------------------

static void on_signal(int received, siginfo_t *info, void *machine) {
  (void)received;
  if (info->si_code != SI_QUEUE || info->si_pid != getpid()) return;
  int error = errno;
  unsigned poke = (unsigned)(uintptr_t)info->si_value.sival_ptr;
  unsigned word = poke * STATES + WAITING;
  if (atomic_compare_exchange_strong(&slot.word, &word,
                                     poke * STATES + RUNNING)) {
    slot.handler(slot.argument, machine);
    atomic_store(&slot.word, poke * STATES + DONE);
    futex(FUTEX_WAKE_PRIVATE, INT_MAX, NULL);
  }
  errno = error;
}

// --- Opening -----------------------------------------------------------------

static bool take_signal(void) {
  // Emulators keep the last ones to themselves.
  for (number = SIGRTMAX - 3; number >= SIGRTMIN; number--) {
    sigaction(number, NULL, &before);
    bool is_free =
        (before.sa_flags & SA_SIGINFO) == 0 && before.sa_handler == SIG_DFL;
    if (!is_free) continue;
    struct sigaction action = {.sa_flags =
                                   SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    action.sa_sigaction = on_signal;
    sigemptyset(&action.sa_mask);
    return sigaction(number, &action, NULL) == 0;
  }
  return false;
}

GraftStatus poke_open(GraftError *error) {
  pthread_mutex_lock(&opening);
  bool taken = users > 0 || take_signal();
  if (taken) users++;
  pthread_mutex_unlock(&opening);
  if (taken) return GRAFT_OK;
  return error_set(error, GRAFT_EIO,
                   "the program uses all real-time signals; Graft needs one "
                   "to look after threads in natives");
}

// A signal may still be on its way to a thread, so the handler is not taken
// away but ignores what comes.
void poke_close(void) {
  pthread_mutex_lock(&opening);
  if (--users == 0) {
    struct sigaction action = {.sa_handler = SIG_IGN};
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL);
    sigaction(number, &before, NULL);
  }
  pthread_mutex_unlock(&opening);
}

// --- Poking ------------------------------------------------------------------

static bool send_signal(pid_t thread, unsigned poke) {
  siginfo_t info;
  memset(&info, 0, sizeof info);
  info.si_signo = number;
  info.si_code = SI_QUEUE;
  info.si_pid = getpid();
  info.si_uid = getuid();
  info.si_value.sival_ptr = (void *)(uintptr_t)poke;
  return syscall(SYS_rt_tgsigqueueinfo, getpid(), thread, number, &info) == 0;
}

static int64_t now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

// True when the handler has run. Once it has begun, it is waited for.
static bool wait_for(unsigned poke, int timeout_ms) {
  int64_t deadline = now_ns() + timeout_ms * INT64_C(1000000);
  for (;;) {
    unsigned word = atomic_load(&slot.word);
    if (word == poke * STATES + DONE) return true;
    int64_t left = deadline - now_ns();
    if (word == poke * STATES + WAITING && left <= 0 &&
        atomic_compare_exchange_strong(&slot.word, &word,
                                       poke * STATES + CANCELLED)) {
      return false;
    }
    if (left < 1000000) left = 1000000;
    struct timespec limit = {.tv_sec = left / 1000000000,
                             .tv_nsec = (long)(left % 1000000000)};
    futex(FUTEX_WAIT_PRIVATE, word, &limit);
  }
}

PokeAnswer poke_thread(const PokeDesc *desc) {
  pthread_mutex_lock(&poking);
  unsigned poke = (atomic_load(&slot.word) / STATES + 1) % (UINT_MAX / STATES);
  slot.handler = desc->handler;
  slot.argument = desc->argument;
  atomic_store(&slot.word, poke * STATES + WAITING);
  PokeAnswer answer = POKE_GONE;
  if (send_signal(desc->thread, poke)) {
    answer = wait_for(poke, desc->timeout_ms) ? POKE_DONE : POKE_SILENT;
  } else if (errno == EAGAIN) {
    answer = POKE_SILENT; // too many signals are queued
  }
  if (answer != POKE_DONE) atomic_store(&slot.word, poke * STATES + CANCELLED);
  pthread_mutex_unlock(&poking);
  return answer;
}
