-- SPDX-License-Identifier: MIT
--
-- T4: new code that raises before it first returned goes, the version before
-- comes back, and the program goes on.

local engine = require "spec.support.engine"

local main = [[
local m = require "m"
io.stdout:setvbuf "line"
local last
local count = 0
function init() print "ready" end
function update()
  count = count + 1
  local ok, now = pcall(m.value)
  now = ok and now or "failed"
  if now ~= last then print("now " .. now) end
  last = now
  if count % 20 == 0 then print "tick" end
end
]]

-- The same without a pcall of its own.
local bare = [[
local m = require "m"
io.stdout:setvbuf "line"
local last
local count = 0
function init() print "ready" end
function update()
  count = count + 1
  local now = m.value()
  if now ~= last then print("now " .. now) end
  last = now
  if count % 20 == 0 then print "tick" end
end
]]

local good = 'local M = {}\nfunction M.value()\n  return "one"\nend\nreturn M\n'
local raising = 'local M = {}\nfunction M.value()\n  error "boom"\nend\nreturn M\n'

local function start(vm, text, arguments)
  local folder, program = engine.watch(vm,
    { ["main.lua"] = text, ["m.lua"] = good }, arguments)
  program:out "^now one$"
  return folder, program
end

return function(vm)
  after_each(engine.clean_up)

  it("the version before comes back, the error is shown once", function()
    local folder, program = start(vm, bare)
    folder:write("m.lua", raising)
    program:err "^Update m%.value%f[%s%z]"
    local line = program:err "^Revert m%.value: "
    assert.is_truthy(line:find("m.lua:3: boom", 1, true), line)
    program:out "^tick$"
    program:out "^tick$"
    assert.equal(1, program:count("err", "^Revert "))
    assert.equal(1, program:count("out", "^now "))
    folder:write("m.lua", (good:gsub('"one"', '"two"')))
    program:out "^now two$"
    assert.equal(0, program:interrupt())
  end)

  it("its traceback names the function's place", function()
    local folder, program = start(vm, bare)
    folder:write("m.lua", raising)
    program:err "^Revert "
    program:err "stack traceback:"
    program:err "m%.lua:3:"
    program:out "^tick$"
    assert.equal(1, program:count("err", "stack traceback:"))
    assert.equal(0, program:interrupt())
  end)

  it("code that has returned once is off probation", function()
    local folder, program = start(vm, main)
    folder:write("m.lua", [[
      local M = {}
      local calls = 0
      function M.value()
        calls = calls + 1
        if calls > 50 then error "late" end
        return "two"
      end
      return M
    ]])
    program:out "^now two$"
    program:out "^now failed$"
    program:out "^tick$"
    assert.equal(0, program:count("err", "^Revert "))
    assert.equal(0, program:interrupt())
  end)

  it("--on-error report leaves the new version", function()
    local folder, program = start(vm, main, { "--on-error", "report" })
    folder:write("m.lua", raising)
    program:out "^now failed$"
    program:out "^tick$"
    assert.equal(0, program:count("err", "^Revert "))
    assert.equal(1, program:count("out", "^now failed$"))
    folder:write("m.lua", good)
    program:out "^now one$"
    assert.equal(0, program:interrupt())
  end)

  it("an error that comes out of a coroutine counts, by its place", function()
    local text = bare:gsub("m%.value%(%)", "coroutine.wrap(m.value)()")
    local folder, program = start(vm, text)
    folder:write("m.lua", raising)
    local line = program:err "^Revert m%.value: "
    assert.is_truthy(line:find("m.lua:3: boom", 1, true), line)
    program:out "^tick$"
    program:out "^tick$"
    assert.equal(1, program:count("err", "^Revert "))
    assert.equal(0, program:count("err", "^engine: "))
    assert.equal(0, program:interrupt())
  end)

  it("an error of old code in a coroutine is none of the new code's", function()
    local folder, program = start(vm, [[
      local m = require "m"
      io.stdout:setvbuf "line"
      local last, count = nil, 0
      function init() print "ready" end
      local function old() error "old code" end
      function update()
        count = count + 1
        if last ~= "one" then print "now one" last = "one" end
        if count % 20 == 0 then print "tick" end
        coroutine.wrap(function() old() end)()
      end
    ]])
    folder:write("m.lua", raising)
    program:err "^Update m%.value%f[%s%z]"
    program:out "^tick$"
    program:out "^tick$"
    assert.equal(0, program:count("err", "^Revert "))
    assert.equal(0, program:interrupt())
  end)

  it("is JSON, too", function()
    local folder, program = start(vm, bare, { "--log", "json" })
    folder:write("m.lua", raising)
    local report = engine.event(program, "revert")
    assert.equal("m.value", report.name)
    assert.is_truthy(report.message:find("boom", 1, true))
    assert.equal(0, program:interrupt())
  end)
end
