// SPDX-License-Identifier: MIT
//
// Properties of the difference, over generated programs and edits:
//
//   diff(a, a) is empty
//   another layout and other comments change nothing but lines
//   permuting functions and listeners updates none and runs nothing
//   what is paired as the same is the same text, what is updated is not
//   applying the difference to a's functions gives b's
//
//   spec_unit_property [COUNT [SEED]]     defaults: 2000, from the clock
//
// On a failure the seed and both sources are printed.

#include <time.h>

#include "unit_support.h"

// ---------------------------------------------------------------------------
// Programs
// ---------------------------------------------------------------------------

enum { ITEM_LIMIT = 12, BODY_KINDS = 8 };

typedef enum ItemKind {
  ITEM_FUNCTION,
  ITEM_LOCAL_FUNCTION,
  ITEM_FIELD,
  ITEM_LISTENER,
  ITEM_VALUE,
  ITEM_MAKER, // a function that returns one and passes one on
  ITEM_KIND_COUNT,
} ItemKind;

// A part of a program. Two of them with equal members are the same text.
typedef struct Item {
  ItemKind kind;
  int name;
  int body;
  int inner; // body of functions nested in it
} Item;

typedef struct Program {
  Item items[ITEM_LIMIT + 1];
  int count;
} Program;

static uint64_t random_state;

static int pick(int limit) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return (int)((random_state >> 11) % (uint64_t)limit);
}

// How tokens are separated: the layout of a whole program.
typedef struct Layout {
  uint64_t seed; // 0: plain
} Layout;

static void space(Buffer *text, Layout *layout) {
  static const char *const spaces[] = {" ",
                                       "  ",
                                       "\n",
                                       "\t",
                                       " --[[ comment ]] ",
                                       "\r\n",
                                       " -- to the end\n",
                                       "\n\n--[==[ long\n]] ]==]\n"};
  if (layout->seed == 0) {
    buffer_add_text(text, " ");
    return;
  }
  layout->seed = layout->seed * 6364136223846793005u + 1442695040888963407u;
  buffer_add_text(text, spaces[layout->seed >> 61]);
}

// Adds text, with each blank laid out anew.
static void add(Buffer *text, Layout *layout, const char *source) {
  for (const char *at = source; *at != '\0'; at++) {
    if (*at == ' ') {
      space(text, layout);
    } else {
      buffer_add(text, at, 1);
    }
  }
}

static void add_body(Buffer *text, Layout *layout, int body) {
  static const char *const bodies[BODY_KINDS] = {
      "return a",
      "return a + b",
      "return M , count",
      "count = count + 1 return count",
      "for i = 1 , # a do b = b .. a [ i ] end return b",
      "local x < const > = 5 return x * a",
      "if a then return { a , b , c = 'x' } else return limit end",
      "while a do a = a . next end",
  };
  char number[32];
  add(text, layout, bodies[body % BODY_KINDS]);
  snprintf(number, sizeof number, " , %d ", body);
  // A number that keeps bodies apart; behind a return value or at the end.
  if (strstr(bodies[body % BODY_KINDS], "while") != NULL) {
    snprintf(number, sizeof number, " a = %d ", body);
  } else if (strstr(bodies[body % BODY_KINDS], "else") != NULL) {
    snprintf(number, sizeof number, " , %d end ", body);
    text->size -= strlen("end");
  }
  add(text, layout, number);
}

static void add_item(Buffer *text, Layout *layout, const Item *item) {
  char head[100];
  switch (item->kind) {
  case ITEM_FUNCTION:
    snprintf(head, sizeof head, "function f%d ( a , b ) ", item->name);
    break;
  case ITEM_LOCAL_FUNCTION:
    snprintf(head, sizeof head, "local function l%d ( a , b ) ", item->name);
    break;
  case ITEM_FIELD:
    snprintf(head, sizeof head, "M . m%d = function ( a , b ) ", item->name);
    break;
  case ITEM_LISTENER:
    add(text, layout, "bus . on ( function ( a , b ) ");
    add_body(text, layout, item->body);
    add(text, layout, "end ) ");
    return;
  case ITEM_VALUE:
    snprintf(head, sizeof head, "M . v%d = { x = %d } ", item->name,
             item->body);
    add(text, layout, head);
    return;
  default:
    snprintf(head, sizeof head, "function M . k%d ( a , b ) ", item->name);
    add(text, layout, head);
    add(text, layout, "bus . on ( function ( c ) ");
    add_body(text, layout, item->inner);
    add(text, layout, "end ) ");
    break;
  }
  if (item->kind != ITEM_MAKER) add(text, layout, head);
  add_body(text, layout, item->body);
  add(text, layout, "end ");
}

