// SPDX-License-Identifier: MIT
//
// Stacks: whether a thread may be inside given code, for unloading it and for
// moving data that it knows. Every word of every thread's registers and stack
// that points into the code counts, so the answer may be "yes" where it is
// "no", never the other way round.
//
// A thread that sleeps in the kernel is read from outside, and not disturbed;
// one that runs is interrupted by a signal and looks for itself. One that does
// not answer counts as inside. Traded away: stacks that are on no thread now
// (coroutines of the host's own making) are not seen, so natives must not be
// left suspended on one.

#ifndef GRAFT_NATIVE_STACKS_H
#define GRAFT_NATIVE_STACKS_H

#include <stddef.h>
#include <sys/types.h>

#include "graft.h"

typedef struct StacksRange {
  const void *start;
  const void *end;
} StacksRange;

typedef struct StacksAnswer {
  bool inside;
  bool silent;  // the thread did not answer; `address` is NULL then
  pid_t thread; // the first that may be inside
  char thread_name[16];
  bool is_caller;      // it is the calling thread itself
  const void *address; // what pointed into the code
  size_t range;        // which
} StacksAnswer;

typedef struct StacksDesc {
  const StacksRange *ranges;
  size_t count;
  int timeout_ms; // for each thread to answer; 0: 200
  // Threads that never run the code, but may have its addresses on their
  // stacks: they are not asked.
  const pid_t *exempt;
  size_t exempt_count;
} StacksDesc;

// Asks all threads of the process, the calling one too. Nobody may be able to
// enter the code from outside meanwhile: no cell leads there, or callers wait
// at their gates. GRAFT_EIO when threads cannot be listed or no signal is
// free, GRAFT_ENOMEM; treat both as "inside". One thread at a time.
GraftStatus stacks_ask(const StacksDesc *desc, StacksAnswer *answer,
                       GraftError *error);

#endif
