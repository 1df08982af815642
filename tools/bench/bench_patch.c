// SPDX-License-Identifier: MIT
//
// Cases of patching a running program: from reading the file to the function
// in place, by graft_engine_reload, or as a watched folder gives it to the host
// thread, by graft_engine_update.

#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

#include "bench.h"
#include "project.h"

// ---------------------------------------------------------------------------
// A program to patch
// ---------------------------------------------------------------------------

typedef struct World {
  Project *project;
  Project *other;    // what it is compared with, or NULL
  Buffer texts[2];   // of the edited file
  Buffer singles[2]; // of the same with one function edited
  int next;          // which variant is written next
} World;

typedef struct WorldDesc {
  TextDesc text;      // of the edited file; its variant is left out
  const char *heap;   // Lua text that fills the heap
  bool watched;       // the watcher reads, and only the host's part is timed
  int files;          // besides the edited one, nine functions each
  int baseline_files; // the same for the other project; 0: no other project
} WorldDesc;

enum { FUNCTIONS_A_FILE = 9 };

static void make_texts(Buffer texts[2], TextDesc desc) {
  for (int i = 0; i < 2; i++) {
    desc.variant = i;
    buffer_init(&texts[i], &memory_default);
    text_make(&texts[i], &desc);
  }
}

static Project *make_project(const World *self, const WorldDesc *desc,
                             int files) {
  Project *project = project_new();
  project_write(project, "edited.lua", self->texts[1].text);
  project_open(project, desc->watched);
  project_require(project, "edited");
  Buffer text;
  buffer_init(&text, &memory_default);
  text_make(&text, &(TextDesc){.functions = FUNCTIONS_A_FILE,
                               .edited = TEXT_EDIT_NONE});
  for (int i = 0; i < files; i++) {
    char name[32];
    snprintf(name, sizeof name, "part%d.lua", i);
    project_write(project, name, text.text);
    snprintf(name, sizeof name, "part%d", i);
    project_require(project, name);
  }
  buffer_clear(&text);
  if (desc->heap != NULL) project_run_text(project, desc->heap);
  lua_gc(project->L, LUA_GCCOLLECT, 0);
  return project;
}

static void *set_up(const void *param) {
  const WorldDesc *desc = param;
  World *self = memory_new(&memory_default, sizeof *self);
  if (self == NULL) bench_fail("out of memory");
  make_texts(self->texts, desc->text);
  TextDesc single = desc->text;
  single.edited = 0;
  make_texts(self->singles, single);
  self->project = make_project(self, desc, desc->files);
  if (desc->baseline_files > 0) {
    self->other = make_project(self, desc, desc->baseline_files);
  }
  return self;
}

static void tear_down(void *context) {
  World *self = context;
  project_free(self->project);
  project_free(self->other);
  for (int i = 0; i < 2; i++) {
    buffer_clear(&self->texts[i]);
    buffer_clear(&self->singles[i]);
  }
  memory_free(&memory_default, self);
}

// Saves the text and takes it in; only the latter is timed.
static void patch_with(Project *project, const char *text, BenchRun *run) {
  project_write(project, "edited.lua", text);
  if (project->watched) project_wait(project);
  bench_begin(run);
  if (project->watched) {
    project_update(project);
  } else {
    project_reload(project, "edited.lua");
  }
  bench_end(run);
}

static void patch(void *context, BenchRun *run) {
  World *self = context;
  for (long i = 0; i < run->count; i++) {
    patch_with(self->project, self->texts[self->next].text, run);
    self->next = !self->next;
  }
}

// ---------------------------------------------------------------------------
// Baselines
// ---------------------------------------------------------------------------

static void collect(void *context, BenchRun *run) {
  World *self = context;
  for (long i = 0; i < run->count; i++) {
    lua_gc(self->project->L, LUA_GCCOLLECT, 0);
  }
}

static void compile(void *context, BenchRun *run) {
  World *self = context;
  lua_State *L = luaL_newstate();
  const Buffer *text = &self->texts[0];
  bench_begin(run);
  for (long i = 0; i < run->count; i++) {
    luaL_loadbufferx_text(L, text->text, text->size, "=bench");
    lua_settop(L, 0);
  }
  bench_end(run);
  lua_close(L);
}

// Goes back to where all are edited, untimed, and there edits the first.
static void patch_single(void *context, BenchRun *run) {
  World *self = context;
  for (long i = 0; i < run->count; i++) {
    BenchRun untimed = {0};
    patch_with(self->project, self->singles[0].text, &untimed);
    patch_with(self->project, self->singles[1].text, run);
    patch_with(self->project, self->texts[!self->next].text, &untimed);
  }
}

static void patch_other(void *context, BenchRun *run) {
  World *self = context;
  for (long i = 0; i < run->count; i++) {
    patch_with(self->other, self->singles[0].text, run);
    i++;
    patch_with(self->other, self->singles[1].text, run);
  }
}

// ---------------------------------------------------------------------------
// Memory
// ---------------------------------------------------------------------------

enum { MEMORY_PATCHES = 10000, MEMORY_WARM_UP = 5000 };

