-- SPDX-License-Identifier: MIT
--
-- T2: an error while statements run undoes the whole transaction.

local patching = require "spec.support.patching"

-- A save that must fail; returns the message.
local fails = [[
local function fails()
  local report, message = graft.reload()
  if report then error("was patched", 2) end
  return message
end
]]

local m = [[
local M = {}
local hp = 100
M.config = { speed = 3, deep = { x = 1 } }
M.gone = 1
counter = 1
function M.word() return "old" end
function M.hp() return hp end
local function helper() return "helper" end
function M.help() return helper() end
return M
]]

return function(vm)
  local function case(name, modules, body)
    it("T2, " .. name, function() patching.run(vm, modules, fails .. body) end)
  end

  case("functions, variables, fields, globals and tables are as before", {
    m = m }, [[
local m = require "m"
local word, config, deep, list = m.word, m.config, m.config.deep, { m.word }
local key = { [m.word] = 1 }
edit("m", '"old"', '"new"')
edit("m", "hp = 100", "hp = 150")
edit("m", "speed = 3, deep = { x = 1 }", "speed = 4, extra = 1, deep = { x = 2, y = 3 }")
edit("m", "M.gone = 1\n", "M.added = 1\nfresh = 2\n")
edit("m", "counter = 1", "counter = 2")
edit("m", "return M", [=[
M.config.more = { 1 }
M.config.deep.z = 9
function M.extra() return 1 end
do local t = M.config t.by_local = 1 t.deep.by_local = 2 end
for i = 1, 3 do M[i] = i end
if M.word() == "new" then error "boom" end
return M]=])
local message = fails()
assert(message:find("^m%.lua:%d+: boom"), message)
equal(word, m.word)
equal(word, list[1])
equal(1, key[m.word])
equal("old", m.word())
equal(100, m.hp())
equal(config, m.config)
equal(deep, m.config.deep)
equal(3, config.speed)
equal(nil, config.extra)
equal(nil, config.more)
equal(nil, config.by_local)
equal(1, deep.x)
equal(nil, deep.y)
equal(nil, deep.z)
equal(nil, deep.by_local)
equal(1, m.gone)
equal(nil, m.added)
equal(nil, fresh)
equal(1, counter)
equal(nil, m.extra)
equal(nil, m[1])
-- The next save applies all of it.
edit("m", 'if M.word() == "new" then error "boom" end\n', "")
patch()
assert(word == m.word)
equal("new", m.word())
equal(150, m.hp())
equal(4, config.speed)
equal(1, config.by_local)
equal(nil, m.gone)
equal(3, m[3])]])

  case("the place is the line of the file", { m = m }, [[
local m = require "m"
change("m", "local M = {}", "-- one\n-- two\nlocal M = {}")
edit("m", "return M", "\n\nM.hp = nil + 1\nreturn M")
local message = fails()
local line = tonumber(message:match("^m%.lua:(%d+): "))
equal(14, line)]])

  case("calls that were made are named, for they are not undone", {
    other = "local O = { count = 0 }\nfunction O.add() O.count = O.count + 1 end\nreturn O\n",
    m = m }, [[
local m, other = require "m", require "other"
edit("m", "return M", 'local other = require "other"\nother.add()\nM.n = tonumber(5)\n'
  .. "error 'boom'\nother.add()\nreturn M")
local message = fails()
equal(1, other.count)
assert(message:find("not undone: calls of m.lua:10, other.add at m.lua:11, "
  .. "m.lua:12, error at m.lua:13)", 1, true), message)
equal(nil, m.n)]])

  case("a second file that raises undoes the first", { a = [[
local A = {}
local n = 1
A.list = { 1 }
function A.f() return "a" .. n end
return A
]], b = [[
local B = {}
function B.f() return "b" end
return B
]] }, [[
local a, b = require "a", require "b"
local f, g, list = a.f, b.f, a.list
edit("a", '"a"', '"A"')
edit("a", "n = 1", "n = 2")
edit("a", "{ 1 }", "{ 2 }")
edit("b", '"b"', '"B"')
edit("b", "return B", "B.x = nil .. 'x'\nreturn B")
local message = fails()
assert(message:find "^b%.lua:3: ", message)
equal(f, a.f)
equal(g, b.f)
equal("a1", a.f())
equal("b", b.f())
equal(1, list[1])
-- The next save of either one tries both again.
edit("b", "nil .. 'x'", "'x'")
local report = patch()
equal("a.f b.f", names(report.updated))
equal("A2", a.f())
equal("B", b.f())
equal("x", b.x)
equal(2, list[1])]])

  case("undo after undo, and back", { m = m }, [[
local m = require "m"
local word = m.word
for i = 1, 5 do
  edit("m", "return M\n", "error('no " .. i .. "')\nreturn M\n")
  edit("m", 'return "old"', 'return "new"')
  fails()
  equal(word, m.word)
  equal("old", m.word())
  write("m", ]] .. ("%q"):format(m) .. [[)
  patch()
  equal(word, m.word)
end]])

  case("cleanups of the undone statements run, old ones stay", { m = [[
local graft = require "graft"
log = log or {}
local M = {}
do
  M.mode = "one"
  graft.defer(function() log[#log + 1] = "stop one" end)
end
return M
]] }, [[
local m = require "m"
local function took() local all = table.concat(log, ","); log = {}; return all end
edit("m", 'M.mode = "one"', 'M.mode = "two"')
edit("m", '"stop one"', '"stop two"')
edit("m", "return M", [=[
graft.defer(function() log[#log + 1] = "stop three" end)
graft.defer(function() log[#log + 1] = "stop four" end)
error "boom"
return M]=])
fails()
equal("stop one,stop four,stop three,stop two", took())
equal("one", m.mode)
write("m", "log = log or {}\nreturn {}\n")
patch()
equal("stop one", took())]])

  case("functions that undone statements handed over are silent", {
    bus = [[
local bus = { list = {} }
function bus.on(f) table.insert(bus.list, f) end
function bus.emit() local n = 0; for _, f in ipairs(bus.list) do n = n + (f() or 0) end return n end
return bus
]], m = m }, [[
local m, bus = require "m", require "bus"
edit("m", "return M", [=[
local bus = require "bus"
bus.on(function() return 1 end)
function M.named() return 10 end
bus.on(M.named)
error "boom"
return M]=])
fails()
equal(0, bus.emit())
fails()
equal(0, bus.emit())
edit("m", 'error "boom"\n', "")
patch()
equal(11, bus.emit())]])

  case("what a table's metatable was", { m = [[
local M = {}
local one, two = { __index = { n = 1 } }, { __index = { n = 2 } }
M.object = setmetatable({ hp = 1 }, one)
return M
]] }, [[
local m = require "m"
edit("m", "hp = 1 }, one", "hp = 2 }, two")
edit("m", "return M", "error 'boom'\nreturn M")
fails()
equal(1, m.object.n)
equal(1, m.object.hp)]])

  case("values that followed others", { m = [[
local M = {}
M.a = 1
M.b = M.a * 10
return M
]] }, [[
local m = require "m"
edit("m", "M.a = 1", "M.a = 2")
edit("m", "return M", "assert(M.b == 10)\nreturn M")
fails()
equal(1, m.a)
equal(10, m.b)]])

  case("an error that is no text", { m = m }, [[
local m = require "m"
edit("m", "return M", "error({})\nreturn M")
assert(fails():find "error object is a table value")
equal("old", m.word())]])
end
