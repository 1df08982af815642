// SPDX-License-Identifier: MIT

#include "patch/diff_match.h"

#include <string.h>

bool match_init(Match *self, const GraftAllocator *allocator, int old_capacity,
                int new_capacity) {
  *self = (Match){.allocator = allocator};
  counter_init(&self->heads, allocator);
  size_t old_count = (size_t)old_capacity, new_count = (size_t)new_capacity;
  size_t most = old_count > new_count ? old_count : new_count;
  size_t both = old_count + new_count;
  size_t size =
      both * (sizeof(uint64_t) + 2 * sizeof(int)) + most * 2 * sizeof(int);
  self->block = memory_resize(allocator, NULL, size > 0 ? size : 1);
  if (self->block == NULL) return false;
  self->old_side.keys = self->block;
  self->new_side.keys = self->old_side.keys + old_count;
  self->old_side.items = (int *)(self->new_side.keys + new_count);
  self->new_side.items = self->old_side.items + old_count;
  self->old_side.gaps = self->new_side.items + new_count;
  self->new_side.gaps = self->old_side.gaps + old_count;
  self->links = self->new_side.gaps + new_count;
  self->new_links = self->links + most;
  // All else is written before it is read.
  if (both > 0) memset(self->old_side.gaps, 0, both * sizeof(int));
  return true;
}

void match_clear(Match *self) {
  counter_clear(&self->heads);
  memory_free(self->allocator, self->block);
}

static bool is_free(const MatchSide *side, int position) {
  return side->keys[position] != 0 && side->partners[side->items[position]] < 0;
}

void match_pair(Match *self, int old_position, int new_position) {
  int old_item = self->old_side.items[old_position];
  int new_item = self->new_side.items[new_position];
  self->old_side.partners[old_item] = new_item;
  self->new_side.partners[new_item] = old_item;
}

static bool pair_equal(Match *self, int old_position, int new_position) {
  if (!is_free(&self->old_side, old_position) ||
      self->old_side.keys[old_position] != self->new_side.keys[new_position] ||
      !is_free(&self->new_side, new_position)) {
    return false;
  }
  match_pair(self, old_position, new_position);
  return true;
}

static void narrow(MatchSide *side, int start, int end) {
  side->items += start;
  side->keys += start;
  side->gaps += start;
  side->start += start;
  side->count = end - start;
}

void match_widen(MatchSide *side) {
  side->items -= side->start;
  side->keys -= side->start;
  side->gaps -= side->start;
  side->start = 0;
}

bool match_ends(Match *self) {
  int old_end = self->old_side.count, new_end = self->new_side.count;
  int start = 0;
  while (start < old_end && start < new_end && pair_equal(self, start, start)) {
    start++;
  }
  while (old_end > start && new_end > start &&
         pair_equal(self, old_end - 1, new_end - 1)) {
    old_end--;
    new_end--;
  }
  narrow(&self->old_side, start, old_end);
  narrow(&self->new_side, start, new_end);
  return match_round(self);
}

bool match_link(Counter *heads, const MatchSide *side, int *links) {
  counter_reset(heads, (size_t)side->count);
  for (int i = side->count - 1; i >= 0; i--) {
    if (!is_free(side, i)) continue;
    int *head = counter_at(heads, side->keys[i]);
    if (head == NULL) return false;
    links[i] = *head;
    *head = i + 1;
  }
  return true;
}

bool match_round(Match *self) {
  if (!match_link(&self->heads, &self->old_side, self->links)) return false;
  if (self->heads.count == 0) return true;
  for (int i = 0; i < self->new_side.count; i++) {
    if (!is_free(&self->new_side, i)) continue;
    int *head = counter_find(&self->heads, self->new_side.keys[i]);
    if (head == NULL || *head == 0) continue;
    int old_position = *head - 1;
    *head = self->links[old_position];
    match_pair(self, old_position, i);
  }
  return true;
}

// ---------------------------------------------------------------------------
// Gaps
// ---------------------------------------------------------------------------

// Positions of old items by item are needed to compare order; items of one
// sequence are in rising order, so a binary search finds them.
static int find_position(const MatchSide *side, int item) {
  int low = 0, high = side->count - 1;
  while (low <= high) {
    int middle = (low + high) / 2;
    if (side->items[middle] == item) return middle;
    if (side->items[middle] < item) {
      low = middle + 1;
    } else {
      high = middle - 1;
    }
  }
  return -1;
}

// The longest chain of pairs in rising order on both sides. `tails[k]` is the
// new position that ends the best chain of length k + 1; `gaps` hold the old
// position of each pair, `links` the pair before it in its chain.
static int find_chain(Match *self, int *tails) {
  int length = 0;
  for (int i = 0; i < self->new_side.count; i++) {
    int partner = self->new_side.partners[self->new_side.items[i]];
    int old_position =
        partner >= 0 ? find_position(&self->old_side, partner) : -1;
    self->new_side.gaps[i] = old_position;
    if (old_position < 0) continue;
    int low = 0, high = length;
    while (low < high) {
      int middle = (low + high) / 2;
      if (self->new_side.gaps[tails[middle]] < old_position) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    self->links[i] = low > 0 ? tails[low - 1] : -1;
    tails[low] = i;
    if (low == length) length++;
  }
  return length;
}

static void number_gaps(MatchSide *side, const bool *anchors) {
  int gap = 0;
  for (int i = 0; i < side->count; i++) {
    if (anchors[i]) gap++;
    side->gaps[i] = gap;
  }
}

void match_gaps(Match *self) {
  // `new_links` serves for tails, then for both sides' anchors, which need a
  // byte an item.
  int most = self->old_side.count > self->new_side.count ? self->old_side.count
                                                         : self->new_side.count;
  int *tails = self->new_links;
  int length = find_chain(self, tails);
  int last = length > 0 ? tails[length - 1] : -1;
  bool *new_anchors = (bool *)tails;
  bool *old_anchors = new_anchors + most;
  memset(new_anchors, 0, 2 * (size_t)most);
  while (last >= 0) {
    new_anchors[last] = true;
    old_anchors[self->new_side.gaps[last]] = true;
    last = self->links[last];
  }
  number_gaps(&self->new_side, new_anchors);
  number_gaps(&self->old_side, old_anchors);
}
