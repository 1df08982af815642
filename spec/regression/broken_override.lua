-- SPDX-License-Identifier: MIT
--
-- A new file over a native that is broken, or raises, at its first save: the
-- error was told twice, and after one that raised no later save was taken.

local engine = require "spec.support.engine"

local function override(tail)
  return "local M = {}\nfunction M.gravity(mass) return -mass end\n" .. tail
end

return function(vm)
  after_each(engine.clean_up)

  it("is told once, and mended by a later save", function()
    local folder = engine.project {
      ["natives/physics.c"] =
        "double physics_gravity(double mass) { return mass * 10; }\n",
      ["scripts/main.lua"] = [[
        io.stdout:setvbuf "line"
        local physics = require "physics"
        local last
        function update()
          local now = ("%d"):format(physics.gravity(2))
          if now ~= last then print("gravity " .. now) end
          last = now
        end
      ]],
    }
    local program = engine.start(vm, {
      "--watch", folder:at "scripts", "--tick", "200",
      "--natives", engine.build_natives(folder, "physics"),
    })
    program:out "^gravity 20$"
    folder:write("scripts/physics.lua", override "return +\n")
    program:err "^Reject .*physics%.lua:3:8: "
    program:err "^Patch failed"
    assert.equal(1, program:count("err", "^Reject"))
    folder:write("scripts/physics.lua", override 'error "first"\n')
    program:err "^Reject .*physics%.lua:3: first"
    program:err "^Patch failed"
    folder:write("scripts/physics.lua", override "return M\n")
    program:err "^Add physics%.gravity"
    program:err "^Swap physics%.gravity native"
    program:out "^gravity %-2$"
    assert.equal(0, program:interrupt())
  end)
end
