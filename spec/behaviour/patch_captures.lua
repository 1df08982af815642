-- SPDX-License-Identifier: MIT
--
-- P2 to P4: new code over the old variables, those it had and those it gains.

local patching = require "spec.support.patching"

return function(vm)
  local function case(name, modules, body)
    it(name, function() patching.run(vm, modules, body) end)
  end

  describe("P2:", function()
    local counter = [[
local M = {}
local count = 0
function M.add(by)
  count = count + by
end
function M.get()
  return count
end
function M.reset()
  count = 0
end
return M
]]

    case("functions that shared a variable still share it",
      { m = counter }, [[
local m = require "m"
local add, get, reset = m.add, m.get, m.reset
add(5)
change("m", "count + by", "count + 2 * by")
add(5)
equal(15, get())
change("m", "return count", "return -count")
equal(-15, get())
edit("m", "count = 0\nend", "count = 100\nend")
change("m", "return -count", "return count")
reset()
equal(100, get())
add(1)
equal(102, get())
]])

    case("over three modules", {
      a = counter,
      b = [[
local a = require "a"
local B = {}
local add = a.add
local shared = {}
function B.both(n)
  add(n)
  shared.last = n
  return shared
end
function B.shared() return shared end
return B
]],
      c = [[
local a, b = require "a", require "b"
local C = {}
local get, both = a.get, b.both
function C.run(n)
  both(n)
  return get()
end
return C
]],
    }, [[
local a, b, c = require "a", require "b", require "c"
equal(3, c.run(3))
edit("a", "count + by", "count + 10 * by")
edit("b", "shared.last = n", "shared.last = -n")
edit("c", "return get()", "return get() + 0.5")
local report = patch()
equal("a.add b.B.both c.C.run" and 3, #report.updated)
equal(33.5, c.run(3))
equal(-3, b.shared().last)
equal(33, a.get())
]])

    case("a variable that is a function, a table, nil and false", { m = [[
local M = {}
local fn, tab, none, no = function() return "fn" end, {}, nil, false
local late
function M.see() return fn(), tab, none, no, late end
function M.set(value) late = value end
return M
]] }, [[
local m = require "m"
local _, tab = m.see()
m.set "later"
change("m", "return fn(), tab", "return fn() .. 2, tab")
local a, b, c, d, e = m.see()
equal("fn2", a)
equal(tab, b)
equal(nil, c)
equal(false, d)
equal("later", e)
m.set "again"
equal("again", select(5, m.see()))
]])

    case("variables of the same name in nested blocks", { m = [[
local M = {}
local x = "outer"
function M.outer() return x .. "1" end
do
  local x = "block"
  function M.block() return x .. "1" end
  function M.set_block(value) x = value end
end
local x = "second"
function M.second() return x .. "1" end
function M.set_second(value) x = value end
return M
]] }, [[
local m = require "m"
m.set_block "b"
m.set_second "s"
edit("m", 'x .. "1"', 'x .. "2"')
edit("m", 'x .. "1"', 'x .. "2"')
edit("m", 'x .. "1"', 'x .. "2"')
patch()
equal("outer2", m.outer())
equal("b2", m.block())
equal("s2", m.second())
m.set_second "t"
equal("t2", m.second())
equal("outer2", m.outer())
]])

    case("a loop's variable is each closure's own", { m = [[
local M = { list = {} }
for i = 1, 5 do
  local calls = 0
  M.list[i] = function()
    calls = calls + 1
    return i * 10 + calls
  end
end
return M
]] }, [[
local m = require "m"
equal(31, m.list[3]())
change("m", "i * 10 + calls", "i * 100 + calls")
equal(302, m.list[3]())
equal(101, m.list[1]())
equal(501, m.list[5]())
]])
  end)

  describe("P3:", function()
    local maker = [[
local M = {}
function M.new(name)
  local calls, log = 0, {}
  local object = {}
  function object.hit(by)
    calls = calls + by
    log[#log + 1] = by
    return name .. calls
  end
  function object.calls() return calls end
  function object.log() return log end
  return object
end
return M
]]
    case("also those that a loop of the main chunk has made", { m = [[
local M = {}
local list, turn = {}, 0
::top::
local own = turn * 10
function M.f() own = own + 1 return "old" .. own end
turn = turn + 1
list[turn] = M.f
if turn < 3 then goto top end
M.list = list
return M
]] }, [[
local m = require "m"
local list = m.list
equal("old1", list[1]()) equal("old11", list[2]()) equal("old21", list[3]())
local report = change("m", "old", "new")
equal("new2", list[1]()) equal("new12", list[2]()) equal("new22", list[3]())
assert(m.f == list[3] and list[1] ~= list[2])
equal(1, #report.updated)
]])

    case("1,000 closures keep their own variables", { m = maker }, [[
local m = require "m"
local all, logs = {}, {}
for i = 1, 1000 do
  all[i] = m.new("n" .. i .. ":")
  all[i].hit(i)
  logs[i] = all[i].log()
end
local report = change("m", "return name .. calls", 'return name .. -calls')
equal("m:M.new.object.hit" and 1, #report.updated)
for i = 1, 1000 do
  equal("n" .. i .. ":" .. -(i + 1), all[i].hit(1))
  equal(i + 1, all[i].calls())
  equal(logs[i], all[i].log())
  equal(2, #logs[i])
end
equal("x-1", m.new("x").hit(1))
]])

    case("closures inside closures", { m = [[
local M = {}
function M.outer(a)
  return function(b)
    return function(c)
      return a + b + c
    end, function() a = a + 1 end
  end
end
return M
]] }, [[
local m = require "m"
local middle = m.outer(100)
local inner, bump = middle(10)
local inner2 = middle(20)
equal(111, inner(1))
change("m", "a + b + c", "a + b + c + 1000")
equal(1111, inner(1))
bump()
equal(1112, inner(1))
equal(1122, inner2(1))
equal(1132, (middle(30))(1))
equal(1001, (m.outer(0)(0))(1))
]])

    case("the maker, the made and their sibling in one save",
      { m = maker }, [[
local m = require "m"
local one = m.new "one"
one.hit(1)
edit("m", "local object = {}", "local object = { made = 2 }")
edit("m", "calls + by", "calls + 10 * by")
edit("m", "return calls end", "return calls, 2 end")
patch()
equal("one11", one.hit(1))
equal(2, select(2, one.calls()))
equal(nil, one.made)
equal(2, m.new("x").made)
]])
  end)

  describe("P4, module-level:", function()
    case("a variable that no closure ever held", { m = [[
local M = {}
local secret = { "kept" }
local number = 7
function M.f() return "none" end
return M
]] }, [[
local m = require "m"
change("m", 'return "none"', "return secret[1] .. number")
equal("kept7", m.f())
change("m", "return secret[1] .. number",
  "number = number + 1 return secret[1] .. number")
equal("kept8", m.f())
equal("kept9", m.f())
change("m", "return M", "function M.g() return number end return M")
equal(9, m.g())
]])

    case("a variable of a file that is loaded after a patch", { m = [[
local M = {}
function M.f() return "old" end
return M
]], late = [[
local M = {}
local secret = "kept"
function M.f() return "none" end
return M
]] }, [[
local m = require "m"
change("m", '"old"', '"new"')
local late = require "late"
change("late", 'return "none"', "return secret")
equal("kept", late.f())
equal("new", m.f())
]])

    case("a variable that one other closure holds", { m = [[
local M = {}
local count = 0
function M.bump() count = count + 1 end
function M.f() return "none" end
return M
]] }, [[
local m = require "m"
m.bump()
change("m", 'return "none"', "return count")
equal(1, m.f())
m.bump()
equal(2, m.f())
]])

    case("a variable that only an unreachable-looking closure holds", { m = [[
local M = {}
local count = 0
local co = coroutine.wrap(function()
  while true do
    count = count + 1
    coroutine.yield()
  end
end)
function M.step() co() end
function M.f() return "none" end
return M
]] }, [[
local m = require "m"
m.step()
change("m", 'return "none"', "return count")
equal(1, m.f())
m.step()
equal(2, m.f())
]])

    case("a variable that the same save declares", { m = [[
local M = {}
function M.f() return "none" end
return M
]] }, [[
local m = require "m"
edit("m", "function M.f()", "local fresh, more = { 5 }, 6\nfunction M.f()")
change("m", 'return "none"', "return fresh[1] + more")
equal(11, m.f())
change("m", "return fresh", "more = more + 1 return fresh")
equal(12, m.f())
equal(13, m.f())
]])

    case("a function that the same save declares, used above and below", { m = [[
local M = {}
function M.f() return "none" end
return M
]] }, [[
local m = require "m"
edit("m", "local M = {}", [=[
local M = {}
local helper
local function twice(x) return 2 * x end]=])
edit("m", "return M", "function helper(x) return twice(x) + 1 end\nreturn M")
change("m", 'return "none"', "return helper(5)")
equal(11, m.f())
change("m", "return 2 * x", "return 3 * x")
equal(16, m.f())
]])

    case("a local that hides a global, and one that no longer does", { m = [[
local M = {}
function M.f() return tostring(5) end
return M
]] }, [[
local m = require "m"
edit("m", "local M = {}",
  "local M = {}\nlocal tostring = function(x) return 'mine' .. x end")
patch()
equal("mine5", m.f())
edit("m", "local tostring = function(x) return 'mine' .. x end", "")
patch()
equal("5", m.f())
]])

    case("a variable of a file whose chunk still runs", { m = [[
local M = {}
local before = "before"
M.resume = coroutine.wrap(function() end)
function M.f() return "none" end
local hold = coroutine.running and 1
return M
]] }, [[
local own = { "own" }
local m = require "m"
local function f() return "none" end
equal("none", f())
change("m", 'return "none"', "return before")
equal("before", m.f())
equal("own", own[1])
]])

    case("a removed capture leaves the variable with the others", { m = [[
local M = {}
local count = 0
function M.bump() count = count + 1 return count end
function M.get() return count end
return M
]] }, [[
local m = require "m"
m.bump()
change("m", "count = count + 1 return count", "return 'idle'")
equal("idle", m.bump())
equal(1, m.get())
change("m", "return 'idle'", "count = count + 1 return count")
equal(2, m.bump())
equal(2, m.get())
]])

    case("a renamed variable with its uses is a variable of its own", { m = [[
local M = {}
local count = 3
function M.get() return count end
return M
]] }, [[
local m = require "m"
edit("m", "local count = 3", "local total = 4")
change("m", "return count", "return total")
assert(m.get() == 3 or m.get() == 4)
]])
  end)

  case("an undone patch leaves variables that nothing holds", { m = [[
local M = {}
local function helper() return "old" end
local count = 1
function M.f() return "none" end
return M
]] }, [[
local m = require "m"
edit("m", '"old"', '"bad"')
edit("m", "local count = 1", "local count = 2")
edit("m", "return M", "error 'raised'\nreturn M")
local report, message = graft.reload()
equal(nil, report)
assert(message:find "raised")
edit("m", "error 'raised'\n", "")
edit("m", "local count = 2", "local count = 1")
edit("m", '"bad"', '"old"')
change("m", 'return "none"', "return helper() .. count")
equal("old1", m.f())
]])

  describe("P4, an enclosing function's variable:", function()
    local spawn = [[
local M = {}
function M.spawn(name)
  local hp = 10
  local unheld = "unheld"
  local g = {}
  function g.hurt(by) hp = hp - by end
  function g.think() return "none" end
  return g
end
return M
]]
    case("each instance gets that of its own activation", { m = [[
local M = {}
function M.spawn(name)
  local hp, id = 10, name
  local g = {}
  function g.hurt(by) hp = hp - by return id end
  function g.think() return id end
  return g
end
return M
]] }, [[
local m = require "m"
local all = {}
for i = 1, 100 do
  all[i] = m.spawn("g" .. i)
  all[i].hurt(i)
end
local report = change("m", "return id end\n  return g",
  "return id .. '=' .. hp end\n  return g")
equal(0, #report.stale)
for i = 1, 100 do equal("g" .. i .. "=" .. 10 - i, all[i].think()) end
all[7].hurt(1)
equal("g7=2", all[7].think())
equal("new=10", m.spawn("new").think())
]])

    case("held by nobody: the instance keeps its code and is counted",
      { m = spawn }, [[
local m = require "m"
local a, b = m.spawn "a", m.spawn "b"
local report = change("m", 'return "none"', 'return unheld')
equal(1, #report.stale)
equal(2, report.stale[1].count)
equal("none", a.think())
equal("none", b.think())
equal("unheld", m.spawn("c").think())
]])

    case("held by nobody that this closure can be tied to", { m = spawn }, [[
local m = require "m"
local a = m.spawn "a"
-- think holds no variable of spawn, so which hp is its own is not known.
local report = change("m", 'return "none"', 'return hp')
equal(1, #report.stale)
equal("none", a.think())
equal(10, m.spawn("b").think())
]])

    case("held for some instances, not for others", { m = [[
local M = {}
function M.spawn(name, keep)
  local hp = 10
  local g = {}
  local function reader() return hp, name end
  if keep then g.reader = reader end
  function g.think() return name end
  return g
end
return M
]] }, [[
local m = require "m"
local a, b = m.spawn("a", true), m.spawn("b", false)
collectgarbage()
collectgarbage()
local think = b.think
local report = change("m", "return name end\n  return g",
  "hp = hp - 1 return name .. hp end\n  return g")
equal(1, #report.stale)
equal(1, report.stale[1].count)
equal("a9", a.think())
equal(9, a.reader())
equal("b", b.think())
equal(think, b.think)
]])

    case("a stale instance is patched when it can be again", { m = spawn }, [[
local m = require "m"
local a = m.spawn "a"
change("m", 'return "none"', 'return unheld')
equal("none", a.think())
local report = change("m", 'return unheld', 'return "plain"')
equal(0, #report.stale)
equal("plain", a.think())
]])

    case("a stale instance of code that a patch brought", { m = spawn }, [[
local m = require "m"
local a = m.spawn "a"
change("m", 'return "none"', 'return "first"')
equal("first", a.think())
change("m", 'return "first"', 'return unheld')
equal("first", a.think())
change("m", 'return unheld', 'return "plain"')
equal("plain", a.think())
]])

    case("a stale instance takes the code as soon as it can", { m = [[
local M = {}
function M.spawn(name)
  local hp = 10
  local g = {}
  function g.other() return name end
  function g.think() return name end
  return g
end
return M
]] }, [[
local m = require "m"
local a = m.spawn "a"
local report = change("m", "return name end\n  return g",
  "return hp end\n  return g")
equal(1, #report.stale)
equal("a", a.think())
report = change("m", "local M", "-- Another save.\nlocal M")
equal(0, #report.stale)
equal("a", a.think())
equal(10, m.spawn("b").think())
]])

    case("a new local of the enclosing function", { m = spawn }, [[
local m = require "m"
local a = m.spawn "a"
edit("m", "local g = {}", "local g, fresh = {}, 'fresh'")
local report = change("m", 'return "none"', 'return fresh')
equal(1, #report.stale)
equal("none", a.think())
equal("fresh", m.spawn("b").think())
]])

    case("module-level and enclosing ones gained at once", { m = [[
local M = {}
local scale = 100
function M.spawn(name)
  local hp = 10
  local g = {}
  function g.hurt(by) hp = hp - by return name end
  function g.think() return name end
  return g
end
return M
]] }, [[
local m = require "m"
local a = m.spawn "a"
a.hurt(4)
change("m", "return name end\n  return g",
  "scale = scale + 1 return name .. hp * scale end\n  return g")
equal("a606", a.think())
equal("a612", a.think())
]])

    case("an inner block's is not taken from another round of the loop", { m = [[
local M = {}
function M.make()
  local shared, list = 0, {}
  for i = 1, 3 do
    local x = i * 10
    list[i] = {
      get = function() return shared end,
      set = function(value) shared = value return x end,
    }
  end
  return list
end
return M
]] }, [[
local m = require "m"
local list = m.make()
list[2].set(5)
local report = change("m", "return shared end", "return shared + x end")
-- Only `shared` ties get to set, and all rounds have that.
equal(3, report.stale[1].count)
for i = 1, 3 do equal(5, list[i].get()) end
equal(20, m.make()[2].get())
]])

    case("an inner block's that something of the same round tells", { m = [[
local M = {}
function M.make()
  local shared, list = 0, {}
  for i = 1, 3 do
    local x = i * 10
    list[i] = {
      get = function() return shared + i end,
      set = function(value) shared = value return x + i end,
    }
  end
  return list
end
return M
]] }, [[
local m = require "m"
local list = m.make()
list[2].set(5)
local report = change("m", "return shared + i end", "return shared + x + i end")
equal(0, #report.stale)
for i = 1, 3 do equal(5 + 11 * i, list[i].get()) end
]])

    case("an outer function's, told by an inner function's", { m = [[
local M = {}
function M.make(name)
  local hp = 10
  return function(id)
    local calls = 0
    return function() calls = calls + 1 return id end,
      function() hp = hp - 1 return calls, hp end
  end
end
return M
]] }, [[
local m = require "m"
local one, two = m.make "one", m.make "two"
local a, a_hurt = one "a"
local b, b_hurt = two "b"
a_hurt() a_hurt()
local report = change("m", "calls + 1 return id", "calls + 1 return id .. hp")
equal(0, #report.stale)
equal("a8", a())
equal("b10", b())
b_hurt()
equal("b9", b())
equal("a8", a())
]])

    case("a name that means another variable by now", { m = [[
local M = {}
local x = "outer"
function M.spawn()
  local hidden = "hidden"
  return function() return x end
end
return M
]] }, [[
local m = require "m"
local f = m.spawn()
-- f is behind from here on: it holds the outer x.
equal(1, #change("m", "return function() return x end",
  "return function() return x .. hidden end").stale)
edit("m", "function M.spawn()", "function M.outer() return x end\n"
  .. 'local x = "second"\nfunction M.spawn()')
edit("m", "return x .. hidden", "return x .. '!'")
patch()
equal("second!", f())
equal("outer", m.outer())
equal("second!", m.spawn()())
]])

    case("a parameter", { m = [[
local M = {}
function M.spawn(name, colour)
  local g = {}
  function g.paint() return name .. colour end
  function g.think() return name end
  return g
end
return M
]] }, [[
local m = require "m"
local a, b = m.spawn("a", "red"), m.spawn("b", "blue")
change("m", "return name end\n  return g", "return colour end\n  return g")
equal("red", a.think())
equal("blue", b.think())
]])
  end)

  describe("many captures:", function()
    local limit = vm == "luajit" and 60 or 200
    it(limit - 2 .. " of them", function()
      local declare, sum = {}, {}
      for i = 1, limit - 2 do
        declare[i] = ("local v%d = %d"):format(i, i)
        sum[i] = "v" .. i
      end
      -- The 200 locals of a chunk include M.
      if vm == "lua54" then declare[#declare + 1] = "local unused" end
      if vm == "lua54" then table.remove(declare) end
      patching.run(vm, { m = table.concat(declare, "\n") .. [[

local M = {}
function M.sum()
  return 0 + ]] .. table.concat(sum, " + ") .. [[

end
function M.set(value) v3 = value end
return M
]] }, [[
local m = require "m"
local sum = m.sum()
change("m", "return 0", "return 1000")
equal(sum + 1000, m.sum())
m.set(4)
equal(sum + 1001, m.sum())
]])
    end)

    it("gained all at once", function()
      local declare, sum = {}, {}
      for i = 1, limit - 2 do
        declare[i] = ("local v%d = %d"):format(i, i)
        sum[i] = "v" .. i
      end
      local total = (limit - 2) * (limit - 1) / 2
      patching.run(vm, { m = table.concat(declare, "\n") .. [[

local M = {}
function M.sum()
  return 0
end
return M
]] }, [[
local m = require "m"
change("m", "return 0", "return 0 + ]] .. table.concat(sum, " + ") .. [[")
equal(]] .. ("%d"):format(total) .. [[, m.sum())
]])
    end)

    it("a statement that reads 120 locals", function()
      local text, fields = { "local order = {}" }, {}
      for i = 1, 120 do
        text[i + 1] = ("local function f%d() return %d end"):format(i, i)
        fields[i] = ("f%d = f%d,"):format(i, i)
      end
      fields[120] = nil
      patching.run(vm, { m = table.concat(text, "\n") .. "\nreturn {\n"
        .. table.concat(fields, "\n") .. "\n}\n" }, [[
local m = require "m"
local f1 = m.f1
change("m", "f119 = f119,", "f119 = f119, f120 = f120,\n"
  .. "call = function() order[1] = f3 return f3() end")
equal(120, m.f120())
equal(3, m.call())
equal(f1, m.f1)
edit("m", "return 3 end", "return 33 end")
change("m", "return 120", "return -120")
equal(-120, m.f120())
equal(33, m.call())
]])
    end)

    if vm == "lua54" then
      it("more than a function has locals, from two levels", function()
        local outer, inner, names = {}, {}, {}
        for i = 1, 120 do
          outer[i] = ("local a%d = %d"):format(i, i)
          inner[i] = ("local b%d = %d"):format(i, i)
          names[2 * i - 1], names[2 * i] = "a" .. i, "b" .. i
        end
        patching.run(vm, { m = table.concat(outer, "\n") .. [[

local M = {}
function M.make()
  ]] .. table.concat(inner, "\n") .. [[

  return function()
    return 0 + ]] .. table.concat(names, " + ") .. [[

  end
end
return M
]] }, [[
local m = require "m"
local f = m.make()
equal(14520, f())
change("m", "return 0", "return 1000")
equal(15520, f())
]])
      end)
    end
  end)

  describe("constants and attributes:", function()
    if vm == "lua54" then
      case("<const> that is compiled away", { m = [[
local M = {}
local LIMIT <const> = 10
local NAME <const> = "n"
function M.f() return NAME end
return M
]] }, [[
local m = require "m"
change("m", "return NAME", "return NAME .. LIMIT")
equal("n10", m.f())
change("m", "<const> = 10", "<const> = 20")
equal("n20", m.f())
change("m", "NAME .. LIMIT", "NAME .. -LIMIT")
equal("n-20", m.f())
]])
      case("<const> whose value only a run gives", { m = [[
local M = {}
local LIST <const> = { 1, 2 }
function M.f() return "none" end
return M
]] }, [[
local m = require "m"
change("m", 'return "none"', "return #LIST")
equal(2, m.f())
]])
      case("<close> in a patched function, goto, integer division", { m = [[
local M = {}
local log = {}
function M.f(n)
  local guard <close> = setmetatable({}, { __close = function()
    log[#log + 1] = "old"
  end })
  ::again::
  n = n // 2
  if n > 10 then goto again end
  return n
end
function M.log() return table.concat(log, " ") end
return M
]] }, [[
local m = require "m"
equal(6, m.f(100))
edit("m", '"old"', '"new"')
change("m", "n > 10", "n > 3")
equal(3, m.f(100))
equal("old new", m.log())
]])
      case("a local _ENV", { m = [[
local M = {}
local print = print
do
  local _ENV = { value = "own" }
  function M.f() return value end
  function M.set(to) value = to end
end
function M.global() return tostring(print) ~= nil end
return M
]] }, [[
local m = require "m"
m.set "changed"
change("m", "return value", "return value .. '!'")
equal("changed!", m.f())
equal(nil, rawget(_G, "value"))
change("m", "~= nil", "== nil")
equal(false, m.global())
]])
      case("a parameter called _ENV", { m = [[
local M = {}
function M.f(_ENV) return value end
return M
]] }, [[
local m = require "m"
change("m", "return value", "return value + 1")
equal(5, m.f { value = 4 })
]])
    else
      case("an environment set with setfenv", { m = [[
local M = {}
function M.f() return value end
function M.g() return type(value) end
setfenv(M.f, { value = "own", tostring = tostring })
return M
]] }, [[
local m = require "m"
equal("own", m.f())
edit("m", "return value", "return value .. '!'")
change("m", "return type", "return 'g' .. type")
equal("own!", m.f())
equal("gnil", m.g())
]])
      case("module() in the old way", { m = [[
module("m", package.seeall)
local count = 0
function f()
  count = count + 1
  return "old" .. count
end
]] }, [[
local m = require "m"
equal("old1", m.f())
change("m", '"old"', '"new"')
equal("new2", m.f())
equal(nil, rawget(_G, "f"))
]])
    end
  end)
end
