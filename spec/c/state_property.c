// SPDX-License-Identifier: MIT
//
// Properties of migration, with random structs and random edits of them: each
// number is where its path leads, with its value, as a model has it that knows
// nothing of plans; so is each pointer. `spec_state_property COUNT SEED`
// repeats a run.

#include <math.h>
#include <stdint.h>
#include <time.h>

#include "check.h"
#include "state/migrate.h"

static uint64_t state; // of the random numbers
static TypeSet *set;

static unsigned roll(unsigned sides) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (unsigned)(state >> 33) % sides;
}

// --- Random types ------------------------------------------------------------

enum { MEMBERS_MOST = 8, LEAVES_MOST = 4000 };

static const Type *make_struct(const Type *like, int depth);

static Type *add_type(TypeKind kind) {
  Type *type = type_set_add(set, kind, false);
  if (type == NULL) exit(2);
  return type;
}

static const Type *make_number(void) {
  static const size_t sizes[] = {1, 2, 4, 8};
  unsigned kind = roll(6);
  Type *type = add_type(kind == 0   ? KIND_BOOL
                        : kind == 1 ? KIND_FLOAT
                                    : KIND_INTEGER);
  type->size = kind == 0 ? 1 : kind == 1 ? sizes[2 + roll(2)] : sizes[roll(4)];
  type->is_signed = kind == 1 || (kind > 1 && roll(2) == 0);
  type->align = type->size;
  type->name = "number";
  return type;
}

static const Type *make_array(const Type *element) {
  Type *type = add_type(KIND_ARRAY);
  type->target = element;
  type->count = 1 + roll(4);
  type->size = type->count * element->size;
  type->align = element->align;
  return type;
}

static const Type *make_type(int depth) {
  unsigned kind = roll(10);
  if (kind < 6 || depth == 0) return make_number();
  if (kind < 8) return make_array(make_type(depth - 1));
  return make_struct(NULL, depth - 1);
}

// Another type that the first can become.
static const Type *edit_type(const Type *type, int depth) {
  if (roll(3) == 0) return type;
  if (type->kind == KIND_STRUCT) return make_struct(type, depth);
  if (type->kind == KIND_ARRAY) {
    return make_array(edit_type(type->target, depth));
  }
  return make_number();
}

static void place_members(Type *type, TypeMember *members) {
  for (size_t i = 0; i < type->member_count; i++) {
    size_t align = members[i].type->align;
    if (align > type->align) type->align = align;
    type->size = (type->size + align - 1) / align * align;
    members[i].offset = type->size;
    type->size += members[i].type->size;
  }
  type->size = (type->size + type->align - 1) / type->align * type->align;
  type->members = members;
}

static bool has_name(const TypeMember *members, size_t count,
                     const char *name) {
  for (size_t i = 0; i < count; i++) {
    if (strcmp(members[i].name, name) == 0) return true;
  }
  return false;
}

static const char *const names[] = {"a", "b", "c", "d", "e", "f",
                                    "g", "h", "i", "j", "k", "l"};

// A new struct, or an edit of `like`: members go, come, move and change.
static const Type *make_struct(const Type *like, int depth) {
  Type *type = add_type(KIND_STRUCT);
  type->name = "Body";
  TypeMember *members =
      type_set_allocate(set, 2 * MEMBERS_MOST * sizeof *members);
  if (members == NULL) exit(2);
  size_t count = 0;
  for (size_t i = 0; like != NULL && i < like->member_count; i++) {
    if (roll(5) == 0) continue;
    members[count++] =
        (TypeMember){.name = like->members[i].name,
                     .type = edit_type(like->members[i].type, depth)};
  }
  for (unsigned more = roll(like == NULL ? MEMBERS_MOST : 3) + (count == 0);
       more > 0; more--) {
    const char *name = names[roll(12)];
    if (has_name(members, count, name) ||
        (like != NULL && has_name(like->members, like->member_count, name))) {
      continue;
    }
    members[count++] = (TypeMember){.name = name, .type = make_type(depth)};
  }
  if (count == 0) {
    members[count++] = (TypeMember){.name = "z", .type = make_number()};
  }
  for (size_t i = count - 1; i > 0; i--) {
    size_t other = roll((unsigned)i + 1);
    TypeMember kept = members[i];
    members[i] = members[other];
    members[other] = kept;
  }
  type->member_count = count;
  place_members(type, members);
  return type;
}

