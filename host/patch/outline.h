// SPDX-License-Identifier: MIT
//
// Outline: the new text of a file without the functions that did not change,
// for the VM's compiler, which takes longer than all the rest of a patch. It
// refuses the outline exactly when it would refuse the whole: what is left out
// was accepted in the same surroundings before, since an outline is made only
// when nothing but the insides of functions differs. All else keeps its line.

#ifndef GRAFT_PATCH_OUTLINE_H
#define GRAFT_PATCH_OUTLINE_H

#include "base/buffer.h"
#include "patch/diff.h"

// Adds the outline, from the unit's `code_start` on. False when there is none
// or memory has run out: then the whole text is to be taken.
bool outline_make(const Diff *diff, Buffer *text);

#endif
