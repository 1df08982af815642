// SPDX-License-Identifier: MIT
//
// Cases of watching: from a writer's close or rename to the first call of the
// new code in a program with a tick of 1 kHz, stage by stage; what watching
// adds to loading a large tree; and what an idle tree costs.

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "engine.h"
#include "project.h"

// ---------------------------------------------------------------------------
// A program that is edited while it runs
// ---------------------------------------------------------------------------

enum { SAVES = 200, TICK_NS = 1000000, GIVE_UP_NS = 2000000000 };

typedef enum Stage {
  STAGE_ALL,
  STAGE_NOTICE, // until the watcher woke for it
  STAGE_SETTLE, // until it was sure that the file, and its like, are whole
  STAGE_READ,
  STAGE_PLAN, // parsing, checking, comparing
  STAGE_WAIT, // for the safe point
  STAGE_APPLY,
  STAGE_CALL, // from the new code in place to its first call
  STAGE_COUNT,
} Stage;

typedef struct LiveDesc {
  int functions; // of the file
  Stage stage;
  int percentile;
} LiveDesc;

typedef struct Live {
  const LiveDesc *desc;
  Project *project;
  GraftFn *fn;
  Buffer texts[2]; // of the edited file
  unsigned seed;
  pthread_t writer;
  atomic_int wanted;      // saves that the writer is to have made
  atomic_ullong saved_ns; // when the last one was closed or renamed
  atomic_bool stop;
  double samples[STAGE_COUNT][SAVES]; // seconds
} Live;

static void sleep_ns(long nanoseconds) {
  nanosleep(&(struct timespec){.tv_nsec = nanoseconds}, NULL);
}

