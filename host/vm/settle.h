// SPDX-License-Identifier: MIT
//
// Settle: which values a sweep need not look into, told from their memory as
// raw.h reads it. A value is settled when everything it leads to, within a few
// steps, is plain, was met by the walk, or is settled too. Most tables of most
// programs are, and then they cost neither a visit nor an entry in the set of
// what was visited. The number of slots read for one reference is bounded, so
// the time stays linear; a value that needs more is walked as any other.

#ifndef GRAFT_VM_SETTLE_H
#define GRAFT_VM_SETTLE_H

#include "vm/sweep.h"

// Whether this VM lays out tables and closures as raw.h knows them. May raise;
// leaves the stack as it was.
bool settle_check(lua_State *L);

// Whether the table or function on top of the walker's stack is settled.
bool settle_is_settled(Sweep *self);

// The same for what the table on top holds, however large it is, and whether
// or not it was met itself.
bool settle_has_settled(Sweep *self);

// The same for field `n` of the table that the sweep skips; a table that is
// settled then counts as visited, so that what leads to it is settled soon.
// May raise.
bool settle_field(Sweep *self, int n);

// Fetch what field `n` holds into the cache, or what that table holds. Field 0
// stands for none.
void settle_fetch(const Sweep *self, int n);
void settle_fetch_inside(const Sweep *self, int n);

#endif
