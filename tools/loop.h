// SPDX-License-Identifier: MIT
//
// Loop: calls `update` of the main module at a steady rate, takes changes
// between frames, and runs what is typed.

#ifndef GRAFT_TOOLS_LOOP_H
#define GRAFT_TOOLS_LOOP_H

#include "program.h"

typedef struct Loop {
  Program *program;
  bool repl;        // what is typed runs
  char shown[1024]; // the last error of update, shown once
} Loop;

// Returns when the program is to end: at once when it has no frames.
void loop_run(Loop *self);

#endif
