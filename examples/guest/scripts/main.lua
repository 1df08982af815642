-- SPDX-License-Identifier: MIT
--
-- guest.c calls tick() through Graft, and greet() as it calls any Lua function.

local ticks = 0

function tick()
  ticks = ticks + 1
  if ticks == 1 then log "the first tick" end
end

function greet(name)
  return "hello " .. name
end
