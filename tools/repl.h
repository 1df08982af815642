// SPDX-License-Identifier: MIT
//
// REPL: a prompt beside the running program, whose lines run between frames.

#ifndef GRAFT_TOOLS_REPL_H
#define GRAFT_TOOLS_REPL_H

#include "graft.h"
#include "lines.h"

// Shows the prompt, and asks for the first line. `lines` is borrowed.
void repl_begin(Lines *lines);

// Runs what was typed, and shows the values. Host thread.
void repl_run(Lines *lines, GraftEngine *engine);

#endif
