-- SPDX-License-Identifier: MIT
--
-- S5 and S6: what a removed statement leaves behind.

local engine = require "spec.support.engine"
local patching = require "spec.support.patching"

local texts = [[
local function said(list)
  local all = {}
  for i, entry in ipairs(list) do all[i] = entry.name .. " " .. entry.message end
  return table.concat(all, "; ")
end
]]

-- Events as games have them, and cleanups that note that they ran.
local bus = [[
local bus, listeners = {}, {}
function bus.on(event, f)
  if type(event) == "table" then
    for name, g in pairs(event) do bus.on(name, g) end
    return
  end
  listeners[event] = listeners[event] or {}
  table.insert(listeners[event], f)
  return #listeners[event]
end
function bus.emit(event, ...)
  local heard = {}
  for _, f in ipairs(listeners[event] or {}) do
    local answer = f(...)
    if answer then heard[#heard + 1] = tostring(answer) end
  end
  return table.concat(heard, " ")
end
return bus
]]

return function(vm)
  after_each(engine.clean_up)

  local function case(name, modules, body)
    it(name, function()
      modules.bus = bus
      patching.run(vm, modules, texts .. body)
    end)
  end

  describe("S5, a removed assignment takes its value with it:", function()
    local m = [[
local M = {}
M.number = 1
M.sum = 1 + 2
M.list = { 1, 2, { 3 } }
M.made = math.max(1, 2)
answer = 42
M.alias = M.number
function M.f() return 1 end
return M
]]
    case("untouched ones go", { m = m }, [[
local m = require "m"
local report = write("m", "local M = {}\nfunction M.f() return 1 end\nreturn M\n")
report = patch()
equal(nil, m.number)
equal(nil, m.sum)
equal(nil, m.list)
equal(nil, m.made)
equal(nil, m.alias)
equal(nil, answer)
equal("", said(report.kept))
equal(1, m.f())]])
    case("changed ones stay, and are reported", { m = m }, [[
local m = require "m"
m.number = 5
table.insert(m.list[3], 4)
answer = "new"
write("m", "local M = {}\nfunction M.f() return 1 end\nreturn M\n")
local report = patch()
equal(5, m.number)
equal(4, m.list[3][2])
equal("new", answer)
equal("m M.number = 5, source now nil; m M.list = table, source now nil; "
  .. 'm answer = "new", source now nil', said(report.kept))]])
    local whole = [[
local M = { list = { 1, 2 }, tick = function() return "tick" end }
local own = { x = 1 }
M.hp = 5
M.mana = 7
M.sub = { deep = 1, f = function() return "anonymous" end }
function M.own() return own end
function M.sub.g() return "g" end
return M
]]
    for what, text in pairs {
      ["all of an emptied file"] = "",
      ["all of a file that returns another table"] = "return {}\n",
      ["all of a file that is started anew"] = "local M = {}\nreturn M\n",
    } do
      case(what .. ", functions too, and comes back with it", { m = whole }, ([[
local m = require "m"
local list, own = m.list, m.own()
m.mana = 8
local text = %q
write("m", %q)
local report = patch()
equal("m M.mana = 8, source now nil", said(report.kept))
equal(nil, m.hp)
equal(8, m.mana)
equal(nil, m.own)
equal(nil, m.sub)
equal(1, own.x) -- which is not the module's
write("m", text)
patch()
equal(m, require "m")
equal(5, m.hp)
equal(7, m.mana)
equal("g", m.sub.g())
equal("anonymous", m.sub.f())
equal("tick", m.tick())
equal(2, #m.list)]]):format(whole, text))
    end
    case("not where the table has another name now", { m = [[
local M = {}
M.hp = 5
M.mana = 7
function M.get() return M.hp end
return M
]] }, [[
local m = require "m"
write("m", "local N = {}\nN.hp = 5\nfunction N.get() return N.hp end\nreturn N\n")
local report = patch()
equal(5, m.hp)
equal(5, m.get())
equal(nil, m.mana)
equal("", said(report.kept))]])
    case("one of two to the same name stays", { m = [[
local M = {}
M.mode = "a"
M.mode = "b"
return M
]] }, [[
local m = require "m"
change("m", 'M.mode = "b"\n', "")
equal("a", m.mode)]])
  end)

  describe("S6, cleanups:", function()
    local m = [[
local graft = require "graft"
log = log or {}
do
  local name = "one"
  log[#log + 1] = "start " .. name
  graft.defer(function() log[#log + 1] = "stop " .. name end)
end
return {}
]]
    local took = [[
local function took() local all = table.concat(log, ","); log = {}; return all end
]]
    case("run before their statement runs again", { m = m }, took .. [[
require "m"
equal("start one", took())
change("m", '"one"', '"two"')
equal("stop one,start two", took())
change("m", '"two"', '"three"')
equal("stop two,start three", took())
change("m", "return {}", "local x = 1\nreturn {}")
equal("", took())]])
    case("run when it is removed, once", { m = m }, took .. [[
require "m"
took()
write("m", "log = log or {}\nreturn {}\n")
local report = patch()
equal("stop one", took())
equal(0, #report.silenced)
write("m", "log = log or {}\nreturn { 1 }\n")
patch()
equal("", took())]])
    case("have the newest code when only that changed", { m = m }, took .. [[
require "m"
took()
change("m", '"stop "', '"halt "')
equal("", took())
change("m", '"one"', '"two"')
equal("halt one,start two", took())]])
    case("have the code that belongs to their statement when both change",
      { m = m }, took .. [[
require "m"
took()
edit("m", '"stop "', '"halt "')
change("m", '"one"', '"two"')
equal("stop one,start two", took())
change("m", '"two"', '"three"')
equal("halt two,start three", took())]])
    case("of a statement of its own, the last one first", { m = [[
local graft = require "graft"
log = log or {}
local function begin(name)
  graft.defer(function() log[#log + 1] = name end)
end
begin "a"
graft.defer(function() log[#log + 1] = "b" end)
begin "c" begin "d"
return {}
]] }, took .. [[
require "m"
write("m", "log = log or {}\nreturn {}\n")
patch()
equal("d,c,b,a", took())]])
    case("of a module that is required inside a statement", {
      inner = [[
local graft = require "graft"
log = log or {}
graft.defer(function() log[#log + 1] = "inner" end)
return {}
]],
      m = [[
log = log or {}
local n = 1
return {}
]] }, took .. [[
require "m"
change("m", "local n = 1", "local n = require 'inner'")
change("m", "local n = require 'inner'", "local n = 2")
equal("", took())
change("inner", 'graft.defer(function() log[#log + 1] = "inner" end)', "")
equal("inner", took())]])
    case("that raise are reported, and nothing else fails", { m = [[
local graft = require "graft"
log = log or {}
graft.defer(function() error "no" end)
graft.defer(function() log[#log + 1] = "ran" end)
return {}
]] }, took .. [[
require "m"
write("m", "log = log or {}\nfresh = 1\nreturn {}\n")
local messages = {}
local off = graft.on("error", function(event) messages[#messages + 1] = event.message end)
graft.reload()
equal("ran", took())
equal(1, fresh)
equal(1, #messages)
assert(messages[1]:find("m cleanup failed: no", 1, true), messages[1])]])
    case("of a file that has raised run before it is loaded again", { m = [[
local graft = require "graft"
log = log or {}
log[#log + 1] = "start"
graft.defer(function() log[#log + 1] = "first" end)
graft.defer(function() log[#log + 1] = "second" end)
graft.defer(function() error "no" end)
error "half way"
]] }, took .. [[
local messages = {}
graft.on("error", function(event) messages[#messages + 1] = event.message end)
assert(not pcall(require, "m"))
equal("start", took())
package.loaded.m = nil
assert(not pcall(require, "m"))
equal("second,first,start", took())
equal(1, #messages)
assert(messages[1]:find "^graft.defer: callback failed: .*no", messages[1])]])
    it("of a file that has raised run at the next safe point", function()
      local folder = engine.project {
        ["half.lua"] = [[
local graft = require "graft"
graft.defer(function() print "undone" end)
error "half way"
]],
        ["main.lua"] = [[
local ok, half = pcall(require, "half")
print(ok)
local frames = 0
function update()
  frames = frames + 1
  print("frame " .. frames)
end
]],
      }
      local program = engine.run(vm,
        { "--watch", folder.path, "--frames", "2" })
      assert.equal("false\nundone\nframe 1\nframe 2\n", program.text.out)
      program = engine.run(vm, { "--no-watch", folder:at "half.lua" })
      assert.equal(1, program.status)
      assert.equal("undone\n", program.text.out)
    end)
    case("outside of any statement there is nothing to clean up", { m = [[
local graft = require "graft"
local M = {}
function M.late() graft.defer(print) end
return M
]] }, [[
local m = require "m"
local late = coroutine.wrap(function() return pcall(m.late) end)
local ok, message = late()
equal(false, ok)
assert(message:find("no top%-level statement"), message)
equal(false, pcall(graft.defer, 5))]])
  end)

  describe("S6, functions of removed statements fall silent:", function()
    case("a listener, and the report says so", { m = [[
local bus = require "bus"
bus.on("hit", function(by) return "ouch " .. by end)
return {}
]] }, [[
local bus = require "bus"
require "m"
equal("ouch 3", bus.emit("hit", 3))
local report = change("m", 'bus.on("hit", function(by) return "ouch " .. by end)', "")
equal("", bus.emit("hit", 3))
equal("m:bus.on/1", names(report.silenced))
equal(1, report.silenced[1].count)]])
    case("when it is edited twice and then removed", { m = [[
local bus = require "bus"
bus.on("hit", function() return "a" end)
return {}
]] }, [[
local bus = require "bus"
require "m"
change("m", '"a"', '"b"')
change("m", '"b"', '"c"')
equal("c", bus.emit "hit")
write("m", "return {}\n")
patch()
equal("", bus.emit "hit")
write("m", 'local bus = require "bus"\nbus.on("hit", function() return "d" end)\nreturn {}\n')
patch()
equal("d", bus.emit "hit")]])
    case("not when it only moves", { m = [[
local bus = require "bus"
bus.on("hit", function() return "a" end)
bus.on("heal", function() return "b" end)
return {}
]] }, [[
local bus = require "bus"
require "m"
write("m", 'local bus = require "bus"\nbus.on("heal", function() return "b" end)\n'
  .. 'bus.on("hit", function() return "a" end)\nreturn {}\n')
local report = patch()
equal("a", bus.emit "hit")
equal("b", bus.emit "heal")
equal(0, #report.silenced)]])
    case("when a changed statement hands over new ones", { m = [[
local bus = require "bus"
bus.on("hit", function() return "a" end)
return {}
]] }, [[
local bus = require "bus"
require "m"
change("m", '"hit"', '"heal"')
equal("", bus.emit "hit")
equal("a", bus.emit "heal")]])
    case("in tables, and tables in tables", { m = [[
local bus = require "bus"
bus.on { hit = function() return "a" end, heal = function() return "b" end }
held = {}
table.insert(held, { deep = { f = function() return "c" end } })
return {}
]] }, [[
local bus = require "bus"
require "m"
equal("ac", bus.emit "hit" .. held[1].deep.f())
write("m", "held = {}\nreturn {}\n")
local all = held
local report = patch()
equal("", bus.emit "hit" .. bus.emit "heal")
equal(nil, all[1].deep.f())
equal(3, #report.silenced)]])
    case("and those that they handed over in turn", { m = [[
local bus = require "bus"
do
  bus.on("start", function()
    bus.on("tick", function() return "tick" end)
  end)
end
return {}
]] }, [[
local bus = require "bus"
require "m"
bus.emit "start" bus.emit "start"
equal("tick tick", bus.emit "tick")
write("m", "return {}\n")
local report = patch()
bus.emit "start"
equal("", bus.emit "tick")
local count = 0
for _, entry in ipairs(report.silenced) do count = count + entry.count end
equal(3, count)]])
    case("also of a removed local", { m = [[
local bus = require "bus"
local handle = bus.on("hit", function() return "a" end)
return {}
]] }, [[
local bus = require "bus"
require "m"
write("m", "return {}\n")
patch()
equal("", bus.emit "hit")]])
    case("not functions with names, which become orphans", { m = [[
local bus = require "bus"
local function f() return "f" end
bus.on("hit", f)
return {}
]] }, [[
local bus = require "bus"
require "m"
write("m", "return {}\n")
local report = patch()
equal("f", bus.emit "hit")
equal("m:f", names(report.orphaned))]])
  end)
end
