// SPDX-License-Identifier: MIT
//
// Merge: an edited initial value meets one that may have changed at run time
// (S3). Three values decide: the base, which is what the old source gave, the
// new one, and the live one. Tables merge in place, field by field. What the
// source changed is told to `depend.h`, for what is computed from it.

#ifndef GRAFT_VM_MERGE_H
#define GRAFT_VM_MERGE_H

#include "patch/diff.h"
#include "vm/script.h"
#include "vm/state.h"

typedef struct Patcher Patcher;

typedef struct Merge {
  Patcher *patcher;
  Script *script;
  const Diff *diff; // NULL when both units are the script's
  int line;
  char name[96]; // of the target, as the source has it
  int old_value; // into the old unit's values, -1: nil or not known
  int new_value; // into the new unit's values, likewise
} Merge;

// stack at `object`: object, key, base, new value. Gives the place what it is
// to have now; leaves the stack. Raises.
void merge_place(const Merge *self, lua_State *L, int object);

// The same for two tables: stack at `base`: base, new, live.
void merge_tables(const Merge *self, lua_State *L, int base);

// Whether two values are equal, tables by their fields.
bool merge_equal(lua_State *L, int left, int right);

#endif
