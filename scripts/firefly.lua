-- SPDX-License-Identifier: MIT
--
-- One firefly: what makes it different from the others, and how bright it is.
-- Where it is and how it flies is in natives/flock.c, under the same number.

local dice = require "dice"
local flock = require "flock"
local palette = require "palette"

local Firefly = {}
Firefly.__index = Firefly

-- How bright a lantern is at a phase of its beat: it lights up in a blink,
-- then dies away. Phase 0 is the flash.
local function flash(phase)
  local since = (phase + 0.06) % 1
  if since < 0.06 then return since / 0.06 end
  return math.exp(-4.5 * (since - 0.06))
end

-- A lantern trembles a little, each in its own way: one closure for each.
local function make_flicker()
  local rate = dice.between(5, 11)
  local start = dice.between(0, 6.28)
  return function(time)
    return 0.9 + 0.1 * math.sin(rate * time + start)
  end
end

function Firefly.new(id)
  local self = setmetatable({}, Firefly)
  self.id = id
  self.warmth = dice.roll() -- 0 greenish, 1 golden
  self.size = dice.between(0.7, 1.3)
  self.flicker = make_flicker()
  flock.pace(id, dice.between(-1, 1))
  return self
end

-- From 0, dark, to 1. Who is afraid hides the light.
function Firefly:glow(time)
  local calm = 1 - flock.fear(self.id)
  return flash(flock.phase(self.id)) * self.flicker(time) * calm
end

function Firefly:colour(glow)
  return palette.firefly(glow, self.warmth)
end

-- How far the light of it shines, in units of the meadow.
function Firefly:reach(glow)
  return self.size * (2 + 7 * glow)
end

function Firefly:place()
  return flock.x(self.id), flock.y(self.id)
end

return Firefly
