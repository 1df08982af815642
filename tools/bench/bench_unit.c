// SPDX-License-Identifier: MIT
//
// Cases of units and their difference, beside the VM's own compiler.

#include <stdio.h>

#include "bench.h"
#include "patch/diff.h"
#include "project.h"
#include "unit/unit.h"

typedef struct Text {
  Buffer text;
  lua_State *L; // compiles
} Text;

static Text *text_new(void) {
  Text *self = memory_new(&memory_default, sizeof *self);
  if (self == NULL) bench_fail("out of memory");
  buffer_init(&self->text, &memory_default);
  self->L = luaL_newstate();
  if (self->L == NULL) bench_fail("out of memory");
  return self;
}

static void text_free(void *context) {
  Text *self = context;
  buffer_clear(&self->text);
  lua_close(self->L);
  memory_free(&memory_default, self);
}

static GraftUnit *parse(const Buffer *text) {
  GraftUnitDesc desc = {
      .source = text->text, .size = text->size, .module = "bench"};
  GraftUnit *unit = NULL;
  GraftError error;
  if (graft_unit_compile(&desc, &unit, &error) < 0) {
    bench_fail("%s", error.message);
  }
  return unit;
}

static void compile(lua_State *L, const Buffer *text) {
  if (luaL_loadbufferx_text(L, text->text, text->size, "=bench") != LUA_OK) {
    bench_fail("%s", lua_tostring(L, -1));
  }
  lua_settop(L, 0);
}

// ---------------------------------------------------------------------------
// Parsing
// ---------------------------------------------------------------------------

static void *set_up_made(const void *param) {
  Text *self = text_new();
  text_make(&self->text, param);
  return self;
}

static void *set_up_file(const void *param) {
  FILE *file = fopen(param, "rb");
  if (file == NULL) return NULL;
  Text *self = text_new();
  char block[4096];
  size_t size = 0;
  while ((size = fread(block, 1, sizeof block, file)) > 0) {
    buffer_add(&self->text, block, size);
  }
  fclose(file);
  return self;
}

static void parse_text(void *context, BenchRun *run) {
  Text *self = context;
  for (long i = 0; i < run->count; i++) graft_unit_free(parse(&self->text));
}

static void compile_text(void *context, BenchRun *run) {
  Text *self = context;
  for (long i = 0; i < run->count; i++) compile(self->L, &self->text);
}

// ---------------------------------------------------------------------------
// Differences
// ---------------------------------------------------------------------------

typedef struct Pair {
  GraftUnit *before, *after;
  GraftUnit *small_before, *small_after; // of a tenth of the functions
  Text *text;
} Pair;

static GraftUnit *make_unit(TextDesc desc) {
  Buffer text;
  buffer_init(&text, &memory_default);
  text_make(&text, &desc);
  GraftUnit *unit = parse(&text);
  buffer_clear(&text);
  return unit;
}

static void *set_up_pair(const void *param) {
  Pair *self = memory_new(&memory_default, sizeof *self);
  if (self == NULL) bench_fail("out of memory");
  TextDesc desc = *(const TextDesc *)param;
  TextDesc before = {.functions = desc.functions, .edited = TEXT_EDIT_NONE};
  self->text = set_up_made(param);
  self->before = make_unit(before);
  self->after = make_unit(desc);
  before.functions /= 10;
  desc.functions /= 10;
  if (desc.edited >= 0) desc.edited /= 10;
  self->small_before = make_unit(before);
  self->small_after = make_unit(desc);
  return self;
}

static void pair_free(void *context) {
  Pair *self = context;
  graft_unit_free(self->before);
  graft_unit_free(self->after);
  graft_unit_free(self->small_before);
  graft_unit_free(self->small_after);
  text_free(self->text);
  memory_free(&memory_default, self);
}

static void compare(const GraftUnit *before, const GraftUnit *after,
                    long count) {
  for (long i = 0; i < count; i++) {
    Diff *diff = diff_new(&memory_default, before, after);
    if (diff == NULL) bench_fail("out of memory");
    diff_free(diff);
  }
}

static void compare_units(void *context, BenchRun *run) {
  Pair *self = context;
  compare(self->before, self->after, run->count);
}

static void compare_small_units(void *context, BenchRun *run) {
  Pair *self = context;
  compare(self->small_before, self->small_after, run->count);
}

static void compile_pair_text(void *context, BenchRun *run) {
  compile_text(((Pair *)context)->text, run);
}

static void add_parsing(Bench *self) {
  static const TextDesc thousand = {1000, TEXT_EDIT_NONE, 0, 0};
  static const char compiler[] = "luaL_loadbufferx";
  // The aim is for Lua 5.4; LuaJIT's compiler is a good deal faster.
  double aim = VM_LUAJIT ? 0 : 0.5;
  bench_add(self, &(BenchCase){.name = "unit: parse 1,000 functions",
                               .against = compiler,
                               .aim = aim,
                               .ours = parse_text,
                               .baseline = compile_text,
                               .setup = set_up_made,
                               .param = &thousand,
                               .teardown = text_free});
  static const char *const files[][2] = {
      {"unit: parse argparse.lua", "/usr/share/lua/5.1/argparse.lua"},
      {"unit: parse luacheck/parser.lua",
       "/usr/share/lua/5.1/luacheck/parser.lua"},
      {"unit: parse pl/tablex.lua", "/usr/share/lua/5.1/pl/tablex.lua"},
  };
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    bench_add(self, &(BenchCase){.name = files[i][0],
                                 .against = compiler,
                                 .aim = aim,
                                 .ours = parse_text,
                                 .baseline = compile_text,
                                 .setup = set_up_file,
                                 .param = files[i][1],
                                 .teardown = text_free});
  }
}

static void add_differences(Bench *self) {
  static const struct {
    const char *name;
    TextDesc desc;
  } pairs[] = {
      {"unit: difference of 1,000 functions, one edit", {1000, 500, 0, 0}},
      {"unit: difference of 1,000 functions, 3 lines above",
       {1000, TEXT_EDIT_NONE, 0, 3}},
      {"unit: difference of 1,000 functions, all edited",
       {1000, TEXT_EDIT_ALL, 0, 0}},
      {"unit: difference of 10,000 functions, one edit", {10000, 5000, 0, 0}},
      {"unit: difference of 10,000 functions, 3 lines above",
       {10000, TEXT_EDIT_NONE, 0, 3}},
  };
  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
    bool large = pairs[i].desc.functions > 1000;
    bench_add(self,
              &(BenchCase){.name = pairs[i].name,
                           .against = large ? "the same of 1,000 functions"
                                            : "luaL_loadbufferx of the file",
                           .aim = large ? 12 : 0,
                           .limit = large ? 0 : 1e-3,
                           .ours = compare_units,
                           .baseline =
                               large ? compare_small_units : compile_pair_text,
                           .setup = set_up_pair,
                           .param = &pairs[i].desc,
                           .teardown = pair_free});
  }
}

void bench_add_unit(Bench *self) {
  add_parsing(self);
  add_differences(self);
}
