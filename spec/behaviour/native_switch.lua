-- SPDX-License-Identifier: MIT
--
-- N1, N2, N7: a saved .c file is compiled, and the functions in it that changed
-- switch, for callers in Lua and in C, by name and by pointer.

local engine = require "spec.support.engine"
local natives = require "spec.support.natives"

local physics = [[
static int calls;
int physics_step(int n) { calls++; return n + 1; }
int physics_calls(void) { return calls; }
static int twice(int n) { return 2 * n; }
int (*physics_pick(void))(int);
static int (*kept)(int) = twice;
int physics_through(int n) { return kept(n); }
int physics_by_name(int n) { return physics_step(n) * 100; }
]]

local render = [[
int physics_step(int n);
int render_draw(int n) { return physics_step(n) + 1000; }
]]

return function(vm)
  after_each(engine.clean_up)

  local function start(desc)
    desc = desc or {}
    desc.sources = desc.sources or { ["natives/physics.c"] = physics,
      ["natives/render.c"] = render }
    return natives.start(vm, desc)
  end

  it("C beside the scripts is compiled and called at the start", function()
    local game = start { show = { "physics.step(1)", "render.draw(1)" } }
    game:shows("physics.step(1)", 2)
    game:shows("render.draw(1)", 1002)
    game:stop()
  end)

  it("a changed function switches, alone, and its statics stay", function()
    local game = start { show = { "physics.step(1)" } }
    game:shows("physics.step(1)", 2)
    assert.is_true(tonumber(game:ask "physics.calls()") >= 1)
    game:edit("natives/physics.c", "n + 1", "n + 5")
    game:reports "^Update physics%.step$"
    game:reports "^Patch ok"
    game:shows("physics.step(1)", 6)
    assert.is_true(tonumber(game:ask "physics.calls()") >= 2)
    assert.equal("2", game:ask "graft.info('physics.step').version")
    assert.equal("1", game:ask "graft.info('physics.calls').version")
    game:stop()
  end)

  it("callers in the same file, in others and by pointer follow", function()
    local game = start { show = { "physics.by_name(1)", "render.draw(1)",
      "physics.through(4)" } }
    game:shows("physics.by_name(1)", 200)
    game:shows("render.draw(1)", 1002)
    game:shows("physics.through(4)", 8)
    game:edit("natives/physics.c", "n + 1", "n + 2")
    game:shows("physics.by_name(1)", 300)
    game:shows("render.draw(1)", 1003)
    game:edit("natives/physics.c", "2 * n", "3 * n")
    game:reports "^Update physics:twice$"
    game:shows("physics.through(4)", 12)
    game:stop()
  end)

  it("a compile error is shown as written, and the old code runs on", function()
    local game = start { show = { "physics.step(1)" } }
    game:shows("physics.step(1)", 2)
    game:edit("natives/physics.c", "n + 1", "n + + ;")
    game:reports "^Reject .*physics%.c:2:%d+: "
    game:reports "physics%.c:2:%d+: error: "
    game:reports "^Patch failed"
    assert.equal("2", game:ask "physics.step(1)")
    game:edit("natives/physics.c", "n + + ;", "n + 3;")
    game:shows("physics.step(1)", 4)
    game:stop()
  end)

  it("a warning is shown, and the code is taken", function()
    local game = start { show = { "physics.step(1)" },
      env = { CFLAGS = "-O2 -Wall" } }
    game:edit("natives/physics.c", "n + 1;", "n + 2; int unused;")
    game:reports "warning: unused variable"
    game:shows("physics.step(1)", 3)
    game:stop()
  end)

  it("good, broken, exactly as before: nothing has happened", function()
    local game = start { show = { "physics.step(1)" } }
    game:shows("physics.step(1)", 2)
    game:edit("natives/physics.c", "n + 1", "n + x")
    game:reports "^Reject "
    game:reports "^Patch failed"
    game:edit("natives/physics.c", "n + x", "n + 1")
    game:edit("natives/render.c", "1000", "2000")
    game:reports "^Update render%.draw$"
    assert.equal("1", game:ask "graft.info('physics.step').version")
    assert.equal(0, game.program:count("err", "^Update physics"))
    game:stop()
  end)

  it("a comment and a moved function are no change", function()
    local game = start { show = { "physics.step(1)" } }
    game:write("natives/physics.c", "// more\n\n" .. physics)
    game:edit("natives/render.c", "1000", "2000")
    game:reports "^Update render%.draw$"
    assert.equal("1", game:ask "graft.info('physics.step').version")
    game:stop()
  end)

  it("functions come and go; a file too", function()
    local game = start { show = { "physics.step(1)", "tostring(physics.more and 1)" } }
    game:shows("tostring(physics.more and 1)", "nil")
    game:write("natives/physics.c", physics .. "int physics_more(void) { return 7; }\n")
    game:reports "^Add physics%.more$"
    game:shows("tostring(physics.more and 1)", 1)
    assert.equal("7", game:ask "physics.more()")
    game:write("natives/physics.c", physics)
    game:reports "^Delete physics%.more$"
    game:shows("tostring(physics.more and 1)", "nil")
    game:write("natives/extra.c", "int extra_answer(void) { return 42; }\n")
    game:reports "^Add extra%.answer$"
    assert.equal("42", game:ask "require('extra').answer()")
    game.folder:remove "natives/extra.c"
    game:reports "^Delete extra%.answer$"
    game:stop()
  end)

  it("a saved header recompiles who includes it", function()
    local game = start { show = { "physics.size()" }, sources = {
      ["natives/physics.c"] = '#include "size.h"\nint physics_size(void) { return SIZE; }\n',
      ["natives/other.c"] = "int other_one(void) { return 1; }\n",
      ["natives/size.h"] = "#define SIZE 3\n" } }
    game:shows("physics.size()", 3)
    game:write("natives/size.h", "#define SIZE 4\n")
    game:reports "^Update physics%.size$"
    game:shows("physics.size()", 4)
    game:stop()
  end)

  it("scripts and natives that are saved together are one transaction", function()
    local game = start { show = { "other.value() + physics.step(1)" },
      modules = { "other", "physics" },
      sources = { ["natives/physics.c"] = physics,
        ["scripts/other.lua"] = "local M = {}\nfunction M.value() return 10 end\nreturn M\n" } }
    game:shows("other.value() + physics.step(1)", 12)
    game.program:paused(function()
      game:edit("natives/physics.c", "n + 1", "n + 5")
      game:edit("scripts/other.lua", "10", "100")
    end)
    game:reports "^Patch ok"
    game:shows("other.value() + physics.step(1)", 106)
    assert.equal(0, game.program:count("out", "physics%.step%(1%) = 16$"))
    assert.equal(0, game.program:count("out", "physics%.step%(1%) = 102$"))
    game.program:paused(function()
      game:edit("natives/physics.c", "n + 5", "n + ;")
      game:edit("scripts/other.lua", "100", "200")
    end)
    game:reports "^Patch failed"
    assert.equal("106", game:ask "other.value() + physics.step(1)")
    game:edit("natives/physics.c", "n + ;", "n + 6")
    game:reports "^Patch ok"
    game:shows("other.value() + physics.step(1)", 207)
    game:stop()
  end)

  it("a statement that fails undoes the natives of its save", function()
    local game = start { show = { "physics.step(1)" },
      modules = { "other", "physics" },
      sources = { ["natives/physics.c"] = physics,
        ["scripts/other.lua"] = "local M = {}\nreturn M\n" } }
    game:shows("physics.step(1)", 2)
    game.program:paused(function()
      game:edit("natives/physics.c", "n + 1", "n + 5")
      game:write("scripts/other.lua", "local M = {}\nerror 'no'\nreturn M\n")
    end)
    game:reports "^Patch failed"
    assert.equal("2", game:ask "physics.step(1)")
    assert.equal("1", game:ask "graft.info('physics.step').version")
    game:write("scripts/other.lua", "local M = {}\nreturn M\n")
    game:reports "^Update physics%.step$"
    game:shows("physics.step(1)", 6)
    game:stop()
  end)

  it("history, rollback and pins know versions of natives", function()
    local game = start { show = { "physics.step(1)" } }
    game:edit("natives/physics.c", "n + 1", "n + 2")
    game:shows("physics.step(1)", 3)
    assert.equal("2", game:ask "#graft.history 'physics.step'")
    assert.is_truthy(game:ask("graft.history('physics.step')[1].source")
      :find("n + 1", 1, true))
    assert.equal("true", game:ask "graft.rollback 'physics.step'")
    game:shows("physics.step(1)", 2)
    assert.equal("1002", game:ask "render.draw(1)")
    assert.equal("true", game:ask "graft.swap('physics.step', '2')")
    game:shows("physics.step(1)", 3)
    assert.equal("1003", game:ask "render.draw(1)")
    assert.equal("true", game:ask "graft.swap('physics.step', 'auto')")
    game:shows("physics.step(1)", 2)
    game:edit("natives/physics.c", "n + 2", "n + 9")
    game:shows("physics.step(1)", 10)
    game:stop()
  end)

  it("Lua over C, and C again, for C callers too", function()
    local game = start { show = { "render.draw(1)" } }
    game:shows("render.draw(1)", 1002)
    game:write("scripts/physics.lua",
      "local M = {}\nfunction M.step(n) return 50 end\nreturn M\n")
    game:reports "^Swap physics%.step native → script"
    game:shows("render.draw(1)", 1050)
    game:edit("natives/physics.c", "n + 1", "n + 7")
    game:reports "^Update physics%.step$"
    assert.equal("1050", game:ask "render.draw(1)")
    game.folder:remove "scripts/physics.lua"
    game:reports "^Swap physics%.step script → native"
    game:shows("render.draw(1)", 1008)
    game:stop()
  end)
end
