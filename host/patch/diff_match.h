// SPDX-License-Identifier: MIT
//
// Match: pairs the items of two sequences, in several rounds. A round gives
// each item a key; items with equal keys that have no partner yet are paired
// in order. Between rounds, `match_gaps` finds which of the pairs run in the
// same order on both sides (the longest such chain) and numbers the gaps
// between them, so that a round can pair within a gap only.

#ifndef GRAFT_PATCH_DIFF_MATCH_H
#define GRAFT_PATCH_DIFF_MATCH_H

#include "patch/diff.h"
#include "unit/counter.h"

// One side. Arrays are by position in the window: the part of the sequence
// between equal ends.
typedef struct MatchSide {
  int *items;     // indexes into the unit
  uint64_t *keys; // 0: takes no part in the round
  int *gaps;
  int *partners; // by item, for the whole unit: the other side's item or -1
  int count;
  int start; // of the window
} MatchSide;

typedef struct Match {
  const GraftAllocator *allocator;
  Counter heads;
  int *links; // chains of old positions with one key
  int *new_links;
  MatchSide old_side;
  MatchSide new_side;
  void *block; // holds the arrays but `partners`
} Match;

// Room for sequences of these lengths; false when out of memory. `partners`
// are the caller's.
bool match_init(Match *self, const GraftAllocator *allocator, int old_capacity,
                int new_capacity);
void match_clear(Match *self);

// Makes the window the whole sequence again, for a new one to be filled in.
void match_widen(MatchSide *side);

// Pairs equal keys from the start and the end inwards, and leaves the rest as
// the window; then pairs equal keys anywhere in it. False when out of memory.
bool match_ends(Match *self);
bool match_round(Match *self);

// Numbers the gaps.
void match_gaps(Match *self);

// Where the text of an item is.
typedef struct MatchTexts {
  const GraftUnit *old_unit;
  const GraftUnit *new_unit;
  Range (*range_of)(const GraftUnit *unit, int item);
} MatchTexts;

// Like match_round, but of several items with one key pairs those first whose
// texts are nearly the same, and aligns the others by what they have in common;
// leaves large groups alone. False when out of memory.
bool match_similar(Match *self, const MatchTexts *texts);

// Links the free items of each key into a chain; `heads` holds each one's
// first position + 1. False when out of memory.
bool match_link(Counter *heads, const MatchSide *side, int *links);
void match_pair(Match *self, int old_position, int new_position);

// The steps of diff_new, which share a scratch; false when out of memory.
bool diff_match_statements(Diff *self);
bool diff_match_definitions(Diff *self);
bool diff_match_variables(Diff *self);
bool diff_classify(Diff *self);

#endif
