// SPDX-License-Identifier: MIT
//
// Units merged into an engine by a host: U4 through graft.h alone, what is
// refused, and that a merge for which there is no memory changes nothing,
// whichever call of the allocator fails.

#include "engine_support.h"

static const char present[] = "local M = { hp = 10 }\n"
                              "local function helper() return 1 end\n"
                              "function M.think() return helper() end\n"
                              "function M.flee() return 2 end\n"
                              "return M\n";

static const char changed[] = "local M = { hp = 99 }\n"
                              "local function helper() return 10 end\n"
                              "local function other() return 30 end\n"
                              "function M.think() return helper() + 5 end\n"
                              "function M.flee() return other() end\n"
                              "function M.hide() return 40 end\n"
                              "return M\n";

static GraftUnit *compile(const char *source, const char *module,
                          const GraftAllocator *allocator) {
  GraftUnit *unit = NULL;
  GraftError error;
  GraftUnitDesc desc = {
      .source = source, .module = module, .allocator = allocator};
  if (graft_unit_compile(&desc, &unit, &error) < 0) {
    printf("FAIL compile: %s\n", error.message);
    exit(2);
  }
  return unit;
}

static bool is_named(void *context, const GraftUnitFunction *function) {
  return strcmp(function->name, context) == 0;
}

static void keep_only(GraftUnit *unit, char *name) {
  graft_unit_retain_functions(unit, &(GraftUnitFilter){is_named, name});
  graft_unit_clear_statements(unit);
}

static double call(Host *host, const char *name) {
  return host_number(host, graft_engine_fn(host->engine, name), 0);
}

static void open_goblin(Host *host, const GraftAllocator *allocator) {
  host_open(host, &(GraftEngineDesc){.allocator = allocator});
  host_write(host, "goblin.lua", present);
  if (!host_require(host, "goblin")) exit(2);
}

// ---------------------------------------------------------------------------
// What it does
// ---------------------------------------------------------------------------

static void merges_one_function(void) {
  Host host;
  open_goblin(&host, NULL);
  GraftFn *think = graft_engine_find(host.engine, "goblin.think");
  GraftUnit *unit = compile(changed, "goblin", NULL);
  keep_only(unit, (char[]){"goblin.think"});
  const GraftReport *report = NULL;
  GraftStatus status =
      graft_engine_merge(host.engine, unit, &report, &host.error);
  graft_unit_free(unit);
  check_code("one function is merged", status, GRAFT_OK, &host.error);
  check_text("and reported", report_text(report),
             "update goblin.think goblin.lua:3 v2; patch ok");
  CHECK("its handle calls it", host_number(&host, think, 0) == 6);
  CHECK("the others stay", call(&host, "goblin.flee") == 2);
  host_close(&host);
}

static void merges_merged_units(void) {
  Host host;
  open_goblin(&host, NULL);
  GraftUnit *left = compile(changed, "goblin", NULL);
  GraftUnit *right = compile("local M = {}\n"
                             "function M.hide() return 50 end\nreturn M",
                             "goblin", NULL);
  graft_unit_clear_statements(left);
  graft_unit_clear_statements(right);
  GraftUnit *both = graft_unit_merge(left, right, NULL);
  graft_unit_free(left);
  graft_unit_free(right);
  GraftStatus status = graft_engine_merge(host.engine, both, NULL, NULL);
  CHECK("a merged unit outlives its parts", status == GRAFT_OK);
  CHECK("all of its functions are there",
        call(&host, "goblin.think") == 15 && call(&host, "goblin.flee") == 30);
  CHECK("the later of two with a name wins", call(&host, "goblin.hide") == 50);
  const GraftReport *report = NULL;
  status = graft_engine_merge(host.engine, both, &report, NULL);
  CHECK("again, it brings nothing new", status == GRAFT_OK && report == NULL);
  host_close(&host);
  CHECK("a unit outlives the engine", graft_unit_function_count(both) == 5);
  graft_unit_free(both);
}

