-- SPDX-License-Identifier: MIT
--
-- R1 to R6 as a script sees them through the `graft` module.

local engine = require "spec.support.engine"

local physics_c = [[
double physics_gravity(double mass) { return mass * 10; }
]]

local physics_lua = [[
local M = {}
function M.gravity(mass)
  return -mass
end
return M
]]

-- Runs the body of main.lua's init in a project with a native and a script for
-- physics.gravity, and a module ai.goblin; returns what it printed.
local function run(vm, body)
  local folder = engine.project {
    ["natives/physics.c"] = physics_c,
    ["scripts/physics.lua"] = physics_lua,
    ["scripts/ai/goblin.lua"] = [[
      local M = { Brain = {} }
      local function helper() return "helped" end
      function M.think() return helper() end
      function M.Brain:tick() return "tick" end
      return M
    ]],
    ["scripts/main.lua"] = ([[
      local graft = require "graft"
      local physics = require "physics"
      local goblin = require "ai.goblin"
      function update() end
      function init()
        %s
      end
      return nil, graft, physics, goblin
    ]]):format(body),
  }
  local program = engine.run(vm, {
    "--watch", folder:at "scripts", "--frames", "1",
    "--natives", engine.build_natives(folder, "physics"),
  })
  if program.status ~= 0 then program:fail "did not end with 0" end
  return program.text.out
end

return function(vm)
  after_each(engine.clean_up)

  it("R1: functions are named by module and path", function()
    local out = run(vm, [[
      for _, name in ipairs(graft.names "^ai%.goblin%.") do print(name) end
      for _, name in ipairs(graft.names "^main%.") do print(name) end
    ]])
    assert.equal("ai.goblin.Brain.tick\nai.goblin.think\nmain.init\nmain.update\n",
      out)
  end)

  it("R4: swap pins a slot to a backing until auto", function()
    local out = run(vm, [[
      local gravity = physics.gravity
      print(gravity(2), physics.gravity(2))
      assert(graft.swap("physics.gravity", "native"))
      print(physics.gravity(2) == 20)
      assert(graft.swap("physics.gravity", "script"))
      print(physics.gravity(2) == -2)
      assert(graft.swap("physics.gravity", "native"))
      assert(graft.swap("physics.gravity", "auto"))
      print(physics.gravity(2) == -2)
    ]])
    assert.equal("-2\t-2\ntrue\ntrue\ntrue\n", out)
  end)

  it("R4: swap to what a slot does not have is refused, with its name", function()
    local out = run(vm, [[
      print(graft.swap("ai.goblin.think", "native"))
      print(graft.swap("no.such.function", "auto"))
    ]])
    assert.is_truthy(out:find "^nil\t[^\n]*ai%.goblin%.think", out)
    assert.is_truthy(out:find "\nnil\t[^\n]*no%.such%.function", out)
  end)

  it("R6: info tells backing, version, place, signature and calls", function()
    local out = run(vm, [[
      local info = graft.info "ai.goblin.think"
      print(info.backing, info.version, info.file:match "ai/goblin.lua$", info.line)
      assert(graft.swap("physics.gravity", "native"))
      local before = graft.info("physics.gravity").calls
      graft.fn "physics.gravity" (1)
      graft.fn "physics.gravity" (1)
      info = graft.info "physics.gravity"
      print(info.backing, info.signature, info.calls - before)
      print(graft.info "no.such.function")
    ]])
    local first, second, third = out:match "^([^\n]*)\n([^\n]*)\n([^\n]*)\n$"
    assert.equal("script\t1\tai/goblin.lua\t3", first)
    assert.is_truthy(second:find "^native\tdouble ?%(double", second)
    assert.is_truthy(second:find "\t2$", second)
    assert.is_truthy(third:find "^nil", third)
  end)

  it("fn gives a callable that is always current", function()
    local out = run(vm, [[
      local gravity = graft.fn "physics.gravity"
      print(gravity(2) == -2)
      assert(graft.swap("physics.gravity", "native"))
      print(gravity(2) == 20)
      print(graft.fn("ai.goblin.think")())
    ]])
    assert.equal("true\ntrue\nhelped\n", out)
  end)

  it("says which VM and version it is", function()
    local out = run(vm, "print(graft.vm, graft.version)")
    local name, version = out:match "^(%S+)\t(%S+)\n$"
    assert.equal(vm, name)
    assert.is_truthy(version:find "^%d+%.%d+%.%d+$")
  end)

  it("R4: a call of what was deleted names it, and where it stood", function()
    local folder, program = engine.watch(vm, {
      ["main.lua"] = [[
        local graft = require "graft"
        local m = require "m"
        local extra = graft.fn "m.extra"
        io.stdout:setvbuf "line"
        local last
        function init() print("ready", m) end
        function update()
          local now = tostring(select(2, pcall(extra)))
          if now ~= last then print("call " .. now) end
          last = now
        end
      ]],
      ["m.lua"] = "local M = {}\nfunction M.extra() return 'there' end\nreturn M\n",
    })
    program:out "^call there$"
    folder:write("m.lua", "local M = {}\nreturn M\n")
    local message = program:out "^call .*m%.extra"
    assert.is_truthy(message:find("m.lua", 1, true), message)
    folder:write("m.lua",
      "local M = {}\nfunction M.extra() return 'back' end\nreturn M\n")
    program:out "^call back$"
    assert.equal(0, program:interrupt())
  end)

  it("on tells scripts what was patched", function()
    local folder, program = engine.watch(vm, {
      ["main.lua"] = [[
        local graft = require "graft"
        local m = require "m"
        io.stdout:setvbuf "line"
        graft.on("update", function(change)
          print("update", change.name, change.line, change.version)
        end)
        graft.on("patch", function(report)
          print("patch", report.ok, #report.updated, report.updated[1].name)
        end)
        function init() print("ready", m) end
        function update() end
      ]],
      ["m.lua"] = "local M = {}\nfunction M.f() return 1 end\nreturn M\n",
    })
    folder:write("m.lua", "local M = {}\nfunction M.f() return 2 end\nreturn M\n")
    program:out "^update\tm%.f\t2\t2$"
    program:out "^patch\ttrue\t1\tm%.f$"
    assert.equal(0, program:interrupt())
  end)
end