static void write_program(const Program *program, Layout layout, Buffer *text) {
  text->size = 0;
  add(text, &layout, "local M , count , limit = { } , 0 , 100 ");
  for (int i = 0; i < program->count; i++) {
    add_item(text, &layout, &program->items[i]);
  }
  add(text, &layout, "return M ");
}

static bool has_name(const Program *program, ItemKind kind, int name) {
  for (int i = 0; i < program->count; i++) {
    if (program->items[i].kind == kind && program->items[i].name == name) {
      return true;
    }
  }
  return false;
}

// Names are unique, and bodies nearly always.
static Item make_item(const Program *program) {
  Item item = {.kind = (ItemKind)pick(ITEM_KIND_COUNT),
               .body = pick(1000),
               .inner = pick(1000)};
  do {
    item.name = pick(1000);
  } while (has_name(program, item.kind, item.name));
  return item;
}

static void make_program(Program *program) {
  program->count = 0;
  int count = 1 + pick(ITEM_LIMIT);
  for (int i = 0; i < count; i++) {
    program->items[program->count] = make_item(program);
    program->count++;
  }
}

static void shuffle(Program *program) {
  for (int i = program->count - 1; i > 0; i--) {
    int other = pick(i + 1);
    Item item = program->items[i];
    program->items[i] = program->items[other];
    program->items[other] = item;
  }
}

static void edit(Program *program) {
  int index = pick(program->count);
  switch (pick(5)) {
  case 0:
    program->items[index].body = pick(1000);
    break;
  case 1:
    program->items[index].inner = pick(1000);
    break;
  case 2: // remove
    if (program->count == 1) break;
    program->count--;
    program->items[index] = program->items[program->count];
    break;
  case 3: // insert
    if (program->count == ITEM_LIMIT) break;
    program->items[program->count] = program->items[index];
    program->items[index] = make_item(program);
    program->count++;
    break;
  case 4:
    shuffle(program);
  }
}

// ---------------------------------------------------------------------------
// Properties
// ---------------------------------------------------------------------------

typedef struct Trial {
  uint64_t seed;
  Buffer old_text;
  Buffer new_text;
} Trial;

static void fail(const Trial *trial, const char *property) {
  check_failures++;
  printf("FAIL %s: seed %llu\n--- old\n%s\n--- new\n%s\n", property,
         (unsigned long long)trial->seed, buffer_text(&trial->old_text),
         buffer_text(&trial->new_text));
}

typedef struct Pair {
  GraftUnit *old_unit;
  GraftUnit *new_unit;
  Diff *diff;
} Pair;

static bool open_pair(Pair *pair, Trial *trial) {
  pair->old_unit = unit_from(buffer_text(&trial->old_text));
  pair->new_unit = unit_from(buffer_text(&trial->new_text));
  pair->diff = NULL;
  if (pair->old_unit == NULL || pair->new_unit == NULL) return false;
  pair->diff = diff_new(&memory_default, pair->old_unit, pair->new_unit);
  return pair->diff != NULL;
}

static void close_pair(Pair *pair) {
  diff_free(pair->diff);
  graft_unit_free(pair->old_unit);
  graft_unit_free(pair->new_unit);
}

static void check_same(Trial *trial, const char *property) {
  Pair pair;
  if (!open_pair(&pair, trial) || !diff_is_empty(pair.diff)) {
    fail(trial, property);
  }
  close_pair(&pair);
}

// Both maps are each other's inverse.
static bool is_inverse(const int *there, int count, const int *back,
                       int back_count) {
  for (int i = 0; i < count; i++) {
    if (there[i] < -1 || there[i] >= back_count) return false;
    if (there[i] >= 0 && back[there[i]] != i) return false;
  }
  return true;
}

static bool maps_agree(const Diff *diff) {
  const GraftUnit *a = diff->old_unit, *b = diff->new_unit;
  return is_inverse(diff->definition_old, b->definition_count,
                    diff->definition_new, a->definition_count) &&
         is_inverse(diff->definition_new, a->definition_count,
                    diff->definition_old, b->definition_count) &&
         is_inverse(diff->statement_old, b->statement_count,
                    diff->statement_new, a->statement_count) &&
         is_inverse(diff->statement_new, a->statement_count,
                    diff->statement_old, b->statement_count) &&
         is_inverse(diff->variable_old, b->variable_count, diff->variable_new,
                    a->variable_count) &&
         is_inverse(diff->variable_new, a->variable_count, diff->variable_old,
                    b->variable_count);
}

// Parameters and body; the name before them may be another.
static Range code_of(const Definition *definition) {
  return (Range){definition->parameters_start, definition->whole.end};
}

