-- SPDX-License-Identifier: MIT
--
-- What happens in a night, as a coroutine that reads like a script for the
-- theatre. A scene that is edited plays in its new form the next time it comes.

local bus = require "bus"
local weather = require "weather"

local story = {}

local stage -- the coroutine
local bat -- the one actor with a part of its own

-- Lets the game go on for some seconds. Every resume brings the time that the
-- last frame took.
local function wait(seconds)
  while seconds > 0 do
    seconds = seconds - coroutine.yield()
  end
end

-- Calls `change` once a frame with how much of the time is over, 0 to 1.
local function over(seconds, change)
  local passed = 0
  while passed < seconds do
    passed = passed + coroutine.yield()
    change(math.min(1, passed / seconds))
  end
end

function story.nightfall()
  over(22, function(part)
    weather.dusk = 1 - part
  end)
end

function story.calm()
  wait(12)
end

function story.hunt()
  bus.emit("dive", bat)
  wait(9)
  bus.emit("climb", bat)
end

function story.gusts()
  for strength = 20, 60, 20 do
    bus.emit("gust", strength)
    wait(1.5)
  end
end

function story.storm()
  bus.emit("thunder")
  wait(0.25)
  bus.emit("thunder")
  wait(1)
end

local function night()
  story.nightfall()
  while true do
    story.calm()
    story.hunt()
    story.calm()
    story.gusts()
    story.calm()
    story.storm()
  end
end

function story.start(the_bat)
  bat = the_bat
  stage = coroutine.create(night)
end

-- A scene that fails takes its night with it; the next one begins at once.
function story.update(dt)
  local ok, message = coroutine.resume(stage, dt)
  if not ok then
    local trace = debug.traceback(stage, message)
    stage = coroutine.create(night)
    error(trace, 0)
  end
end

return story
