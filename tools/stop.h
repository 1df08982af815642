// SPDX-License-Identifier: MIT
//
// Stop: signals that end the program. The first Ctrl-C ends the loop after its
// frame; one more ends a frame, or a script with a loop of its own, by an error
// in it; a third one ends it all.
//
// A signal handler has no other way to be told than by globals, so these are
// the program's only ones, and it runs one engine.

#ifndef GRAFT_TOOLS_STOP_H
#define GRAFT_TOOLS_STOP_H

#include "graft.h"

// What runs when a signal comes.
typedef enum StopMode {
  STOP_SCRIPT,     // a script, which is interrupted
  STOP_FRAMES,     // frames: the loop asks; one more signal interrupts
  STOP_ASKS,       // a dialogue, which asks
  STOP_EVALUATION, // what a user has typed: Ctrl-C ends that alone
} StopMode;

// Takes SIGINT, SIGTERM and SIGHUP.
void stop_install(void);

// The engine whose script is ended; NULL: none.
void stop_set_engine(GraftEngine *engine);

// Returns the mode before.
StopMode stop_set_mode(StopMode mode);

// Whether the user has asked the program to end.
bool stop_asked(void);

#endif
