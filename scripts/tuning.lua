-- SPDX-License-Identifier: MIT
--
-- The numbers to play with. Save this file while the game runs: the new
-- numbers hold at once, and the meadow goes on as it is.
--
-- The meadow is 200 units wide, whatever the size of the terminal.

local tuning = {}

tuning.seed = 2026 -- the same seed gives the same night; read at the start
tuning.fireflies = 500 -- there is room for 4,096

-- How they fly. The first three are the rules of flocking.
tuning.cohesion = 2.2 -- towards the middle of the neighbours
tuning.alignment = 0.9 -- the way the neighbours fly
tuning.separation = 70 -- away from who is too near
tuning.sight = 11 -- how far a neighbour can be
tuning.wandering = 26 -- how much everybody has a will of their own
tuning.speed = 13 -- units a second, when nothing is after them

-- How they blink.
tuning.tempo = 0.55 -- flashes a second
tuning.spread = 0.25 -- how much tempos differ from one to the next
tuning.coupling = 1.4 -- how much they heed their neighbours
tuning.contagion = 0.12 -- how much they heed the glow of the whole swarm

-- How they fear the bat.
tuning.fear_radius = 24
tuning.fear = 240

return tuning
