-- SPDX-License-Identifier: MIT
--
-- S1 and S2: which top-level statements of a saved file run, when, and where
-- they find what they use.

local patching = require "spec.support.patching"

-- Statements note that they ran in a global list.
local noting = [[
ran = {}
function note(...) ran[#ran + 1] = table.concat({ ... }, " ") end
function took() local all = table.concat(ran, ","); ran = {}; return all end
]]

return function(vm)
  local function case(name, modules, body)
    it(name, function() patching.run(vm, modules, noting .. body) end)
  end

  describe("S1, unchanged statements do not run again:", function()
    local m = [[
local M = {}
note "first"
M.started = note("second", 1 + 1)
do
  note "third"
end
function M.f() return 1 end
return M
]]
    case("when a function changes", { m = m }, [[
local m = require "m"
equal("first,second 2,third", took())
local report = change("m", "return 1", "return 2")
equal("", took())
equal(0, #report.ran)
equal(2, m.f())]])
    case("when they move", { m = m }, [[
require "m"
took()
change("m", 'note "first"\n', '-- A comment.\n\n\nnote "first" -- more\n')
equal("", took())]])
    case("when they change places", { m = m }, [[
require "m"
took()
write("m", "local M = {}\nfunction M.f() return 1 end\ndo note \"third\" end\n"
  .. "M.started = note(\"second\", 1 + 1)\nnote 'first'\nreturn M\n")
patch()
equal("", took())]])
    case("when another one is new", { m = m }, [[
require "m"
took()
local report = change("m", "do\n", 'note "new"\ndo\n')
equal("new", took())
equal(1, #report.ran)
equal(4, report.ran[1].line)]])
    case("and equal ones are told apart by number", { m = [[
note "same"
note "same"
return {}
]] }, [[
require "m"
took()
change("m", "return", 'note "same"\nreturn')
equal("same", took())
change("m", 'note "same"\nnote "same"\n', 'note "same"\n')
equal("", took())]])
  end)

  describe("S2, new and changed ones run once, in file order:", function()
    case("several of both", { m = [[
note "a"
note "b"
note "c"
return {}
]] }, [[
require "m"
took()
write("m", 'note "a1"\nnote "new"\nnote "b"\nnote "c1"\nnote "end"\nreturn {}\n')
patch()
equal("a1,new,c1,end", took())
patch()
equal("", took())]])
    case("a new statement calls a function of the same save", { m = [[
local M = {}
return M
]] }, [[
local m = require "m"
write("m", "local M = {}\nlocal function twice(x) return 2 * x end\n"
  .. "M.four = twice(2)\nM.six = M.half(12)\nfunction M.half(x) return x / 2 end\n"
  .. "note(M.four, M.six)\nreturn M\n")
patch()
equal(4, m.four)
assert(m.six == 6)]])
    case("a function of another file of the same save, below it", {
      a = "return {}\n",
      b = "local B = {}\nreturn B\n",
    }, [[
local a, b = require "a", require "b"
write("a", 'local b = require "b"\nnote(b.word())\nreturn {}\n')
write("b", 'local B = {}\nfunction B.word() return "here" end\nreturn B\n')
patch()
equal("here", took())]])
    case("with updated functions", { m = [[
local M = {}
function M.word() return "old" end
note(M.word())
return M
]] }, [[
require "m"
took()
edit("m", '"old"', '"new"')
change("m", "note(M.word())", "note(M.word(), 2)")
equal("new 2", took())]])
    case("a value that a later function of the same save replaces", { m = [[
return {}
]] }, [[
local m = require "m"
write("m", "local M = {}\nlocal f = 5\nM.before = f\nfunction f() return 'f' end\n"
  .. "M.f = f\nreturn M\n")
patch()
equal(5, m.before)
equal("f", m.f())]])
    case("a table and what is put into it", { m = "local M = {}\nreturn M\n" }, [[
local m = require "m"
write("m", "local M = {}\nM.sub = { n = 1 }\nfunction M.sub.f() return M.sub.n end\n"
  .. "local list = { 1 }\nlist[2] = 2\nM.count = #list\nreturn M\n")
patch()
equal(1, m.sub.f())
equal(2, m.count)]])
    case("loops, blocks and conditions", { m = "local M = {}\nreturn M\n" }, [[
local m = require "m"
write("m", "local M = {}\nlocal sum = 0\nfor i = 1, 4 do sum = sum + i end\n"
  .. "if sum > 5 then local s = sum M.big = s end\ndo M.block = true end\n"
  .. "M.sum = sum\nfunction M.get() return sum end\nreturn M\n")
patch()
equal(10, m.sum)
equal(10, m.get())
equal(10, m.big)
equal(true, m.block)]])
    case("with `...` as the loader gave it", { m = "return {}\n" }, [[
require "m"
write("m", "note(...)\nreturn {}\n")
patch()
assert(took():find "^m .*m%.lua$")]])
    case("new globals, also under a strict global table", { m = "return {}\n" }, [[
require "m"
local strict = {}
setmetatable(_G, strict)
strict.__newindex = function(t, key, value)
  local what = debug.getinfo(2, "S").what
  if what ~= "main" and what ~= "C" then error("undeclared " .. key) end
  rawset(t, key, value)
end
strict.__index = function(_, key) error("undeclared " .. key) end
write("m", "fresh = 5\nfunction declared() return fresh end\nreturn {}\n")
patch()
equal(5, declared())
change("m", "fresh = 5", "fresh = 6")
equal(6, declared())]])
  end)
end
