-- SPDX-License-Identifier: MIT
--
-- graft.reset (S3) and graft.conform (P11).

local engine = require "spec.support.engine"
local patching = require "spec.support.patching"

local m = [[
local M = {}
local hp = 100
local config = { speed = 3, deep = { x = 1 }, list = { 1, 2 }, tick = function() return 1 end }
local made = math.max(1, 2)
local half = hp / 2
M.hp = 50
M.config = config
M.other = { a = 1, b = { c = 2 } }
count = 7
function M.get() return hp, config, made, half end
function M.set(...) hp, made, half = ... end
return M
]]

return function(vm)
  after_each(engine.clean_up)

  local function case(name, modules, body)
    it(name, function() patching.run(vm, modules, body) end)
  end

  describe("graft.reset gives back the source's value:", function()
    case("of locals, fields and globals", { m = m }, [[
local m = require "m"
m.set(1, 2, 3)
m.hp, count = 4, 5
equal(true, graft.reset "m:hp")
equal(true, graft.reset "m:made")
equal(true, graft.reset "m:half")
equal(true, graft.reset "m.hp")
equal(true, graft.reset "m.count")
local hp, _, made, half = m.get()
equal(100, hp)
equal(2, made)
assert(half == 50)
equal(50, m.hp)
equal(7, count)]])
    case("of tables in place", { m = m }, [[
local m = require "m"
local config, deep, tick = m.config, m.config.deep, m.config.tick
config.speed, deep.x, config.list[3], config.extra = 9, 9, 9, 9
equal(true, graft.reset "m:config")
equal(config, m.config)
equal(deep, config.deep)
equal(3, config.speed)
equal(1, deep.x)
equal(2, #config.list)
equal(nil, config.extra)
equal(tick, config.tick)]])
    case("of a field of a table", { m = m }, [[
local m = require "m"
m.config.speed, m.config.deep.x = 9, 9
m.other.a, m.other.b.c = 9, 9
equal(true, graft.reset "m:config.deep.x")
equal(1, m.config.deep.x)
equal(9, m.config.speed)
equal(true, graft.reset "m.other.b.c")
equal(2, m.other.b.c)
equal(9, m.other.a)]])
    case("after a Keep", { m = m }, [[
local m = require "m"
m.set(40)
change("m", "hp = 100", "hp = 150")
equal(40, (m.get()))
equal(true, graft.reset "m:hp")
equal(150, (m.get()))]])
    case("of the table that a module returns", { m = "return { a = 1, t = { b = 2 } }\n" }, [[
local m = require "m"
m.a, m.t.b = 5, 5
equal(true, graft.reset "m.a")
equal(true, graft.reset "m.t")
equal(1, m.a)
equal(2, m.t.b)]])
    case("or says why not", { m = m }, [[
require "m"
local function fails(name, text)
  local ok, message = graft.reset(name)
  equal(nil, ok)
  assert(message:find(text, 1, true), message)
end
fails("nothing.hp", "nothing.hp is in no script that was loaded")
fails("m:nope", "m.lua gives m:nope no value")
fails("m.get", "m.get is a function")
fails("m:", "is in no script")
equal(false, pcall(graft.reset))]])
  end)

  describe("P11, graft.conform:", function()
    local n = [[
local N = {}
function N.f() return 1 end
function N.g() return 2 end
return N
]]
    case("tells of new code, each time", { n = n }, [[
local n = require "n"
local told = {}
graft.conform(n.f, function(f) told[#told + 1] = f end)
change("n", "return 1", "return 10")
equal(1, #told)
equal(n.f, told[1])
equal(10, told[1]())
change("n", "return 2", "return 20")
equal(1, #told)
change("n", "return 10", "return 100")
equal(2, #told)
equal(100, told[2]())]])
    case("tells of a deletion", { n = n }, [[
local n = require "n"
local told = {}
graft.conform(n.f, function(...) told[#told + 1] = select("#", ...) .. tostring(...) end)
change("n", "function N.f() return 1 end\n", "")
equal("1nil", table.concat(told))
change("n", "return 2", "return 20")
equal("1nil", table.concat(told))]])
    case("not of what was undone or only moved", { n = n }, [[
local n = require "n"
local told = 0
graft.conform(n.f, function() told = told + 1 end)
change("n", "local N = {}", "\n\nlocal N = {}")
equal(0, told)
edit("n", "return N", "error 'no'\nreturn N")
edit("n", "return 1", "return 10")
assert(not graft.reload())
equal(0, told)
change("n", "error 'no'\n", "")
equal(1, told)]])
    case("several for one function, and one that raises", { n = n }, [[
local n = require "n"
local told, failed = "", 0
graft.on("error", function(event) failed = failed + 1 end)
graft.conform(n.f, function() told = told .. "a" end)
graft.conform(n.f, function() error "no" end)
graft.conform(n.f, function() told = told .. "b" end)
edit("n", "return 1", "return 10")
graft.reload()
equal("ab", told)
equal(1, failed)
equal(10, n.f())]])
    it("follows swaps of native and script", function()
      local folder = engine.project {
        ["natives/n.c"] = "int n_f(void) { return 7; }\n",
        ["n.lua"] = n,
        ["main.lua"] = [[
local graft, n = require "graft", require "n"
local told = {}
graft.conform(n.f, function(f) told[#told + 1] = f and f() or "nothing" end)
local function expect(text)
  if table.concat(told, " ") ~= text then error(table.concat(told, " ")) end
end
assert(graft.swap("n.f", "native"))
expect "7"
assert(graft.swap("n.f", "native"))
expect "7"
assert(graft.swap("n.f", "auto"))
expect "7 1"
local function write(text)
  local file = assert(io.open(arg[1], "w"))
  file:write(text)
  file:close()
  assert(graft.reload().ok)
end
write "local N = {}\nfunction N.f() return 10 end\nreturn N\n"
expect "7 1 10"
write "local N = {}\nreturn N\n"
expect "7 1 10 7"
write "local N = {}\nfunction N.f() return 11 end\nreturn N\n"
expect "7 1 10 7 11"
assert(graft.swap("n.f", "native"))
graft.conform(n.f, function() error "no" end)
assert(graft.swap("n.f", "auto"))
expect "7 1 10 7 11 7 11"
]],
      }
      local program = engine.run(vm, { "--natives",
        engine.build_natives(folder, "n"), folder:at "main.lua",
        folder:at "n.lua" })
      assert.equal(0, program.status, program.text.err)
      assert.equal(1, program:count("err",
        "graft.conform: callback failed: .*main%.lua:26: no"), program.text.err)
    end)
    case("holds no function back from collection", { n = n }, [[
local n = require "n"
local weak = setmetatable({}, { __mode = "k" })
do
  local f = load and load "return 5" or loadstring "return 5"
  weak[f] = true
  graft.conform(f, function() end)
end
collectgarbage() collectgarbage()
equal(nil, next(weak))]])
  end)
end
