// SPDX-License-Identifier: MIT
//
// REPL: reads lines on a thread of its own, so that the program goes on behind
// the prompt, and runs them between frames.

#ifndef GRAFT_TOOLS_REPL_H
#define GRAFT_TOOLS_REPL_H

#include "graft.h"

typedef struct Repl Repl;

// NULL when no thread can be had; the others are NULL-safe.
Repl *repl_open(void);
void repl_close(Repl *self);

// Runs what was typed, and shows the values. Host thread.
void repl_run(Repl *self, GraftEngine *engine);

// Whether standard input has ended and all of it has run.
bool repl_ended(const Repl *self);

#endif
