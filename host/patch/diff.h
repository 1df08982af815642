// SPDX-License-Identifier: MIT
//
// Diff: what changed between two units of one file (D1-D4). Pure data in,
// data out: it looks at no VM, and both units must outlive it.
//
// Every definition, variable and statement of the new unit is paired with at
// most one of the old, and the other way round. Equal ones are paired first,
// wherever they stand, then equal names, then, between neighbours that are
// already paired, what plays the same role. So order, insertions and removals
// never give a function another one's body while its own is there. Traded
// away: the shortest edit script; near-linear time matters more (hash buckets
// and one longest increasing sequence).

#ifndef GRAFT_PATCH_DIFF_H
#define GRAFT_PATCH_DIFF_H

#include "unit/unit.h"

// Of a definition of the new unit.
typedef enum Change {
  CHANGE_SAME,
  CHANGE_MOVED,   // only its line numbers differ (or those of one in it)
  CHANGE_TOUCHED, // itself the same, but a function nested in it changed: its
                  // prototype must be made anew, its version stays
  CHANGE_UPDATED, // its own parameters, body or bindings differ
  CHANGE_ADDED,
} Change;

// Of a statement of the new unit.
typedef enum StatementChange {
  STATEMENT_SAME,    // the same tokens: never run again (S1)
  STATEMENT_CHANGED, // runs; `statement_old` is what it replaces
  STATEMENT_ADDED,   // runs
} StatementChange;

typedef struct Diff {
  GraftAllocator allocator;
  Arena arena;
  const GraftUnit *old_unit; // may be NULL: everything is added
  const GraftUnit *new_unit;

  // Maps by index; -1: none. `…_old` are indexed by the new unit.
  int *definition_old;
  int *definition_new;
  int *variable_old;
  int *variable_new;
  int *statement_old; // for the same and for changed ones
  int *statement_new;

  Change *changes; // by new definition
  bool *renamed;   // by new definition: paired with one of another name, by
                   // its equal body (P7)
  StatementChange *statement_changes; // by new statement

  // Lists in file order.
  const int *run; // new statements: changed and added
  int run_count;
  const int *removed; // old statements that nothing replaces
  int removed_count;
  const int *deleted; // old definitions without a partner
  int deleted_count;

  int added_count; // new definitions by change
  int updated_count;
  int touched_count;
  int moved_count;
  int renamed_count;
} Diff;

// NULL when out of memory. `old_unit` may be NULL. Linear but for one sort.
Diff *diff_new(const GraftAllocator *allocator, const GraftUnit *old_unit,
               const GraftUnit *new_unit);
void diff_free(Diff *self); // NULL-safe

// No function changed and no statement runs or went away; moves do not count.
bool diff_is_empty(const Diff *self);

#endif
