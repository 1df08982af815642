-- SPDX-License-Identifier: MIT
--
-- Reports on standard error, as DESIGN section 5 lays them down.

local engine = require "spec.support.engine"
local json = require "dkjson"

local main = [[
local m = require "ai.m"
io.stdout:setvbuf "line"
local last
function init() print "ready" end
function update()
  local now = m.value()
  if now ~= last then print("now " .. now) end
  last = now
end
]]

local before = [[
local M = {}

function M.value()
  return "one"
end

function M.gone() end

return M
]]

local after = [[
local M = {}

function M.value()
  return "two"
end

function M.fresh() end

print "a new statement"

return M
]]

local function start(vm, arguments)
  local folder, program = engine.watch(vm,
    { ["main.lua"] = main, ["ai/m.lua"] = before }, arguments)
  program:out "^now one$"
  return folder, program
end

return function(vm)
  after_each(engine.clean_up)

  it("in text is one line for each change and one for the patch", function()
    local folder, program = start(vm)
    folder:write("ai/m.lua", after)
    local patch = program:err "^Patch%f[%s%z]"
    program:out "^now two$"
    for pattern, count in pairs {
      ["^Update ai%.m%.value%f[%s%z]"] = 1,
      ["^Add ai%.m%.fresh%f[%s%z]"] = 1,
      ["^Delete ai%.m%.gone%f[%s%z]"] = 1,
      ["^Run .*ai/m%.lua:9%f[%s%z]"] = 1,
      ["^Patch"] = 1,
    } do
      assert.equal(count, program:count("err", pattern), pattern)
    end
    assert.is_truthy(patch:find "%d.*ms", patch)
    assert.equal(1, program:count("out", "^a new statement$"))
    assert.equal(0, program:interrupt())
  end)

  it("in JSON is one object for each, with the fields of the design", function()
    local folder, program = start(vm, { "--log", "json" })
    folder:write("ai/m.lua", after)
    local reports, patch = {}, nil
    repeat
      local report = json.decode((program:err "."))
      assert.equal("table", type(report))
      reports[report.event .. " " .. tostring(report.name or report.line)] = report
      if report.event == "patch" then patch = report end
    until patch
    local update = reports["update ai.m.value"]
    assert.is_truthy(update)
    assert.is_truthy(update.file:find "ai/m%.lua$")
    assert.equal(3, update.line)
    assert.equal(2, update.version)
    local add = reports["add ai.m.fresh"]
    assert.is_truthy(add)
    assert.equal(7, add.line)
    assert.equal(1, add.version)
    assert.is_truthy(reports["delete ai.m.gone"])
    assert.is_truthy(reports["run 9"])
    assert.is_true(patch.ok)
    for _, stage in ipairs { "settle_ms", "plan_ms", "apply_ms", "sweep_ms" } do
      assert.equal("number", type(patch[stage]), stage)
      assert.is_true(patch[stage] >= 0)
    end
    assert.equal(0, program:interrupt())
  end)

  it("in JSON is nothing but JSON, with -v and a rejected file too", function()
    local folder, program = start(vm, { "--log", "json", "-v" })
    folder:write("ai/m.lua", after)
    engine.event(program, "patch")
    folder:write("ai/m.lua", 'local s = "\\q"\n')
    engine.event(program, "reject")
    assert.equal(0, program:interrupt())
    for line in program.text.err:gmatch "[^\n]+" do
      local report, _, message = json.decode(line)
      assert.equal("table", type(report), message)
      assert.equal("string", type(report.event), line)
      assert.equal(report.event:lower(), report.event)
    end
  end)

  it("with -v says what is watched", function()
    local _, program = start(vm, { "-v" })
    program:err "^Watch "
    assert.equal(0, program:interrupt())
  end)

  it("versions count up", function()
    local folder, program = start(vm, { "--log", "json" })
    for round = 2, 4 do
      folder:write("ai/m.lua", (before:gsub('"one"', '"round ' .. round .. '"')))
      local report = engine.event(program, "update")
      assert.equal("ai.m.value", report.name)
      assert.equal(round, report.version)
    end
    assert.equal(0, program:interrupt())
  end)

  it("nothing is reported while nothing changes", function()
    local _, program = start(vm)
    assert.equal(0, program:interrupt())
    assert.equal("", program.text.err)
  end)
end
