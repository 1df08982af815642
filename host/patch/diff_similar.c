// SPDX-License-Identifier: MIT
//
// Similarity: which of several like things became which, when each of them was
// edited. Their order decides, and where one came or went, the alignment in
// which they have most in common; but what is nearly the same text has changed
// places. What all of the group have in common tells none of them apart, and
// does not count.
//
// Only asked for small groups between the same neighbours, so the time stays
// near-linear: at most GROUP_LIMIT items a side and TEXT_LIMIT bytes.

#include <stdlib.h>

#include "base/hash.h"
#include "patch/diff_match.h"
#include "unit/lexer_literal.h"

enum {
  GROUP_LIMIT = 16,
  TEXT_LIMIT = 1 << 16,
  NEARLY_THE_SAME = 750, // of 1000
};

// The hashes of a text's words and signs, sorted.
typedef struct Bag {
  uint64_t *words;
  size_t count;
} Bag;

typedef struct Group {
  Match *match;
  const MatchTexts *texts;
  int old_positions[GROUP_LIMIT];
  int new_positions[GROUP_LIMIT];
  int old_count;
  int new_count;
  Bag old_bags[GROUP_LIMIT];
  Bag new_bags[GROUP_LIMIT];
  uint64_t *words; // of all bags, then those that are in each
  size_t word_count;
} Group;

static int compare_words(const void *left, const void *right) {
  uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
  return a < b ? -1 : a > b;
}

static bool is_word(char c) {
  return (literal_class[(unsigned char)c] & CLASS_NAME) != 0;
}

static bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static Bag make_bag(Group *group, const GraftUnit *unit, Range range) {
  const char *at = unit->source + range.start;
  const char *end = unit->source + range.end;
  Bag bag = {.words = group->words + group->word_count};
  while (at < end) {
    const char *start = at++;
    if (is_space(*start)) continue;
    while (is_word(*start) && at < end && is_word(*at)) at++;
    bag.words[bag.count++] = hash_bytes(1, start, (size_t)(at - start));
  }
  group->word_count += bag.count;
  qsort(bag.words, bag.count, sizeof *bag.words, compare_words);
  return bag;
}

// How much two bags have in common, from 0 to 1000.
static int similarity(const Bag *left, const Bag *right) {
  size_t i = 0, k = 0, common = 0;
  while (i < left->count && k < right->count) {
    if (left->words[i] == right->words[k]) {
      common++;
      i++;
      k++;
    } else if (left->words[i] < right->words[k]) {
      i++;
    } else {
      k++;
    }
  }
  size_t all = left->count + right->count;
  return all > 0 ? (int)(2000 * common / all) : 0;
}

static bool make_bags(Group *group) {
  Match *match = group->match;
  const MatchTexts *texts = group->texts;
  size_t size = 0;
  for (int i = 0; i < group->old_count; i++) {
    int item = match->old_side.items[group->old_positions[i]];
    size += range_size(texts->range_of(texts->old_unit, item));
  }
  for (int i = 0; i < group->new_count; i++) {
    int item = match->new_side.items[group->new_positions[i]];
    size += range_size(texts->range_of(texts->new_unit, item));
  }
  if (size > TEXT_LIMIT) return true; // no bags: paired in order
  // A byte makes one word at most; words in each bag are in the smallest.
  group->words = memory_new(match->allocator, 2 * size * sizeof *group->words);
  if (group->words == NULL) return false;
  for (int i = 0; i < group->old_count; i++) {
    int item = match->old_side.items[group->old_positions[i]];
    group->old_bags[i] = make_bag(group, texts->old_unit,
                                  texts->range_of(texts->old_unit, item));
  }
  for (int i = 0; i < group->new_count; i++) {
    int item = match->new_side.items[group->new_positions[i]];
    group->new_bags[i] = make_bag(group, texts->new_unit,
                                  texts->range_of(texts->new_unit, item));
  }
  return true;
}

// ---------------------------------------------------------------------------
// What tells them apart
// ---------------------------------------------------------------------------

static bool has_word(const Bag *bag, uint64_t word) {
  return bag->count > 0 && bsearch(&word, bag->words, bag->count,
                                   sizeof *bag->words, compare_words) != NULL;
}

static bool is_in_each(const Group *group, uint64_t word) {
  for (int i = 0; i < group->old_count; i++) {
    if (!has_word(&group->old_bags[i], word)) return false;
  }
  for (int i = 0; i < group->new_count; i++) {
    if (!has_word(&group->new_bags[i], word)) return false;
  }
  return true;
}

static void drop_words(Bag *self, const Bag *dropped) {
  size_t kept = 0;
  for (size_t i = 0; i < self->count; i++) {
    if (has_word(dropped, self->words[i])) continue;
    self->words[kept++] = self->words[i];
  }
  self->count = kept;
}

