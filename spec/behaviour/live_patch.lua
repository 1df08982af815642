-- SPDX-License-Identifier: MIT
--
-- The vertical slice: save a file, and the functions that changed take effect
-- in the running program, alone, wherever they are held.

local engine = require "spec.support.engine"

-- Prints its state whenever that changes. The function is held as a module
-- field, in a local of another module, in a listener table, as a table key and
-- in a running coroutine.
local main = [[
io.stdout:setvbuf "line" -- LuaJIT's has no effect after the first output.
local goblin = require "ai.goblin"
local bus = require "bus"
local think = goblin.think
local by_function = { [goblin.think] = "key" }
local routine = coroutine.wrap(function(held)
  while true do coroutine.yield(held()) end
end)
local last
bus.on("tick", goblin.think)
goblin.hurt(3)

function init() print "ready" end

function update()
  local now = table.concat({
    goblin.think(), think(), bus.emit "tick", routine(think),
    by_function[goblin.think] or "lost", "hp=" .. goblin.hp(),
  }, " ")
  if now ~= last then print("now " .. now) end
  last = now
end

function quit() print "bye" end
]]

local bus = [[
local bus, listeners = {}, {}
function bus.on(event, f)
  listeners[event] = listeners[event] or {}
  table.insert(listeners[event], f)
end
function bus.emit(event)
  local results = {}
  for i, f in ipairs(listeners[event]) do results[i] = f() end
  return table.concat(results, ",")
end
return bus
]]

local goblin = [[
local M = {}
local hp = 10

print "goblin loaded"

function M.think()
  return "sleep"
end

function M.hurt(by)
  hp = hp - by
end

function M.hp()
  return hp
end

return M
]]

local function sources()
  return { ["main.lua"] = main, ["bus.lua"] = bus, ["ai/goblin.lua"] = goblin }
end

local function edit(text, from, to)
  local first, last = text:find(from, 1, true)
  assert(first, "not in the source: " .. from)
  return text:sub(1, first - 1) .. to .. text:sub(last + 1)
end

