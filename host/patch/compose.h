// SPDX-License-Identifier: MIT
//
// Compose: what a file's unit is after another unit of its module was merged
// into it (U3, U4). Pure data in, data out. It works on text: the present
// source, in which the code of kept functions is replaced, and new functions
// and kept statements are put where their neighbours in the other unit stand.
// The result is a unit like that of any other version of the file, so it is
// compared and applied as one. Traded away: line numbers of what was merged,
// which are those of the composed text.
//
// Nothing is guessed. The result is looked at again: each function must be
// there with the tokens that it had, and a module-level local that it used
// must be one still, for code that reads a global by mistake fails late.

#ifndef GRAFT_PATCH_COMPOSE_H
#define GRAFT_PATCH_COMPOSE_H

#include "patch/diff.h"

typedef struct ComposeDesc {
  const GraftAllocator *allocator;
  const GraftUnit *present;
  const GraftUnit *merged; // says what is kept of
  const GraftUnit *origin; // one of its origins
} ComposeDesc;

// `*result` has the module and file of `present`, and is the caller's to
// release. GRAFT_ENOTFOUND for a function that cannot stand there,
// GRAFT_ESYNTAX, GRAFT_ENOMEM.
GraftStatus compose_unit(const ComposeDesc *desc, GraftUnit **result,
                         GraftError *error);

#endif
