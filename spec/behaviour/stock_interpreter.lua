-- SPDX-License-Identifier: MIT
--
-- require "graft" in a stock lua5.4 or luajit: the running script and what it
-- loads are patched, and the interpreter is left in peace.

local engine = require "spec.support.engine"
local stock = require "spec.support.stock"

-- Runs a line of Lua for each line that it is sent.
local shell = [[

io.stdout:setvbuf "line"
print "ready"
for line in io.lines() do
  local ok, message = pcall(assert((loadstring or load)(line)))
  print(ok and "done" or message)
end
]]

local function start(vm, main, modules)
  local sources = { ["main.lua"] = main .. shell }
  for name, text in pairs(modules or {}) do sources[name] = text end
  local folder, program = stock.start(vm, sources)
  program:out "^ready"
  return folder, program
end

local function send(program, line)
  program:write(line .. "\n")
end

-- The program's answer to a line that prints something.
local function ask(program, line)
  send(program, line)
  local answer = program:out "."
  program:out "^done"
  return answer
end

local function finish(program)
  program:close_stdin()
  assert.equal(0, program:wait(), program.text.err)
end

return function(vm)
  after_each(engine.clean_up)

  it("patches modules and the script that runs, and keeps their state",
    function()
      local folder, program = start(vm, [[
        graft = require "graft"
        graft.watch "."
        local count = 0
        function greet() count = count + 1; return "hello " .. count end
        brain = require "ai.brain"
        think = brain.think
      ]], { ["ai/brain.lua"] = [[
        local M, calls = {}, 0
        function M.think() calls = calls + 1; return "old " .. calls end
        return M
      ]] })
      assert.equal("hello 1", ask(program, "print(greet())"))
      assert.equal("old 1", ask(program, "print(think())"))
      stock.edit(folder, "main.lua", "hello", "good day")
      stock.edit(folder, "ai/brain.lua", "old", "new")
      assert.equal("true", ask(program, "print(graft.reload().ok)"))
      assert.equal("good day 2", ask(program, "print(greet())"))
      assert.equal("new 2", ask(program, "print(think())"))
      assert.equal("2", ask(program,
        "print(graft.info 'ai.brain.think'.version)"))
      program:err "^Update ai.brain.think"
      finish(program)
    end)

  it("takes saves at graft.update()", function()
    local folder, program = start(vm, [[
      graft = require "graft"
      graft.watch "."
      function greet() return "hello" end
    ]])
    stock.edit(folder, "main.lua", "hello", "good day")
    send(program, "repeat local report = graft.update() until report")
    program:out "^done"
    assert.equal("good day", ask(program, "print(greet())"))
    finish(program)
  end)

  it("watches in a coroutine too", function()
    local folder, program = start(vm, [[
      coroutine.wrap(function()
        graft = require "graft"
        graft.watch "."
      end)()
      brain = require "brain"
    ]], { ["brain.lua"] = 'return { think = function() return "old" end }\n' })
    stock.edit(folder, "brain.lua", "old", "new")
    send(program, "coroutine.wrap(graft.reload)()")
    program:out "^done"
    assert.equal("new", ask(program, "print(brain.think())"))
    finish(program)
  end)

  it("takes over a module that is running", function()
    local folder, program = start(vm, 'brain = require "brain"\n', {
      ["brain.lua"] = [[
        graft = require "graft"
        graft.watch "."
        local M, calls = {}, 0
        function M.think() calls = calls + 1; return "old " .. calls end
        return M
      ]],
    })
    assert.equal("old 1", ask(program, "print(brain.think())"))
    stock.edit(folder, "brain.lua", '"old "', '"new "')
    send(program, "graft.update(); graft.reload()")
    program:out "^done"
    assert.equal("new 2", ask(program, "print(brain.think())"))
    assert.equal("true", ask(program, "print(graft.fn 'brain.think' ~= nil)"))
    finish(program)
  end)

  it("says that a script was changed before it was watched", function()
    local folder, program = start(vm, 'function greet() return "hello" end\n')
    stock.edit(folder, "main.lua", "hello", "good day")
    send(program, 'graft = require "graft"; graft.watch "."')
    program:err "main%.lua was changed after it was loaded"
    program:out "^done"
    assert.equal("hello", ask(program, "print(greet())"))
    finish(program)
  end)

  it("is one module however often it is loaded", function()
    local _, program = start(vm, [[
      graft = require "graft"
      package.loaded.graft = nil
      again = require "graft"
    ]])
    assert.equal(vm .. " true", ask(program,
      "print(graft.vm .. ' ' .. tostring(graft.watch == again.watch))"))
    finish(program)
  end)

  it("puts new code back that raises in graft.call", function()
    local folder, program = start(vm, [[
      graft = require "graft"
      graft.watch "."
      function greet(name) return "hello " .. name, 7 end
    ]])
    assert.equal("true\thello you\t7",
      ask(program, "print(graft.call(greet, 'you'))"))
    assert.equal("false", ask(program,
      "print((graft.call(error, 'no')))"))
    stock.edit(folder, "main.lua", '"hello "', "nil")
    send(program, "graft.reload()")
    program:out "^done"
    assert.equal("false\treverted", ask(program,
      "local ok, _, why = graft.call(greet, 'you') print(ok, why)"))
    program:err "^Revert main.greet"
    assert.equal("true\thello you\t7",
      ask(program, "print(graft.call(greet, 'you'))"))
    finish(program)
  end)

  it("says that it is closed to whoever comes after it", function()
    local _, program = start(vm, [[
      local last
      if newproxy then
        last = newproxy(true)
        getmetatable(last).__gc = function() print(pcall(graft.update)) end
      else
        last = setmetatable({}, {
          __gc = function() print(pcall(graft.update)) end })
      end
      keep = last
      graft = require "graft"
    ]])
    program:close_stdin()
    program:out "the engine is closed"
    assert.equal(0, program:wait(), program.text.err)
  end)
end
