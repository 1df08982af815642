// SPDX-License-Identifier: MIT
//
// Dialogue: what is said with the user when new code has raised (--on-error
// break). Commands come from standard input, whatever that is; at its end the
// version before is put back.

#ifndef GRAFT_TOOLS_DIALOGUE_H
#define GRAFT_TOOLS_DIALOGUE_H

#include "graft.h"

// For GraftEngineDesc.on_break; its context is the Program.
GraftRestart dialogue_ask(void *program, GraftBreak *at);

#endif
