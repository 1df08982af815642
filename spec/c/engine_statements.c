// SPDX-License-Identifier: MIT
//
// Statements and values when memory runs out: the n-th call of the allocator
// fails, for every n.

#include <string.h>

#include "engine_support.h"

enum { ATTEMPTS_MOST = 100000 };

static const char before[] =
    "local graft = require 'graft'\n"
    "local M = {}\n"
    "local base = 1\n"
    "M.config = { a = base, list = { 1, 2 }, deep = { x = 1 } }\n"
    "M.double = base * 2\n"
    "M.gone = 5\n"
    "M.called = math.max(1, 2)\n"
    "do M.block = 1 graft.defer(function() M.cleaned = true end) end\n"
    "function M.sum()\n"
    "  return base + M.config.a * 10 + M.double * 100 + (M.gone or 0) * 1000\n"
    "    + M.called * 10000 + M.block * 100000 + #M.config.list * 1000000\n"
    "end\n"
    "return M\n";

static const char after[] =
    "local graft = require 'graft'\n"
    "local M = {}\n"
    "local base = 2\n"
    "M.config = { a = base, list = { 1, 2, 3 }, deep = { y = 1 } }\n"
    "M.double = base * 2\n"
    "M.called = math.max(1, 3)\n"
    "do M.block = 2 graft.defer(function() M.cleaned = 2 end) end\n"
    "function M.sum()\n"
    "  return base + M.config.a * 10 + M.double * 100 + (M.gone or 0) * 1000\n"
    "    + M.called * 10000 + M.block * 100000 + #M.config.list * 1000000\n"
    "end\n"
    "return M\n";

enum { SUM_BEFORE = 2125211, SUM_AFTER = 3230422 };

// Either all values are the new ones or none is, and the next reload takes
// what was left.
static void no_memory_for_values(void) {
  CheckMemory memory;
  int half = 0, leaks = 0, lost = 0;
  long n = 1;
  for (; n < ATTEMPTS_MOST; n++) {
    Host host;
    check_memory_init(&memory, 0);
    host_open(&host, &(GraftEngineDesc){.allocator = &memory.allocator});
    host_write(&host, "m.lua", before);
    host_require(&host, "m");
    GraftFn *fn = graft_engine_fn(host.engine, "m.sum");
    bool started = host_number(&host, fn, 0) == SUM_BEFORE;
    host_write(&host, "m.lua", after);
    memory.fail_at = memory.calls + n;
    graft_engine_reload(host.engine, NULL, NULL);
    bool failed = memory.calls >= memory.fail_at;
    memory.fail_at = 0;
    double now = host_number(&host, fn, 0);
    bool whole = started && (now == SUM_BEFORE || now == SUM_AFTER);
    half += !whole;
    if (!whole) printf("# %ld: %g\n", n, now);
    graft_engine_reload(host.engine, NULL, NULL);
    now = host_number(&host, fn, 0);
    lost += now != SUM_AFTER;
    if (now != SUM_AFTER) printf("# %ld: after it %g\n", n, now);
    host_close(&host);
    leaks += memory.alive != 0;
    if (!failed) break;
  }
  printf("# values ask for memory %ld times\n", n - 1);
  CHECK("values without memory: all or nothing", half == 0);
  CHECK("the next reload takes them", lost == 0);
  CHECK("and nothing is left", leaks == 0);
}

int main(void) {
  no_memory_for_values();
  return check_status();
}
