-- SPDX-License-Identifier: MIT
--
-- P9: a sweep that is spread over safe points under a budget.

local engine = require "spec.support.engine"
local patching = require "spec.support.patching"

-- A module whose function `f` gives "old" until it is edited. It has a heap
-- that is not near: more than the transaction looks through.
local module = [[
local M = {}
local function helper()
  return "old"
end
M.alias = helper
function M.f()
  return helper()
end
function M.maker(start)
  local n = start
  return function() n = n + 1 return "old " .. n end
end
function global_f()
  return "old"
end
M.deep = { er = { f = M.f } }
return M
]]

local heap = [[
local far = {}
for i = 1, 30000 do far[i] = { i, name = "one" } end
]]

-- One microsecond: the transaction's own safe point does nothing beyond what
-- has to be done at once, and each of the next ones as little as possible.
local budget = { "--sweep-budget", "1" }

return function(vm)
  local function case(name, body)
    it(name, function()
      patching.run(vm, { m = module }, 'local m = require "m"\n' .. heap
        .. body, budget)
    end)
  end

  describe("P9, with the transaction:", function()
    case("fields, globals, variables of the file and slots are new at once", [[
local slot, kept = graft.fn "m.f", m.f
far[100].f = m.f
local report = change("m", '"old"', '"new"')
equal(true, report.sweeping)
equal("new", m.f())
equal("new", m.alias())
equal("new", m.deep.er.f())
equal("new", slot())
equal("new", kept(), "a running call's local")
change("m", "global_f()\n  return \"old\"", "global_f()\n  return \"new\"")
equal("new", global_f())
]])
    case("what is far still has the old code, and follows", [[
local f = m.f
far[100].f = f
far[29999][f] = 7
local report = change("m", "return helper()", "return helper() .. '!'")
equal("old!", m.f())
equal("old", far[100].f())
equal(nil, far[29999][m.f])
local sweep, count = follow(report)
equal("old!", far[100].f())
equal(m.f, far[100].f)
equal(7, far[29999][m.f])
assert(count > 2 and sweep.safe_points == count + 1, count)
assert(sweep.count >= 3, sweep.count)
equal(nil, sweep.message)
]])
    case("a patch without a far reference ends as well", [[
local report = change("m", '"old"', '"new"')
follow(report)
equal(nil, graft.update())
]])
  end)

  describe("P9, the rest follows:", function()
    -- `hold` keeps m.f far away and gives back a function that fetches it.
    local function follows(where, hold)
      case(where, [[
local fetch = (function() ]] .. hold .. [[ end)()
equal("old", fetch()())
local report = change("m", "return helper()", 'return "new"')
follow(report)
equal("new", fetch()())
equal(m.f, fetch(), "the same function everywhere")
]])
    end
    follows("values of lists", [[
far[9] = m.f
return function() return far[9] end]])
    follows("in a very long list", [[
local list = {}
for i = 1, 200000 do list[i] = i end
list[150000] = m.f
return function() return list[150000] end]])
    follows("in a very large hash", [[
local t = {}
for i = 1, 100000 do t["key" .. i] = i end
t.key77777 = m.f
return function() return t.key77777 end]])
    follows("keys among many others", [[
local t = far[500]
for i = 1, 1000 do t["key" .. i] = i end
t[m.f] = "value"
return function()
  for key, value in pairs(t) do
    if value == "value" then
      equal("value", t[key])
      return key
    end
  end
end]])
    follows("keys and values of one table", [[
far[7][m.f] = m.f
return function()
  for key, value in pairs(far[7]) do
    if type(key) == "function" then
      equal(key, value)
      return key
    end
  end
end]])
    follows("metatables", [[
far[8] = setmetatable({}, { __index = m.f })
return function() return getmetatable(far[8]).__index end]])
    follows("variables of functions", [[
local f = m.f
far[10] = function() return f end
return function() return far[10]() end]])
    follows("variables of C functions", [[
far[10] = coroutine.wrap(function(f) while true do coroutine.yield(f) end end)
far[10](m.f)
return function() return far[10]() end]])
    follows("locals and varargs of coroutines, at every level", [[
local function inner(...) coroutine.yield() return (...) end
far[11] = coroutine.create(function(...)
  local f = ...
  local g = inner(...)
  equal(f, g)
  return f
end)
coroutine.resume(far[11], m.f)
return function()
  if coroutine.status(far[11]) == "dead" then return far[12] or m.f end
  if m.f() == "old" then return m.f end
  local _, f = coroutine.resume(far[11])
  far[12] = f
  return f
end]])
    follows("coroutines that have not begun", [[
far[13] = coroutine.create(coroutine.yield)
local started = false
return function()
  if started then return far[14] end
  if m.f() == "old" then return m.f end
  started = true
  local _, f = coroutine.resume(far[13], m.f)
  far[14] = f
  return f
end]])
    follows("objects with finalizers", [[
far[15] = setmetatable({ f = m.f }, { __gc = function() end })
return function() return far[15].f end]])
    follows("the registry", [[
debug.getregistry().kept = { { { { { m.f } } } } }
return function() return debug.getregistry().kept[1][1][1][1][1] end]])
    case("closures made many times, each with its own variables", [[
for i = 1, 30000 do far[i].tick = m.maker(i) end
local report = change("m", 'return "old " .. n', 'return "new " .. n')
equal("old 3", far[2].tick())
follow(report)
for i = 1, 30000 do
  equal("new " .. (i == 2 and 4 or i + 1), far[i].tick())
end
]])
  end)

  describe("P9, the program goes on:", function()
    case("references move, and new objects are made, from step to step", [[
local function step(i)
  -- From the end to the front and back, and into what was made just now.
  far[1 + i % 50].f, far[30000 - i % 50].f = far[30000 - i % 50].f, m.f
  far[#far + 1] = { f = far[30000 - i % 50].f }
end
for i = 1, 50 do far[30000 - i].f = m.f end
local report = change("m", "return helper()", 'return "new"')
local i = 0
repeat
  i = i + 1
  step(i)
  local more = graft.update()
until more and more.sweep
for _, t in ipairs(far) do
  if t.f then equal(m.f, t.f) end
end
]])
    case("garbage is collected on the way", [[
far[30000].f = m.f
local report = change("m", "return helper()", 'return "new"')
repeat
  for _ = 1, 10 do
    far[math.random(#far - 1)] = { {}, f = nil, function() end }
  end
  collectgarbage "step"
  if math.random(20) == 1 then collectgarbage() end
  local more = graft.update()
until more and more.sweep
equal(m.f, far[30000].f)
]])
    case("a list that is made longer and shorter while it is looked through", [[
local list = {}
for i = 1, 50000 do list[i] = i end
list[49999] = m.f
local report = change("m", "return helper()", 'return "new"')
local i = 50000
repeat
  for _ = 1, 500 do i = i + 1 list[i] = i end
  list[i - 200000], list["k" .. i] = nil, i
  local more = graft.update()
until more and more.sweep
equal(m.f, list[49999])
]])
    case("old code that runs makes new closures of old code, which follow", [[
edit("m", "local n = start", "local n = coroutine.yield(start)")
follow(patch())
local makers = {}
for i = 1, 100 do
  makers[i] = coroutine.create(m.maker)
  coroutine.resume(makers[i], i)
end
local report = change("m", 'return "old " .. n', 'return "new " .. n')
for i = 1, 100 do
  local _, made = coroutine.resume(makers[i], i)
  far[i * 200].made = made
  graft.update()
end
follow(report)
for i = 1, 100 do equal("new " .. i + 1, far[i * 200].made()) end
]])
    case("the program ends in the middle", [[
far[100].f = m.f
change("m", "return helper()", 'return "new"')
graft.update()
]])
  end)

  describe("P9, references that move all the time:", function()
    -- Passes can miss what the program moves to where they have been. Two
    -- collections later nothing old is left all the same.
    it("any moves, copies and new objects, any number of patches", function()
      local seed = tonumber(os.getenv "GRAFT_SEED") or os.time()
      local ok, message = pcall(patching.run, vm, { m = module },
        'local m = require "m"\nmath.randomseed(' .. seed .. ")\n" .. heap .. [[
local function field()
  local t = far[math.random(#far)]
  return function() return t.f end, function(f) t.f = f end
end
local function key()
  local t = {}
  far[math.random(#far)].t = t
  return function() return (next(t)) end, function(f)
    for k in pairs(t) do t[k] = nil end
    if f then t[f] = true end
  end
end
local function variable()
  local f
  far[math.random(#far)].g = function() return f end
  return function() return f end, function(g) f = g end
end
local function suspended()
  local co = coroutine.wrap(function(f)
    while true do
      local got, value = coroutine.yield(f)
      if got then f = value end
    end
  end)
  co(nil)
  return function() return co(false) end, function(f) co(true, f) end
end
local kinds, spots = { field, key, variable, suspended }, {}
local function make(i)
  local get, set = kinds[math.random(#kinds)]()
  spots[i] = { get = get, set = set }
end
for i = 1, 40 do make(i) end
for i = 1, 40, 2 do
  spots[i].set(i % 4 == 1 and m.f or m.maker(i))
end
local function move()
  for _ = 1, 5 do
    local a, b = spots[math.random(40)], spots[math.random(40)]
    local f, g = a.get(), b.get()
    b.set(f)
    if math.random(4) > 1 then a.set(g) end
  end
  if math.random(10) == 1 then
    local i = math.random(40)
    local f = spots[i].get()
    make(i)
    spots[i].set(f)
  end
  if math.random(10) == 1 then collectgarbage "step" end
  return graft.update()
end
local function left(word)
  for i = 1, 40 do
    local f = spots[i].get()
    local got = f and f() or word
    if got:sub(1, #word) ~= word then return i .. " gives " .. got end
    if got == word and f and f ~= m.f then return i .. " is another" end
  end
end
local word = "old"
for patch = 1, 8 do
  local next_word = "new" .. patch
  edit("m", 'return "' .. word .. ' " .. n', 'return "' .. next_word .. ' " .. n')
  change("m", 'return "' .. word .. '"', 'return "' .. next_word .. '"')
  word = next_word
  for _ = 1, math.random(3) == 1 and 20 or 1500 do move() end
end
local rounds = 0
while left(word) do
  rounds = rounds + 1
  if rounds == 60 then error(left(word)) end
  collectgarbage()
  for _ = 1, 300 do move() end
end
]], budget)
      if not ok then error("GRAFT_SEED=" .. seed .. "\n" .. message, 0) end
    end)
  end)

  describe("P9, another change in the middle:", function()
    case("ends the first sweep at once, and says so", [[
far[29000].f, far[29000].g = m.f, m.alias
local ended = {}
graft.on("sweep", function(event) ended[#ended + 1] = event end)
change("m", "return helper()", 'return "new"')
local report = change("m", 'return "old"', 'return "newer"')
equal("new", far[29000].f())
equal(1, #ended)
equal("another change came", ended[1].message)
follow(report)
equal(2, #ended)
equal(nil, ended[2].message)
equal("newer", far[29000].g())
equal(m.f, far[29000].f)
equal(m.alias, far[29000].g)
]])
    case("T2: one that is undone leaves the first", [[
far[29000].f, far[29000].g = m.f, m.alias
change("m", "return helper()", 'return "new"')
edit("m", 'return "old"', 'return "newer"')
edit("m", "return M\n", "M.alias = M.alias error 'no'\nreturn M\n")
equal(nil, (graft.reload()))
equal("new", m.f())
equal("new", far[29000].f())
equal("old", far[29000].g())
equal(m.alias, far[29000].g)
for _ = 1, 1000 do graft.update() end
equal("old", far[29000].g())
equal(m.f, far[29000].f)
]])
    case("T2: what was undone is not taken for old later", [[
local f = m.f
follow(change("m", "return helper()", 'return "new"'))
edit("m", 'return "new"', 'return "newer"')
edit("m", "return M\n", "error 'no'\nreturn M\n")
equal(nil, (graft.reload()))
for _ = 1, 6 do
  collectgarbage()
  for _ = 1, 1000 do graft.update() end
end
equal("new", f())
equal(m.f, f)
]])
    case("T5: a rollback in the middle", [[
far[29000].f = m.f
change("m", "return helper()", 'return "new"')
assert(graft.rollback("m.f"))
equal("old", m.f())
for _ = 1, 1000 do graft.update() end
equal("old", far[29000].f())
equal(m.f, far[29000].f)
]])
  end)

  describe("P9, what cannot be spread is done at once, and says why:", function()
    it("a closure gains a variable of the function around it", function()
      patching.run(vm, { m = [[
local M = {}
function M.make(a, b)
  return function() return a end, function() return a, b end
end
return M
]] }, 'local m = require "m"\n' .. heap .. [[
far[5].a, far[5].b = m.make("a", "b")
edit("m", "return a end,", "return a .. b end,")
local report = patch()
equal(false, report.sweeping)
equal("ab", far[5].a())
equal("a closure gains a variable of an enclosing function",
  report.sweep.message)
equal(1, report.sweep.safe_points)
]], budget)
    end)
  end)

  describe("P9, the budget:", function()
    it("none is as before", function()
      local result = patching.run(vm, { m = module },
        'local m = require "m"\n' .. heap .. [[
far[9].f = m.f
local report = change("m", "return helper()", 'return "new"')
equal(false, report.sweeping)
equal(nil, report.sweep)
equal("new", far[9].f())
]])
      assert.is_nil(result.text.err:find("Sweep", 1, true))
    end)
    it("a large one ends with its transaction", function()
      local result = patching.run(vm, { m = module },
        'local m = require "m"\n' .. heap .. [[
far[9].f = m.f
local report = change("m", "return helper()", 'return "new"')
equal(1, report.sweep.safe_points)
equal("new", far[9].f())
equal(nil, graft.update())
]], { "--sweep-budget", "60000000" })
      assert.truthy(result.text.err:find(
        "Sweep %d+ references in 1 safe point, [%d.]+ ms\n"))
    end)
    it("JSON", function()
      local result = patching.run(vm, { m = module },
        'local m = require "m"\n' .. heap .. [[
follow(change("m", "return helper()", 'return "new"'))
]], { "--sweep-budget", "1", "--log", "json" })
      assert.truthy(result.text.err:find('"sweeping":true}', 1, true))
      assert.truthy(result.text.err:find(
        '{"event":"sweep","count":%d+,"safe_points":%d+,"sweep_ms":[%d.]+}'))
    end)
    it("what is no number is refused", function()
      local result = engine.run(vm, { "--sweep-budget", "x", "main.lua" })
      assert.equal(2, result.status)
      assert.truthy(result.text.err:find("--sweep-budget takes a number from 0",
        1, true))
    end)
  end)
end