static void drop_common(Group *group) {
  const Bag *first = &group->old_bags[0];
  Bag common = {.words = group->words + group->word_count};
  for (size_t i = 0; i < first->count; i++) {
    if (is_in_each(group, first->words[i])) {
      common.words[common.count++] = first->words[i];
    }
  }
  for (int i = 0; i < group->old_count; i++) {
    drop_words(&group->old_bags[i], &common);
  }
  for (int i = 0; i < group->new_count; i++) {
    drop_words(&group->new_bags[i], &common);
  }
}

// ---------------------------------------------------------------------------
// Pairing
// ---------------------------------------------------------------------------

typedef int Scores[GROUP_LIMIT][GROUP_LIMIT];

enum { TAKEN = -1 };

static void score_pairs(const Group *group, Scores scores) {
  for (int i = 0; i < group->old_count; i++) {
    for (int k = 0; k < group->new_count; k++) {
      scores[i][k] = similarity(&group->old_bags[i], &group->new_bags[k]);
    }
  }
}

// The most similar free pair; the first of several equally good ones.
static int best_pair(const Group *group, Scores scores, int best[2]) {
  int score = TAKEN;
  for (int i = 0; i < group->old_count; i++) {
    for (int k = 0; k < group->new_count; k++) {
      if (scores[i][k] <= score) continue;
      score = scores[i][k];
      best[0] = i;
      best[1] = k;
    }
  }
  return score;
}

static void take_pair(Group *group, Scores scores, int i, int k) {
  for (int n = 0; n < group->old_count; n++) scores[n][k] = TAKEN;
  for (int n = 0; n < group->new_count; n++) scores[i][n] = TAKEN;
  match_pair(group->match, group->old_positions[i], group->new_positions[k]);
}

// The alignment of what is left that has most pairs and, of these, most in
// common. `best[i][k]` is that of the items from i and k on.
static void align(Group *group, Scores scores) {
  enum { PAIR = 1 << 16 };
  int best[GROUP_LIMIT + 1][GROUP_LIMIT + 1] = {{0}};
  for (int i = group->old_count - 1; i >= 0; i--) {
    for (int k = group->new_count - 1; k >= 0; k--) {
      int skip =
          best[i + 1][k] > best[i][k + 1] ? best[i + 1][k] : best[i][k + 1];
      int pair =
          scores[i][k] == TAKEN ? 0 : PAIR + scores[i][k] + best[i + 1][k + 1];
      best[i][k] = pair > skip ? pair : skip;
    }
  }
  for (int i = 0, k = 0; i < group->old_count && k < group->new_count;) {
    if (best[i][k] == best[i + 1][k]) {
      i++;
    } else if (best[i][k] == best[i][k + 1]) {
      k++;
    } else {
      match_pair(group->match, group->old_positions[i++],
                 group->new_positions[k++]);
    }
  }
}

static bool pair_group(Group *group) {
  Scores scores;
  int best[2] = {0, 0};
  if (!make_bags(group)) return false;
  if (group->words == NULL) return true;
  drop_common(group);
  score_pairs(group, scores);
  while (best_pair(group, scores, best) >= NEARLY_THE_SAME) {
    take_pair(group, scores, best[0], best[1]);
  }
  align(group, scores);
  memory_free(group->match->allocator, group->words);
  return true;
}

// The positions of a key's chain; -1 when there are too many.
static int collect(int head, const int *links, int positions[GROUP_LIMIT]) {
  int count = 0;
  for (; head > 0; head = links[head - 1]) {
    if (count == GROUP_LIMIT) return -1;
    positions[count++] = head - 1;
  }
  return count;
}

static bool pair_from(Match *match, const MatchTexts *texts, int old_head,
                      int new_head) {
  Group group = {.match = match, .texts = texts};
  group.old_count = collect(old_head, match->links, group.old_positions);
  group.new_count = collect(new_head, match->new_links, group.new_positions);
  if (group.old_count <= 0 || group.new_count <= 0) return true;
  if (group.old_count == 1 && group.new_count == 1) return true;
  return pair_group(&group);
}

bool match_similar(Match *self, const MatchTexts *texts) {
  Counter heads;
  counter_init(&heads, self->allocator);
  bool done = match_link(&self->heads, &self->old_side, self->links) &&
              match_link(&heads, &self->new_side, self->new_links);
  for (int i = 0; done && i < self->new_side.count; i++) {
    uint64_t key = self->new_side.keys[i];
    int *head = key != 0 ? counter_find(&heads, key) : NULL;
    if (head == NULL || *head != i + 1) continue; // not the first of its key
    int *old_head = counter_find(&self->heads, key);
    if (old_head == NULL) continue;
    done = pair_from(self, texts, *old_head, *head);
  }
  counter_clear(&heads);
  return done;
}
