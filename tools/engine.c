// SPDX-License-Identifier: MIT
//
// The `engine` program: runs scripts, natives and a watcher from the command
// line. It uses graft.h only, so it is also an example of a host.

#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "dialogue.h"
#include "loop.h"
#include "show.h"
#include "stop.h"

// `init`, or the function that -m names.
static GraftStatus begin(const Program *program, const char *function,
                         GraftError *error) {
  if (function == NULL) return program_call(program, "init", NULL, error);
  if (program_find(program, function) != NULL) {
    return program_call(program, function, NULL, error);
  }
  *error = (GraftError){.status = GRAFT_ENOTFOUND};
  snprintf(error->message, sizeof error->message, "%s has no function '%s'",
           program->module, function);
  return error->status;
}

static GraftStatus run(Program *program, GraftError *error) {
  const Options *options = program->options;
  const char *colon =
      options->module != NULL ? strchr(options->module, ':') : NULL;
  GraftStatus status = program_set_up(program, error);
  if (status == GRAFT_OK && options->types != NULL) {
    status = graft_engine_types(program->engine, options->types, true, error);
  }
  if (status == GRAFT_OK) status = program_run(program, error);
  if (status == GRAFT_OK) {
    status = begin(program, colon != NULL ? colon + 1 : NULL, error);
    if (status == GRAFT_ENOTFOUND) return status;
  }
  if (status == GRAFT_OK) {
    if (options->repl && program->lines == NULL) program->lines = lines_open();
    Loop loop = {.program = program};
    loop.repl = options->repl && program->lines != NULL;
    if (colon == NULL || loop.repl) loop_run(&loop);
  } else if (!stop_asked()) {
    return status;
  }
  // What was running has ended, or was ended by the user.
  return program_call(program, "quit", NULL, error);
}

int main(int argc, char **argv) {
  Options options;
  options_parse(&options, argc, argv);
  stop_install();
  Program program = {.options = &options};
  GraftEngineDesc desc = {.on_event = show_event,
                          .on_break = dialogue_ask,
                          .context = &program,
                          .debounce_ms = options.debounce_ms,
                          .poll_ms = options.poll_ms,
                          .sweep_budget_us = options.sweep_budget_us,
                          .on_error = options.on_error,
                          .no_tcc = options.no_tcc,
                          .colours = show_has_colours(&options),
                          .watchdog_ms = options.watchdog_ms};
  GraftError error = {.status = GRAFT_OK};
  GraftStatus status = graft_engine_open(&desc, &program.engine, &error);
  if (status == GRAFT_OK) {
    stop_set_engine(program.engine);
    status = options.command == COMMAND_BIND ? command_bind(&program, &error)
             : options.command == COMMAND_TYPES
                 ? command_types(&program, &error)
                 : run(&program, &error);
    stop_set_engine(NULL);
  }
  // A syntax error was shown when it was found.
  if (status < 0 && status != GRAFT_ESYNTAX) show_error(&program, &error);
  graft_engine_close(program.engine);
  lines_close(program.lines);
  bool failed =
      status < 0 || (options.command != COMMAND_RUN && program.failed);
  return failed ? EXIT_SCRIPT : 0;
}
