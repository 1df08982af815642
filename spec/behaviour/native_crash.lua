-- SPDX-License-Identifier: MIT
--
-- N5: new native code that crashes or hangs goes, the old code and the state
-- come back, and the game goes on.

local engine = require "spec.support.engine"
local natives = require "spec.support.natives"

local function physics(body)
  return ([[
#include <stdlib.h>
static int counter;
int physics_deep(int n);
int physics_deep(int n) {
  volatile char room[4096]; room[0] = (char)n; return physics_deep(n + 1) + room[0];
}
int physics_step(int n) {
  counter++;
%s
}
int physics_counter(void) { return counter; }
]]):format(body)
end

return function(vm)
  after_each(engine.clean_up)

  local function start(body, arguments, show)
    return natives.start(vm, { show = show or { "physics.step(1)" },
      arguments = arguments,
      sources = { ["natives/physics.c"] = physics(body) } })
  end

  local cases = {
    { "a null pointer", "  volatile int *p = 0; return *p;", "SIGSEGV" },
    { "a division by zero", "  volatile int z = n - n; return n / z;", "zero" },
    { "abort", "  abort();", "SIGABRT" },
    { "an endless recursion", "  return physics_deep(n);", "stack" },
  }
  for _, case in ipairs(cases) do
    it(case[1] .. " puts the old code and the state back", function()
      local game = start("  return n + 1;", {}, { "physics.step(1) - 1" })
      game:shows("physics.step(1) - 1", 1)
      game:write("natives/physics.c", physics(case[2]))
      game:reports "^Update physics%.step$"
      local line = game:reports "^Revert physics%.step: "
      assert.is_truthy(line:find(case[3], 1, true), line)
      assert.equal("2", game:ask "physics.step(1)")
      local before = tonumber(game:ask "physics.counter()")
      assert.is_true(before > 0)
      game:write("natives/physics.c", physics "  return n + 3;")
      game:shows("physics.step(1) - 1", 3)
      assert.is_true(tonumber(game:ask "physics.counter()") > before)
      game:stop()
    end)
  end

  it("with --on-error break too, since there is nothing to look at", function()
    local game = start("  return n + 1;", { "--on-error", "break" })
    game:shows("physics.step(1)", 2)
    game:write("natives/physics.c", physics "  volatile int *p = 0; return *p;")
    game:reports "^Revert physics%.step: "
    assert.equal("2", game:ask "physics.step(1)")
    game:stop()
  end)

  it("the message has file and line", function()
    local game = start("  return n + 1;", { "--no-tcc" })
    game:write("natives/physics.c", physics "  volatile int *p = 0; return *p;")
    game:reports "^Revert physics%.step: .*physics%.c:9"
    game:stop()
  end)

  it("what it wrote before is undone", function()
    local game = start("  return counter;", {}, { "physics.counter() >= 0" })
    game:write("natives/physics.c",
      physics "  counter = 1000000; volatile int *p = 0; return *p;")
    game:reports "^Update physics%.step$"
    game:ask "physics.step(1)"
    game:reports "^Revert physics%.step: "
    assert.is_true(tonumber(game:ask "physics.counter()") < 1000000)
    game:stop()
  end)

  it("an endless loop is taken out by the watchdog", function()
    local game = start("  return n + 1;", { "--watchdog", "200" })
    game:shows("physics.step(1)", 2)
    game:write("natives/physics.c",
      physics "  volatile int go = 1; while (go) { } return n;")
    game:reports "^Revert physics%.step: "
    assert.equal("2", game:ask "physics.step(1)")
    game:stop()
  end)

  it("a new function that crashes gives zero, and stays out", function()
    local game = start "  return n + 1;"
    game:write("natives/physics.c", physics "  return n + 1;" ..
      "int physics_bad(void) { volatile int *p = 0; return *p; }\n")
    game:reports "^Add physics%.bad$"
    assert.equal("0", game:ask "physics.bad()")
    game:reports "^Crash physics%.bad: "
    assert.equal("0", game:ask "physics.bad()")
    game:stop()
  end)

  -- A Lua C function finds the Lua stack as it was.
  local function counting(body)
    return ([[
typedef struct lua_State lua_State;
int lua_gettop(lua_State *L);
void lua_settop(lua_State *L, int top);
void lua_pushnumber(lua_State *L, double value);
int physics_count(lua_State *L);
int physics_count(lua_State *L) {
%s
  lua_pushnumber(L, lua_gettop(L));
  return 1;
}
]]):format(body)
  end

  it("a Lua C function that crashes leaves the Lua stack as it was", function()
    local show = "physics.count('a', 'b', 'c')"
    local game = natives.start(vm, { show = { show }, arguments = {},
      sources = { ["natives/physics.c"] = counting "" } })
    game:shows(show, 3)
    game:write("natives/physics.c", counting [[
  lua_settop(L, 0);
  for (int i = 0; i < 5; i++) lua_pushnumber(L, i);
  *(volatile int *)8 = 1;]])
    game:reports "^Revert physics%.count: "
    assert.equal("3", (game:ask(show):gsub("%.0$", "")))
    game:stop()
  end)
end
