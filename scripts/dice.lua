-- SPDX-License-Identifier: MIT
--
-- Chance that repeats: the same seed gives the same numbers on every VM, which
-- math.random does not promise. (Park and Miller's generator.)

local dice = {}

local state = 1

function dice.seed(seed)
  state = seed % 2147483646 + 1
end

-- A number from 0 up to, but not including, 1.
function dice.roll()
  state = state * 16807 % 2147483647
  return (state - 1) / 2147483646
end

function dice.between(low, high)
  return low + (high - low) * dice.roll()
end

return dice
