-- SPDX-License-Identifier: MIT
--
-- What follows from what. Each callback was handed to the bus once, when the
-- game started. Change one and save: the bus calls the new one from then on.

local bus = require "bus"
local flock = require "flock"
local grass = require "grass"
local screen = require "screen"
local weather = require "weather"

-- The swarm flashed. `unison` is 1 when all of them did so as one.
bus.on("beat", function(unison)
  grass.shimmer(unison)
end)

bus.on("gust", function(strength)
  weather.blow(strength)
end)

bus.on("thunder", function()
  weather.strike()
  flock.startle(0.6)
end)

-- The bat came down on the swarm.
bus.on("dive", function(bat)
  bat.mood = bat.dive
end)

bus.on("climb", function(bat)
  bat.mood = bat.roam
end)

-- Graft patched the game, or refused to, and may have said so on the terminal.
bus.on("report", function()
  screen.refresh()
end)