// Every other save is written to another name and renamed.
static void save(Live *self, int number) {
  char path[128], other[128];
  project_path(self->project, "edited.lua", path);
  project_path(self->project, "edited.lua~", other);
  const Buffer *text = &self->texts[number % 2];
  bool renames = number % 4 < 2;
  int fd = open(renames ? other : path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (fd < 0 || write(fd, text->text, text->size) != (ssize_t)text->size) {
    bench_fail("cannot write %s", path);
  }
  if (renames) close(fd);
  atomic_store(&self->saved_ns, watch_now());
  if (renames) {
    rename(other, path);
  } else {
    close(fd); // cppcheck-suppress doubleFree
  }
}

static void *write_often(void *context) {
  Live *self = context;
  for (int made = 0; !atomic_load(&self->stop);) {
    if (made == atomic_load(&self->wanted)) {
      sleep_ns(200000);
      continue;
    }
    // Anywhere between two ticks.
    sleep_ns(2000000 + (long)(rand_r(&self->seed) % TICK_NS));
    save(self, ++made);
  }
  return NULL;
}

// What f1 of the edited file returns: the number of the text.
static int call_edited(Live *self) {
  GraftValue args[] = {
      {.type = GRAFT_NUMBER, .as.number = -1000},
      {.type = GRAFT_NUMBER, .as.number = 0},
  };
  GraftValue result = {0};
  GraftCall call = {
      .args = args, .arg_count = 2, .results = &result, .result_capacity = 1};
  GraftError error;
  if (graft_fn_call(self->fn, &call, &error) < 0) {
    bench_fail("%s", error.message);
  }
  return result.type == GRAFT_INTEGER ? (int)result.as.integer
                                      : (int)result.as.number;
}

typedef struct Times {
  uint64_t notice, settled, read, taken, planned, updating, updated;
} Times;

// A safe point; keeps the times of the change that it takes.
static void update(Live *self, Times *times) {
  GraftEngine *engine = self->project->engine;
  pthread_mutex_lock(&engine->mutex);
  const Plan *plan = engine->plans;
  if (plan != NULL) {
    *times = (Times){.notice = plan->notice_ns,
                     .settled = plan->settled_ns,
                     .read = plan->read_ns,
                     .taken = plan->taken_ns,
                     .planned = plan->planned_ns};
  }
  pthread_mutex_unlock(&engine->mutex);
  times->updating = plan != NULL ? watch_now() : times->updating;
  graft_engine_update(engine, NULL);
  times->updated = plan != NULL ? watch_now() : times->updated;
}

static double seconds(uint64_t from, uint64_t to) {
  return to > from ? (double)(to - from) * 1e-9 : 0;
}

static void keep_sample(Live *self, int index, const Times *times) {
  uint64_t saved = atomic_load(&self->saved_ns), seen = watch_now();
  double stages[STAGE_COUNT] = {
      [STAGE_ALL] = seconds(saved, seen),
      [STAGE_NOTICE] = seconds(saved, times->notice),
      [STAGE_SETTLE] = seconds(times->notice, times->settled) +
                       seconds(times->read, times->taken),
      [STAGE_READ] = seconds(times->settled, times->read),
      [STAGE_PLAN] = seconds(times->taken, times->planned),
      [STAGE_WAIT] = seconds(times->planned, times->updating),
      [STAGE_APPLY] = seconds(times->updating, times->updated),
      [STAGE_CALL] = seconds(times->updated, seen),
  };
  for (int i = 0; i < STAGE_COUNT; i++) self->samples[i][index] = stages[i];
}

// The loop of `engine --tick 1000`, until a save is seen in a call.
static void run_until(Live *self, int variant, Times *times) {
  uint64_t next = watch_now(), end = next + GIVE_UP_NS;
  for (;;) {
    update(self, times);
    if (call_edited(self) == variant) return;
    next += TICK_NS;
    for (uint64_t now = watch_now(); now < next; now = watch_now()) {
      if (graft_engine_wait(self->project->engine,
                            (double)(next - now) * 1e-6)) {
        update(self, times);
      }
    }
    if (next > end) bench_fail("a save did not arrive");
  }
}

static void take_samples(Live *self) {
  for (int i = 0; i < SAVES; i++) {
    Times times = {0};
    atomic_fetch_add(&self->wanted, 1);
    run_until(self, (i + 1) % 2, &times);
    keep_sample(self, i, &times);
  }
}

static void *set_up_live(const void *param) {
  Live *self = memory_new(&memory_default, sizeof *self);
  if (self == NULL) bench_fail("out of memory");
  self->desc = param;
  self->seed = 7;
  for (int i = 0; i < 2; i++) {
    buffer_init(&self->texts[i], &memory_default);
    text_make(&self->texts[i],
              &(TextDesc){.functions = self->desc->functions, .variant = i});
  }
  self->project = project_new();
  project_write(self->project, "edited.lua", self->texts[0].text);
  project_open(self->project, true);
  project_require(self->project, "edited");
  self->fn = graft_engine_fn(self->project->engine, "edited.f1");
  if (pthread_create(&self->writer, NULL, write_often, self) != 0) {
    bench_fail("no thread for the writer");
  }
  take_samples(self);
  return self;
}

static void tear_down_live(void *context) {
  Live *self = context;
  atomic_store(&self->stop, true);
  pthread_join(self->writer, NULL);
  project_free(self->project);
  for (int i = 0; i < 2; i++) buffer_clear(&self->texts[i]);
  memory_free(&memory_default, self);
}

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void show_stage(void *context, BenchRun *run) {
  Live *self = context;
  double *samples = self->samples[self->desc->stage];
  qsort(samples, SAVES, sizeof *samples, compare);
  run->seconds = samples[SAVES * self->desc->percentile / 100];
  run->has_ended = true;
}

// ---------------------------------------------------------------------------
// A large tree
// ---------------------------------------------------------------------------

enum { TREE_FOLDERS = 50, TREE_FILES = 100, TREE_FUNCTIONS = 9 };

typedef struct Tree {
  char folder[64];
} Tree;

static int remove_one(const char *path, const struct stat *info, int kind,
                      struct FTW *place) {
  (void)info, (void)kind, (void)place;
  return remove(path);
}

static void write_file(const char *path, const Buffer *text) {
  FILE *file = fopen(path, "wb");
  if (file == NULL || fwrite(text->text, 1, text->size, file) != text->size) {
    bench_fail("cannot write %s", path);
  }
  fclose(file);
}

static void *set_up_tree(const void *param) {
  (void)param;
  Tree *self = memory_new(&memory_default, sizeof *self);
  Buffer text;
  buffer_init(&text, &memory_default);
  text_make(&text,
            &(TextDesc){.functions = TREE_FUNCTIONS, .edited = TEXT_EDIT_NONE});
  if (self == NULL) bench_fail("out of memory");
  snprintf(self->folder, sizeof self->folder, "/tmp/graft-bench-XXXXXX");
  if (mkdtemp(self->folder) == NULL) bench_fail("cannot make a folder");
  for (int i = 0; i < TREE_FOLDERS * TREE_FILES; i++) {
    char path[128];
    snprintf(path, sizeof path, "%s/d%d", self->folder, i / TREE_FILES);
    if (i % TREE_FILES == 0) mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/d%d/f%d.lua", self->folder, i / TREE_FILES,
             i % TREE_FILES);
    write_file(path, &text);
  }
  buffer_clear(&text);
  return self;
}

