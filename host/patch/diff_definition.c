// SPDX-License-Identifier: MIT
//
// Pairing definitions (D1), from the outside in: those directly in the main
// chunk, then the children of each pair. Functions with a name go by name;
// the others by what they are for, an equal one first.

#include <string.h>

#include "base/hash.h"
#include "patch/diff_match.h"

typedef enum DefinitionRound {
  ROUND_EXACT,       // same name or role, same body
  ROUND_EQUAL_BODY,  // anonymous: same body, whatever the role
  ROUND_EQUAL_OWN,   // anonymous: same role and own body, not of nested ones
  ROUND_NAME,        // same name
  ROUND_ROLE_IN_GAP, // anonymous: same role
  ROUND_ROLE,
  ROUND_PLACE_IN_GAP, // anonymous: passed to the same
  ROUND_SHOWN,        // shown under the same name
  ROUND_RENAMED,      // named: same body
  ROUND_COUNT,
} DefinitionRound;

typedef struct Pairing {
  Diff *diff;
  Match match;
} Pairing;

// Anonymous functions directly in the main chunk belong to their statement:
// only those of paired statements are paired (S6). 0: none.
static uint64_t statement_context(const int *partners, int statement,
                                  bool is_old) {
  int partner = partners[statement];
  if (partner < 0) return 0;
  return hash_mix(1, (uint64_t)(is_old ? statement : partner));
}

static uint64_t context_of(const Diff *diff, const Definition *definition,
                           bool is_old) {
  if (definition->parent >= 0) return 1;
  return statement_context(is_old ? diff->statement_new : diff->statement_old,
                           definition->statement, is_old);
}

static uint64_t named_key(const GraftUnit *unit, int index,
                          DefinitionRound round) {
  const Definition *definition = &unit->definitions[index];
  uint64_t name = unit->keys[index].name;
  switch (round) {
  case ROUND_EXACT:
    return hash_mix(name, unit->keys[index].deep);
  case ROUND_NAME:
    return name;
  case ROUND_SHOWN:
    if (definition->shown == SHOWN_NOT) return 0;
    return hash_bytes(2, definition->shown_path,
                      strlen(definition->shown_path));
  case ROUND_RENAMED:
    return hash_mix(3, unit->keys[index].deep);
  default:
    return 0;
  }
}

static uint64_t anonymous_key(const Definition *definition, uint64_t context,
                              int gap, DefinitionRound round) {
  if (context == 0) return 0;
  uint64_t role = hash_mix(context, definition->role);
  switch (round) {
  case ROUND_EXACT:
    return hash_mix(role, definition->deep);
  case ROUND_EQUAL_BODY:
    return hash_mix(context, definition->deep);
  case ROUND_EQUAL_OWN:
    return hash_mix(role, definition->own);
  case ROUND_ROLE_IN_GAP:
    return hash_mix(role, (uint64_t)gap);
  case ROUND_ROLE:
    return role;
  case ROUND_PLACE_IN_GAP:
    return hash_mix(hash_mix(context, definition->place), (uint64_t)gap);
  default:
    return 0;
  }
}

static void fill_keys(const Diff *diff, MatchSide *side, DefinitionRound round,
                      bool is_old) {
  const GraftUnit *unit = is_old ? diff->old_unit : diff->new_unit;
  for (int i = 0; i < side->count; i++) {
    int item = side->items[i];
    side->keys[i] = 0;
    if (round != ROUND_EXACT && side->partners[item] >= 0) continue;
    if (unit->keys[item].named) {
      side->keys[i] = named_key(unit, item, round);
    } else {
      const Definition *definition = &unit->definitions[item];
      uint64_t context = context_of(diff, definition, is_old);
      side->keys[i] = anonymous_key(definition, context, side->gaps[i], round);
    }
  }
}

static void fill_children(MatchSide *side, const GraftUnit *unit, int parent) {
  int first = parent + 1;
  int end =
      parent < 0 ? unit->definition_count : unit->keys[parent].subtree_end;
  match_widen(side);
  side->count = 0;
  for (int i = first; i < end; i = unit->keys[i].subtree_end) {
    side->items[side->count++] = i;
  }
}

