-- SPDX-License-Identifier: MIT
--
-- P1: an update reaches every reference at once, wherever it is held.

local patching = require "spec.support.patching"

-- A module whose function `f` gives "old" until it is edited.
local module = [[
local M = {}
function M.f()
  return "old"
end
return M
]]

return function(vm)
  -- `hold` keeps m.f somewhere and gives back a function that fetches it.
  local function reaches(where, hold)
    it(where, function()
      patching.run(vm, { m = module }, [[
local m = require "m"
local old = tostring(m.f)
local fetch = (function() ]] .. hold .. [[ end)()
equal("old", fetch()())
local report = change("m", '"old"', '"new"')
equal("m.f", names(report.updated))
equal("new", fetch()())
equal(m.f, fetch(), "the same function everywhere")
assert(old ~= tostring(m.f))
change("m", '"new"', '"newer"')
equal("newer", fetch()())
equal(m.f, fetch())
]])
    end)
  end

  describe("a reference follows:", function()
    reaches("in the module's field", "return function() return m.f end")
    reaches("in a global", [[
      kept = m.f
      return function() return kept end]])
    reaches("in a local that a closure holds", [[
      local kept = m.f
      return function() return kept end]])
    reaches("in a table's list", [[
      local list = { 1, m.f, 3 }
      return function() return list[2] end]])
    reaches("in a table's hash", [[
      local t = { a = { b = { [1.5] = m.f } } }
      return function() return t.a.b[1.5] end]])
    reaches("as a table key", [[
      local t = { [m.f] = "there", other = 1 }
      return function()
        equal("there", t[m.f])
        local count = 0
        for _ in pairs(t) do count = count + 1 end
        equal(2, count)
        for key in pairs(t) do
          if type(key) == "function" then return key end
        end
      end]])
    reaches("as key and value at once", [[
      local t = {}
      t[m.f] = m.f
      return function()
        local key, value = next(t)
        equal(key, value)
        equal(nil, next(t, key))
        return key
      end]])
    reaches("as many keys' neighbour", [[
      local t = {}
      for i = 1, 1000 do t[i .. ""] = i end
      t[m.f] = "f"
      for i = 1, 1000 do t[i] = i end
      return function()
        for i = 1, 1000 do
          equal(i, t[i .. ""])
          equal(i, t[i])
        end
        equal("f", t[m.f])
        return m.f
      end]])
    reaches("in a metatable's __index", [[
      local t = setmetatable({}, { __index = { f = m.f } })
      return function() return t.f end]])
    reaches("as a metamethod", [[
      local t = setmetatable({}, { __call = m.f, __add = m.f })
      return function()
        equal(m.f(), t())
        equal(m.f(), t + 1)
        return getmetatable(t).__call
      end]])
    reaches("behind a protected metatable", [[
      local t = setmetatable({}, { __call = m.f, __metatable = "closed" })
      return function()
        equal(m.f(), t())
        return m.f
      end]])
    reaches("in the metatable of strings", [[
      getmetatable("").held = m.f
      return function() return getmetatable("").held end]])
    reaches("in the metatable of nil", [[
      debug.setmetatable(nil, { __index = { held = m.f } })
      return function() return (nil).held end]])
    reaches("in the metatable of functions", [[
      debug.setmetatable(print, { __index = { held = m.f } })
      return function()
        local held = print.held
        debug.setmetatable(print, nil)
        debug.setmetatable(print, { __index = { held = held } })
        return print.held
      end]])
    reaches("in weak values", [[
      local t = setmetatable({ m.f }, { __mode = "v" })
      return function()
        collectgarbage()
        return t[1]
      end]])
    reaches("in weak keys", [[
      local t = setmetatable({ [m.f] = 1 }, { __mode = "k" })
      return function()
        collectgarbage()
        equal(1, t[m.f])
        return (next(t))
      end]])
    reaches("as the value of a key that is held nowhere else", [[
      local t = setmetatable({}, { __mode = "k" })
      t[{}] = m.f
      local key = {}
      t[key] = m.f
      return function()
        return t[key]
      end]])
    reaches("in a registry value", [[
      debug.getregistry().graft_spec = m.f
      return function() return debug.getregistry().graft_spec end]])
    reaches("in package.loaded", [[
      package.loaded.held = m.f
      return function() return require "held" end]])
    reaches("in package.preload", [[
      package.preload.held = m.f
      return function() return package.preload.held end]])
    reaches("in the environment of another file", [[
      local env = setmetatable({ f = m.f }, { __index = _G })
      local text = "return function() return f end"
      local chunk = (setfenv and loadstring or load)(text, "x", "t", env)
      if setfenv then setfenv(chunk, env) end
      return chunk()]])
    reaches("behind a cycle", [[
      local a, b = {}, {}
      a.b, b.a, b.f = b, a, m.f
      return function() return a.b.a.b.f end]])
    reaches("in an object of a file handle's metatable", [[
      getmetatable(io.stdout).held = m.f
      return function() return getmetatable(io.stdout).held end]])
  end)

  describe("an upvalue of a C function follows:", function()
    reaches("coroutine.wrap", [[
      local next_value = coroutine.wrap(function(f)
        while true do coroutine.yield(f) end
      end)
      next_value(m.f)
      return function() return next_value() end]])
    reaches("a not yet started coroutine.wrap", [[
      local wraps = {}
      for i = 1, 5 do wraps[i] = coroutine.wrap(m.f) end
      local taken = 0
      return function()
        taken = taken + 1
        equal(m.f(), wraps[taken]())
        return m.f
      end]])
    reaches("the state of an iterator that runs", [[
      local co = coroutine.wrap(function()
        for _, f in ipairs { m.f, m.f, m.f, m.f, m.f } do coroutine.yield(f) end
      end)
      return co]])
  end)

  describe("a running frame follows:", function()
    it("locals, varargs and temporaries of the frame that updates", function()
      patching.run(vm, { m = module }, [[
local m = require "m"
local function pack(...) return { n = select("#", ...), ... } end
local function frame(argument, ...)
  local kept = m.f
  local list = pack(m.f, (function()
    change("m", '"old"', '"new"')
    return kept
  end)())
  equal("new", kept())
  equal("new", argument())
  equal("new", (...)())
  equal("new", (select(2, ...))())
  equal("new", list[1](), "a temporary")
  equal("new", list[2]())
  equal(m.f, kept)
  equal(m.f, argument)
  equal(m.f, (...))
  equal(m.f, list[1])
end
frame(m.f, m.f, m.f)
local top = m.f
change("m", '"new"', '"newer"')
equal("newer", top())
]])
    end)

    it("for-loop state and nested blocks", function()
      patching.run(vm, { m = module }, [[
local m = require "m"
local rounds = 0
for key, f in pairs { a = m.f } do
  do
    local inner = f
    change("m", '"old"', '"new"')
    equal("new", f())
    equal("new", inner())
    equal("a", key)
    rounds = rounds + 1
  end
end
equal(1, rounds)
]])
    end)

    it("an iterator function of the changed file", function()
      patching.run(vm, { m = [[
local M = {}
function M.iterate(limit, i)
  i = i + 1
  if i <= limit then return i, "old" end
end
return M
]] }, [[
local m = require "m"
local seen = {}
for i, word in m.iterate, 4, 0 do
  seen[i] = word
  if i == 2 then change("m", '"old"', '"new"') end
end
equal("old old new new", table.concat(seen, " "))
]])
    end)

    it("frames below a protected call and a metamethod", function()
      patching.run(vm, { m = module }, [[
local m = require "m"
local object = setmetatable({}, { __index = function(_, key)
  change("m", '"old"', '"new"')
  return key
end })
local function outer(f)
  local ok, value = pcall(function(g)
    local key = object.field
    equal("new", g())
    return key
  end, f)
  assert(ok, value)
  equal("field", value)
  return f
end
local kept = m.f
equal(m.f, outer(kept))
equal("new", kept())
]])
    end)

    it("what a sort and a gsub under way hold", function()
      patching.run(vm, { m = [[
local M = {}
function M.less(a, b) return a < b end
function M.swap(c) return c .. "old" end
return M
]] }, [[
local m = require "m"
local patched = false
local list = { 5, 3, 8, 1, 9, 2 }
table.sort(list, function(a, b)
  if not patched then
    patched = true
    change("m", "a < b", "a > b")
  end
  return a < b
end)
equal("1 2 3 5 8 9", table.concat(list, " "))
table.sort(list, m.less)
equal("9 8 5 3 2 1", table.concat(list, " "))
equal("aold", (("a"):gsub(".", m.swap)))
local texts = ("ab"):gsub(".", function(c)
  if c == "a" then change("m", '"old"', '"new"') end
  return m.swap(c)
end)
equal("anewbnew", texts)
]])
    end)

    it("the stack of a function with 200 locals", function()
      local many = {}
      for i = 1, 190 do many[i] = "local v" .. i .. " = m.f" end
      patching.run(vm, { m = module }, [[
local m = require "m"
local function big()
]] .. table.concat(many, "\n") .. [[

  change("m", '"old"', '"new"')
  equal("new", v1())
  equal("new", v100())
  equal("new", v190())
end
big()
]])
    end)

    it("deep recursion, at every level", function()
      patching.run(vm, { m = module }, [[
local m = require "m"
local function down(n)
  local kept = m.f
  if n == 0 then
    change("m", '"old"', '"new"')
  else
    down(n - 1)
  end
  if kept() ~= "new" then error("level " .. n) end
end
down(5000)
]])
    end)
  end)

  describe("a coroutine follows:", function()
    it("locals at every level of a suspended one", function()
      patching.run(vm, { m = module }, [[
local m = require "m"
local co = coroutine.create(function(argument, ...)
  local outer = m.f
  local function level(n, ...)
    local kept = m.f
    if n == 0 then
      equal("x", coroutine.yield(m.f))
    else
      level(n - 1, ...)
    end
    equal("new", kept())
    equal("new", (...)())
  end
  level(5, m.f)
  equal("new", outer())
  equal("new", argument())
  equal("new", (select(2, ...))())
  return "through"
end)
local ok, yielded = coroutine.resume(co, m.f, 1, m.f)
assert(ok, yielded)
change("m", '"old"', '"new"')
equal(m.f, yielded)
local _, result = coroutine.resume(co, "x")
equal("through", result)
]])
    end)

    it("not started, with the function as its body and argument", function()
      patching.run(vm, { m = module }, [[
local m = require "m"
local body = coroutine.create(m.f)
local held = coroutine.create(function(f) return f() end)
change("m", '"old"', '"new"')
equal("new", select(2, coroutine.resume(body)))
equal("new", select(2, coroutine.resume(held, m.f)))
]])
    end)

    it("one that resumed the one that updates", function()
      patching.run(vm, { m = module }, [[
local m = require "m"
local outer = coroutine.wrap(function()
  local first = m.f
  local middle = coroutine.wrap(function(argument)
    local second = m.f
    local inner = coroutine.wrap(function()
      local third = m.f
      change("m", '"old"', '"new"')
      equal("new", third())
    end)
    inner()
    equal("new", second())
    equal("new", argument())
  end)
  middle(first)
  equal("new", first())
  return "through"
end)
equal("through", outer())
]])
    end)

    it("a chain whose threads nothing else holds", function()
      patching.run(vm, { m = module }, [[
local m = require "m"
local function run(n)
  local kept = m.f
  if n == 0 then
    change("m", '"old"', '"new"')
  else
    assert(coroutine.resume(coroutine.create(run), n - 1))
  end
  equal("new", kept(), "depth " .. n)
  equal(m.f, kept)
end
run(5)
local function wrapped(n)
  local kept = m.f
  if n == 0 then
    change("m", '"new"', '"newer"')
  else
    coroutine.wrap(wrapped)(n - 1)
  end
  equal("newer", kept(), "depth " .. n)
end
wrapped(5)
]])
    end)

    it("what it has yielded but nobody took", function()
      patching.run(vm, { m = module }, [[
local m = require "m"
local co = coroutine.create(function()
  local held = { m.f }
  coroutine.yield()
  return held[1]
end)
coroutine.resume(co)
change("m", '"old"', '"new"')
equal(m.f, select(2, coroutine.resume(co)))
]])
    end)

    it("inside a protected call of its own", function()
      patching.run(vm, { m = module }, [[
local m = require "m"
local co = coroutine.wrap(function()
  local kept = m.f
  local ok, value = pcall(function(f)
    coroutine.yield()
    return f()
  end, kept)
  assert(ok, value)
  equal("new", value)
  equal("new", kept())
end)
co()
change("m", '"old"', '"new"')
co()
]])
    end)

    it("among 1,000 of them", function()
      patching.run(vm, { m = module }, [[
local m = require "m"
local all = {}
for i = 1, 1000 do
  all[i] = coroutine.wrap(function(f)
    local kept = f
    while true do coroutine.yield(kept() .. i) end
  end)
  equal("old" .. i, all[i](m.f))
end
change("m", '"old"', '"new"')
for i = 1, 1000 do equal("new" .. i, all[i]()) end
]])
    end)

    it("a dead one does no harm", function()
      patching.run(vm, { m = module }, [[
local m = require "m"
local dead = coroutine.create(function() local f = m.f; return f end)
coroutine.resume(dead)
local broken = coroutine.create(function() local f = m.f; error(f) end)
local _, value = coroutine.resume(broken)
equal(m.f, value)
change("m", '"old"', '"new"')
equal(m.f, value)
equal("dead", coroutine.status(broken))
equal("dead", coroutine.status(dead))
]])
    end)
  end)

  describe("the VM's own:", function()
    if vm == "luajit" then
      it("environments of functions and user data", function()
        patching.run(vm, { m = module }, [[
local m = require "m"
local data = newproxy(true)
debug.setfenv(data, { f = m.f })
local thread = coroutine.create(function() end)
debug.setfenv(thread, { f = m.f })
getmetatable(data).__index = { f = m.f }
change("m", '"old"', '"new"')
equal("new", debug.getfenv(data).f())
equal("new", debug.getfenv(thread).f())
equal("new", data.f())
]])
      end)
    else
      it("a to-be-closed variable's method, pending", function()
        patching.run(vm, { m = module }, [[
local m = require "m"
local closed
do
  local guard <close> = setmetatable({}, { __close = function()
    closed = m.f()
  end })
  change("m", '"old"', '"new"')
end
equal("new", closed)
]])
      end)

      it("a finalizer", function()
        patching.run(vm, { m = [[
local M = {}
function M.gone(t)
  t.log[1] = "old"
end
return M
]] }, [[
local m = require "m"
local log = {}
local object = setmetatable({ log = log }, { __gc = m.gone })
change("m", '"old"', '"new"')
object = object.log and nil
collectgarbage()
collectgarbage()
equal("new", log[1])
]])
      end)
    end
    it("debug hooks", function()
      patching.run(vm, { m = [[
local M = {}
local seen = {}
function M.hook(event)
  seen.old = true
end
function M.seen() return seen end
return M
]] }, [[
local m = require "m"
debug.sethook(m.hook, "c")
print ""
change("m", "seen.old", "seen.new")
equal(m.hook, (debug.gethook()))
m.seen().new = nil
print ""
local now = m.seen().new
debug.sethook()
equal(true, now)
]])
    end)
  end)
end
