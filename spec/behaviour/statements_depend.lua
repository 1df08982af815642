-- SPDX-License-Identifier: MIT
--
-- S4: a value that is computed from a changed one follows it.

local patching = require "spec.support.patching"

local texts = [[
local function said(list)
  local all = {}
  for i, entry in ipairs(list) do all[i] = entry.name .. " " .. entry.message end
  return table.concat(all, "; ")
end
]]

return function(vm)
  local function case(name, modules, body)
    it("S4, " .. name, function() patching.run(vm, modules, texts .. body) end)
  end

  case("a local follows a local", { m = [[
local M = {}
local speed = 2
local squared = speed * speed
function M.get() return squared end
return M
]] }, [[
local m = require "m"
local report = change("m", "speed = 2", "speed = 3")
equal(9, m.get())
equal(1, #report.ran)
equal("", said(report.depends))]])

  case("through several steps, fields, constructors and names", { m = [[
local M = {}
M.a = 1
M.b = M.a * 10
M.config = { b = M.b, c = { M.b + 1, "x" .. M.a }, own = 5 }
local alias = M.config
M.sum = alias.b + alias.c[1]
M.negative = -M.sum
M.text = "sum " .. M.sum
same = M.text
return M
]] }, [[
local m = require "m"
local config, c = m.config, m.config.c
config.own = 6
local report = change("m", "M.a = 1", "M.a = 2")
equal(20, m.b)
equal(config, m.config)
equal(c, m.config.c)
equal(20, config.b)
equal(21, c[1])
equal("x2", c[2])
equal(6, config.own)
equal(41, m.sum)
equal(-41, m.negative)
equal("sum 41", m.text)
equal("sum 41", same)
equal("", said(report.kept))]])

  case("a value that was changed at run time is kept", { m = [[
local M = {}
M.a = 1
M.b = M.a * 10
M.c = M.b + 1
return M
]] }, [[
local m = require "m"
m.b = 77
local report = change("m", "M.a = 1", "M.a = 2")
equal(2, m.a)
equal(77, m.b)
equal(21, m.c)
equal("m M.b = 77, source now 20", said(report.kept))]])

  case("what the program made of the source's value does not count", { m = [[
local M = {}
M.a, M.factor = 1, 10
M.b = M.a * M.factor
return M
]] }, [[
local m = require "m"
m.a = 500
m.factor = 3
change("m", "= 1, 10", "= 2, 10")
equal(500, m.a)
equal(20, m.b)]])

  case("one that needs a call is reported", { m = [[
local M = {}
local speed = 2
M.root = math.sqrt(speed)
M.list = { speed, math.sqrt(speed) }
return M
]] }, [[
local m = require "m"
local report = change("m", "speed = 2", "speed = 3")
assert(m.root < 1.5)
equal(3, m.list[1])
equal("m M.root needs a call: depends on speed; "
  .. "m M.list needs a call: depends on speed", said(report.depends))
equal(3, report.depends[1].line)]])

  case("a call that was given it does not run again, and is reported", { m = [[
local M = {}
local hp, mana = 5, 7
local config = { speed = 2, size = 1 }
registered = {}
local bus = { on = function(...) registered[#registered + 1] = { ... } end }
function bus:send(...) self.on(...) end
bus.on("hp", hp)
bus:send("sum", hp + mana)
bus.on("mana", mana)
bus.on("config", config)
bus.on("speed", config.speed)
bus.on("function", function() return hp + config.speed end)
assert(hp > 0, "hp")
print("hp is", hp)
return M
]] }, [[
local m = require "m"
local count = #registered
local report = change("m", "hp, mana = 5, 7", "hp, mana = 6, 7")
equal(count, #registered)
equal("m bus.on(…) does not run again: depends on hp; "
  .. "m bus.send(…) does not run again: depends on hp", said(report.depends))
equal(7, report.depends[1].line)
equal(8, report.depends[2].line)
equal(8, registered[6][2]())
report = change("m", "speed = 2", "speed = 4")
equal("m bus.on(…) does not run again: depends on config.speed",
  said(report.depends))
equal(10, registered[6][2]())
report = change("m", "size = 1", "size = 9")
equal("", said(report.depends))]])

  case("a block that calls with it is reported", { m = [[
local M = {}
local count, limit = 2, 5
made = {}
for i = 1, count do table.insert(made, i) end
do local unrelated = limit end
if limit > 3 then local x = count end
return M
]] }, [[
local m = require "m"
local report = change("m", "count, limit = 2, 5", "count, limit = 3, 6")
equal(2, #made)
equal("m a block does not run again: depends on count", said(report.depends))
equal(4, report.depends[1].line)]])

  case("a call in another file, too", {
    config = "local C = {}\nC.speed = 2\nreturn C\n",
    m = [[
local config = require "config"
local M = {}
local set
function M.set(v) set = v end
function M.get() return set end
M.set(config.speed)
return M
]] }, [[
local m = require "m"
local report = change("config", "speed = 2", "speed = 5")
equal(2, m.get())
equal("m M.set(…) does not run again: depends on config.speed",
  said(report.depends))]])

  case("one that a block sets is reported", { m = [[
local M = {}
local speed = 2
if speed > 1 then M.fast = true end
return M
]] }, [[
local m = require "m"
local report = change("m", "speed = 2", "speed = 0")
equal(true, m.fast)
equal("m M.fast is set in a block: depends on speed", said(report.depends))]])

  case("one that cannot be computed any more is reported", { m = [[
local M = {}
M.a = 1
M.b = M.a * 10
return M
]] }, [[
local m = require "m"
local report = change("m", "M.a = 1\n", "")
equal(nil, m.a)
equal(10, m.b)
equal("m M.b cannot be computed any more: depends on M.a", said(report.depends))]])

  case("a changed expression starts from what the source gives", { m = [[
local M = {}
M.a = 1
M.b = M.a * 10
return M
]] }, [[
local m = require "m"
m.a = 5
edit("m", "M.a = 1", "M.a = 2")
change("m", "M.a * 10", "M.a * 100")
equal(5, m.a)
equal(200, m.b)]])

  case("a value follows a field of a table that changed", { m = [[
local M = {}
local config = { speed = 2, deep = { x = 1 } }
M.double = config.speed * 2
M.x = config.deep.x
M.deep = config.deep
local key = "speed"
M.indexed = config[key]
return M
]] }, [[
local m = require "m"
local deep = m.deep
edit("m", "speed = 2", "speed = 5")
change("m", "x = 1", "x = 9")
equal(10, m.double)
equal(9, m.x)
equal(deep, m.deep)
equal(9, deep.x)
equal(5, m.indexed)]])

  case("a value follows one of another file", {
    config = "local C = {}\nC.speed = 2\nC.size = 1\nreturn C\n",
    m = [[
local config = require "config"
local M = {}
local size = config.size
M.double = config.speed * 2
M.quad = M.double * 2
function M.size() return size end
return M
]] }, [[
local m = require "m"
local report = change("config", "speed = 2", "speed = 5")
equal(10, m.double)
equal(20, m.quad)
equal(1, m.size())
equal(1, #report.ran)]])

  case("a call's result that changed is followed", { m = [[
local M = {}
local base = math.max(1, 2)
M.double = base * 2
return M
]] }, [[
local m = require "m"
change("m", "math.max(1, 2)", "math.max(1, 7)")
equal(14, m.double)]])

  case("functions in a constructor stay what they are", { m = [[
local M = {}
local speed = 2
M.object = { speed = speed, run = function() return speed end }
return M
]] }, [[
local m = require "m"
local object, run = m.object, m.object.run
change("m", "speed = 2", "speed = 3")
equal(object, m.object)
equal(run, object.run)
equal(3, object.speed)
equal(3, run())]])
end