static void tear_down_tree(void *context) {
  Tree *self = context;
  nftw(self->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  memory_free(&memory_default, self);
}

static void load_tree(const Tree *self, bool watched, BenchRun *run) {
  GraftEngine *engine = NULL;
  GraftError error;
  bench_begin(run);
  GraftStatus status =
      graft_engine_open(&(GraftEngineDesc){0}, &engine, &error);
  if (status == GRAFT_OK) {
    status = watched ? graft_engine_watch(engine, self->folder, &error)
                     : graft_engine_add_root(engine, self->folder, &error);
  }
  for (int i = 0; i < TREE_FOLDERS * TREE_FILES && status == GRAFT_OK; i++) {
    char module[64];
    snprintf(module, sizeof module, "d%d.f%d", i / TREE_FILES, i % TREE_FILES);
    status = graft_engine_require(engine, module, &error);
  }
  graft_engine_update(engine, NULL);
  bench_end(run);
  if (status < 0) bench_fail("%s", error.message);
  graft_engine_close(engine);
}

static void load_watched(void *context, BenchRun *run) {
  load_tree(context, true, run);
}

static void load_unwatched(void *context, BenchRun *run) {
  load_tree(context, false, run);
}

// ---------------------------------------------------------------------------
// An idle tree
// ---------------------------------------------------------------------------

// The CPU time of this process's watcher thread. A thread that has used none
// has not been woken either.
static double watcher_seconds(void) {
  DIR *tasks = opendir("/proc/self/task");
  double seconds = -1;
  for (struct dirent *entry; tasks != NULL && (entry = readdir(tasks));) {
    char path[320], name[32] = "";
    unsigned long long ran = 0;
    snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
    FILE *file = fopen(path, "r");
    if (file == NULL) continue;
    bool is_watcher = fgets(name, sizeof name, file) != NULL &&
                      strcmp(name, "graft-watch\n") == 0;
    fclose(file);
    snprintf(path, sizeof path, "/proc/self/task/%s/schedstat", entry->d_name);
    file = is_watcher ? fopen(path, "r") : NULL;
    if (file == NULL) continue;
    if (fscanf(file, "%llu", &ran) == 1) seconds = (double)ran * 1e-9;
    fclose(file);
  }
  if (tasks != NULL) closedir(tasks);
  return seconds;
}

static void *set_up_idle(const void *param) {
  (void)param;
  Project *self = project_new();
  project_write(self, "main.lua", "return {}\n");
  project_open(self, true);
  project_require(self, "main");
  sleep_ns(300000000); // what was primed has been looked at by then
  if (watcher_seconds() >= 0) return self;
  project_free(self);
  return NULL;
}

static void idle(void *context, BenchRun *run) {
  Project *self = context;
  double before = watcher_seconds();
  for (int i = 0; i < 200; i++) {
    graft_engine_update(self->engine, NULL);
    sleep_ns(5000000);
  }
  run->seconds = watcher_seconds() - before;
  run->has_ended = true;
}

static void tear_down_idle(void *context) {
  project_free(context);
}

// ---------------------------------------------------------------------------
// The cases
// ---------------------------------------------------------------------------

static void add_live(Bench *self, const char *name, const LiveDesc *desc,
                     double limit) {
  bench_add(self, &(BenchCase){.name = name,
                               .limit = limit,
                               .count = 1,
                               .rounds = 1,
                               .ours = show_stage,
                               .setup = set_up_live,
                               .teardown = tear_down_live,
                               .param = desc});
}

static void add_all_live(Bench *self) {
  static const LiveDesc large[] = {
      {1000, STAGE_ALL, 50}, {1000, STAGE_ALL, 99}, {1000, STAGE_PLAN, 50}};
  static const LiveDesc small[] = {
      {100, STAGE_ALL, 50},    {100, STAGE_ALL, 99},   {100, STAGE_NOTICE, 50},
      {100, STAGE_SETTLE, 50}, {100, STAGE_READ, 50},  {100, STAGE_PLAN, 50},
      {100, STAGE_WAIT, 50},   {100, STAGE_APPLY, 50}, {100, STAGE_CALL, 50}};
  add_live(self, "live: save to call, 100 functions, median", &small[0],
           1.5e-3);
  add_live(self, "live: save to call, 100 functions, 99th", &small[1], 5e-3);
  add_live(self, "live: of it, until noticed", &small[2], 0);
  add_live(self, "live: of it, until settled", &small[3], 0);
  add_live(self, "live: of it, reading", &small[4], 0);
  add_live(self, "live: of it, planning", &small[5], 0);
  add_live(self, "live: of it, until the safe point", &small[6], 0);
  add_live(self, "live: of it, applying", &small[7], 0);
  add_live(self, "live: of it, until the call", &small[8], 0);
  add_live(self, "live: save to call, 1,000 functions, median", &large[0],
           4e-3);
  add_live(self, "live: save to call, 1,000 functions, 99th", &large[1], 0);
  add_live(self, "live: of it, planning 1,000 functions", &large[2], 0);
}

void bench_add_watch(Bench *self) {
  add_all_live(self);
  bench_add(self, &(BenchCase){.name = "watch: start with 5,000 files",
                               .against = "loading them without watching",
                               .aim = 1.3,
                               .count = 1,
                               .rounds = 5,
                               .ours = load_watched,
                               .baseline = load_unwatched,
                               .setup = set_up_tree,
                               .teardown = tear_down_tree});
  bench_add(self, &(BenchCase){.name = "watch: idle, CPU time in a second",
                               .limit = 1e-6,
                               .count = 1,
                               .rounds = 3,
                               .ours = idle,
                               .setup = set_up_idle,
                               .teardown = tear_down_idle});
}
