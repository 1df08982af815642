// SPDX-License-Identifier: MIT
//
// Initial values: where the source gives a name its value. Pure data.

#ifndef GRAFT_VM_INITIAL_H
#define GRAFT_VM_INITIAL_H

#include "unit/unit.h"

typedef struct Initial {
  const Assignment *assignment; // the last one, to the name or what holds it
  int value;                    // of the name itself; -1: nil
  int count;                    // of assignments that give it a value
} Initial;

// False when no top-level assignment outside of blocks gives it one.
bool initial_find(const GraftUnit *unit, const Path *path, Initial *initial);

// The field of a constructor, or of the one given to `setmetatable`; -1 for
// none.
int initial_field(const GraftUnit *unit, int value, const char *key);

#endif
