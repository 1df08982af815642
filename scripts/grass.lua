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
  for i = 1, 420 do
    blades[i] = {
      x = (i - dice.roll()) / 420,
      length = dice.between(0.3, 1) ^ 1.5,
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
  return 0.12 * wave + 0.02 * weather.wind * (1 + 0.6 * wave)
end

-- `width` and `height` are the picture's, in dots.
function grass.draw(width, height)
  local longest = 0.19 * height
  for _, blade in ipairs(blades) do
    local length = longest * blade.length
    local foot = blade.x * width
    local tip = foot + length * math.max(-0.9, math.min(0.9, lean(blade.x)))
    canvas.pen(palette.grass(blade.tone, shine * blade.length * 0.4 + 0.5 * weather.lightning))
    canvas.line(foot, height - 1, tip, height - length)
  end
end

return grass
