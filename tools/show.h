// SPDX-License-Identifier: MIT
//
// Show: reports and errors on standard error, as text or as JSON.

#ifndef GRAFT_TOOLS_SHOW_H
#define GRAFT_TOOLS_SHOW_H

#include "options.h"

// For GraftEngineDesc.on_event; its context are the Options.
void show_event(void *options, const GraftEvent *event);

// An error that no event told of.
void show_error(const Options *options, const GraftError *error);

#endif
