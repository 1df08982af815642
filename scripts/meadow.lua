-- SPDX-License-Identifier: MIT
--
-- The meadow: who is in it, and what happens there in one step of time. The
-- steering of the swarm is C: natives/flock.c.

local Bat = require "bat"
local bus = require "bus"
local dice = require "dice"
local Firefly = require "firefly"
local flock = require "flock"
local story = require "story"
local tuning = require "tuning"
local weather = require "weather"

local meadow = {
  width = 200,
  height = 112,
  fireflies = {},
  unison = 0, -- how well they blink in step, 0 to 1
}

local last_beat = 0

function meadow.open()
  dice.seed(tuning.seed)
  flock.seed(tuning.seed)
  flock.bounds(meadow.width, meadow.height)
  meadow.bat = Bat.new()
  story.start(meadow.bat)
end

-- The meadow is as high as the picture of it, within reason.
function meadow.resize(height_by_width)
  meadow.height = meadow.width * math.max(0.3, math.min(1.2, height_by_width))
  flock.bounds(meadow.width, meadow.height)
end

-- There are as many fireflies as tuning.lua says, at any time.
function meadow.populate()
  local fireflies = meadow.fireflies
  if #fireflies == tuning.fireflies then return end
  local count = flock.resize(tuning.fireflies)
  for id = #fireflies, count - 1 do
    fireflies[id + 1] = Firefly.new(id)
  end
  for i = #fireflies, count + 1, -1 do
    fireflies[i] = nil
  end
end

local function fly(dt)
  local bat = meadow.bat
  flock.steer(tuning.cohesion, tuning.alignment, tuning.separation, tuning.sight)
  flock.wander(tuning.wandering)
  flock.wind(weather.wind + weather.breeze(), 0)
  flock.repel(bat.x, bat.y, tuning.fear_radius, tuning.fear)
  flock.step(dt, tuning.speed)
end

-- When the mean phase of the swarm comes round, the swarm has flashed.
local function blink(dt)
  flock.couple(tuning.tempo, tuning.spread, tuning.coupling, tuning.contagion, dt)
  meadow.unison = flock.unison()
  local beat = flock.beat()
  if last_beat > 0.7 and beat < 0.3 then bus.emit("beat", meadow.unison) end
  last_beat = beat
end

function meadow.update(dt)
  meadow.populate()
  weather.update(dt)
  story.update(dt)
  meadow.bat:update(dt, meadow.width, meadow.height)
  fly(dt)
  blink(dt)
end

return meadow