static bool all_paired(const MatchSide *side) {
  for (int i = 0; i < side->count; i++) {
    if (side->partners[side->items[i]] < 0) return false;
  }
  return true;
}

static bool is_renamed(const Definition *old_one, const Definition *new_one) {
  return old_one->named && new_one->named &&
         strcmp(old_one->segment, new_one->segment) != 0 &&
         strcmp(old_one->name, new_one->name) != 0;
}

static void mark_renamed(Pairing *self) {
  const MatchSide *side = &self->match.new_side;
  const Definition *old_ones = self->diff->old_unit->definitions;
  const Definition *new_ones = self->diff->new_unit->definitions;
  for (int i = 0; i < side->count; i++) {
    int item = side->items[i], partner = side->partners[side->items[i]];
    self->diff->renamed[item] =
        partner >= 0 && is_renamed(&old_ones[partner], &new_ones[item]);
  }
}

static Range definition_range(const GraftUnit *unit, int item) {
  return unit->definitions[item].whole;
}

static bool run_round(Pairing *self, DefinitionRound round) {
  Match *match = &self->match;
  Diff *diff = self->diff;
  bool in_gap = round == ROUND_ROLE_IN_GAP || round == ROUND_PLACE_IN_GAP;
  if (in_gap) match_gaps(match);
  fill_keys(diff, &match->old_side, round, true);
  fill_keys(diff, &match->new_side, round, false);
  if (round == ROUND_EXACT) return match_ends(match);
  MatchTexts texts = {diff->old_unit, diff->new_unit, definition_range};
  if (in_gap && !match_similar(match, &texts)) return false;
  return match_round(match);
}

static bool pair_children(Pairing *self, int old_parent, int new_parent) {
  Match *match = &self->match;
  Diff *diff = self->diff;
  fill_children(&match->old_side, diff->old_unit, old_parent);
  fill_children(&match->new_side, diff->new_unit, new_parent);
  for (int round = 0; round < ROUND_COUNT; round++) {
    if (all_paired(&match->old_side) || all_paired(&match->new_side)) break;
    if (!run_round(self, (DefinitionRound)round)) return false;
  }
  mark_renamed(self);
  return true;
}

// Equal functions have equal trees inside.
static void pair_subtrees(Diff *diff, int old_index, int new_index) {
  int count = diff->new_unit->keys[new_index].subtree_end - new_index;
  for (int i = 1; i < count; i++) {
    diff->definition_old[new_index + i] = old_index + i;
    diff->definition_new[old_index + i] = new_index + i;
  }
}

static bool equal_trees(const Diff *diff, int old_index, int new_index) {
  const DefinitionKey *old_one = &diff->old_unit->keys[old_index];
  const DefinitionKey *new_one = &diff->new_unit->keys[new_index];
  return old_one->deep == new_one->deep &&
         old_one->subtree_end - old_index == new_one->subtree_end - new_index;
}

// A definition's children come behind it, so one pass in order does.
static bool pair_nested(Pairing *self) {
  Diff *diff = self->diff;
  const DefinitionKey *keys = diff->new_unit->keys;
  for (int i = 0; i < diff->new_unit->definition_count;) {
    int old_index = diff->definition_old[i];
    if (old_index < 0) { // all that is in it was added
      i = keys[i].subtree_end;
    } else if (equal_trees(diff, old_index, i)) {
      pair_subtrees(diff, old_index, i);
      i = keys[i].subtree_end;
    } else {
      if (!pair_children(self, old_index, i)) return false;
      i++;
    }
  }
  return true;
}

bool diff_match_definitions(Diff *self) {
  Pairing pairing = {.diff = self};
  bool done = match_init(&pairing.match, &self->allocator,
                         self->old_unit->definition_count,
                         self->new_unit->definition_count);
  pairing.match.old_side.partners = self->definition_new;
  pairing.match.new_side.partners = self->definition_old;
  done = done && pair_children(&pairing, -1, -1) && pair_nested(&pairing);
  match_clear(&pairing.match);
  return done;
}
