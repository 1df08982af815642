-- SPDX-License-Identifier: MIT
--
-- All colours of the game, as red, green and blue from 0 to 1. Change one and
-- save: this is the quickest way to see Graft at work.

local palette = {}

local function mix(a, b, part)
  return a + (b - a) * part
end

-- `glow` 0 dark, 1 flashing; `warmth` 0 greenish, 1 golden.
function palette.firefly(glow, warmth)
  local red, green, blue = mix(0.70, 1.00, warmth), mix(0.95, 0.75, warmth), 0.20
  return glow * red, glow * green, glow * blue
end

-- `height` 0 at the top, 1 at the horizon.
function palette.sky(height, dusk, lightning)
  local low = height * height
  local glare = 0.35 * lightning * (1 - 0.5 * height)
  local red = 0.012 + 0.020 * low + dusk * mix(0.05, 0.42, low * low)
  local green = 0.024 + 0.055 * low + dusk * mix(0.03, 0.16, low * low)
  local blue = 0.080 + 0.100 * low + dusk * mix(0.14, 0.16, low)
  return red + glare, green + glare, blue + glare * 1.2
end

-- The ground: `depth` 0 at the horizon, 1 at the lower edge.
function palette.ground(depth, dusk, lightning)
  local light = 1 + 1.2 * dusk + 4 * lightning
  local green, blue = mix(0.052, 0.020, depth), mix(0.075, 0.012, depth)
  return mix(0.016, 0.008, depth) * light, green * light, blue * light
end

-- A blade of grass: `tone` 0 to 1, one blade from the next; `shine` 0 to 1.
function palette.grass(tone, shine)
  local red, green = mix(0.03, 0.07, tone), mix(0.13, 0.26, tone)
  return red + 0.25 * shine, green + 0.35 * shine, 0.09 + 0.05 * shine
end

function palette.star(twinkle)
  return 0.55 * twinkle, 0.62 * twinkle, 0.80 * twinkle
end

function palette.moon()
  return 0.96, 0.93, 0.80
end

function palette.bat()
  return 0.36, 0.30, 0.46
end

function palette.status()
  return 0.55, 0.66, 0.60
end

function palette.problem()
  return 1.00, 0.45, 0.35
end

return palette
