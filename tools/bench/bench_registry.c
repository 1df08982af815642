// SPDX-License-Identifier: MIT
//
// Cases of the registry alone: calls from C to C.

#include "bench.h"

#include "registry/call.h"
#include "registry/slot.h"

typedef double Gravity(double height);

typedef struct World {
  Registry *registry;
  GraftFn *fn;
  GraftNative const *cell;
  Gravity *plain;
  Gravity *volatile direct; // loaded anew for each call, as a field would be
} World;

__attribute__((noinline)) static double gravity(double height) {
  return height * 0.5 + 1;
}

static void *set_up(const void *param) {
  (void)param;
  World *self = memory_new(&memory_default, sizeof *self);
  if (self == NULL) return NULL;
  self->registry = registry_new(&(RegistryDesc){0});
  self->fn = registry_add(self->registry, "physics.gravity");
  Signature *signature;
  signature_parse(&memory_default, "double(double)", &signature, NULL);
  slot_set(self->fn,
           &(BackingDesc){.code = (GraftNative)gravity, .signature = signature},
           NULL);
  signature_free(&memory_default, signature);
  self->cell = graft_fn_typed(self->fn, "double(double)", NULL);
  self->plain = (Gravity *)graft_fn_pointer(self->fn, "double(double)", NULL);
  self->direct = gravity;
  return self;
}

static void tear_down(void *context) {
  World *self = context;
  registry_free(self->registry);
  memory_free(&memory_default, self);
}

static void call_typed(void *context, BenchRun *run) {
  World *self = context;
  GraftNative const *cell = self->cell;
  double height = 1;
  for (long i = 0; i < run->count; i++) {
    height = ((Gravity *)GRAFT_LOAD(cell))(height);
  }
  self->direct = height > 0 ? gravity : NULL;
}

static void call_plain(void *context, BenchRun *run) {
  World *self = context;
  Gravity *volatile plain = self->plain;
  double height = 1;
  for (long i = 0; i < run->count; i++) height = plain(height);
  self->direct = height > 0 ? gravity : NULL;
}

static void call_direct(void *context, BenchRun *run) {
  World *self = context;
  double height = 1;
  for (long i = 0; i < run->count; i++) height = self->direct(height);
  self->direct = height > 0 ? gravity : NULL;
}

static void call_words(void *context, BenchRun *run) {
  World *self = context;
  CallWord word = {.number = 1};
  for (long i = 0; i < run->count; i++) {
    const Backing *active = self->fn->active;
    call_native(active->signature, active->code, &word, &word);
  }
}

static void call_values(void *context, BenchRun *run) {
  World *self = context;
  GraftValue value = {.type = GRAFT_NUMBER, .as.number = 1};
  GraftCall call = {
      .args = &value, .arg_count = 1, .results = &value, .result_capacity = 1};
  for (long i = 0; i < run->count; i++) graft_fn_call(self->fn, &call, NULL);
}

void bench_add_registry(Bench *self) {
  static const struct {
    const char *name;
    BenchFunction *ours;
    double aim;
  } cases[] = {
      {"typed call C to C through a slot", call_typed, 1.1},
      {"plain pointer C to C through a slot", call_plain, 0},
      {"call of a native by words", call_words, 0},
      {"dynamic call of a native", call_values, 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    bench_add(self, &(BenchCase){.name = cases[i].name,
                                 .against = "direct function pointer",
                                 .aim = cases[i].aim,
                                 .ours = cases[i].ours,
                                 .baseline = call_direct,
                                 .setup = set_up,
                                 .teardown = tear_down});
  }
}
