-- SPDX-License-Identifier: MIT
--
-- P5 to P8 and P10, and every kind of function (P1).

local patching = require "spec.support.patching"

return function(vm)
  local function case(name, modules, body)
    it(name, function() patching.run(vm, modules, body) end)
  end

  describe("kinds of functions:", function()
    case("global, local, field, method, anonymous, vararg, recursive", { m = [[
local M = { Class = {} }
M.Class.__index = M.Class
function global_one() return "global old" end
local function hidden() return "local old" end
M.assigned = function() return "assigned old" end
M.table = { field = function() return "field old" end }
M["quoted name"] = function() return "quoted old" end
function M.Class:method(x) return self.name .. x .. " old" end
function M.vararg(...) return select("#", ...) .. " old" end
function M.recursive(n)
  if n == 0 then return "end old" end
  return M.recursive(n - 1)
end
local function self_recursive(n)
  if n == 0 then return "self old" end
  return self_recursive(n - 1)
end
M.list = { function() return "item old" end }
function M.all()
  return table.concat({ global_one(), hidden(), M.assigned(), M.table.field(),
    M["quoted name"](), setmetatable({ name = "n" }, M.Class):method("x"),
    M.vararg(1, nil, nil), M.recursive(5), self_recursive(5), M.list[1](),
    (function() return "inline old" end)(), }, ", ")
end
return M
]] }, [[
local m = require "m"
local before = m.all()
assert(not before:find "new")
local file = io.open "m.lua"
local text = file:read "*a"
file:close()
write("m", (text:gsub(" old", " new")))
local report = patch()
equal(0, #report.ran)
equal(0, #report.added)
equal(0, #report.deleted)
equal((before:gsub(" old", " new")), m.all())
]])

    case("several on one line, one of them changed", { m =
"local M = {} function M.a() return 1 end function M.b() return 2 end "
  .. "function M.c() return 3 end return M"
    }, [[
local m = require "m"
local a, b, c = m.a, m.b, m.c
local report = change("m", "return 2", "return 20")
equal("m.b", names(report.updated))
equal(a, m.a)
equal(c, m.c)
assert(b ~= nil)
equal(1, m.a())
equal(20, b())
equal(3, m.c())
change("m", "return 1", "return 10")
change("m", "return 3", "return 30")
equal(10, a())
equal(20, b())
equal(30, c())
]])

    case("the same text twice on one line", { m =
[[return { function() return 1 end, function() return 1 end, function() return 1 end }]]
    }, [[
local list = require "m"
local a, b, c = list[1], list[2], list[3]
write("m", "return { function() return 1 end, function() return 2 end, "
  .. "function() return 1 end }")
patch()
equal(1, a())
equal(2, b())
equal(1, c())
]])

    case("reordered, inserted and edited in one save", { m = [[
local M = {}
function M.a() return "a" end
function M.b() return "b" end
function M.c() return "c" end
M.hooks = {
  function() return "h1" end,
  function() return "h2" end,
}
return M
]] }, [[
local m = require "m"
local a, b, c, h1, h2 = m.a, m.b, m.c, m.hooks[1], m.hooks[2]
write("m", [=[
local M = {}
function M.c() return "c" end
function M.new() return "n" end
function M.b() return "b2" end
function M.a() return "a" end
M.hooks = {
  function() return "h1" end,
  function() return "h2" end,
}
return M
]=])
local report = patch()
equal("m.b", names(report.updated))
equal("m.new", names(report.added))
equal("a", a())
equal("b2", b())
equal("c", c())
equal("n", m.new())
equal("h1", h1())
equal("h2", h2())
equal(a, m.a)
equal(c, m.c)
]])

    case("two of one list, both rewritten in one save, keep their order", { m = [[
local M = {}
local hp, mana = 5, 7
M.hooks = {
  function() return hp + 12 end,
  function() return mana * 34 end,
}
return M
]] }, [[
local m = require "m"
local first, second = m.hooks[1], m.hooks[2]
edit("m", "hp + 12", "34 - mana")
local report = change("m", "mana * 34", "77 + hp")
equal("m:M.hooks/1 m:M.hooks/2", names(report.updated))
equal(27, first())
equal(82, second())
equal(first, m.hooks[1])
equal(second, m.hooks[2])
]])

    case("two that swap places and are edited in one save keep their code", { m = [[
local M = {}
local log = {}
M.hooks = {
  function(n) local all = 0 for i = 1, n do all = all + i end return all end,
  function(text) log[#log + 1] = text return "logged " .. text end,
}
return M
]] }, [[
local m = require "m"
local first, second = m.hooks[1], m.hooks[2]
write("m", [=[
local M = {}
local log = {}
M.hooks = {
  function(text) log[#log + 1] = text return "said " .. text end,
  function(n) local all = 1 for i = 1, n do all = all + i end return all end,
}
return M
]=])
patch()
equal(11, first(4))
equal("said x", second("x"))
]])

    case("a file of globals alone", { m = [[
function one() return "1 old" end
function two() return one() .. "2" end
local function three() return "3" end
call_three = three
]] }, [[
require "m"
local first = one
change("m", "1 old", "1 new")
equal("1 new", first())
equal("1 new2", two())
change("m", 'return "3"', 'return "4"')
equal("4", call_three())
]])

    case("a module that is a function", { m = [[
local calls = 0
return function(x)
  calls = calls + 1
  return x .. calls
end
]] }, [[
local m = require "m"
equal("a1", m "a")
change("m", "return x .. calls", "return x .. -calls")
equal("a-2", m "a")
equal(m, require "m")
equal("a-3", require "m" "a")
]])

    case("a module that is one function, held by a metatable", { m = [[
local M = setmetatable({}, { __call = function(self, x) return x .. "old" end })
return M
]] }, [[
local m = require "m"
equal("xold", m "x")
change("m", '"old"', '"new"')
equal("xnew", m "x")
]])

    case("parameters that come, go and change their names", { m = [[
local M = {}
function M.f(a, b) return a .. b end
return M
]] }, [[
local m = require "m"
local f = m.f
edit("m", "(a, b)", "(first, second, ...)")
change("m", "return a .. b", "return first .. second .. select('#', ...)")
equal("122", f(1, 2, 3, 4))
edit("m", "(first, second, ...)", "()")
change("m", "return first .. second .. select('#', ...)", "return 'none'")
equal("none", f(1))
]])

    case("a function that becomes a method, and back", { m = [[
local M = { name = "m" }
function M.f(x) return x end
return M
]] }, [[
local m = require "m"
local f = m.f
edit("m", "function M.f(x)", "function M:f(x)")
change("m", "return x", "return self.name .. x")
equal("mx", f(m, "x"))
edit("m", "function M:f(x)", "function M.f(x)")
change("m", "return self.name .. x", "return x")
equal("x", f "x")
]])

    case("written in another style", { m = [[
local M = {}
function M.f() return "old" end
return M
]] }, [[
local m = require "m"
local f = m.f
edit("m", "function M.f()", "M.f = function()")
change("m", '"old"', '"new"')
equal("new", m.f())
equal("new", f())
]])

    case("comments and strings that look like code", { m = [==[
local M = {}
-- function M.f() return "comment" end
function M.f()
  --[[ function end ]] return "old" -- end
end
function M.g() return [[function M.f() end]] end
return M
]==] }, [[
local m = require "m"
change("m", 'return "old" --', 'return "new" --')
equal("new", m.f())
equal("function M.f() end", m.g())
]])

    case("a byte order mark and a first line with #", { m =
"#!/usr/bin/lua\nlocal M = {}\nfunction M.f() return 'old' end\nreturn M\n"
    }, [[
local m = require "m"
change("m", "'old'", "'new'")
equal("new", m.f())
equal(3, debug.getinfo(m.f, "S").linedefined)
]])

    case("line ends of other systems", { m =
"local M = {}\r\nfunction M.f()\r\n  return 'old'\r\nend\r\nreturn M\r\n"
    }, [[
local m = require "m"
change("m", "'old'", "'new'")
equal("new", m.f())
equal(2, debug.getinfo(m.f, "S").linedefined)
equal(4, debug.getinfo(m.f, "S").lastlinedefined)
]])

    it("among 1,000 in one file", function()
      local text = { "local M = {}\nlocal shared = 0" }
      for i = 1, 1000 do
        text[#text + 1] = ("function M.f%d() shared = shared + 1 return %d end")
          :format(i, i)
      end
      text[#text + 1] = "return M\n"
      patching.run(vm, { m = table.concat(text, "\n") }, [[
local m = require "m"
local held = {}
for i = 1, 1000 do held[i] = m["f" .. i] end
local report = change("m", "return 500 end", "return -500, shared end")
equal("m.f500", names(report.updated))
equal(-500, held[500]())
local file = io.open "m.lua"
local text = file:read "*a"
file:close()
write("m", (text:gsub("return (%d+) end", "return 10 * %1 end")))
report = patch()
equal(999, #report.updated)
for i = 1, 1000 do equal(i == 500 and -500 or 10 * i, held[i]()) end
local _, shared = held[500]()
equal(1002, shared)
]])
    end)
  end)

  describe("P5:", function()
    local module = [[
local M = {}
function M.run(callback)
  local before = "old"
  callback()
  return before .. " old " .. M.other()
end
function M.other() return "other old" end
return M
]]
    case("a running call finishes on the old code", { m = module }, [[
local m = require "m"
local result = m.run(function()
  edit("m", '" old "', '" new "')
  change("m", '"other old"', '"other new"')
end)
equal("old old other new", result)
equal("old new other new", m.run(function() end))
]])
    case("so does a suspended coroutine", { m = module }, [[
local m = require "m"
local co = coroutine.create(m.run)
assert(coroutine.resume(co, coroutine.yield))
edit("m", '" old "', '" new "')
change("m", '"other old"', '"other new"')
equal("old old other new", select(2, coroutine.resume(co)))
co = coroutine.create(m.run)
assert(coroutine.resume(co, coroutine.yield))
equal("old new other new", select(2, coroutine.resume(co)))
]])
    case("an old frame that recurs calls the new code", { m = [[
local M = {}
local function down(n, callback)
  if n == 3 then callback() end
  if n == 0 then return "old" end
  return "old" .. down(n - 1, callback)
end
M.down = down
return M
]] }, [[
local m = require "m"
equal(("old"):rep(6), m.down(5, function() end))
local file = io.open "m.lua"
local text = file:read "*a"
file:close()
local result = m.down(5, function()
  write("m", (text:gsub('"old"', '"new"')))
  patch()
end)
equal(("old"):rep(3) .. ("new"):rep(3), result)
equal(("new"):rep(6), m.down(5, function() end))
]])
    case("a function that patches itself", { m = [[
local M = {}
function M.f(callback)
  callback()
  return "old"
end
return M
]] }, [[
local m = require "m"
local rounds = 0
equal("old", m.f(function() change("m", '"old"', '"new"') end))
equal("new", m.f(function() change("m", '"new"', '"newer"') end))
equal("newer", m.f(function() end))
]])
    case("old calls and new share the variables", { m = [[
local M = {}
local count = 0
function M.loop()
  while true do
    count = count + 1
    coroutine.yield(count)
  end
end
function M.count() return count end
return M
]] }, [[
local m = require "m"
local old = coroutine.wrap(m.loop)
equal(1, old())
change("m", "count + 1", "count + 100")
local new = coroutine.wrap(m.loop)
equal(101, new())
equal(102, old())
equal(202, new())
equal(202, m.count())
]])
    case("loops that return to nobody, with graft.update()", { m = [[
local M = {}
function M.step(state)
  state.n = state.n + 1
  return "old"
end
return M
]] }, [[
local m = require "m"
local step, state, words = m.step, { n = 0 }, {}
while state.n < 6 do
  words[#words + 1] = step(state)
  if state.n == 3 then edit("m", '"old"', '"new"') patch() end
  graft.update()
end
equal("old old old new new new", table.concat(words, " "))
]])
  end)

  describe("P6:", function()
    case("what a name pointed at is not replaced", { m = [[
local log = print
local clock = os.clock
local M = {}
function M.log(...) return log(...) end
function M.is_print() return log == print end
return M
]] }, [[
local m = require "m"
local old_print, old_clock = print, os.clock
equal(true, m.is_print())
edit("m", "local log = print", "local log = function() return 'quiet' end")
change("m", "local clock = os.clock", "local clock = function() return 0 end")
equal(old_print, print)
equal(old_clock, os.clock)
equal("quiet", m.log("x"))
equal(false, m.is_print())
]])
    case("another module's function behind a field is not replaced", {
      a = [[
local A = {}
function A.f() return "a" end
return A
]],
      m = [[
local a = require "a"
local M = {}
M.f = a.f
function M.g() return M.f() .. "old" end
return M
]],
    }, [[
local a, m = require "a", require "m"
local f = a.f
edit("m", "M.f = a.f", "function M.f() return 'm' end")
change("m", '"old"', '"new"')
equal(f, a.f)
equal("a", a.f())
equal("mnew", m.g())
]])
    case("a wrapper stays, with the new function inside", {
      m = [[
local M = {}
function M.f() return "old" end
return M
]],
      wrapper = [[
local m = require "m"
local inner = m.f
function m.f(...) return "<" .. inner(...) .. ">" end
return { inner = function() return inner end }
]],
    }, [[
local m, wrapper = require "m", require "wrapper"
local wrapped = m.f
equal("<old>", m.f())
change("m", '"old"', '"new"')
equal("<new>", m.f())
equal(wrapped, m.f)
equal("new", wrapper.inner()())
change("wrapper", '"<" ..', '"[" ..')
equal("[new>", m.f())
change("m", '"new"', '"newer"')
equal("[newer>", m.f())
]])
    case("a wrapper in the same file around itself", { m = [[
local M = {}
function M.f() return "old" end
local original = M.f
M.f = function() return "<" .. original() .. ">" end
return M
]] }, [[
local m = require "m"
equal("<old>", m.f())
change("m", '"old"', '"new"')
equal("<new>", m.f())
change("m", '"<"', '"["')
equal("[new>", m.f())
]])
    case("a memoizing wrapper made when the file was loaded", {
      memo = [[
return function(f)
  local cache = {}
  return function(x)
    if cache[x] == nil then cache[x] = f(x) end
    return cache[x]
  end
end
]],
      m = [[
local memo = require "memo"
local M = {}
M.f = memo(function(x) return "old" .. x end)
return M
]],
    }, [[
local m = require "m"
equal("old1", m.f(1))
local report = change("m", '"old"', '"new"')
equal(0, #report.ran)
equal("old1", m.f(1))
equal("new2", m.f(2))
]])
  end)

  describe("P7:", function()
    case("a deleted function leaves its names, others keep it", { m = [[
local M = {}
function M.gone() return "still" end
function global_gone() return "still" end
function M.stays() return 1 end
return M
]] }, [[
local m = require "m"
local kept = m.gone
edit("m", 'function global_gone() return "still" end\n', "")
local report = change("m", 'function M.gone() return "still" end\n', "")
equal("m.gone m.global_gone", names(report.deleted))
equal(nil, m.gone)
equal(nil, global_gone)
equal("still", kept())
equal("m.gone", names(report.orphaned))
equal(1, m.stays())
]])
    case("a deleted function that nothing holds is no orphan", { m = [[
local M = {}
function M.gone() return "still" end
return M
]] }, [[
local m = require "m"
local report = change("m", 'function M.gone() return "still" end\n', "")
equal("m.gone", names(report.deleted))
equal("", names(report.orphaned))
equal(nil, m.gone)
]])
    case("deleted by the first patch after another one's", { m = [[
local M = {}
local number = 1
function M.gone() return "still" end
return M
]] }, [[
local m = require "m"
edit("m", "number = 1", "number = 2")
change("m", 'function M.gone() return "still" end\n', "")
equal(nil, m.gone)
]])
    case("a name that is something else by now stays", { m = [[
local M = {}
function M.gone() return "still" end
return M
]] }, [[
local m = require "m"
m.gone = function() return "mine" end
change("m", 'function M.gone() return "still" end\n', "")
equal("mine", m.gone())
]])
    case("a deleted method of a class that objects use", { m = [[
local Class = {}
Class.__index = Class
function Class.new() return setmetatable({}, Class) end
function Class:gone() return "here" end
return Class
]] }, [[
local class = require "m"
local object = class.new()
equal("here", object:gone())
change("m", 'function Class:gone() return "here" end\n', "")
equal(nil, object.gone)
change("m", "return Class",
  'function Class:gone() return "again" end\nreturn Class')
equal("again", object:gone())
]])
    case("a rename is followed by what holds the function", { m = [[
local M = {}
local count = 0
function M.before()
  count = count + 1
  return "before" .. count
end
return M
]] }, [[
local m = require "m"
local kept = m.before
kept()
change("m", "function M.before()", "function M.after()")
equal(nil, m.before)
equal("before2", m.after())
equal(kept, m.after)
change("m", '"before"', '"after"')
equal("after3", kept())
equal("after4", m.after())
]])
    case("a rename of a local function and its uses", { m = [[
local M = {}
local function before() return "old" end
function M.f() return before() end
M.held = before
return M
]] }, [[
local m = require "m"
edit("m", "local function before()", "local function after()")
edit("m", "M.held = before", "M.held = after")
change("m", "return before()", "return after()")
equal("old", m.f())
equal("old", m.held())
change("m", '"old"', '"new"')
equal("new", m.f())
equal("new", m.held())
]])
    case("deleted and added again", { m = [[
local M = {}
function M.f() return "one" end
return M
]] }, [[
local m = require "m"
change("m", 'function M.f() return "one" end\n', "")
equal(nil, m.f)
change("m", "return M", 'function M.f() return "two" end\nreturn M')
equal("two", m.f())
]])
  end)

  describe("P8:", function()
    case("debug sees what the VM makes of the file", { m = [[
local M = {}
local one, two = 1, 2
function M.f(a, b, ...)
  local c = one
  return a, b, c, two
end
return M
]] }, [[
local m = require "m"
local f = m.f
change("m", "local c = one", "local c = one + 0\n")
local info = debug.getinfo(f, "Slu")
equal("@m.lua", info.source)
equal("m.lua", info.short_src)
equal("Lua", info.what)
equal(3, info.linedefined)
equal(7, info.lastlinedefined)
equal(2, info.nups)
equal("one", (debug.getupvalue(f, 1)))
equal("two", (debug.getupvalue(f, 2)))
equal(1, select(2, debug.getupvalue(f, 1)))
local loaded = assert(loadfile "m.lua")()
local other = debug.getinfo(loaded.f, "Slu")
for key, value in pairs(other) do equal(value, info[key], key) end
-- string.dump gives what it gives for the same file, but for the registers
-- that variables have in the enclosing function.
equal(#string.dump(loaded.f, true), #string.dump(f, true))
local copy = (loadstring or load)(string.dump(f))
debug.setupvalue(copy, 1, 10)
debug.setupvalue(copy, 2, 20)
local a, b, c, d = copy(1, 2)
equal(1, a) equal(2, b) equal(10, c) equal(20, d)
]])
    case("active lines and local names", { m = [[
local M = {}
function M.f(a)
  local inner = a

  return inner
end
return M
]] }, [[
local m = require "m"
change("m", "local inner = a", "local inner = a + 1")
local lines = {}
for line in pairs(debug.getinfo(m.f, "L").activelines) do
  lines[#lines + 1] = line
end
table.sort(lines)
equal(5, lines[2] or lines[1])
local loaded = assert(loadfile "m.lua")()
for line in pairs(debug.getinfo(loaded.f, "L").activelines) do
  equal(true, debug.getinfo(m.f, "L").activelines[line])
end
local seen
debug.sethook(function()
  seen = seen or debug.getlocal(2, 1) == "a" and debug.getinfo(2, "l").currentline
end, "l")
m.f(1)
debug.sethook()
equal(true, seen ~= nil)
]])
    case("errors and tracebacks name the lines of the file", { m = [[
local M = {}
function M.f()
  error "here"
end
function M.g()
  local x = nil
  return x.y
end
return M
]] }, [[
local m = require "m"
edit("m", 'error "here"', '\n\n  error "there"')
change("m", "local x = nil", "local x = false")
local _, message = pcall(m.f)
equal("m.lua:5: there", message)
_, message = pcall(m.g)
assert(message:find("^m%.lua:9: attempt to index"), message)
local _, trace = xpcall(m.g, debug.traceback)
assert(trace:find "m%.lua:9: in function", trace)
]])
    case("the name a traceback gives", { m = [[
local M = {}
local function helper()
  error "x"
end
function M.f() helper() end
return M
]] }, [[
local m = require "m"
change("m", 'error "x"', 'error "y"')
local _, trace = xpcall(m.f, debug.traceback)
assert(trace:find "m%.lua:3: y", trace)
assert(trace:find "helper", trace)
assert(trace:find "m%.lua:5:", trace)
]])
    case("no function differs from a fresh load's", { m = [[
local M = {}
local a, b = 1, 2
local function helper(x) return a + x end
function M.f(x, ...)
  local t = { helper(x), b, ... }
  for i, v in ipairs(t) do t[i] = function() return v, a end end
  return t
end
function M:method(y) b = y return self, helper(y) end
return M
]] }, [[
local m = require "m"
edit("m", "return a + x", "return a - x")
edit("m", "return v, a", "return a, v")
change("m", "b = y return", "b = y + 1 return")
local fresh = assert(loadfile "m.lua")()
for _, name in ipairs { "f", "method" } do
  equal(#string.dump(fresh[name], true), #string.dump(m[name], true), name)
  for n = 1, 10 do
    equal((debug.getupvalue(fresh[name], n)), (debug.getupvalue(m[name], n)))
  end
end
]])
  end)

  describe("P9, raw access alone:", function()
    case("a strict _G", { m = [[
local M = {}
function M.f() return "old" end
return M
]] }, [[
local m = require "m"
setmetatable(_G, {
  __index = function(_, name) error("undeclared " .. tostring(name), 2) end,
  __newindex = function(_, name) error("undeclared " .. tostring(name), 2) end,
})
change("m", '"old"', '"new"')
equal("new", m.f())
change("m", "return M", "function M.g() return 1 end\nreturn M")
equal(1, m.g())
change("m", "function M.g() return 1 end\n", "")
equal(nil, rawget(m, "g"))
]])
    case("metamethods that throw, everywhere", { m = [[
local M = {}
function M.f() return "old" end
return M
]] }, [[
local m = require "m"
local function throw() error "touched" end
local angry = { __index = throw, __newindex = throw, __pairs = throw,
  __ipairs = throw, __len = throw, __eq = throw, __lt = throw, __le = throw,
  __call = throw, __tostring = throw, __concat = throw, __unm = throw,
  __metatable = "locked" }
local kept = setmetatable({ m.f, f = m.f, [m.f] = "key" }, angry)
held = setmetatable({ kept, kept }, angry)
setmetatable(m, angry)
setmetatable(package.loaded, angry)
change("m", '"old"', '"new"')
equal("new", m.f())
equal("new", rawget(kept, 1)())
equal("new", rawget(kept, "f")())
equal("key", rawget(kept, m.f))
debug.setmetatable(package.loaded, nil)
]])
    for _, size in ipairs { 1000000, tonumber(os.getenv "GRAFT_LONG") and 10000000 } do
      case("a list of " .. size .. " nodes", { m = [[
local M = {}
function M.f() return "old" end
return M
]] }, [[
local m = require "m"
local list = { f = m.f }
for _ = 1, ]] .. ("%d"):format(size) .. [[ do list = { next = list } end
change("m", '"old"', '"new"')
local node = list
while node.next do node = node.next end
equal("new", node.f())
]])
    end
    case("nested closures, coroutines and metatables as deep lists", { m = [[
local M = {}
function M.f() return "old" end
return M
]] }, [[
local m = require "m"
local deep = m.f
for i = 1, 20000 do
  local inner = deep
  if i % 4 == 0 then deep = function() return inner end
  elseif i % 4 == 1 then deep = setmetatable({}, { inner })
  elseif i % 4 == 2 then deep = { [inner] = true }
  else
    deep = coroutine.create(function()
      while true do coroutine.yield(inner) end
    end)
    if i % 8 == 3 then coroutine.resume(deep) end
  end
end
change("m", '"old"', '"new"')
local inner = deep
for i = 20000, 1, -1 do
  if i % 4 == 0 then inner = inner()
  elseif i % 4 == 1 then inner = getmetatable(inner)[1]
  elseif i % 4 == 2 then inner = next(inner)
  else
    local _, value = coroutine.resume(inner)
    inner = value
  end
end
equal("new", inner())
equal(m.f, inner)
]])
  end)

  if vm == "luajit" then
    describe("P10:", function()
      case("compiled loops take the new function", { m = [[
local M = {}
local factor = 1
function M.f(x) return x * factor end
function M.set(value) factor = value end
return M
]] }, [[
local m = require "m"
local f = m.f
local function hot()
  local sum = 0
  for i = 1, 1000 do sum = sum + f(i) + m.f(i) end
  return sum
end
for _ = 1, 100 do equal(1001000, hot()) end
change("m", "return x * factor", "return x * factor + 1")
for _ = 1, 100 do equal(1003000, hot()) end
m.set(2)
for _ = 1, 100 do equal(2004000 - 1000 * 0, hot()) end
change("m", "return x * factor + 1", "return x * factor")
for _ = 1, 100 do equal(2002000, hot()) end
]])
      case("a variable that nothing assigned before is assigned now", { m = [[
local M = {}
local fixed = 1
function M.get() return fixed end
function M.f() return 0 end
return M
]] }, [[
local m = require "m"
local get = m.get
local function hot()
  local sum = 0
  for _ = 1, 1000 do sum = sum + get() end
  return sum
end
for _ = 1, 100 do equal(1000, hot()) end
change("m", "function M.f() return 0 end",
  "function M.f() fixed = fixed + 1 return fixed end")
equal(2, m.f())
for _ = 1, 100 do equal(2000, hot()) end
equal(3, m.f())
for _ = 1, 100 do equal(3000, hot()) end
]])
      case("the same in a closure made many times", { m = [[
local M = {}
function M.make()
  local fixed = 1
  return function() return fixed end, function() return fixed end
end
return M
]] }, [[
local m = require "m"
local get, other = m.make()
local function hot()
  local sum = 0
  for _ = 1, 1000 do sum = sum + get() end
  return sum
end
for _ = 1, 100 do equal(1000, hot()) end
change("m", "end, function() return fixed end",
  "end, function() fixed = fixed + 1 return fixed end")
equal(2, other())
for _ = 1, 100 do equal(2000, hot()) end
equal(3, other())
for _ = 1, 100 do equal(3000, hot()) end
]])
      case("a patch from inside a compiled loop", { m = [[
local M = {}
function M.f(x) return 1 end
return M
]] }, [[
local m = require "m"
local f, sum = m.f, 0
for i = 1, 2000 do
  sum = sum + f(i)
  if i == 1000 then change("m", "return 1", "return 100") end
end
equal(1000 + 100000, sum)
]])
    end)
  end
end
