-- SPDX-License-Identifier: MIT
--
-- A listener that swapped made the engine show the swaps of the call around it
-- once more, and let go of their backings twice; one that took changes cleared
-- the report whose event the listeners after it were given.

local engine = require "spec.support.engine"

local sources = {
  ["natives/physics.c"] = "double physics_gravity(double m) { return 10 * m; }\n" ..
    "double physics_wind(double m) { return 20 * m; }\n",
  ["physics.lua"] = "local M = {}\nfunction M.gravity(m) return -m end\n" ..
    "function M.wind(m) return -m end\nreturn M\n",
}

local function run(vm, script)
  local folder = engine.project(sources)
  folder:write("main.lua", script)
  local program = engine.run(vm, {
    "--no-watch", "--natives", engine.build_natives(folder, "physics"), "main.lua",
  }, { cwd = folder.path })
  if program.status ~= 0 then program:fail "did not end with 0" end
  return program.text.out
end

return function(vm)
  after_each(engine.clean_up)

  it("a listener that swaps has its swap shown once", function()
    assert.equal("1 physics.gravity\n1 physics.wind\ntrue\n", run(vm, [[
      local graft = require "graft"
      local physics = require "physics"
      local seen, order = {}, {}
      local done
      graft.on("swap", function(event)
        if event.to ~= "native" then return end
        if not seen[event.name] then order[#order + 1] = event.name end
        seen[event.name] = (seen[event.name] or 0) + 1
        if not done then done = graft.swap("physics.wind", "native") end
      end)
      graft.swap("physics.gravity", "native")
      for _, name in ipairs(order) do io.write(seen[name], " ", name, "\n") end
      print(physics.gravity(1) == 10 and physics.wind(1) == 20)
    ]]))
  end)

  it("a listener takes no changes, so the next one reads its event", function()
    assert.equal("nil\nnil\nfalse\nphysics.wind\n", run(vm, [[
      local graft = require "graft"
      require "physics"
      local unit = assert(graft.compile { name = "physics", source =
        "local M = {} function M.gravity() return 1 end return M" })
      unit:clear_statements()
      graft.on("swap", function(event)
        if event.to ~= "native" then return end
        print((graft.merge(unit)))
        print((graft.update()))
        print((graft.reload()) ~= nil and #graft.reload().updated > 0)
      end)
      graft.on("swap", function(event)
        if event.to == "native" then print(event.name) end
      end)
      graft.swap("physics.wind", "native")
    ]]))
  end)
end
