-- SPDX-License-Identifier: MIT
--
-- The bat: where it wants to be. Its wings, and how they carry it there, are in
-- natives/wings.c.

local wings = require "wings"

local Bat = {}
Bat.__index = Bat

function Bat.new()
  local self = setmetatable({ time = 0, x = wings.x(), y = wings.y() }, Bat)
  self.mood = Bat.roam
  return self
end

-- A mood is a function that says where to fly, as parts of the meadow's width
-- and height, and how eagerly. This one draws lazy loops.
function Bat:roam()
  local t = self.time
  return 0.5 + 0.42 * math.sin(0.37 * t), 0.42 + 0.26 * math.sin(0.53 * t), 1.6
end

-- Low and fast, from one end of the grass to the other.
function Bat:dive()
  local t = self.time
  return 0.5 + 0.45 * math.sin(0.9 * t), 0.66 + 0.08 * math.sin(2.1 * t), 2.4
end

function Bat:update(dt, width, height)
  self.time = self.time + dt
  local x, y, eager = self:mood()
  wings.seek(x * width, y * height, eager, dt)
  self.x, self.y = wings.x(), wings.y()
end

return Bat