static bool equal_text(const GraftUnit *a, Range left, const GraftUnit *b,
                       Range right) {
  return range_size(left) == range_size(right) &&
         memcmp(unit_text(a, left), unit_text(b, right), range_size(left)) == 0;
}

// Plain layout on both sides, so that equal functions are equal texts. Taking
// the old function where the difference says it is the same, and the new one
// elsewhere, gives b's functions; and no function is said to be updated whose
// own text the old one has, too.
static bool applies(const Diff *diff) {
  const GraftUnit *a = diff->old_unit, *b = diff->new_unit;
  for (int i = 0; i < b->definition_count; i++) {
    const Definition *now = &b->definitions[i];
    int old_index = diff->definition_old[i];
    if (old_index < 0) continue;
    const Definition *before = &a->definitions[old_index];
    bool equal = equal_text(a, code_of(before), b, code_of(now));
    bool same = diff->changes[i] <= CHANGE_MOVED;
    if (same != equal) return false;
    if (now->named != before->named) return false;
    if (now->named && !diff->renamed[i] &&
        strcmp(now->segment, before->segment) != 0) {
      return false;
    }
  }
  return true;
}

// An anonymous function that has its exact like on the other side, among those
// of the main chunk, is paired with such a one.
static bool keeps_bodies(const Diff *diff) {
  const GraftUnit *a = diff->old_unit, *b = diff->new_unit;
  for (int i = 0; i < b->definition_count; i++) {
    const Definition *now = &b->definitions[i];
    if (now->named || now->parent >= 0) continue;
    if (diff->definition_old[i] >= 0 && diff->changes[i] <= CHANGE_MOVED) {
      continue;
    }
    for (int k = 0; k < a->definition_count; k++) {
      const Definition *before = &a->definitions[k];
      if (before->named || before->parent >= 0) continue;
      if (!equal_text(a, code_of(before), b, code_of(now))) continue;
      int partner = diff->definition_new[k];
      if (partner < 0 || diff->changes[partner] > CHANGE_MOVED) return false;
    }
  }
  return true;
}

static bool statements_fit(const Diff *diff) {
  const GraftUnit *a = diff->old_unit, *b = diff->new_unit;
  for (int i = 0; i < b->statement_count; i++) {
    int old_index = diff->statement_old[i];
    bool same = diff->statement_changes[i] == STATEMENT_SAME;
    if (same != (old_index >= 0 && a->statements[old_index].fingerprint ==
                                       b->statements[i].fingerprint)) {
      return false;
    }
  }
  return true;
}

static void check_edit(Trial *trial) {
  Pair pair;
  if (!open_pair(&pair, trial)) {
    fail(trial, "both programs are taken");
  } else {
    if (!maps_agree(pair.diff)) fail(trial, "maps are inverse");
    if (!applies(pair.diff)) fail(trial, "the difference gives b's functions");
    if (!keeps_bodies(pair.diff)) fail(trial, "functions keep their bodies");
    if (!statements_fit(pair.diff)) fail(trial, "same statements are the same");
  }
  close_pair(&pair);
}

static void run_trial(Trial *trial) {
  Program program;
  random_state = trial->seed | 1;
  make_program(&program);
  Layout plain = {0}, other = {.seed = trial->seed | 1};
  write_program(&program, plain, &trial->old_text);
  write_program(&program, plain, &trial->new_text);
  check_same(trial, "diff(a, a) is empty");
  write_program(&program, other, &trial->new_text);
  check_same(trial, "another layout changes nothing");
  Program changed = program;
  shuffle(&changed);
  write_program(&changed, plain, &trial->new_text);
  check_same(trial, "another order changes nothing");
  for (int edits = 1 + pick(5); edits > 0; edits--) edit(&changed);
  write_program(&changed, plain, &trial->new_text);
  check_edit(trial);
}

int main(int argc, char **argv) {
  long count = argc > 1 ? atol(argv[1]) : 2000;
  uint64_t seed =
      argc > 2 ? strtoull(argv[2], NULL, 10) : (uint64_t)time(NULL) * 1000003u;
  printf("seed %llu\n", (unsigned long long)seed);
  Trial trial;
  buffer_init(&trial.old_text, &memory_default);
  buffer_init(&trial.new_text, &memory_default);
  for (long i = 0; i < count && check_failures < 5; i++) {
    trial.seed = seed + (uint64_t)i * 0x9e3779b97f4a7c15u;
    // A seed given for one trial is used as it is.
    if (count == 1) trial.seed = seed;
    run_trial(&trial);
  }
  if (check_failures == 0) printf("ok %ld generated programs\n", count);
  buffer_clear(&trial.old_text);
  buffer_clear(&trial.new_text);
  return check_status();
}
