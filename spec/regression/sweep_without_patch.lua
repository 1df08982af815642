-- SPDX-License-Identifier: MIT
--
-- With a sweep budget, a save that changes no code (comments, white space,
-- moved lines) began a sweep and reported its end, although no patch was
-- reported. Nothing is replaced by it, and all is silent.

local patching = require "spec.support.patching"

local module = [[
local M = {}
function M.f() return "f" end
function M.line() return debug.getinfo(1, "l").currentline end
return M
]]

local body = [[
  local m = require "m"
  local f, line, told = m.f, m.line, {}
  for _, kind in ipairs { "sweep", "patch" } do
    graft.on(kind, function() told[#told + 1] = kind end)
  end
  local function quiet(report)
    equal(true, report.ok)
    equal(nil, report.sweep)
    for _ = 1, 1000 do equal(nil, graft.update()) end
    equal("", table.concat(told, " "))
    equal(f, m.f)
  end
  quiet(patch())
  quiet(change("m", "return M\n", "return M -- all\n"))
  equal(3, m.line())
  quiet(change("m", "local M = {}\n", "local M = {}\n-- a comment\n"))
  equal(4, m.line())
  equal(line, m.line)
  quiet(change("m", 'return "f"', 'return   "f"'))
  -- And what comes after it goes on as ever.
  change("m", 'return   "f"', 'return "g"')
  for _ = 1, 1000 do graft.update() end
  equal("g", f())
  equal(f, m.f)
]]

return function(vm)
  it("a save without a change of code is silent", function()
    patching.run(vm, { m = module }, body)
  end)
  it("with a sweep budget, too", function()
    local result = patching.run(vm, { m = module }, body,
      { "--sweep-budget", "1" })
    local _, count = result.text.err:gsub("Sweep ", "")
    assert.equal(1, count)
  end)
end
