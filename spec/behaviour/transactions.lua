-- SPDX-License-Identifier: MIT
--
-- Rules T1 to T6: what is saved together applies together or not at all, and
-- what fails leaves the program as it was.

local engine = require "spec.support.engine"

-- Prints what both modules answer, whenever that changes.
local main = [[
io.stdout:setvbuf "line"
local a, b = require "a", require "b"
local held = a.value
local last
function init() print "ready" end
function update()
  local now = table.concat({
    tostring(a.value()), tostring(held == a.value), tostring(b.value()),
    "calls=" .. a.calls(),
  }, " ")
  if now ~= last then print("now " .. now) end
  last = now
end
]]

local function module(value, more)
  return ([[
local M = {}
local calls = 0

function M.value()
  calls = math.max(calls, 1)
  return %s
end

function M.calls() return calls end

%s
return M
]]):format(value, more or "")
end

local function start(vm, arguments)
  local folder, program = engine.watch(vm, {
    ["main.lua"] = main,
    ["a.lua"] = module '"one"',
    ["b.lua"] = module '"uno"',
  }, arguments)
  program:out "^now one true uno"
  return folder, program
end

-- Saves both while the program is stopped, so that they settle together.
local function save_both(folder, program, a, b)
  program:paused(function()
    folder:write("a.lua", a)
    folder:write("b.lua", b)
  end)
end

