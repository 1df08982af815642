// SPDX-License-Identifier: MIT
//
// Snapshot: a copy of registered state, to be put back after a crash. Its
// memory comes from the system directly, so that a thread which crashed inside
// malloc can still free it. Traded away: it is all of the state each time,
// since a page that is protected until it is written to would make system
// calls fail that write there.

#ifndef GRAFT_NATIVE_SNAPSHOT_H
#define GRAFT_NATIVE_SNAPSHOT_H

#include "native/guard.h"

typedef struct Snapshot {
  char *block; // NULL: none
  size_t size;
  size_t count; // of ranges, which lie at the beginning of the block
} Snapshot;

// Copies what `host->each_range` visits. False without memory, or when there
// is no end to the state's growing.
bool snapshot_take(Snapshot *self, const GuardHost *host);

// Puts back what differs. False when part of it is not there any more.
bool snapshot_restore(const Snapshot *self);

void snapshot_drop(Snapshot *self); // also of none

#endif
