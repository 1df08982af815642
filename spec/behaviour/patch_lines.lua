-- SPDX-License-Identifier: MIT
--
-- D2: comments and white space are no change; line numbers are those of the
-- file as it is now.

local patching = require "spec.support.patching"

return function(vm)
  local function case(name, modules, body)
    it(name, function() patching.run(vm, modules, body) end)
  end

  local function many(count)
    local text = { "local M = {}" }
    for i = 1, count do
      text[#text + 1] = ("function M.f%d(x)\n  if x then\n    error 'here'\n"
        .. "  end\n  return function() error 'inner' end\nend"):format(i)
    end
    text[#text + 1] = "return M\n"
    return table.concat(text, "\n")
  end

  case("three lines above 1,000 functions", { m = many(1000) }, [[
local m = require "m"
local held, inner = {}, {}
for i = 1, 1000 do
  held[i] = m["f" .. i]
  inner[i] = held[i]()
end
local function check(offset)
  for i = 1, 1000 do
    local first = 2 + (i - 1) * 6 + offset
    equal(held[i], m["f" .. i])
    local info = debug.getinfo(held[i], "SL")
    equal(first, info.linedefined)
    equal(first + 5, info.lastlinedefined)
    equal(true, info.activelines[first + 2])
    local _, message = pcall(held[i], true)
    equal(("m.lua:%d: here"):format(first + 2), message)
    _, message = pcall(inner[i])
    equal(("m.lua:%d: inner"):format(first + 4), message)
    equal(first + 4, debug.getinfo(inner[i], "S").linedefined)
  end
end
check(0)
local report = change("m", "local M = {}", "-- A\n-- B\n-- C\nlocal M = {}")
equal(0, #report.updated)
check(3)
report = change("m", "-- A\n-- B\n", "")
equal(0, #report.updated)
check(1)
]])

  case("tracebacks of calls that run", { m = [[
local M = {}
function M.outer(callback)
  local inner = function()
    callback()
    local trace = debug.traceback("", 1)
    return trace
  end
  local result = inner()
  return result
end
return M
]] }, [[
local m = require "m"
local trace = m.outer(function() change("m", "local M", "\n\n\nlocal M") end)
assert(trace:find "m%.lua:8: in", trace)
assert(trace:find "m%.lua:11: in", trace)
local co = coroutine.create(m.outer)
coroutine.resume(co, coroutine.yield)
change("m", "local M", "\nlocal M")
trace = debug.traceback(co)
assert(trace:find "m%.lua:8: in", trace)
assert(trace:find "m%.lua:12: in", trace)
]])

  case("comments inside a function", { m = [[
local M = {}
function M.f()
  local x = 1
  error "here"
end
function M.g() error "there" end
return M
]] }, [[
local m = require "m"
local f, g = m.f, m.g
local report = change("m", "  local x = 1", "  -- One.\n  -- Two.\n  local x = 1")
equal(0, #report.updated)
equal(0, #report.ran)
local _, message = pcall(f)
equal("m.lua:6: here", message)
_, message = pcall(g)
equal("m.lua:8: there", message)
equal(f, m.f)
equal(2, debug.getinfo(f, "S").linedefined)
equal(7, debug.getinfo(f, "S").lastlinedefined)
]])

  case("white space and comments alone keep the version", { m = [[
local M = {}
function M.f() return 1 end
return M
]] }, [[
local m = require "m"
local report = change("m", "return 1", "return   1 --[=[ one ]=] ")
equal(0, #report.updated)
equal(1, graft.info("m.f").version)
report = change("m", "return   1", "return 2")
equal(2, graft.info("m.f").version)
change("m", "function M.f()", "\n\nfunction M.f( )")
equal(2, graft.info("m.f").version)
equal(4, graft.info("m.f").line)
equal(4, debug.getinfo(m.f, "S").linedefined)
]])

  case("functions far apart need long line tables", { m = [[
local M = {}
function M.f(x)
  local y = x
]] .. ("\n"):rep(400) .. [[
  if y == 1 then error "far" end
]] .. ("\n"):rep(400) .. ("  y = y + 1\n"):rep(300) .. [[
  error "further"
end
return M
]] }, [[
local m = require "m"
local function check(offset)
  local _, message = pcall(m.f, 1)
  equal(("m.lua:%d: far"):format(404 + offset), message)
  _, message = pcall(m.f, 2)
  equal(("m.lua:%d: further"):format(1105 + offset), message)
end
check(0)
change("m", "local M = {}", "\n\n\n\n\nlocal M = {}")
check(5)
change("m", "local y = x", "\nlocal y = x + 0")
check(6)
change("m", "\n\n\n\n\nlocal M = {}", "local M = {}")
check(1)
]])

  case("moved and patched in turns", { m = [[
local M = {}
function M.a() error "a" end
function M.b() error "b" end
return M
]] }, [[
local m = require "m"
local a, b = m.a, m.b
local offset = 0
for round = 1, 20 do
  change("m", "local M", "\nlocal M")
  offset = offset + 1
  if round == 5 then change("m", 'error "b"', 'error  ("b" )') end
  if round == 15 then change("m", 'error  ("b" )', 'error ("b")') end
  local _, message = pcall(a)
  equal(("m.lua:%d: a"):format(2 + offset), message)
  _, message = pcall(b)
  equal(("m.lua:%d: b"):format(3 + offset), message)
  equal(3 + offset, debug.getinfo(b, "S").linedefined)
end
]])

  case("functions swapped around", { m = [[
local M = {}
function M.a()
  error "a"
end

function M.b() error "b" end
return M
]] }, [[
local m = require "m"
local a, b = m.a, m.b
write("m", [=[
local M = {}
function M.b() error "b" end
function M.a()
  error "a"
end
return M
]=])
local report = patch()
equal(0, #report.updated)
local _, message = pcall(a)
equal("m.lua:4: a", message)
_, message = pcall(b)
equal("m.lua:2: b", message)
equal(a, m.a)
]])

  case("the lines of a function made by a patch", { m = [[
local M = {}
return M
]] }, [[
local m = require "m"
change("m", "return M",
  "\nfunction M.f()\n\n  error 'new'\nend\nlocal function g()\n"
  .. "  error 'local'\nend\nM.g = g\nreturn M")
local _, message = pcall(m.f)
equal("m.lua:5: new", message)
_, message = pcall(m.g)
equal("m.lua:8: local", message)
change("m", "local M", "\n\nlocal M")
_, message = pcall(m.f)
equal("m.lua:7: new", message)
_, message = pcall(m.g)
equal("m.lua:10: local", message)
]])

  case("a stale closure moves along", { m = [[
local M = {}
function M.spawn()
  local hidden = 1
  return function() error "old" end
end
return M
]] }, [[
local m = require "m"
local f = m.spawn()
local report = change("m", 'error "old"', "error(hidden)")
equal(1, #report.stale)
local _, message = pcall(f)
equal("m.lua:4: old", message)
]])
end
