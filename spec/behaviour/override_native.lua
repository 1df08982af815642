-- SPDX-License-Identifier: MIT
--
-- R2-R4: a native gives way to a Lua function of the same registry name, while
-- the program runs, and comes back when that function is deleted.

local engine = require "spec.support.engine"

local physics_c = [[
double physics_gravity(double mass) { return mass * 10; }
int physics_answer(void) { return 42; }
]]

local main = [[
local physics = require "physics"
local gravity = physics.gravity
io.stdout:setvbuf "line"
local last
function init() print "ready" end
function update()
  local now = ("%d %d %d"):format(physics.gravity(2), gravity(2), physics.answer())
  if now ~= last then print("gravity " .. now) end
  last = now
end
]]

local override = [[
local M = {}
function M.gravity(mass)
  return -mass
end
return M
]]

local no_override = [[
local M = {}
return M
]]

-- A project with its natives built as a shared object, as shipped.
local function start(vm, sources, arguments)
  sources["natives/physics.c"] = physics_c
  sources["scripts/main.lua"] = sources["scripts/main.lua"] or main
  local folder = engine.project(sources)
  local all = {
    "--watch", folder:at "scripts", "--tick", "200",
    "--natives", engine.build_natives(folder, "physics"),
  }
  for _, argument in ipairs(arguments or {}) do all[#all + 1] = argument end
  local program = engine.start(vm, all)
  program:out "^ready$"
  return folder, program
end

return function(vm)
  after_each(engine.clean_up)

  it("natives are called by their names", function()
    local _, program = start(vm, {})
    program:out "^gravity 20 20 42$"
    assert.equal(0, program:interrupt())
  end)

  it("the higher layer wins from the start", function()
    local _, program = start(vm, { ["scripts/physics.lua"] = override })
    program:out "^gravity %-2 %-2 42$"
    assert.equal(0, program:interrupt())
  end)

  it("a Lua function takes over live, and the native comes back", function()
    local folder, program = start(vm, { ["scripts/physics.lua"] = no_override })
    program:out "^gravity 20 20 42$"
    folder:write("scripts/physics.lua", override)
    program:err "^Swap physics%.gravity native → script%f[%s%z]"
    program:out "^gravity %-2 %-2 42$"
    folder:write("scripts/physics.lua", no_override)
    program:err "^Swap physics%.gravity script → native%f[%s%z]"
    program:out "^gravity 20 20 42$"
    assert.equal(0, program:interrupt())
  end)

  it("a new file does the same, and so does deleting it", function()
    local folder, program = start(vm, {})
    program:out "^gravity 20 20 42$"
    folder:write("scripts/physics.lua", override)
    program:err "^Swap physics%.gravity native → script%f[%s%z]"
    program:out "^gravity %-2 %-2 42$"
    folder:remove "scripts/physics.lua"
    program:err "^Swap physics%.gravity script → native%f[%s%z]"
    program:out "^gravity 20 20 42$"
    assert.equal(0, program:interrupt())
  end)

  it("the overriding function is patched like any other", function()
    local folder, program = start(vm, { ["scripts/physics.lua"] = override })
    program:out "^gravity %-2 %-2 42$"
    folder:write("scripts/physics.lua", (override:gsub("%-mass", "mass + 5")))
    program:err "^Update physics%.gravity%f[%s%z]"
    program:out "^gravity 7 7 42$"
    assert.equal(0, program:interrupt())
  end)

  it("wrong arguments give an error that names function, number and types",
    function()
      local _, program = start(vm, { ["scripts/main.lua"] = [[
        local physics = require "physics"
        io.stdout:setvbuf "line"
        function init()
          print("type:", pcall(physics.gravity, "heavy"))
          print("none:", pcall(physics.gravity))
          print("fraction:", pcall(physics.gravity, 0.5))
          print "ready"
        end
        function update() end
      ]] })
      local text = program.text.out
      for _, case in ipairs { "type", "none" } do
        local message = text:match(case .. ":%s+false%s+([^\n]*)")
        assert.is_truthy(message, text)
        assert.is_truthy(message:find("physics.gravity", 1, true), message)
        assert.is_truthy(message:find("1", 1, true), message)
      end
      assert.is_truthy(text:match("type:[^\n]*expected[^\n]*got string"), text)
      assert.is_truthy(text:match("fraction:%s+true%s+5"), text)
      assert.equal(0, program:interrupt())
    end)
end
