// SPDX-License-Identifier: MIT
//
// Commands: what `engine COMMAND` does instead of running a program.

#ifndef GRAFT_TOOLS_COMMANDS_H
#define GRAFT_TOOLS_COMMANDS_H

#include "program.h"

// `engine types`: describes the program to editors, and says where.
GraftStatus command_types(Program *program, GraftError *error);

// `engine bind`, in bind.c: a native for each function that a C header
// declares, and its constants as a script of the same module.
GraftStatus command_bind(Program *program, GraftError *error);

#endif
