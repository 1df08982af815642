// SPDX-License-Identifier: MIT
//
// Show: reports and errors on standard error, as text or as JSON.

#ifndef GRAFT_TOOLS_SHOW_H
#define GRAFT_TOOLS_SHOW_H

#include "program.h"

// For GraftEngineDesc.on_event; its context is the Program.
void show_event(void *program, const GraftEvent *event);

// Whether reports have colours: as text, on a terminal, and nobody said no.
bool show_has_colours(const Options *options);

// An error that no event told of.
void show_error(Program *program, const GraftError *error);

#endif
