-- SPDX-License-Identifier: MIT
--
-- frames.c calls frame() sixty times a second, and prints what it returns.

local shown

local function describe(temperature)
  return ("%d degrees"):format(math.floor(temperature + 0.5))
end

function frame(temperature)
  local text = describe(temperature)
  if text == shown then return nil end
  shown = text
  return text
end
