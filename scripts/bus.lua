-- SPDX-License-Identifier: MIT
--
-- Who wants to hear of what. A module that makes something happen says so with
-- emit(), and need not know who cares; events.lua has the list.

local bus = {}

-- Event name → list of functions, in the order in which they came.
local listeners = {}

function bus.on(event, listener)
  local list = listeners[event] or {}
  listeners[event] = list
  list[#list + 1] = listener
  return listener
end

function bus.off(event, listener)
  local list = listeners[event] or {}
  for i = #list, 1, -1 do
    if list[i] == listener then table.remove(list, i) end
  end
end

function bus.emit(event, ...)
  for _, listener in ipairs(listeners[event] or {}) do
    listener(...)
  end
end

return bus
