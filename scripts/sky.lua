-- SPDX-License-Identifier: MIT
--
-- What is above the meadow: the colours of the air, the stars, the moon.

local canvas = require "canvas"
local dice = require "dice"
local palette = require "palette"
local weather = require "weather"

local sky = {}

sky.horizon = 0.86 -- as a part of the height, from the top

local stars = {}

function sky.open()
  for i = 1, 90 do
    stars[i] = {
      x = dice.roll(),
      y = dice.roll() * 0.75,
      size = dice.between(0.25, 1),
      rate = dice.between(0.6, 2.5),
      start = dice.between(0, 6.28),
    }
  end
end

-- One colour for each half row of cells.
function sky.draw_air(rows)
  local halves = 2 * rows
  for half = 0, halves - 1 do
    local height = (half + 0.5) / halves
    if height < sky.horizon then
      canvas.sky(half, palette.sky(height / sky.horizon, weather.dusk, weather.lightning))
    else
      local depth = (height - sky.horizon) / (1 - sky.horizon)
      canvas.sky(half, palette.ground(depth, weather.dusk, weather.lightning))
    end
  end
end

-- Stars come out as the dusk goes.
function sky.draw_stars(width, height)
  local night = 1 - weather.dusk
  for _, star in ipairs(stars) do
    local twinkle = 0.75 + 0.25 * math.sin(weather.time * star.rate + star.start)
    local shine = night * star.size * twinkle
    if shine > 0.1 then
      canvas.pen(palette.star(shine))
      canvas.dot(star.x * width, star.y * height)
    end
  end
end

-- A crescent: what is in the first circle and not in the second.
function sky.draw_moon(width, height)
  local x, y = 0.84 * width, 0.17 * height
  local r = math.max(2.5, math.min(width, height) * 0.06)
  local red, green, blue = palette.moon()
  canvas.pen(red * 0.16, green * 0.17, blue * 0.22)
  canvas.light(x, y, r * 5)
  canvas.pen(red, green, blue)
  for dy = -math.floor(r), math.floor(r) do
    for dx = -math.floor(r), math.floor(r) do
      local in_moon = dx * dx + dy * dy <= r * r
      local in_shadow = (dx + 0.55 * r) ^ 2 + (dy + 0.2 * r) ^ 2 <= 0.9 * r * r
      if in_moon and not in_shadow then canvas.dot(x + dx, y + dy) end
    end
  end
end

return sky
