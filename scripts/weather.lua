-- SPDX-License-Identifier: MIT
--
-- The air over the meadow: how light it still is, the wind, the lightning.

local weather = {
  time = 0, -- seconds since the game began
  dusk = 1, -- 1 the sun has just set, 0 deep night
  wind = 0, -- units a second, a second; positive to the right
  lightning = 0, -- 1 at the stroke, then fading
}

-- A gust that blows itself out.
function weather.blow(strength)
  weather.wind = weather.wind + strength
end

function weather.strike()
  weather.lightning = 1
end

-- The breeze that always goes, in slow waves.
function weather.breeze()
  return 3 * math.sin(weather.time * 0.4) + 2 * math.sin(weather.time * 1.1)
end

function weather.update(dt)
  weather.time = weather.time + dt
  weather.wind = weather.wind * math.exp(-0.9 * dt)
  weather.lightning = weather.lightning * math.exp(-5 * dt)
end

return weather
