// SPDX-License-Identifier: MIT
//
// Options: what the command line says. They stand in one table (options.c), a
// row each: name, letter, value, help, and the function that takes it.

#ifndef GRAFT_TOOLS_OPTIONS_H
#define GRAFT_TOOLS_OPTIONS_H

#include "graft.h"

enum { EXIT_SCRIPT = 1, EXIT_USAGE = 2, PATHS_MOST = 64 };

typedef enum Command { COMMAND_RUN, COMMAND_TYPES, COMMAND_BIND } Command;

typedef struct Options {
  Command command;
  const char *watch[PATHS_MOST];
  int watch_count;
  const char *natives[PATHS_MOST];
  int native_count;
  const char *script;
  const char *module; // -m
  const char *const *args;
  int arg_count;
  double tick;
  long frames; // -1: no limit
  int debounce_ms;
  int poll_ms;
  int sweep_budget_us;
  bool no_watch;
  bool verbose;
  bool json;
  GraftOnError on_error;
  const char *types;   // a folder that is kept up to date, or NULL
  const char *output;  // -o, or NULL
  const char *library; // -l, or NULL
  bool no_tcc;
  int watchdog_ms;
  bool repl;
  char **argv;
} Options;

// Ends the program after --help, --version and wrong usage; --vm may run
// another program in this one's place. Texts are borrowed from `argv`.
void options_parse(Options *self, int argc, char **argv);

#endif
