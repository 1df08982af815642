// SPDX-License-Identifier: MIT
//
// Lines: reads standard input line by line on a thread of its own, so that the
// program goes on meanwhile. A line is read when it is asked for, and no byte
// beyond it: scripts may read standard input as well.

#ifndef GRAFT_TOOLS_LINES_H
#define GRAFT_TOOLS_LINES_H

#include <stdbool.h>

typedef struct Lines Lines;

// NULL when no thread can be had.
Lines *lines_open(void);
void lines_close(Lines *self); // NULL-safe

// Asks for the next line, if it has not been asked for.
void lines_ask(Lines *self);

// The line that was asked for, without its end; the caller frees it. NULL:
// there is none yet.
char *lines_take(Lines *self);

// Waits until there is one, for at most `timeout_ms`.
void lines_wait(Lines *self, int timeout_ms);

// Whether the input has ended and all of it was taken.
bool lines_ended(Lines *self);

#endif