// --- The model ---------------------------------------------------------------

typedef struct Leaf {
  char path[120];
  const Type *type;
  size_t offset;
} Leaf;

typedef struct Leaves {
  Leaf items[LEAVES_MOST];
  size_t count;
} Leaves;

static void list(Leaves *leaves, const Type *type, size_t offset,
                 const char *path) {
  char inner[200];
  if (type->kind == KIND_STRUCT) {
    for (size_t i = 0; i < type->member_count; i++) {
      const TypeMember *member = &type->members[i];
      snprintf(inner, sizeof inner, "%.100s.%s", path, member->name);
      list(leaves, member->type, offset + member->offset, inner);
    }
  } else if (type->kind == KIND_ARRAY) {
    for (size_t i = 0; i < type->count; i++) {
      snprintf(inner, sizeof inner, "%.90s[%zu]", path, i);
      list(leaves, type->target, offset + i * type->target->size, inner);
    }
  } else if (leaves->count < LEAVES_MOST) {
    Leaf *leaf = &leaves->items[leaves->count++];
    snprintf(leaf->path, sizeof leaf->path, "%.110s", path);
    leaf->type = type;
    leaf->offset = offset;
  }
}

static const Leaf *find(const Leaves *leaves, const char *path) {
  for (size_t i = 0; i < leaves->count; i++) {
    if (strcmp(leaves->items[i].path, path) == 0) return &leaves->items[i];
  }
  return NULL;
}

// A long double holds every number of 64 bits.
static long double value_of(const Type *type, const char *bytes) {
  union {
    uint8_t u8;
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;
    int8_t i8;
    int16_t i16;
    int32_t i32;
    int64_t i64;
    float f;
    double d;
  } as = {.u64 = 0};
  memcpy(&as, bytes, type->size);
  if (type->kind == KIND_FLOAT) {
    return type->size == 4 ? (long double)as.f : (long double)as.d;
  }
  switch (type->size) {
  case 1:
    return type->is_signed ? (long double)as.i8 : (long double)as.u8;
  case 2:
    return type->is_signed ? (long double)as.i16 : (long double)as.u16;
  case 4:
    return type->is_signed ? (long double)as.i32 : (long double)as.u32;
  default:
    return type->is_signed ? (long double)as.i64 : (long double)as.u64;
  }
}

// What a number of another type becomes.
static long double fit(const Type *type, long double value) {
  if (type->kind == KIND_BOOL) return value != 0;
  if (type->kind == KIND_FLOAT) {
    return type->size == 4 ? (long double)(float)value
                           : (long double)(double)value;
  }
  int bits = (int)type->size * 8 - type->is_signed;
  long double most = ldexpl(1, bits) - 1;
  long double least = type->is_signed ? -most - 1 : 0;
  value = truncl(value);
  return value > most ? most : value < least ? least : value;
}

// A value that its type can have, often a whole number.
static void fill(const Leaves *leaves, char *bytes) {
  for (size_t i = 0; i < leaves->count; i++) {
    const Leaf *leaf = &leaves->items[i];
    char *at = bytes + leaf->offset;
    double number = ((double)roll(200000) - 100000) / (roll(2) ? 1 : 64);
    float single = (float)number;
    uint64_t integer = ((uint64_t)roll(1u << 31) << 33) ^ roll(1u << 31);
    if (roll(2)) integer = roll(100);
    if (leaf->type->kind == KIND_FLOAT) {
      memcpy(at, leaf->type->size == 4 ? (void *)&single : (void *)&number,
             leaf->type->size);
    } else if (leaf->type->kind == KIND_BOOL) {
      *at = (char)roll(2);
    } else {
      memcpy(at, &integer, leaf->type->size);
    }
  }
}

// --- Properties --------------------------------------------------------------

static Leaves old_leaves, new_leaves;
static char failure[300];

static bool fail(const char *what, const char *path) {
  snprintf(failure, sizeof failure, "%.90s %.200s", what, path);
  return false;
}

