-- SPDX-License-Identifier: MIT
--
-- The grass along the lower edge: it bends with the wind, and shimmers when
-- the swarm flashes above it.

local canvas = require "canvas"
local dice = require "dice"
local palette = require "palette"
local weather = require "weather"

local grass = {}

local blades = {}
local shine = 0

function grass.open()
  for i = 1, 240 do
    blades[i] = {
      place = dice.roll(), -- in the room that it has
      length = 0.25 + 0.75 * dice.roll() ^ 2.5,
      tone = dice.roll(),
    }
  end
end

-- The light of a flash that runs over the blades.
function grass.shimmer(strength)
  shine = math.max(shine, strength)
end

function grass.update(dt)
  shine = shine * math.exp(-2.2 * dt)
end

-- How far the tips lean at a place, 1 is as far as a blade is long. Gusts run
-- through the grass in waves from the left.
local function lean(x)
  local wave = math.sin(9 * x - 2.4 * weather.time) + 0.5 * math.sin(23 * x - 3.9 * weather.time)
  local bend = 0.15 * wave + 0.02 * weather.wind * (1 + 0.6 * wave)
  return math.max(-0.9, math.min(0.9, bend))
end

-- `width` and `height` are the picture's, in dots. The upper half of a blade
-- bends more than the lower. A wide picture has room for more blades.
function grass.draw(width, height)
  local longest = 0.25 * height
  local count = math.min(#blades, math.floor(0.5 * width))
  for i = 1, count do
    local blade = blades[i]
    local x = (i - blade.place) / count
    local length = longest * blade.length
    local bend = length * lean(x)
    local foot, bottom = x * width, height - 1
    local glint = 0.35 * shine * blade.length + 0.4 * weather.lightning
    canvas.pen(palette.grass(blade.tone, glint))
    canvas.line(foot, bottom, foot + 0.25 * bend, bottom - 0.5 * length)
    canvas.line(foot + 0.25 * bend, bottom - 0.5 * length, foot + bend, bottom - length)
  end
end

return grass
