-- SPDX-License-Identifier: MIT
--
-- A LÖVE game that adds `require "graft"` and graft.update() and is edited while
-- it runs. It has no window, so that it needs no display.

local engine = require "spec.support.engine"
local process = require "spec.support.process"
local stock = require "spec.support.stock"

local conf = [[
function love.conf(t)
  t.window = nil
  for _, name in ipairs { "window", "graphics", "audio", "sound", "joystick" } do
    t.modules[name] = false
  end
end
]]

local main = [[
io.stdout:setvbuf "line"
local graft = require "graft"
local brain = require "ai.brain"
local frames, last = 0
function love.load() print "ready" end
function love.update(dt)
  graft.update()
  frames = frames + 1
  local now = "thinks " .. brain.think()
  if now ~= last then print(now, frames > 1 and "later" or "first") end
  last = now
end
function love.keypressed() return "old key" end
]]

local brain = [[
local M, state = {}, 0
function M.remember() state = 7 end
function M.think() return "old " .. state end
M.remember()
return M
]]

local function start(arguments, sources)
  local folder = engine.project(sources or {
    ["game/conf.lua"] = conf, ["game/main.lua"] = main,
    ["game/ai/brain.lua"] = brain,
  })
  local env = stock.environment "luajit"
  env.SDL_VIDEODRIVER, env.SDL_AUDIODRIVER = "dummy", "dummy"
  local desc = { "love", cwd = folder.path, env = env }
  for _, argument in ipairs(arguments) do desc[#desc + 1] = argument end
  return folder, process.start(desc)
end

describe("LÖVE:", function()
  after_each(engine.clean_up)

  it("takes edits of modules and of main.lua", function()
    local folder, program = start { "game" }
    program:out "^thinks old 7"
    stock.edit(folder, "game/ai/brain.lua", "old", "new")
    assert.equal("thinks new 7\tlater", (program:out "^thinks new"))
    program:err "^Update ai%.brain%.think"
    stock.edit(folder, "game/main.lua", '"thinks "', '"believes "')
    assert.equal("believes new 7\tlater", (program:out "^believes"))
    program:err "^Update main%.love%.update"
    assert.equal(1, program:count("out", "^ready"))
  end)

  it("puts new code back that raises, and goes on", function()
    local folder, program = start { "game" }
    program:out "^thinks old 7"
    stock.edit(folder, "game/ai/brain.lua", '"old "', "nil")
    program:err "^Revert ai%.brain%.think: game/ai/brain%.lua:3: "
    stock.edit(folder, "game/ai/brain.lua", "nil", '"better "')
    assert.equal("thinks better 7\tlater", (program:out "^thinks better"))
  end)

  it("shows a syntax error and runs on", function()
    local folder, program = start { "game" }
    program:out "^thinks old 7"
    stock.edit(folder, "game/ai/brain.lua", "return M", "return M M")
    program:err "^Reject game/ai/brain%.lua:5:"
    stock.edit(folder, "game/ai/brain.lua", "return M M", "return M")
    stock.edit(folder, "game/ai/brain.lua", "old", "new")
    program:out "^thinks new 7"
  end)
end)