static bool check_values(const char *from, const char *to, const char *before) {
  for (size_t i = 0; i < new_leaves.count; i++) {
    const Leaf *new = &new_leaves.items[i];
    const Leaf *old = find(&old_leaves, new->path);
    if (old == NULL) {
      if (memcmp(to + new->offset, before + new->offset, new->type->size) !=
          0) {
        return fail("touched a new member", new->path);
      }
      continue;
    }
    long double value = value_of(old->type, from + old->offset);
    long double wanted = fit(new->type, value);
    if (value_of(new->type, to + new->offset) != wanted) {
      return fail("another value in", new->path);
    }
  }
  return true;
}

static size_t count_lost(const char *from) {
  size_t lost = 0;
  for (size_t i = 0; i < new_leaves.count; i++) {
    const Leaf *new = &new_leaves.items[i];
    const Leaf *old = find(&old_leaves, new->path);
    if (old == NULL) continue;
    long double value = value_of(old->type, from + old->offset);
    lost += fit(new->type, value) != value;
  }
  return lost;
}

static bool check_offsets(const Type *from, const Type *to) {
  for (size_t i = 0; i < old_leaves.count; i++) {
    const Leaf *old = &old_leaves.items[i];
    const Leaf *new = find(&new_leaves, old->path);
    size_t moved = 0;
    bool found = migrate_offset(from, to, old->type, old->offset, &moved);
    if (found != (new != NULL)) return fail("a pointer to", old->path);
    if (found && moved != new->offset) return fail("pointer into", old->path);
  }
  return true;
}

static bool check_pair(const Type *from, const Type *to) {
  enum { COUNT = 3 };
  MigratePlan *plan;
  GraftError error;
  MigrateDesc desc = {.from = from, .to = to, .name = "x"};
  if (migrate_plan_new(&memory_default, &desc, &plan, &error) < 0) {
    return fail(error.message, "");
  }
  char *old = calloc(COUNT, from->size), *new = malloc(COUNT * to->size);
  char *before = malloc(COUNT * to->size);
  for (size_t i = 0; i < COUNT * to->size; i++) before[i] = (char)roll(2);
  memcpy(new, before, COUNT * to->size);
  for (size_t i = 0; i < COUNT; i++) fill(&old_leaves, old + i * from->size);
  size_t lost = 0, expected = 0;
  migrate_run(plan, old, new, COUNT, &lost);
  bool right = true;
  for (size_t i = 0; i < COUNT && right; i++) {
    right = check_values(old + i * from->size, new + i * to->size,
                         before + i * to->size);
    expected += count_lost(old + i * from->size);
  }
  if (right && lost != expected) right = fail("miscounted what was lost", "");
  migrate_plan_free(plan);
  free(old);
  free(new);
  free(before);
  return right && check_offsets(from, to);
}

static bool check_round(uint64_t seed) {
  state = seed * 0x9e3779b97f4a7c15u + 1;
  for (int i = 0; i < 8; i++) roll(2);
  set = type_set_new(&memory_default);
  const Type *from = make_struct(NULL, 3), *to = make_struct(from, 3);
  old_leaves.count = new_leaves.count = 0;
  list(&old_leaves, from, 0, "");
  list(&new_leaves, to, 0, "");
  bool right = old_leaves.count == LEAVES_MOST ||
               new_leaves.count == LEAVES_MOST || check_pair(from, to);
  type_set_release(set);
  return right;
}

int main(int count, char **arguments) {
  long rounds = count > 1 ? atol(arguments[1]) : 3000;
  uint64_t seed = count > 2 ? strtoull(arguments[2], NULL, 10)
                            : (uint64_t)time(NULL) * 100000;
  printf("# seed %llu\n", (unsigned long long)seed);
  char name[120];
  for (long i = 0; i < rounds; i++) {
    if (check_round(seed + (uint64_t)i)) continue;
    snprintf(name, sizeof name, "migration of random structs: run 1 %llu",
             (unsigned long long)seed + (unsigned long long)i);
    check_report(name, false, failure);
    return check_status();
  }
  CHECK("migration of random structs", rounds > 0);
  return check_status();
}
