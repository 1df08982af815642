// SPDX-License-Identifier: MIT
//
// Natives in a running engine: calls between them and through handles after
// many switches, switching, and from a save to the new code.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "project.h"

enum { SWITCHES = 200, FUNCTIONS = 26 };

typedef double Leaf(double);
typedef double Loop(int64_t);

typedef struct Live {
  Project *project;
  int variant;
  Leaf *volatile pointer; // the baseline of calls
  GraftNative const *typed;
  Loop *loop;
  char compile[256];
} Live;

static __attribute__((noinline)) double leaf(double x) {
  return x + 1;
}

// --- Saving ------------------------------------------------------------------

// One function that others call, and enough beside it for a file of 300 lines.
static void write_source(Live *self, int functions) {
  Buffer text;
  buffer_init(&text, &memory_default);
  buffer_format(&text,
                "#include <math.h>\n#include <stdio.h>\n#include <stdlib.h>\n"
                "static double bodies[64];\n"
                "double world_leaf(double x);\n"
                "double world_leaf(double x) { return x + %d; }\n"
                "double world_loop(long n) {\n  double sum = 0;\n"
                "  for (long i = 0; i < n; i++) sum = world_leaf(sum);\n"
                "  return sum;\n}\n",
                self->variant);
  for (int i = 0; i < functions; i++) {
    buffer_format(&text,
                  "\ndouble world_step%d(double time) {\n"
                  "  static int calls;\n  double sum = 0;\n  calls++;\n"
                  "  for (int i = 0; i < 64; i++) {\n"
                  "    double d = bodies[i] - time;\n"
                  "    sum += sqrt(d * d + %d) * calls;\n  }\n"
                  "  bodies[%d] = sum;\n  return sum;\n}\n",
                  i, i, i);
  }
  project_write(self->project, "world.c", buffer_text(&text));
  buffer_clear(&text);
}

static uint32_t version_of(const Live *self) {
  GraftInfo info;
  graft_fn_info(graft_engine_fn(self->project->engine, "world.leaf"), &info);
  return info.version;
}

static void update_until(Live *self, uint32_t version) {
  while (version_of(self) < version) {
    graft_engine_wait(self->project->engine, 1000);
    graft_engine_update(self->project->engine, NULL);
  }
}

static void save(Live *self, int functions) {
  self->variant++;
  write_source(self, functions);
}

// The optimised build of the text that the fast tier's code runs for.
static void wait_for_optimised(Live *self) {
  graft_engine_wait(self->project->engine, 2000);
  graft_engine_update(self->project->engine, NULL);
}

static Live *new_live(void) {
  Live *self = memory_new(&memory_default, sizeof *self);
  if (self != NULL) return self;
  bench_fail("out of memory");
}

static Live *open_live(int functions, bool no_tcc) {
  Live *self = new_live();
  GraftEngineDesc desc = {.no_tcc = no_tcc};
  self->project = project_new_with(&desc);
  setenv("XDG_CACHE_HOME", self->project->folder, 1);
  self->pointer = leaf;
  write_source(self, functions);
  project_open(self->project, true);
  if (version_of(self) == 0) bench_fail("world.c was not loaded");
  return self;
}

static void close_live(void *context) {
  Live *self = context;
  project_free(self->project);
  memory_free(&memory_default, self);
}

// --- Calls -------------------------------------------------------------------

static void *set_up_calls(const void *param) {
  (void)param;
  Live *self = open_live(0, false);
  for (int i = 0; i < SWITCHES; i++) {
    uint32_t version = version_of(self);
    save(self, 0);
    update_until(self, version + 1);
  }
  wait_for_optimised(self);
  GraftEngine *engine = self->project->engine;
  GraftError error;
  self->typed = graft_fn_typed(graft_engine_fn(engine, "world.leaf"),
                               "double(double)", &error);
  self->loop = (Loop *)graft_fn_pointer(graft_engine_fn(engine, "world.loop"),
                                        "double(int64_t)", &error);
  if (self->typed == NULL || self->loop == NULL) {
    bench_fail("%s", error.message);
  }
  return self;
}

static void call_by_name(void *context, BenchRun *run) {
  Live *self = context;
  double sum = self->loop(run->count);
  if (sum != (double)run->count * self->variant) {
    bench_fail("%ld calls gave %g", run->count, sum);
  }
}

static void call_typed(void *context, BenchRun *run) {
  Live *self = context;
  double sum = 0;
  for (long i = 0; i < run->count; i++) {
    sum = ((Leaf *)GRAFT_LOAD(self->typed))(sum);
  }
  if (sum < 0) bench_fail("a wrong sum");
}

static void call_pointer(void *context, BenchRun *run) {
  Live *self = context;
  double sum = 0;
  for (long i = 0; i < run->count; i++) sum = self->pointer(sum);
  if (sum < 0) bench_fail("a wrong sum");
}

// --- Switching and saving ----------------------------------------------------

static void *set_up_fast(const void *param) {
  (void)param;
  return open_live(FUNCTIONS, false);
}

static void *set_up_optimised(const void *param) {
  (void)param;
  Live *self = open_live(FUNCTIONS, true);
  snprintf(self->compile, sizeof self->compile,
           "cc -O2 -g -fPIC -c -o %s/bare.o %s/world.c", self->project->folder,
           self->project->folder);
  return self;
}

// The compiler is done: what is left is to place, to switch and to report.
static void switch_all(void *context, BenchRun *run) {
  Live *self = context;
  for (long i = 0; i < run->count; i++) {
    save(self, FUNCTIONS);
    graft_engine_wait(self->project->engine, 10000);
    bench_begin(run);
    graft_engine_update(self->project->engine, NULL);
    bench_end(run);
  }
}

static void save_and_wait(void *context, BenchRun *run) {
  Live *self = context;
  for (long i = 0; i < run->count; i++) {
    uint32_t version = version_of(self);
    bench_begin(run);
    save(self, FUNCTIONS);
    update_until(self, version + 1);
    bench_end(run);
  }
}

static void save_fast(void *context, BenchRun *run) {
  save_and_wait(context, run);
  wait_for_optimised(context); // outside of the clock
}

static void compile_bare(void *context, BenchRun *run) {
  Live *self = context;
  for (long i = 0; i < run->count; i++) {
    if (system(self->compile) != 0) bench_fail("cc failed");
  }
}

void bench_add_live(Bench *self) {
  static const BenchCase cases[] = {
      {.name = "live.call_by_name",
       .against = "a call through a function pointer",
       .aim = 1.8,
       .ours = call_by_name,
       .baseline = call_pointer,
       .setup = set_up_calls,
       .teardown = close_live},
      {.name = "live.call_typed",
       .against = "the same, after 200 switches",
       .aim = 1.1,
       .ours = call_typed,
       .baseline = call_pointer,
       .setup = set_up_calls,
       .teardown = close_live},
      {.name = "live.switch",
       .limit = 1e-3,
       .count = 1,
       .ours = switch_all,
       .setup = set_up_optimised,
       .teardown = close_live},
      {.name = "live.save_fast",
       .limit = 10e-3,
       .count = 1,
       .ours = save_fast,
       .setup = set_up_fast,
       .teardown = close_live},
      {.name = "live.save_optimised",
       .against = "the bare compiler; 10 ms more are allowed",
       .count = 1,
       .ours = save_and_wait,
       .baseline = compile_bare,
       .setup = set_up_optimised,
       .teardown = close_live},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    bench_add(self, &cases[i]);
  }
}
