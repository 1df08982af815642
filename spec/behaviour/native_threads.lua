-- SPDX-License-Identifier: MIT
--
-- N6: threads that call natives while functions switch see the old ones or the
-- new ones, and memory stays bounded.

local engine = require "spec.support.engine"
local natives = require "spec.support.natives"

-- Four threads call two functions through a third, which looks at both; what
-- they give must belong together.
local threads = [[
#include <pthread.h>
#include <stdatomic.h>
int pair_left(void);
int pair_right(void);
static atomic_int wrong, stop;
static atomic_long rounds;
static pthread_t threads[4];
int crew_look(int (*first)(void), int (*second)(void)) {
  // The second may be newer than the first, never older.
  int a = first(), b = second();
  return b < a;
}
static void *run(void *nothing) {
  (void)nothing;
  while (!stop) {
    wrong += crew_look(pair_left, pair_right);
    wrong += crew_look(pair_right, pair_left);
    rounds++;
  }
  return 0;
}
int crew_start(void) {
  for (int i = 0; i < 4; i++) pthread_create(&threads[i], 0, run, 0);
  return 1;
}
int crew_finish(void) {
  stop = 1;
  for (int i = 0; i < 4; i++) pthread_join(threads[i], 0);
  return 1;
}
int crew_wrong(void) { return wrong; }
long crew_rounds(void) { return rounds; }
]]

local function pair(n)
  return ("int pair_left(void) { return %d; }\nint pair_right(void) { return %d; }\n")
    :format(n, n)
end

local function resident(program)
  local file = assert(io.open(("/proc/%d/statm"):format(program.pid)))
  local pages = file:read "*a":match "^%d+ (%d+)"
  file:close()
  return tonumber(pages) * 4096
end

return function(vm)
  after_each(engine.clean_up)

  it("functions that change together switch together, under load", function()
    local game = natives.start(vm, { show = { "pair.left()" }, sources = {
      ["natives/pair.c"] = pair(1), ["natives/crew.c"] = threads } })
    game:shows("pair.left()", 1)
    game:ask "crew.start()"
    for n = 2, 12 do
      game:write("natives/pair.c", pair(n))
      game:shows("pair.left()", n)
    end
    assert.equal("1", game:ask "crew.finish()")
    assert.equal("0", game:ask "crew.wrong()")
    assert.is_true(tonumber(game:ask "crew.rounds()") > 100)
    game:stop()
  end)

  it("200 reloads leave memory flat", function()
    local text = "static int table[4096];\nint world_get(int i) { return table[i] + %d; }\n"
    local game = natives.start(vm, { show = { "world.get(3)" },
      sources = { ["natives/world.c"] = text:format(0) },
      env = { CFLAGS = "-O0" } })
    local early
    for n = 1, 200 do
      game:write("natives/world.c", text:format(n))
      game:shows("world.get(3)", n)
      if n == 60 then early = resident(game.program) end
    end
    local grown = resident(game.program) - early
    -- A sanitizer keeps what was freed for a while.
    local most = engine.path:find("asan", 1, true) and 512 or 4
    assert.is_true(grown < most * 1024 * 1024, "grown by " .. grown)
    game:stop()
  end)

  it("50 saves in a second end with the last one", function()
    local text = "int world_get(void) { return %d; }\n"
    local game = natives.start(vm, { show = { "world.get()" },
      sources = { ["natives/world.c"] = text:format(0) } })
    for n = 1, 50 do game:write("natives/world.c", text:format(n)) end
    game:shows("world.get()", 50)
    game:stop()
  end)

  it("C → Lua → C under load", function()
    local game = natives.start(vm, { show = { "pair.left()" }, sources = {
      ["natives/pair.c"] = pair(1),
      ["scripts/pair.lua"] = "local M = {}\nreturn M\n" } })
    game:shows("pair.left()", 1)
    for n = 2, 8 do
      game:write("scripts/pair.lua",
        ("local M = {}\nfunction M.left() return %d end\nreturn M\n"):format(n * 10))
      game:shows("pair.left()", n * 10)
      game:write("natives/pair.c", pair(n))
      game:reports "^Update pair%.right$"
      game:write("scripts/pair.lua", "local M = {}\nreturn M\n")
      game:shows("pair.left()", n)
    end
    game:stop()
  end)
end
