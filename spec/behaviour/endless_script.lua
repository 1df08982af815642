-- SPDX-License-Identifier: MIT
--
-- A script with a loop of its own, which never returns to the host, receives
-- patches while it runs, and Ctrl-C ends it. The loops call os.clock, because
-- LuaJIT would compile them into traces which nothing can interrupt.

local engine = require "spec.support.engine"

local function start(vm, text)
  local folder = engine.project { ["s.lua"] = text }
  local program = engine.start(vm, { folder:at "s.lua" })
  program:out "^value one$"
  return folder, program
end

-- Prints a value whenever it changes, for ever.
local loop = [[
io.stdout:setvbuf "line"
local function value() return "one" end
local last
local function show()
  os.clock()
  local now = value()
  if now ~= last then print("value " .. now) end
  last = now
end
]]

return function(vm)
  after_each(engine.clean_up)

  it("receives a patch between two instructions", function()
    local text = loop .. "while true do show() end\n"
    local folder, program = start(vm, text)
    folder:write("s.lua", (text:gsub('"one"', '"two"')))
    program:err "^Update s:value%f[%s%z]"
    program:out "^value two$"
    folder:write("s.lua", (text:gsub('"one"', '"three"')))
    program:out "^value three$"
    program:interrupt()
    assert.equal(0, program:count("err", "^Reject "))
  end)

  it("receives it in a coroutine, too", function()
    local text = loop .. [[
      local routine = coroutine.wrap(function()
        while true do show() end
      end)
      routine()
    ]]
    local folder, program = start(vm, text)
    folder:write("s.lua", (text:gsub('"one"', '"two"')))
    program:out "^value two$"
    program:interrupt()
  end)

  it("goes on when what was saved has a syntax error", function()
    local text = loop .. "while true do show() end\n"
    local folder, program = start(vm, text)
    folder:write("s.lua", (text:gsub('return "one"', 'return return')))
    program:err "^Reject .*s%.lua:2:"
    folder:write("s.lua", (text:gsub('"one"', '"two"')))
    program:out "^value two$"
    program:interrupt()
  end)

  it("ends at Ctrl-C", function()
    local _, program = start(vm, loop .. "while true do show() end\n")
    local status, signal = program:interrupt()
    assert.is_nil(signal)
    assert.equal(0, status)
  end)
end
