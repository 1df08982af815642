-- SPDX-License-Identifier: MIT
--
-- T3: a syntax error changes nothing and is shown once, with its place, the
-- line and a caret.

local engine = require "spec.support.engine"

local main = [[
local goblin = require "ai.goblin"
io.stdout:setvbuf "line"
local last
local count = 0
function init() print "ready" end
function update()
  count = count + 1
  local now = goblin.think()
  if now ~= last then print("now " .. now) end
  last = now
  if count % 20 == 0 then print("tick") end
end
]]

local good = [[
local M = {}
function M.think()
  return "one"
end
return M
]]

local broken = [[
local M = {}
function M.think()
  return "two" + + 1
end
return M
]]

local fixed = [[
local M = {}
function M.think()
  return "two"
end
return M
]]

local function start(vm, arguments)
  return engine.watch(vm,
    { ["main.lua"] = main, ["ai/goblin.lua"] = good }, arguments)
end

return function(vm)
  after_each(engine.clean_up)

  it("leaves everything running and shows place, line and caret", function()
    local folder, program = start(vm)
    program:out "^now one$"
    folder:write("ai/goblin.lua", broken)

    local _, line, column, message = program:err
      "^Reject .*ai/goblin%.lua:(%d+):(%d+): (.*)$"
    assert.equal("3", line)
    assert.equal("18", column)
    -- The VM's own message is the one shown (U1).
    assert.is_truthy(message:find("unexpected symbol near '+'", 1, true), message)

    local shown = program:err "return \"two\" %+ %+ 1"
    local caret = program:err "%^"
    assert.is_truthy(caret:find "^[%s|]*%^%s*$", caret)
    assert.equal(shown:find("+ 1", 1, true), caret:find("^", 1, true))

    program:out "^tick$"
    program:out "^tick$"
    assert.equal(1, program:count("err", "^Reject "))
    assert.equal(0, program:count("err", "^Update "))
    assert.equal(1, program:count("out", "^now "))
    assert.equal(0, program:interrupt())
  end)

  it("the fix applies", function()
    local folder, program = start(vm)
    program:out "^now one$"
    folder:write("ai/goblin.lua", broken)
    program:err "^Reject "
    folder:write("ai/goblin.lua", fixed)
    program:err "^Update ai%.goblin%.think%f[%s%z]"
    program:out "^now two$"
    assert.equal(1, program:count("err", "^Reject "))
    assert.equal(0, program:interrupt())
  end)

  it("going back to what was running says nothing but changes nothing", function()
    local folder, program = start(vm)
    program:out "^now one$"
    folder:write("ai/goblin.lua", broken)
    program:err "^Reject "
    folder:write("ai/goblin.lua", good)
    program:out "^tick$"
    program:out "^tick$"
    assert.equal(0, program:count("err", "^Update "))
    folder:write("ai/goblin.lua", fixed)
    program:out "^now two$"
    assert.equal(0, program:interrupt())
  end)

  it("another error is shown anew, the same one is not", function()
    local folder, program = start(vm)
    folder:write("ai/goblin.lua", broken)
    program:err "^Reject "
    folder:touch("ai/goblin.lua", os.time() + 10)
    folder:write("ai/goblin.lua", "return {\n")
    local _, line = program:err "^Reject .*ai/goblin%.lua:(%d+):"
    -- The VM finds the end of the file after the last line.
    assert.is_truthy(line == "1" or line == "2", line)
    assert.equal(2, program:count("err", "^Reject "))
    assert.equal(0, program:interrupt())
  end)

  it("in JSON is one object with the same facts", function()
    local folder, program = start(vm, { "--log", "json" })
    folder:write("ai/goblin.lua", broken)
    local report = engine.event(program, "reject")
    assert.is_truthy(report.file:find "ai/goblin%.lua$")
    assert.equal(3, report.line)
    assert.equal(18, report.column)
    assert.is_truthy(report.message:find("unexpected symbol", 1, true))
    assert.equal(0, program:interrupt())
  end)

  it("at the start ends the program with 1 and the same report", function()
    local folder = engine.project { ["main.lua"] = "local x = = 1\n" }
    local program = engine.run(vm, { "--watch", folder.path, "--frames", "1" })
    assert.equal(1, program.status)
    assert.is_truthy(program.text.err:find "main%.lua:1:")
    assert.is_truthy(program.text.err:find("unexpected symbol", 1, true))
  end)
end