return function(vm)
  after_each(engine.clean_up)

  it("a changed function patches alone, and every reference follows", function()
    local folder, program = engine.watch(vm, sources())
    program:out "^now sleep sleep sleep sleep key hp=7$"

    folder:write("ai/goblin.lua", edit(goblin, '"sleep"', '"attack"'))
    program:err "^Update ai%.goblin%.think%f[%s%z]"
    program:err "^Patch%f[%s%z]"
    program:out "^now attack attack attack attack key hp=7$"

    assert.equal(1, program:count("err", "^Update "))
    assert.equal(0, program:count("err", "^Add "))
    assert.equal(0, program:count("err", "^Delete "))
    assert.equal(0, program:count("err", "^Run "))
    assert.equal(1, program:count("out", "^goblin loaded$"))
    assert.equal(0, program:interrupt())
    assert.equal(1, program:count("out", "^bye$"))
  end)

  it("can be patched again and again, and back", function()
    local folder, program = engine.watch(vm, sources())
    for round = 1, 5 do
      local word = "round" .. round
      folder:write("ai/goblin.lua", edit(goblin, '"sleep"', '"' .. word .. '"'))
      program:out(("^now %s %s %s %s key hp=7$"):format(word, word, word, word))
    end
    folder:write("ai/goblin.lua", goblin)
    program:out "^now sleep sleep sleep sleep key hp=7$"
    assert.equal(0, program:interrupt())
  end)

  it("functions that share a variable still share it", function()
    local folder, program = engine.watch(vm, sources())
    program:out "hp=7$"
    folder:write("ai/goblin.lua", edit(edit(goblin,
      "hp = hp - by", "hp = hp - 2 * by"),
      'return "sleep"', 'M.hurt(1) return "hurt"'))
    -- update calls think four times before it looks at hp.
    program:out "^now hurt hurt hurt hurt key hp=%-1$"
    folder:write("ai/goblin.lua", edit(goblin, "return hp", "return hp + 100"))
    program:out "^now sleep sleep sleep sleep key hp=[%d-]+$"
    assert.equal(0, program:interrupt())
  end)

  it("an added function can be called, a deleted one is gone", function()
    local folder, program = engine.watch(vm, {
      ["main.lua"] = [[
        local m = require "m"
        io.stdout:setvbuf "line"
        local last
        function init() print "ready" end
        function update()
          local now = m.extra and m.extra() or "none"
          if now ~= last then print("extra " .. now) end
          last = now
        end
      ]],
      ["m.lua"] = "local M = {}\nreturn M\n",
    })
    program:out "^extra none$"
    folder:write("m.lua",
      "local M = {}\nfunction M.extra() return 'there' end\nreturn M\n")
    program:err "^Add m%.extra%f[%s%z]"
    program:out "^extra there$"
    folder:write("m.lua", "local M = {}\nreturn M\n")
    program:err "^Delete m%.extra%f[%s%z]"
    program:out "^extra none$"
    assert.equal(0, program:interrupt())
  end)

  it("an anonymous listener follows, and is not registered twice", function()
    local listener = [[
      local bus = require "bus"
      bus.on("tick", function()
        return "one"
      end)
      return {}
    ]]
    local folder, program = engine.watch(vm, {
      ["main.lua"] = [[
        local bus = require "bus"
        require "listener"
        io.stdout:setvbuf "line"
        local last
        function init() print "ready" end
        function update()
          local now = bus.emit "tick"
          if now ~= last then print("heard " .. now) end
          last = now
        end
      ]],
      ["bus.lua"] = bus,
      ["listener.lua"] = listener,
    })
    program:out "^heard one$"
    folder:write("listener.lua", edit(listener, '"one"', '"two"'))
    program:err "^Update listener"
    program:out "^heard two$"
    assert.equal(0, program:count("err", "^Run "))
    assert.equal(0, program:interrupt())
    assert.equal(0, program:count("out", "^heard .*,"))
  end)

  it("a closure made for each of many keeps its own variables", function()
    local maker = [[
      local M = {}
      function M.new(name)
        local calls = 0
        return function()
          calls = calls + 1
          return name .. "!"
        end
      end
      return M
    ]]
    local folder, program = engine.watch(vm, {
      ["main.lua"] = [[
        local maker = require "maker"
        local all = { maker.new "a", maker.new "b", maker.new "c" }
        io.stdout:setvbuf "line"
        local last
        function init() print "ready" end
        function update()
          local now = all[1]() .. all[2]() .. all[3]()
          if now ~= last then print("names " .. now) end
          last = now
        end
      ]],
      ["maker.lua"] = maker,
    })
    program:out "^names a!b!c!$"
    folder:write("maker.lua", edit(maker, '"!"', '(calls > 1 and "?" or "-")'))
    program:out "^names a%?b%?c%?$"
    assert.equal(0, program:interrupt())
  end)

  it("a function that only moved is not updated", function()
    local folder, program = engine.watch(vm, sources())
    program:out "^now sleep"
    folder:write("ai/goblin.lua", "-- A comment.\n\n\n"
      .. edit(goblin, "return hp", "return hp + 0"))
    program:err "^Update ai%.goblin%.hp%f[%s%z]"
    program:err "^Patch"
    assert.equal(1, program:count("err", "^Update "))
    assert.equal(0, program:interrupt())
  end)

  it("a running call finishes on the old code", function()
    local main_text = [[
      io.stdout:setvbuf "line"
      function work()
        local old = "old"
        coroutine.yield(old)
        return "finished " .. old
      end
      local routine = coroutine.create(work)
      local rounds = 0
      function init()
        print(select(2, coroutine.resume(routine)))
        print "ready"
      end
      function update()
        rounds = rounds + 1
        if work_done then return end
        if patched and patched() then
          work_done = true
          print(select(2, coroutine.resume(routine)))
          local fresh = coroutine.create(work)
          print(select(2, coroutine.resume(fresh)))
        end
      end
      function patched() return false end
    ]]
    local folder, program = engine.watch(vm, { ["main.lua"] = main_text })
    folder:write("main.lua", edit(edit(edit(main_text,
      'local old = "old"', 'local old = "new"'),
      '"finished "', '"ended "'),
      "return false", "return true"))
    program:out "^finished old$"
    program:out "^new$"
    assert.equal(0, program:interrupt())
  end)
end