static double resident_bytes(void) {
  long pages = 0;
#ifdef __GLIBC__
  malloc_trim(0);
#endif
  FILE *file = fopen("/proc/self/statm", "r");
  if (file == NULL || fscanf(file, "%*s %ld", &pages) != 1) {
    bench_fail("/proc/self/statm cannot be read");
  }
  fclose(file);
  return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static double lua_bytes(const World *self) {
  lua_gc(self->project->L, LUA_GCCOLLECT, 0);
  lua_gc(self->project->L, LUA_GCCOLLECT, 0);
  return lua_gc(self->project->L, LUA_GCCOUNT, 0) * 1024.0 +
         lua_gc(self->project->L, LUA_GCCOUNTB, 0);
}

typedef struct Memory {
  World *world;
  double before[2], after[2]; // resident, Lua's
} Memory;

static void patch_often(World *world, int count) {
  BenchRun untimed = {.count = count};
  patch(world, &untimed);
}

static void *set_up_memory(const void *param) {
  Memory *self = memory_new(&memory_default, sizeof *self);
  if (self == NULL) bench_fail("out of memory");
  self->world = set_up(param);
  patch_often(self->world, MEMORY_WARM_UP);
  self->before[1] = lua_bytes(self->world);
  self->before[0] = resident_bytes();
  patch_often(self->world, MEMORY_PATCHES);
  self->after[1] = lua_bytes(self->world);
  self->after[0] = resident_bytes();
  return self;
}

static void memory_free_all(void *context) {
  Memory *self = context;
  tear_down(self->world);
  memory_free(&memory_default, self);
}

static void resident_after(void *context, BenchRun *run) {
  bench_set_bytes(run, ((Memory *)context)->after[0]);
}

static void resident_before(void *context, BenchRun *run) {
  bench_set_bytes(run, ((Memory *)context)->before[0]);
}

static void lua_after(void *context, BenchRun *run) {
  bench_set_bytes(run, ((Memory *)context)->after[1]);
}

static void lua_before(void *context, BenchRun *run) {
  bench_set_bytes(run, ((Memory *)context)->before[1]);
}

// ---------------------------------------------------------------------------
// The cases
// ---------------------------------------------------------------------------

static const char million_tables[] =
    "heap = {}\n"
    "for i = 1, 1000000 do\n"
    "  heap[i] = {id = i, x = 0.5, name = 'one', alive = true}\n"
    "end\n";

static const char million_closures[] =
    "heap = {}\n"
    "for i = 1, 1000000 do heap[i] = function() return i end end\n";

static const char many_closures[] =
    "heap = {}\n"
    "for i = 1, 100000 do heap[i] = function() return i end end\n";

static void add_heaps(Bench *self) {
  static const WorldDesc tables = {.text = {10, 0, 0, 0},
                                   .heap = million_tables};
  static const WorldDesc closures = {.text = {10, 0, 0, 0},
                                     .heap = million_closures};
  BenchCase added = {.name = "patch: one function, 1,000,000 tables alive",
                     .against = "one full collection of that heap",
                     .aim = 2.5,
                     .count = 1,
                     .rounds = 7,
                     .ours = patch,
                     .baseline = collect,
                     .setup = set_up,
                     .teardown = tear_down,
                     .param = &tables};
  bench_add(self, &added);
  added.name = "patch: one function, 1,000,000 closures alive";
  added.aim = 0;
  added.param = &closures;
  bench_add(self, &added);
}

static void add_sizes(Bench *self) {
  static const WorldDesc all = {.text = {1000, TEXT_EDIT_ALL, 0, 0},
                                .heap = many_closures};
  static const WorldDesc watched = {.text = {1000, TEXT_EDIT_ALL, 0, 0},
                                    .heap = many_closures,
                                    .watched = true};
  static const WorldDesc one = {.text = {1000, 500, 0, 0}};
  static const WorldDesc project = {
      .text = {1000, 0, 0, 0}, .files = 999, .baseline_files = 9};
  static const WorldDesc small = {.text = {10, 0, 0, 0}};
  BenchCase many = {.name = "patch: 1,000 functions, 100,000 closures",
                    .against = "one function of the same file",
                    .aim = 1.5,
                    .count = 2,
                    .ours = patch,
                    .baseline = patch_single,
                    .setup = set_up,
                    .teardown = tear_down,
                    .param = &watched};
  bench_add(self, &many);
  many.name = "patch: the same, read by the host itself";
  many.aim = 0;
  many.param = &all;
  bench_add(self, &many);
  bench_add(self, &(BenchCase){.name = "patch: one function of 1,000",
                               .against = "luaL_loadbufferx of the file",
                               .limit = 2e-3,
                               .count = 20,
                               .ours = patch,
                               .baseline = compile,
                               .setup = set_up,
                               .teardown = tear_down,
                               .param = &one});
  bench_add(self, &(BenchCase){.name = "patch: the same among 1,000 files",
                               .against = "among 10 files",
                               .aim = 1.2,
                               .count = 20,
                               .ours = patch,
                               .baseline = patch_other,
                               .setup = set_up,
                               .teardown = tear_down,
                               .param = &project});
  bench_add(self, &(BenchCase){.name = "patch: one function of 10",
                               .against = "luaL_loadbufferx of the file",
                               .count = 100,
                               .ours = patch,
                               .baseline = compile,
                               .setup = set_up,
                               .teardown = tear_down,
                               .param = &small});
}

static void add_memory(Bench *self) {
  static const WorldDesc small = {.text = {10, 0, 0, 0}};
  BenchCase added = {.name = "memory: resident after 10,000 patches more",
                     .against = "after 5,000 patches",
                     .aim = 1.05,
                     .count = 1,
                     .rounds = 1,
                     .bytes = true,
                     .ours = resident_after,
                     .baseline = resident_before,
                     .setup = set_up_memory,
                     .teardown = memory_free_all,
                     .param = &small};
  bench_add(self, &added);
  added.name = "memory: Lua's after 10,000 patches more";
  added.ours = lua_after;
  added.baseline = lua_before;
  bench_add(self, &added);
}

// Memory first: what large heaps leave behind would hide a growth.
void bench_add_patch(Bench *self) {
  add_memory(self);
  add_heaps(self);
  add_sizes(self);
}
