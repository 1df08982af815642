// SPDX-License-Identifier: MIT
//
// Pairing variables: by name and owner; of several with one name those that
// the same statement declares, then those that paired functions capture under
// that name, then in order.

#include <string.h>

#include "base/hash.h"
#include "patch/diff_match.h"

// 0 when the owner has no partner. Both sides count as the old one's.
static uint64_t owner_key(const int *partners, int owner, bool is_old) {
  if (owner < 0) return 1;
  int partner = partners[owner];
  if (partner < 0) return 0;
  return (uint64_t)(is_old ? owner : partner) + 2;
}

static uint64_t variable_key(const Diff *diff, int index, bool is_old,
                             bool by_statement) {
  const GraftUnit *unit = is_old ? diff->old_unit : diff->new_unit;
  const Variable *variable = &unit->variables[index];
  const int *owners = is_old ? diff->definition_new : diff->definition_old;
  uint64_t owner = owner_key(owners, variable->owner, is_old);
  if (owner == 0) return 0;
  uint64_t key = hash_mix(owner, variable->top);
  key = hash_bytes(key, variable->name, strlen(variable->name));
  if (!by_statement) return key;
  if (variable->owner >= 0) return 0;
  const int *statements = is_old ? diff->statement_new : diff->statement_old;
  int partner = statements[variable->statement];
  if (partner < 0) return 0;
  return hash_mix(key, (uint64_t)(is_old ? variable->statement : partner));
}

static void fill_keys(const Diff *diff, MatchSide *side, bool is_old,
                      bool by_statement) {
  for (int i = 0; i < side->count; i++) {
    side->keys[i] = side->partners[i] >= 0
                        ? 0
                        : variable_key(diff, i, is_old, by_statement);
  }
}

static bool run_round(Match *match, const Diff *diff, bool by_statement) {
  fill_keys(diff, &match->old_side, true, by_statement);
  fill_keys(diff, &match->new_side, false, by_statement);
  return match_round(match);
}

// Pairs what two paired functions capture under one name, if it may be one.
static void pair_captured(Diff *diff, const Capture *old_one,
                          const Capture *new_one) {
  if (old_one->variable < 0 || new_one->variable < 0) return;
  if (diff->variable_new[old_one->variable] >= 0 ||
      diff->variable_old[new_one->variable] >= 0 ||
      strcmp(old_one->name, new_one->name) != 0) {
    return;
  }
  uint64_t old_key = variable_key(diff, old_one->variable, true, false);
  if (old_key == 0 ||
      old_key != variable_key(diff, new_one->variable, false, false)) {
    return;
  }
  diff->variable_new[old_one->variable] = new_one->variable;
  diff->variable_old[new_one->variable] = old_one->variable;
}

// Only where the lists of captures have the same length: then their order
// says which is which. What stays open is paired in order later.
static void pair_by_captures(Diff *diff) {
  for (int i = 0; i < diff->new_unit->definition_count; i++) {
    int old_index = diff->definition_old[i];
    if (old_index < 0) continue;
    const Definition *new_one = &diff->new_unit->definitions[i];
    const Definition *old_one = &diff->old_unit->definitions[old_index];
    if (old_one->capture_count != new_one->capture_count) continue;
    for (uint32_t k = 0; k < new_one->capture_count; k++) {
      pair_captured(diff, &old_one->captures[k], &new_one->captures[k]);
    }
  }
}

static void fill_items(MatchSide *side, int *partners, int count) {
  side->count = count;
  side->partners = partners;
  for (int i = 0; i < count; i++) side->items[i] = i;
}

static bool any_free(const MatchSide *side) {
  for (int i = 0; i < side->count; i++) {
    if (side->partners[i] < 0) return true;
  }
  return false;
}

bool diff_match_variables(Diff *self) {
  Match match;
  int old_count = self->old_unit->variable_count;
  int new_count = self->new_unit->variable_count;
  bool done = match_init(&match, &self->allocator, old_count, new_count);
  if (done) {
    fill_items(&match.old_side, self->variable_new, old_count);
    fill_items(&match.new_side, self->variable_old, new_count);
    done = run_round(&match, self, true);
  }
  if (done && any_free(&match.old_side) && any_free(&match.new_side)) {
    pair_by_captures(self);
    done = run_round(&match, self, false);
  }
  match_clear(&match);
  return done;
}