static void undoes_what_raises(void) {
  Host host;
  open_goblin(&host, NULL);
  GraftUnit *unit = compile("local M = {}\nfunction M.flee() return 7 end\n"
                            "made = 1\nerror 'no'\nreturn M",
                            "goblin", NULL);
  const GraftReport *report = NULL;
  GraftStatus status =
      graft_engine_merge(host.engine, unit, &report, &host.error);
  check_code("a statement that raises fails", status, GRAFT_ERUN, &host.error);
  CHECK("the report says so", report != NULL && !graft_report_ok(report));
  CHECK("and all is undone", call(&host, "goblin.flee") == 2 &&
                                 host_info(&host, "goblin.flee").version == 1);
  graft_unit_free(unit);
  host_close(&host);
}

// ---------------------------------------------------------------------------
// What is refused
// ---------------------------------------------------------------------------

static void refuses(const char *name, const char *source, const char *module,
                    GraftStatus expected) {
  Host host;
  open_goblin(&host, NULL);
  GraftUnit *unit = compile(source, module, NULL);
  graft_unit_clear_statements(unit);
  const GraftReport *report = NULL;
  GraftStatus status =
      graft_engine_merge(host.engine, unit, &report, &host.error);
  check_code(name, status, expected, &host.error);
  CHECK("nothing has changed then",
        report == NULL && call(&host, "goblin.think") == 1);
  graft_unit_free(unit);
  host_close(&host);
}

// ---------------------------------------------------------------------------
// Without memory
// ---------------------------------------------------------------------------

// One merge in which the n-th call of the allocator fails; false when there
// are fewer calls. What is freed is checked by counting.
static bool merges_without_memory(long n, long *wrong) {
  CheckMemory memory;
  check_memory_init(&memory, 0);
  Host host;
  open_goblin(&host, &memory.allocator);
  GraftUnit *unit = compile(changed, "goblin", &memory.allocator);
  memory.fail_at = memory.calls + n;
  GraftStatus status = graft_engine_merge(host.engine, unit, NULL, &host.error);
  bool failed = memory.calls >= memory.fail_at;
  memory.fail_at = 0;
  GraftError error = host.error;
  double think = call(&host, "goblin.think");
  double flee = call(&host, "goblin.flee");
  bool done = think == 15 && flee == 30;
  bool kept = think == 1 && flee == 2;
  // A report that is short of memory may lack lines; no more than that.
  bool told = status == GRAFT_ENOMEM || strstr(error.message, "memory") != NULL;
  if (status == GRAFT_OK ? !done : !kept || !told) {
    printf("# call %ld: status %d (%s), think %g, flee %g\n", n, (int)status,
           error.message, think, flee);
    ++*wrong;
  }
  if (graft_engine_merge(host.engine, unit, NULL, &host.error) < 0 ||
      call(&host, "goblin.think") != 15) {
    printf("# call %ld: later %s\n", n, host.error.message);
    ++*wrong;
  }
  graft_unit_free(unit);
  host_close(&host);
  if (memory.alive != 0) {
    printf("# call %ld: %ld blocks are left\n", n, memory.alive);
    ++*wrong;
  }
  return failed;
}

int main(void) {
  merges_one_function();
  merges_merged_units();
  undoes_what_raises();
  refuses("a unit without a name is refused", changed, NULL, GRAFT_EARG);
  refuses("a module that is not loaded is", changed, "orc", GRAFT_ENOTFOUND);
  refuses("a local that is not there is",
          "local M = {}\nlocal x = 1\nfunction M.think() return x end\n"
          "return M",
          "goblin", GRAFT_ENOTFOUND);
  long wrong = 0;
  long n = 1;
  while (n < 5000 && merges_without_memory(n, &wrong)) n++;
  printf("# %ld calls of the allocator\n", n - 1);
  CHECK("a merge without memory is no merge", wrong == 0);
  return check_status();
}
