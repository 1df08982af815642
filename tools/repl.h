// SPDX-License-Identifier: MIT
//
// REPL: a prompt beside the running program, whose lines run between frames.

#ifndef GRAFT_TOOLS_REPL_H
#define GRAFT_TOOLS_REPL_H

#include "program.h"

// Shows the prompt, and asks for a line. The program has lines.
void repl_begin(Program *program);

// Runs what was typed, and shows the values.
void repl_run(Program *program);

#endif
