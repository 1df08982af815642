// SPDX-License-Identifier: MIT
//
// Crash: the five signals of a crash (SEGV, FPE, BUS, ILL, ABRT). Handlers
// belong to the process, so this module has process-wide state, as no other
// has but poke.c: one handler for all engines, and what was installed before
// it. A crash that is not ours goes there, as if we had never been. Handlers
// that came after ours are respected as well: crash_open puts ours on top
// again and theirs below; one of them that calls ours gets to what lies below.

#ifndef GRAFT_NATIVE_CRASH_H
#define GRAFT_NATIVE_CRASH_H

#include <signal.h>
#include <stdbool.h>

// What a handler is given.
typedef struct CrashSignal {
  int number;
  siginfo_t *info;
  void *machine; // see machine.h
} CrashSignal;

// True: the crash is dealt with, `machine` says where to go on. In the
// handler of the signal, on the signal stack if the thread has one; the five
// signals are not blocked, so that crash_try works.
typedef bool CrashHandler(const CrashSignal *signal);

// Installs the handler, or makes sure that it is on top. The first call counts
// as one user, each further one as well; all give the same handler.
void crash_open(CrashHandler *handler);
void crash_refresh(void); // on top again, for who is a user already

// The last user's takes the handler away, except where somebody has put his
// over it: then it stays and only passes on.
void crash_close(void);

// Calls `run(argument)`; false when it crashed half way. For reading what may
// not be there. Also in signal handlers.
bool crash_try(void (*run)(void *argument), void *argument);

// Whether the signal came from the thread's own doing, not from elsewhere.
bool crash_is_own(const siginfo_t *info);

#endif
