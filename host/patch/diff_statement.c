// SPDX-License-Identifier: MIT
//
// Pairing top-level statements: equal ones first, wherever they stand (S1),
// then those that give a value to the same name, then, between equal
// neighbours, those that do the same kind of thing.

#include <string.h>

#include "base/hash.h"
#include "patch/diff_match.h"

typedef enum StatementRound {
  ROUND_EXACT,        // with the bodies of functions in it
  ROUND_EQUAL_IN_GAP, // without
  ROUND_EQUAL,
  ROUND_TARGETS, // assigns to the same, declares the same
  ROUND_FIRST_TARGET,
  ROUND_SAME_KIND, // in the gap: same kind, and same callee of a call
  ROUND_COUNT,
} StatementRound;

static uint64_t hash_text(uint64_t hash, const char *text) {
  return hash_bytes(hash, text, strlen(text));
}

static uint64_t hash_path(uint64_t hash, const Path *path) {
  if (path->name == NULL) return hash;
  hash = hash_text(hash, path->name);
  for (uint32_t i = 0; i < path->key_count; i++) {
    hash = hash_text(hash, path->keys[i]);
  }
  return hash_mix(hash, path->computed);
}

static uint64_t hash_targets(const GraftUnit *unit, const Statement *statement,
                             uint32_t limit) {
  uint64_t hash = 0;
  for (uint32_t i = 0; i < statement->assignment_count && i < limit; i++) {
    const Assignment *assignment =
        &unit->assignments[statement->first_assignment + i];
    if (assignment->in_block) return 0; // of a block, not of the statement
    hash = hash_path(hash_mix(hash, i), &assignment->target);
  }
  return hash;
}

static uint64_t hash_kind(const Statement *statement) {
  switch (statement->kind) {
  case STATEMENT_CALL:
    return hash_path(hash_mix(1, STATEMENT_CALL), &statement->callee);
  case STATEMENT_DO:
  case STATEMENT_WHILE:
  case STATEMENT_IF:
  case STATEMENT_FOR:
  case STATEMENT_REPEAT:
  case STATEMENT_RETURN:
    return hash_mix(1, statement->kind);
  default:
    return 0;
  }
}

static uint64_t statement_key(const GraftUnit *unit, int index, int gap,
                              StatementRound round) {
  const Statement *statement = &unit->statements[index];
  switch (round) {
  case ROUND_EXACT:
    return unit->statement_keys[index];
  case ROUND_EQUAL_IN_GAP:
    return hash_mix(statement->fingerprint, (uint64_t)gap);
  case ROUND_EQUAL:
    return statement->fingerprint;
  case ROUND_TARGETS:
    return hash_targets(unit, statement, UINT32_MAX);
  case ROUND_FIRST_TARGET:
    return hash_targets(unit, statement, 1);
  case ROUND_SAME_KIND: {
    uint64_t kind = hash_kind(statement);
    return kind != 0 ? hash_mix(kind, (uint64_t)gap) : 0;
  }
  case ROUND_COUNT:
    break;
  }
  return 0;
}

static void fill_keys(MatchSide *side, const GraftUnit *unit,
                      StatementRound round) {
  for (int i = 0; i < side->count; i++) {
    bool paired = round != ROUND_EXACT && side->partners[side->items[i]] >= 0;
    side->keys[i] =
        paired ? 0 : statement_key(unit, side->items[i], side->gaps[i], round);
  }
}

static void fill_items(MatchSide *side, int *partners, int count) {
  side->count = count;
  side->partners = partners;
  for (int i = 0; i < count; i++) side->items[i] = i;
}

static bool all_paired(const MatchSide *side) {
  for (int i = 0; i < side->count; i++) {
    if (side->partners[side->items[i]] < 0) return false;
  }
  return true;
}

static Range statement_range(const GraftUnit *unit, int item) {
  return unit->statements[item].range;
}

static bool run_round(Match *match, Diff *diff, StatementRound round) {
  if (round == ROUND_EQUAL_IN_GAP || round == ROUND_SAME_KIND) {
    match_gaps(match);
  }
  fill_keys(&match->old_side, diff->old_unit, round);
  fill_keys(&match->new_side, diff->new_unit, round);
  if (round == ROUND_EXACT) return match_ends(match);
  MatchTexts texts = {diff->old_unit, diff->new_unit, statement_range};
  if (round == ROUND_EQUAL_IN_GAP && !match_similar(match, &texts)) {
    return false;
  }
  return match_round(match);
}

// Pairs found by then have the same tokens.
static void mark_same(Diff *self) {
  for (int i = 0; i < self->new_unit->statement_count; i++) {
    self->statement_changes[i] =
        self->statement_old[i] >= 0 ? STATEMENT_SAME : STATEMENT_ADDED;
  }
}

static void mark_changed(Diff *self) {
  for (int i = 0; i < self->new_unit->statement_count; i++) {
    if (self->statement_old[i] >= 0 &&
        self->statement_changes[i] == STATEMENT_ADDED) {
      self->statement_changes[i] = STATEMENT_CHANGED;
    }
  }
}

bool diff_match_statements(Diff *self) {
  Match match;
  int old_count = self->old_unit->statement_count;
  int new_count = self->new_unit->statement_count;
  bool done = match_init(&match, &self->allocator, old_count, new_count);
  if (done) {
    fill_items(&match.old_side, self->statement_new, old_count);
    fill_items(&match.new_side, self->statement_old, new_count);
  }
  for (int round = 0; done && round < ROUND_COUNT; round++) {
    if (round > ROUND_EXACT &&
        (all_paired(&match.old_side) || all_paired(&match.new_side))) {
      break;
    }
    done = run_round(&match, self, (StatementRound)round);
    if (round <= ROUND_EQUAL) mark_same(self);
  }
  if (done) mark_changed(self);
  match_clear(&match);
  return done;
}
