// SPDX-License-Identifier: MIT
//
// Backtrace: the calls that led to a place, also from a signal handler, by the
// tables that compilers emit for exceptions. Where code has none (tcc's), the
// walk ends. It may crash on a stack that was written over, and abort in code
// that has tables of another kind (LuaJIT's traces): see crash_try.

#ifndef GRAFT_NATIVE_BACKTRACE_H
#define GRAFT_NATIVE_BACKTRACE_H

#include <stdbool.h>
#include <stdint.h>

typedef struct BacktraceFrame {
  uintptr_t address;
  uintptr_t sp;
  bool is_return; // the address is where a call returns to
} BacktraceFrame;

// False: the walk may end.
typedef bool BacktraceVisit(void *context, const BacktraceFrame *frame);

// From here, in plain code.
void backtrace_walk_here(BacktraceVisit *visit, void *context);

// From where the signal came, innermost first. In the signal's handler.
void backtrace_walk(const void *machine, BacktraceVisit *visit, void *context);

#endif
