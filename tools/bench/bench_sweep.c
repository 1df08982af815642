// SPDX-License-Identifier: MIT
//
// Cases of the sweep under a budget: the longest safe point, and all of them
// together, while the program makes garbage between them.

#include <stdio.h>
#include <time.h>

#include "bench.h"
#include "project.h"

enum { BUDGET_US = 1000, SAFE_POINTS_MOST = 100000 };

typedef struct Spread {
  Project *budget; // with a budget
  Project *plain;  // without
  Buffer texts[2];
  int next, next_plain;
} Spread;

// Four-field tables, of which one in a thousand holds the function.
static const char heap_text[] =
    "heap = {}\n"
    "local f = require('edited').f1\n"
    "for i = 1, 1000000 do\n"
    "  heap[i] = {id = i, x = 0.5, name = 'one', alive = true}\n"
    "  if i % 1000 == 0 then heap[i].x = f end\n"
    "end\n";

static const char frame_text[] = "for i = 1, 1000 do local t = {i} end";

static Project *make_project(const Spread *self, int budget_us) {
  Project *project =
      project_new_with(&(GraftEngineDesc){.sweep_budget_us = budget_us});
  project_write(project, "edited.lua", self->texts[1].text);
  project_open(project, false);
  project_require(project, "edited");
  project_run_text(project, heap_text);
  lua_gc(project->L, LUA_GCCOLLECT, 0);
  return project;
}

static void *set_up(const void *param) {
  (void)param;
  Spread *self = memory_new(&memory_default, sizeof *self);
  if (self == NULL) bench_fail("out of memory");
  for (int i = 0; i < 2; i++) {
    buffer_init(&self->texts[i], &memory_default);
    text_make(&self->texts[i], &(TextDesc){.functions = 10, .variant = i});
  }
  self->budget = make_project(self, BUDGET_US);
  self->plain = make_project(self, 0);
  return self;
}

static void tear_down(void *context) {
  Spread *self = context;
  project_free(self->budget);
  project_free(self->plain);
  for (int i = 0; i < 2; i++) buffer_clear(&self->texts[i]);
  memory_free(&memory_default, self);
}

// Of this thread: on a busy machine others hold up a safe point by
// milliseconds.
static double seconds_now(void) {
  struct timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

// The number of safe points that a patch took, or 0 while it goes on.
static int find_end(const GraftReport *report) {
  for (size_t i = 0; report != NULL && i < graft_report_count(report); i++) {
    const GraftEvent *event = graft_report_event(report, i);
    if (event->kind != GRAFT_EVENT_SWEEP) continue;
    if (*event->message != '\0') bench_fail("at once: %s", event->message);
    return event->safe_points;
  }
  return 0;
}

typedef struct Times {
  double longest;
  double sum;
} Times;

static void add_time(Times *self, double start) {
  double time = seconds_now() - start;
  self->sum += time;
  if (time > self->longest) self->longest = time;
}

static Times patch(Project *project, const char *text) {
  Times times = {0};
  char path[128];
  project_path(project, "edited.lua", path);
  project_write(project, "edited.lua", text);
  const GraftReport *report = NULL;
  double start = seconds_now();
  graft_engine_reload(project->engine, path, &report);
  add_time(&times, start);
  if (report == NULL || !graft_report_ok(report)) bench_fail("not patched");
  for (int i = 0; find_end(report) == 0; i++) {
    if (i > SAFE_POINTS_MOST) bench_fail("the sweep does not end");
    project_run_text(project, frame_text);
    start = seconds_now();
    graft_engine_update(project->engine, &report);
    add_time(&times, start);
  }
  return times;
}

static Times patch_next(Spread *self) {
  self->next = !self->next;
  return patch(self->budget, self->texts[!self->next].text);
}

static void set_seconds(BenchRun *run, double seconds) {
  run->seconds = seconds;
  run->has_ended = true;
}

static void longest(void *context, BenchRun *run) {
  set_seconds(run, patch_next(context).longest);
}

static void together(void *context, BenchRun *run) {
  set_seconds(run, patch_next(context).sum);
}

static void at_once(void *context, BenchRun *run) {
  Spread *self = context;
  self->next_plain = !self->next_plain;
  project_write(self->plain, "edited.lua", self->texts[!self->next_plain].text);
  bench_begin(run);
  project_reload(self->plain, "edited.lua");
  bench_end(run);
}

void bench_add_sweep(Bench *self) {
  BenchCase added = {
      .name = "sweep, budget 1 ms: longest safe point, 1,000,000 tables",
      .against = "the same patch at once",
      .limit = (BUDGET_US + 1000) * 1e-6,
      .count = 1,
      .rounds = 15,
      .ours = longest,
      .baseline = at_once,
      .setup = set_up,
      .teardown = tear_down};
  bench_add(self, &added);
  added.name = "sweep, budget 1 ms: all its safe points together";
  added.limit = 0;
  added.ours = together;
  bench_add(self, &added);
}
