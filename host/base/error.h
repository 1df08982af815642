// SPDX-License-Identifier: MIT
//
// Errors: filling a caller's GraftError. Every function takes NULL for an
// error that nobody wants, and returns the status, so that a caller can write
// `return error_set(error, GRAFT_EIO, "…");`.

#ifndef GRAFT_BASE_ERROR_H
#define GRAFT_BASE_ERROR_H

#include "graft.h"

GraftStatus error_set(GraftError *self, GraftStatus status, const char *format,
                      ...) __attribute__((format(printf, 3, 4)));

// Adds the place; `line` and `column` from 1, 0 for none.
GraftStatus error_at(GraftError *self, const char *file, int line, int column);

GraftStatus error_memory(GraftError *self);

// The message of a status, borrowed for ever.
const char *error_text(GraftStatus status);

#endif