return function(vm)
  after_each(engine.clean_up)

  describe("T1:", function()
    it("files that settle together are one transaction", function()
      local folder, program = start(vm)
      save_both(folder, program, module '"two"', module '"due"')
      program:err "^Update a%.value"
      program:err "^Update b%.value"
      program:err "^Patch ok"
      program:out "^now two true due"
      assert.equal(1, program:count("err", "^Patch"))
      assert.equal(0, program:count("out", "now two true uno"))
      assert.equal(0, program:interrupt())
    end)

    it("one broken file holds the others back until it is mended", function()
      local folder, program = start(vm)
      save_both(folder, program, module '"two"', module '"due" +')
      program:err "^Reject .*b%.lua:7"
      program:err "^Patch failed"
      folder:write("b.lua", module '"due"')
      program:err "^Patch ok"
      program:out "^now two true due"
      assert.equal(0, program:count("out", "now two true uno"))
      assert.equal(1, program:count("err", "^Update a%.value"))
      assert.equal(0, program:interrupt())
    end)
  end)

  describe("T2:", function()
    it("an error in a statement undoes the whole transaction", function()
      local folder, program = start(vm)
      save_both(folder, program,
        module('"two"', "M.extra = 1\nrawset(_G, 'leaving', nil)"),
        module('"due"', "M.first = 1\nerror 'half way'"))
      program:err "^Reject .*b%.lua:12.*half way"
      program:err "^Patch failed"
      -- The next save tries again, and both come.
      folder:write("b.lua", module '"tre"')
      program:err "^Patch ok"
      program:out "^now two true tre"
      assert.equal(0, program:count("out", "now two true uno"))
      assert.equal(0, program:interrupt())
    end)

    it("what the statements assigned is put back", function()
      local folder, program = engine.watch(vm, {
        ["main.lua"] = [[
io.stdout:setvbuf "line"
local a = require "a"
local function show()
  local keys = {}
  for key in pairs(a.list) do keys[#keys + 1] = key end
  table.sort(keys)
  return ("%s %s %s %s"):format(tostring(a.number), tostring(a.extra),
    tostring(shared), table.concat(keys, ","))
end
local last
function init() print "ready" end
function update()
  local now = show()
  if now ~= last then print("now " .. now) end
  last = now
end
require("graft").on("reject", function() print("after " .. show()) end)
]],
        ["a.lua"] = "local M = { list = { x = 1 } }\nM.number = 1\nshared = 'kept'\n"
          .. "return M\n",
      })
      program:out "^now 1 nil kept x$"
      folder:write("a.lua", [[
local M = { list = { x = 1 } }
M.number = 1
shared = 'kept'
M.extra = true
shared = "other"
for _, key in ipairs { "y", "z" } do M.list[key] = 2 end
M.number = M.number + 1
error "no"
return M
]])
      program:err "^Patch failed"
      program:out "^after 1 nil kept x$"
      assert.equal(0, program:interrupt())
    end)
  end)

  describe("T4:", function()
    it("new code that raises at its first call is put back", function()
      local folder, program = start(vm)
      -- No tail call: that leaves no trace of the function.
      folder:write("a.lua", module '(error "boom")')
      program:err "^Update a%.value"
      program:err "^Revert a%.value: .*a%.lua:6: boom"
      program:err "^Patch ok"
      assert.equal(1, program:count("err", "boom"))
      folder:write("a.lua", module '"three"')
      program:err "^Update a%.value"
      program:out "^now three true uno"
      assert.equal(0, program:interrupt())
    end)

    it("code that has returned once stays when it raises later", function()
      local folder, program = start(vm)
      folder:write("a.lua", (module '"two"'):gsub("calls = math.max%(calls, 1%)",
        'calls = calls + 1; if calls == 3 then error "later" end'))
      program:out "^now two"
      program:err "later"
      program:out "^now two true uno calls=4"
      assert.equal(0, program:count("err", "^Revert"))
      assert.equal(0, program:interrupt())
    end)

    it("--on-error report leaves it", function()
      local folder, program = start(vm, { "--on-error", "report" })
      folder:write("a.lua", module 'error "boom"')
      program:err "boom"
      folder:write("a.lua", module '"two"')
      program:out "^now two true uno"
      assert.equal(0, program:count("err", "^Revert"))
      assert.equal(0, program:interrupt())
    end)
  end)

  describe("T5:", function()
    -- Runs a line of Lua at the prompt.
    local function type_line(program, line) program:write(line .. "\n") end

    it("rollback takes a version back, and the next save applies", function()
      local folder, program = start(vm, { "-i" })
      folder:write("a.lua", module '"two"')
      program:out "^now two"
      folder:write("a.lua", module '"three"')
      program:out "^now three"
      type_line(program, "rollback a.value@1")
      program:err "^Update a%.value"
      program:out "^now one true uno"
      type_line(program, "rollback a.value")
      program:out "^now three true uno"
      type_line(program, "rollback a.value@99")
      program:err "a%.value has no version 99"
      folder:write("a.lua", module '"five"')
      program:out "^now five true uno"
      assert.equal(0, program:interrupt())
    end)

    it("a slot keeps its last 16 versions with their source", function()
      local folder, program = start(vm, { "-i" })
      for i = 2, 20 do
        folder:write("a.lua", module(tostring(i)))
        program:out("^now " .. i .. " true")
      end
      type_line(program, "local h = require('graft').history('a.value') "
        .. "print('history', #h, h[1].version, h[16].version, "
        .. "h[16].source:match('return (%d+)'))")
      program:out "^>? ?history%s16%s5%s20%s20$"
      assert.equal(0, program:interrupt())
    end)
  end)

  describe("T6:", function()
    it("good, broken, good again leaves all as it was", function()
      local folder, program = start(vm, { "--log", "json" })
      folder:write("a.lua", module '"two" +')
      assert.equal(7, engine.event(program, "reject").line)
      folder:write("a.lua", module '"one"')
      folder:write("b.lua", module '"due"')
      local report = engine.event(program, "update")
      assert.equal("b.value", report.name)
      assert.equal(2, report.version)
      program:out "^now one true due"
      assert.equal(0, program:count("err", '"update".*a%.value'))
      assert.equal(0, program:interrupt())
    end)
  end)

  describe("a program that never returns to the host", function()
    local function endless(body)
      return engine.watch(vm, {
        ["main.lua"] = ([[
io.stdout:setvbuf "line"
local a = require "a"
print "ready"
local function run()
  local last
  repeat
    os.clock() -- A loop that never leaves its trace cannot be interrupted.
    local now = a.value()
    if now ~= last then print("now " .. now) end
    last = now
  until now == "end"
end
%s
print "over"
]]):format(body),
        ["a.lua"] = module '"one"',
      }, { "--frames", "0" })
    end

    for name, body in pairs {
      ["takes changes in its loop"] = "run()",
      ["takes them inside coroutines"] =
        "coroutine.wrap(function() coroutine.resume(coroutine.create(run)) end)()",
    } do
      it(name, function()
        local folder, program = endless(body)
        program:out "^now one"
        folder:write("a.lua", module '"two"')
        program:out "^now two"
        folder:write("a.lua", module '"end"')
        program:out "^over"
        assert.equal(0, program:wait())
      end)
    end

    it("ends at Ctrl-C", function()
      local _, program = endless "run()"
      program:out "^now one"
      assert.equal(0, program:interrupt())
    end)
  end)
end
