// SPDX-License-Identifier: MIT
//
// Report: events, kept with their texts until the next safe point, and how
// they are written.

#ifndef GRAFT_PATCH_REPORT_H
#define GRAFT_PATCH_REPORT_H

#include "base/array.h"
#include "graft.h"

struct GraftReport {
  Arena arena; // texts of the events
  ARRAY(GraftEvent) events;
  bool failed;
};

void report_init(GraftReport *self, const GraftAllocator *allocator);
void report_clear(GraftReport *self);

// Copies an event with its texts; NULL texts become "". Returns the copy,
// valid until the next one is added, or NULL when out of memory.
const GraftEvent *report_add(GraftReport *self, const GraftEvent *event);

#endif
