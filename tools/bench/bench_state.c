// SPDX-License-Identifier: MIT
//
// State: migrating a persistent array whose struct gains a field, against
// memcpy of the same bytes into fresh memory, and into memory in use.

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/memory.h"
#include "bench.h"
#include "state/heap.h"

enum { ELEMENTS = 1000000, SIZE = 64 };

typedef struct State {
  TypeSet *sets[2]; // without the field, with it
  Storage *storage;
  char *from; // as many bytes, for the baseline
} State;

static const Type number = {.kind = KIND_FLOAT,
                            .is_signed = true,
                            .size = 8,
                            .align = 8,
                            .name = "double",
                            .alias = "",
                            .file = ""};

// struct Body { double a … h; }, in one of them with `added` behind `c`.
static TypeSet *make_types(bool has_added) {
  static const char *const names[] = {"a", "b", "c", "added", "d",
                                      "e", "f", "g", "h"};
  TypeSet *set = type_set_new(&memory_default);
  Type *type = type_set_add(set, KIND_STRUCT, true);
  TypeMember *members = type_set_allocate(set, 9 * sizeof *members);
  for (int i = 0; i < 9; i++) {
    if (i == 3 && !has_added) continue;
    members[type->member_count] = (TypeMember){
        .name = names[i], .type = &number, .offset = type->member_count * 8};
    type->member_count++;
  }
  type->members = members;
  type->name = "Body";
  type->size = type->member_count * 8;
  type->align = 8;
  return set;
}

static void change_types(State *self, int which) {
  GraftError error;
  StorageReport report;
  storage_report_init(&report, &memory_default);
  StorageChange *change =
      storage_change_new(self->storage, &(StorageChangeDesc){NULL, NULL});
  if (storage_change_unit(change, "body.c", self->sets[which], &error) < 0 ||
      storage_change_apply(change, &report, &error) < 0) {
    bench_fail("%s", error.message);
  }
  storage_change_keep(change);
  storage_change_free(change);
  storage_report_clear(&report);
}

static char *map_bytes(void) {
  char *bytes = mmap(NULL, (size_t)ELEMENTS * SIZE, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (bytes == MAP_FAILED) bench_fail("out of memory");
  return bytes;
}

static void *set_up(const void *param) {
  (void)param;
  State *self = calloc(1, sizeof *self);
  if (self == NULL) return NULL;
  self->sets[0] = make_types(false);
  self->sets[1] = make_types(true);
  self->storage = storage_new(&(StorageDesc){0});
  self->from = map_bytes();
  memset(self->from, 1, (size_t)ELEMENTS * SIZE);
  return self;
}

static void tear_down(void *context) {
  State *self = context;
  storage_free(self->storage);
  type_set_release(self->sets[0]);
  type_set_release(self->sets[1]);
  munmap(self->from, (size_t)ELEMENTS * SIZE);
  free(self);
}

// A whole change: planning, migrating, switching, giving the old pages up.
static void migrate(void *context, BenchRun *run) {
  State *self = context;
  for (long i = 0; i < run->count; i++) {
    change_types(self, 0);
    HeapDesc desc = {
        .name = "bodies", .type = "struct Body", .count = ELEMENTS};
    double *bodies = heap_new(self->storage, &desc, NULL);
    if (bodies == NULL) bench_fail("no bodies");
    for (size_t at = 0; at < (size_t)ELEMENTS * 8; at++) {
      bodies[at] = (double)at;
    }
    bench_begin(run);
    change_types(self, 1);
    bench_end(run);
    bodies = heap_find(self->storage, "bodies", NULL);
    if (bodies[9 * 999 + 4] != 8 * 999 + 3 || bodies[9 * 999 + 3] != 0) {
      bench_fail("wrong bodies");
    }
    heap_free(self->storage, "bodies");
  }
}

// A migration has to write memory that it has just been given.
static void copy_fresh(void *context, BenchRun *run) {
  const State *self = context;
  for (long i = 0; i < run->count; i++) {
    bench_begin(run);
    char *to = map_bytes();
    memcpy(to, self->from, (size_t)ELEMENTS * SIZE);
    bench_end(run);
    munmap(to, (size_t)ELEMENTS * SIZE);
  }
}

static void copy_warm(void *context, BenchRun *run) {
  const State *self = context;
  char *to = map_bytes();
  memset(to, 1, (size_t)ELEMENTS * SIZE);
  for (long i = 0; i < run->count; i++) {
    bench_begin(run);
    memcpy(to, self->from, (size_t)ELEMENTS * SIZE);
    bench_end(run);
  }
  munmap(to, (size_t)ELEMENTS * SIZE);
}

void bench_add_state(Bench *self) {
  bench_add(self,
            &(BenchCase){.name = "field into 1,000,000 structs of 64 bytes",
                         .against = "memcpy of the bytes to fresh memory",
                         .aim = 4,
                         .count = 1,
                         .ours = migrate,
                         .baseline = copy_fresh,
                         .setup = set_up,
                         .teardown = tear_down});
  bench_add(self,
            &(BenchCase){.name = "the same, against warm memory",
                         .against = "memcpy of the bytes to memory in use",
                         .aim = 4,
                         .count = 1,
                         .ours = migrate,
                         .baseline = copy_warm,
                         .setup = set_up,
                         .teardown = tear_down});
}
