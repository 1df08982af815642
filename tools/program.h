// SPDX-License-Identifier: MIT
//
// Program: what the command line names, in an engine: its roots, its natives,
// and the script that runs, with the functions that this may define.

#ifndef GRAFT_TOOLS_PROGRAM_H
#define GRAFT_TOOLS_PROGRAM_H

#include "lines.h"
#include "options.h"

typedef struct Program {
  GraftEngine *engine;
  const Options *options;
  char module[256]; // of the main script, once it runs
  Lines *lines;     // what is typed; NULL until somebody wants it
  bool prompted;    // a prompt stands at the end of what is shown
  bool at_repl;     // the REPL waits for a line
  bool failed;      // something was rejected
  double paused;    // seconds that the program stood, and nobody has counted
} Program;

// Adds natives and roots, and watches what is to be watched.
GraftStatus program_set_up(Program *self, GraftError *error);

// Runs SCRIPT, the module of -m, or main.lua of the first folder.
GraftStatus program_run(Program *self, GraftError *error);

// The main module's function of this name; NULL when there is none.
GraftFn *program_find(const Program *self, const char *name);

// Calls it with `number`, unless that is NULL. GRAFT_OK when there is none.
GraftStatus program_call(const Program *self, const char *name,
                         const double *number, GraftError *error);

#endif
