-- SPDX-License-Identifier: MIT
--
-- The numbers to play with. Save this file while the game runs: the new
-- numbers hold at once, and the meadow goes on as it is.
--
-- The meadow is 200 units wide, whatever the size of the terminal.

return {
  seed = 2026, -- the same seed gives the same night
  fireflies = 500,

  -- How they fly. The first three are the rules of flocking.
  cohesion = 2.2, -- towards the middle of the neighbours
  alignment = 0.9, -- the way the neighbours fly
  separation = 70, -- away from who is too near
  sight = 11, -- how far a neighbour can be
  wandering = 26, -- how much everybody has a will of their own
  speed = 13, -- units a second, when nothing is after them

  -- How they blink.
  tempo = 0.55, -- flashes a second
  spread = 0.25, -- how much tempos differ from one to the next
  coupling = 1.4, -- how much they heed their neighbours
  contagion = 0.12, -- how much they heed the glow of the whole swarm

  -- How they fear the bat.
  fear_radius = 24,
  fear = 240,
}
