// SPDX-License-Identifier: MIT

#include "commands.h"

#include <stdio.h>

GraftStatus command_types(Program *program, GraftError *error) {
  const Options *options = program->options;
  const char *folder =
      options->output != NULL ? options->output : ".graft/types";
  GraftStatus status = program_set_up(program, error);
  if (status == GRAFT_OK) {
    status = graft_engine_types(program->engine, folder, false, error);
  }
  if (status == GRAFT_OK) printf("Types %s\n", folder);
  return status;
}
