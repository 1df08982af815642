-- SPDX-License-Identifier: MIT
--
-- N3: a C type that changes is refused while compiled callers, or pointers in
-- state, use the old one; Lua callers adapt.

local engine = require "spec.support.engine"
local natives = require "spec.support.natives"

local physics = "int physics_hit(int n) { return n; }\n"
local two = "int physics_hit(int n, int m) { return n * m; }\n"
local caller = "int physics_hit(int n);\n"
  .. "int render_draw(int n) { return physics_hit(n) + 100; }\n"
local caller_two = "int physics_hit(int n, int m);\n"
  .. "int render_draw(int n) { return physics_hit(n, 3) + 100; }\n"

return function(vm)
  after_each(engine.clean_up)

  local function start(sources, show)
    return natives.start(vm, { sources = sources, show = show })
  end

  it("Lua callers adapt", function()
    local game = start({ ["natives/physics.c"] = physics }, { "physics.hit(4)" })
    game:shows("physics.hit(4)", 4)
    game:write("natives/physics.c", two)
    game:reports "^Update physics%.hit$"
    assert.equal("20", game:ask "physics.hit(4, 5)")
    local message = game:ask "physics.hit(4)"
    assert.is_truthy(message:find("physics.hit", 1, true), message)
    assert.equal("int(int, int)", game:ask "graft.info('physics.hit').signature")
    game:stop()
  end)

  it("a C caller in another file has it refused, with both types and the name",
    function()
      local game = start({ ["natives/physics.c"] = physics,
        ["natives/render.c"] = caller }, { "render.draw(4)" })
      game:shows("render.draw(4)", 104)
      game:write("natives/physics.c", two)
      local line = game:reports "^Reject .*physics%.c"
      assert.is_truthy(line:find("int physics_hit(int, int)", 1, true), line)
      assert.is_truthy(line:find("int physics_hit(int)", 1, true), line)
      assert.is_truthy(line:find("/natives/render.c:2", 1, true), line)
      game:reports "^Patch failed"
      assert.equal("104", game:ask "render.draw(4)")
      game:write("natives/render.c", caller_two)
      game:reports "^Patch ok"
      game:shows("render.draw(4)", 112)
      game:stop()
    end)

  it("it is taken when the callers change in the same save", function()
    local game = start({ ["natives/physics.c"] = physics,
      ["natives/render.c"] = caller }, { "render.draw(4)" })
    game:shows("render.draw(4)", 104)
    game.program:paused(function()
      game:write("natives/physics.c", two)
      game:write("natives/render.c", caller_two)
    end)
    game:reports "^Patch ok"
    game:shows("render.draw(4)", 112)
    game:stop()
  end)

  it("a table of pointers in state counts as a caller", function()
    local hooks = "static int (*hooks[4])(int);\nint physics_hit(%s) { return n; }\n"
      .. "void physics_hook(void) { hooks[2] = (int (*)(int))physics_hit; }\n"
      .. "int physics_run(int n) { return hooks[2](n); }\n"
    local game = start({ ["natives/physics.c"] = hooks:format "int n" }, { "1" })
    game:ask "physics.hook()"
    assert.equal("5", game:ask "physics.run(5)")
    game:write("natives/physics.c", hooks:format "int n, int m")
    local line = game:reports "^Reject "
    assert.is_truthy(line:find("hooks[2]", 1, true), line)
    assert.equal("5", game:ask "physics.run(5)")
    game:stop()
  end)
end
