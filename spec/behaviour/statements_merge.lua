-- SPDX-License-Identifier: MIT
--
-- S3: an edited initial value meets what the program made of it.

local patching = require "spec.support.patching"

-- What a report says under kept, as one text.
local texts = [[
local function kept(report)
  local all = {}
  for i, entry in ipairs(report.kept) do
    all[i] = entry.name .. " " .. entry.message
  end
  return table.concat(all, "; ")
end
]]

-- A module whose variable, field and global `hp` start as `value`.
local function module(value)
  return "local M = {}\nlocal hp = " .. value .. "\nM.hp = " .. value
    .. "\nhp_global = " .. value .. [[

function M.get() return hp end
function M.set(value) hp = value end
return M
]]
end

return function(vm)
  local function case(name, modules, body)
    it(name, function() patching.run(vm, modules, texts .. body) end)
  end

  describe("S3, untouched values follow the source:", function()
    local function follows(name, old, new, check)
      case(name, { m = module(old), new = module(new) }, [[
local m = require "m"
local function check(value) ]] .. check .. [[ end
local file = io.open "new.lua"
write("m", file:read "*a")
local report = patch()
equal("", kept(report))
check(m.get())
check(m.hp)
check(hp_global)]])
    end
    follows("a number", "100", "150", "equal(150, value)")
    follows("a string", "'a'", '"b"', "equal('b', value)")
    follows("a boolean", "true", "false", "equal(false, value)")
    follows("to nil", "100", "nil", "equal(nil, value)")
    follows("from nil", "nil", "100", "equal(100, value)")
    follows("to an expression", "100", "10 * 15", "equal(150, value)")
    follows("from an expression", "10 * 15", "100", "equal(100, value)")
    follows("an expression", "2 * 50", "3 * 50", "equal(150, value)")
    follows("to a table", "100", "{ 1 }", "equal(1, value[1])")
    follows("from a table", "{ 1 }", "100", "equal(100, value)")
    follows("to a call", "1", "math.max(1, 7)", "equal(7, value)")
    follows("from a call", "math.max(1, 7)", "3", "equal(3, value)")
    follows("to a function", "1", "function() return 5 end", "equal(5, value())")
  end)

  describe("S3, values changed at run time are kept:", function()
    case("each kind of name, with the exact words", { m = module "100" }, [[
local m = require "m"
m.set(40)
m.hp = 41
hp_global = 42
edit("m", "local hp = 100", "local hp = 150")
edit("m", "M.hp = 100", "M.hp = 150")
local report = change("m", "hp_global = 100", "hp_global = 150")
equal(40, m.get())
equal(41, m.hp)
equal(42, hp_global)
equal("m hp = 40, source now 150; m M.hp = 41, source now 150; "
  .. "m hp_global = 42, source now 150", kept(report))
equal(2, report.kept[1].line)]])
    case("also a new value of another type", { m = module "100" }, [[
local m = require "m"
m.hp = "full"
equal('m M.hp = "full", source now nil',
  kept(change("m", "M.hp = 100", "M.hp = nil")))
equal("full", m.hp)]])
    case("and a later edit starts from what the source gave last", {
      m = module "100" }, [[
local m = require "m"
m.set(40)
change("m", "local hp = 100", "local hp = 150")
equal(40, m.get())
m.set(150)
equal("", kept(change("m", "local hp = 150", "local hp = 200")))
equal(200, m.get())]])
    case("but what the program set to the new value is no conflict", {
      m = module "100" }, [[
local m = require "m"
m.set(150)
equal("", kept(change("m", "local hp = 100", "local hp = 150")))
equal(150, m.get())]])
    case("several of one statement", { m = [[
local M = {}
local a, b = 1, 2
function M.get() return a, b end
function M.set(x) a = x end
return M
]] }, [[
local m = require "m"
m.set(5)
equal("m a = 5, source now 10", kept(change("m", "1, 2", "10, 20")))
local a, b = m.get()
equal(5, a)
equal(20, b)
-- Split into two statements, they are still the same variables.
change("m", "local a, b = 10, 20", "local a = 11\nlocal b = 22")
a, b = m.get()
equal(5, a)
equal(22, b)]])
    case("a variable that only later code uses", { m = [[
local M = {}
local quiet = 1
return M
]] }, [[
local m = require "m"
change("m", "quiet = 1", "quiet = 2")
change("m", "return M", "function M.get() return quiet end\nreturn M")
equal(2, m.get())]])
  end)

  describe("S3, tables merge in place:", function()
    local tables = [[
local M = {}
local config = {
  speed = 3, name = "bob", deep = { x = 1, y = { z = 2 } }, list = { 1, 2, 3 },
  ["odd key"] = 1, [10] = "ten", tick = function() return "tick" end,
}
M.config = config
function M.get() return config end
return M
]]
    case("field by field, however deep", { m = tables }, [[
local m = require "m"
local config, deep, y = m.get(), m.config.deep, m.config.deep.y
config.name = "eve"
config.extra = "own"
deep.x = 5
edit("m", "speed = 3", "speed = 4")
edit("m", '"bob"', '"tom"')
edit("m", "z = 2", "z = 20, w = 3")
edit("m", '["odd key"] = 1', '["odd key"] = 2')
edit("m", '"ten"', '"TEN"')
local report = change("m", "y = {", "v = 9, y = {")
equal(config, m.get(), "the same table")
equal(config, m.config)
equal(deep, config.deep)
equal(y, deep.y)
equal(4, config.speed)
equal("eve", config.name)
equal("own", config.extra)
equal(5, deep.x)
equal(9, deep.v)
equal(20, y.z)
equal(3, y.w)
equal(2, config["odd key"])
equal("TEN", config[10])
equal('m config.name = "eve", source now "tom"', kept(report))]])
    case("fields that went", { m = tables }, [[
local m = require "m"
local config = m.get()
config.speed = 7
edit("m", 'speed = 3, name = "bob", ', "")
local report = change("m", "y = { z = 2 }", "")
equal(nil, config.name)
equal(nil, config.deep.y)
equal(7, config.speed)
equal("m config.speed = 7, source now nil", kept(report))]])
    case("lists", { m = tables }, [[
local list = require("m").get().list
change("m", "{ 1, 2, 3 }", "{ 1, 5, 3, 4 }")
equal("1 5 3 4", table.concat(list, " "))
table.insert(list, "own")
local report = change("m", "{ 1, 5, 3, 4 }", "{ 1, 5 }")
equal("1 5", list[1] .. " " .. list[2])
equal(nil, list[3])
equal("own", list[5])]])
    case("functions among them", { m = tables }, [[
local config = require("m").get()
local tick = config.tick
change("m", '"tick" end', '"tock" end, speed2 = 1, more = function() return 2 end')
equal("tock", config.tick())
equal(2, config.more())
equal(1, config.speed2)
change("m", ", speed2 = 1, more = function() return 2 end", "")
equal(nil, config.more)
config.tick = print
change("m", "speed = 3", "speed = 4")
equal(print, config.tick)
equal(4, config.speed)]])
    case("with a metatable", { m = [[
local M = {}
local meta, other = { __index = { base = 1 } }, { __index = { base = 2 } }
local object = setmetatable({ hp = 10, tags = { "a" } }, meta)
function M.get() return object end
return M
]] }, [[
local m = require "m"
local object = m.get()
object.hp = 5
local report = change("m", 'hp = 10, tags = { "a" }', 'hp = 20, mp = 3, tags = { "b" }')
equal(object, m.get())
equal(5, object.hp)
equal(3, object.mp)
equal("b", object.tags[1])
equal(1, object.base)
equal("m object.hp = 5, source now 20", kept(report))
change("m", "}, meta)", "}, other)")
equal(object, m.get())
equal(2, object.base)]])
    case("with a call in a field", { m = [[
local M = {}
local calls = 0
local function make() calls = calls + 1 return { n = calls } end
M.t = { hp = 10, made = make(), k = tostring(5) }
return M
]] }, [[
local m = require "m"
local t, made = m.t, m.t.made
t.hp = 3
t.k = "mine"
local report = change("m", "hp = 10", "hp = 20, mp = 5")
equal(t, m.t)
equal(made, m.t.made)
equal("mine", t.k)
equal(3, t.hp)
equal(5, t.mp)
equal("m M.t.hp = 3, source now 20", kept(report))]])
    case("the table that a module returns", { m = [[
local function f() return 1 end
return { hp = 100, name = "a", f = f, nested = { 1 } }
]] }, [[
local m = require "m"
m.hp = 40
local report = change("m", 'hp = 100, name = "a"', 'hp = 150, name = "b", mp = 1')
equal(m, require "m")
equal(40, m.hp)
equal("b", m.name)
equal(1, m.mp)
equal("m hp = 40, source now 150", kept(report))
equal(1, m.f())]])
    case("a table that was replaced at run time", { m = tables }, [[
local m = require "m"
m.config = "off"
equal("", kept(change("m", "speed = 3", "speed = 4")))
local report = change("m", "M.config = config", "M.config = { 1 }")
equal("off", m.config)
equal('m M.config = "off", source now table', kept(report))]])
    case("which of two named tables", { m = [[
local M = { a = {}, b = {}, c = {} }
M.current = M.a
return M
]] }, [[
local m = require "m"
change("m", "M.current = M.a", "M.current = M.b")
equal(m.b, m.current)
m.current = m.c
local report = change("m", "M.current = M.b", "M.current = M.a")
equal(m.c, m.current)
equal("m M.current = table, source now table", kept(report))]])
  end)

  describe("S3, what a call gave is known:", function()
    local calls = [[
local M = {}
local hp, mp = math.max(1, 100), 7
M.hp = math.max(1, 100)
M.name = tostring "bob"
M.object = setmetatable({}, nil) and table.concat and select(2, 0, { n = 1 })
function M.get() return hp end
function M.set(value) hp = value end
return M
]]
    case("an untouched value follows", { m = calls }, [[
local m = require "m"
edit("m", "local hp, mp = math.max(1, 100)", "local hp, mp = math.max(1, 150)")
local report = change("m", "M.hp = math.max(1, 100)", "M.hp = 5")
equal(150, m.get())
equal(5, m.hp)
equal("", kept(report))
change("m", "M.hp = 5", "M.hp = math.max(1, 6)")
change("m", "math.max(1, 6)", "math.max(1, 7)")
equal(7, m.hp)]])
    case("a changed one is kept", { m = calls }, [[
local m = require "m"
m.set(40)
m.name = "eve"
edit("m", "math.max(1, 100)", "math.max(1, 150)")
local report = change("m", 'tostring "bob"', 'tostring "tom"')
equal(40, m.get())
equal("eve", m.name)
equal('m hp = 40, source now 150; m M.name = "eve", source now "tom"', kept(report))
report = change("m", 'tostring "tom"', 'tostring "eve"')
equal("", kept(report))
change("m", 'tostring "eve"', 'tostring "ann"')
equal("ann", m.name)]])
  end)

  it("a call of an edited statement that is not itself edited keeps its value",
    function()
      patching.run(vm, { m = [[
local M = {}
local n = 0
local function id() n = n + 1 return n end
M.id, M.name = id(), "a"
M.double = M.id * 2
return M
]] }, [[
local m = require "m"
change("m", '"a"', '"b"')
equal("1b2", m.id .. m.name .. m.double)]])
    end)

  it("the variables of a chunk that still runs are known", function()
    patching.run(vm, { m = [[
local graft, try = require "graft", require "try"
local hp, quiet, list = 100, 5, { 1 }
value = { n = 1 }
function get() return hp end
local function set(value) hp = value end
local function edit(from, to) return try.change("m", from, to) end
set(40)
list[2] = 2
local report = edit("hp, quiet, list = 100, 5, { 1 }", "hp, quiet, list = 150, 6, { 7 }")
assert(#report.kept == 1, report.kept[1] and report.kept[1].message)
assert(get() == 40 and list[1] == 7 and list[2] == 2)
edit("{ n = 1 }", "{ n = quiet, list = list }")
assert(value.n == 6 and value.list == list)
]] }, [[
require "m"]])
  end)

  it("what cannot be merged is reported", function()
    local result = patching.run(vm, { m = [[
local M = {}
M.list = select(2, 0, { 1 })
return M
]] }, [[
local m = require "m"
m.list[2] = 2
change("m", "{ 1 }", "{ 1, 3 }")
equal(3, m.list[2])]])
    assert.truthy(result.text.err:find("Notice m M.list was table, is table now",
      1, true))
  end)

  it("the text report has the rule's words", function()
    local result = patching.run(vm, { ["goblin"] = module "100" }, [[
local m = require "goblin"
m.set(40)
change("goblin", "local hp = 100", "local hp = 150")]])
    assert.truthy(result.text.err:find("Keep goblin hp = 40, source now 150\n",
      1, true))
  end)

  it("compile-time constants follow in the functions that use them", function()
    if vm == "luajit" then return end
    patching.run(vm, { m = [[
local M = {}
local HP <const> = 100
local half = HP / 2
function M.hp() return HP, half end
return M
]] }, [[
local m = require "m"
change("m", "= 100", "= 150")
local hp, half = m.hp()
equal(150, hp)
assert(half == 75)]])
  end)
end
