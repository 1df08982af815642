-- SPDX-License-Identifier: MIT
--
-- Draws the meadow on the canvas, back to front. Here places are in dots: a
-- cell of the terminal has 2 by 4 of them.

local canvas = require "canvas"
local grass = require "grass"
local meadow = require "meadow"
local palette = require "palette"
local sky = require "sky"
local status = require "status"
local weather = require "weather"
local wings = require "wings"

local view = {}

local width, height -- of the picture, in dots
local scale_x, scale_y -- dots for one unit of the meadow

-- Without colours there is no glow: a firefly is a dot that is there or not.
view.plain = false

function view.resize(columns, rows)
  if not canvas.resize(columns, rows) then return end
  width, height = 2 * canvas.columns(), 4 * canvas.rows()
  meadow.resize(height / width)
  scale_x, scale_y = width / meadow.width, height / meadow.height
end

local function draw_firefly(firefly)
  local x, y = firefly:place()
  local glow = firefly:glow(weather.time)
  if view.plain and glow < 0.2 then return end
  x, y = x * scale_x, y * scale_y
  if glow > 0.05 and not view.plain then
    canvas.pen(firefly:colour(0.22 * glow))
    canvas.light(x, y, firefly:reach(glow) * scale_x)
  end
  canvas.pen(firefly:colour(0.22 + glow))
  canvas.dot(x, y)
end

-- One wing, from the shoulder to the tip in columns of dots. `side` is -1 or 1.
local function draw_wing(x, y, size, side)
  local beat, tilt = wings.tips(), 0.25 * wings.lean()
  local span = size * (1 - 0.2 * math.abs(beat))
  for step = 1, math.ceil(span) do
    local part = step / span
    local arm = tilt * side * step - size * (0.1 + 0.36 * beat) * math.sin(2.5 * part)
    local fingers = 0.75 + 0.25 * math.cos(6 * math.pi * part)
    local skin = size * 0.6 * math.max(0, 1 - part) ^ 0.6 * fingers
    canvas.line(x + side * step, y + arm, x + side * step, y + arm + skin)
  end
end

local function draw_bat()
  local bat = meadow.bat
  local x, y = bat.x * scale_x, bat.y * scale_y
  local size = math.max(5, 13 * scale_x)
  canvas.cover()
  canvas.pen(palette.bat())
  draw_wing(x, y, size, -1)
  draw_wing(x, y, size, 1)
  for side = -1, 1 do -- a furry body, and an ear on either side
    local ear = size * 0.14 * math.abs(side)
    canvas.line(x + side, y - ear, x + side, y + size * 0.55 - 2 * ear)
  end
end

-- The status line is the last row; problems are told at the top.
local function draw_texts()
  canvas.pen(palette.status())
  canvas.text(1, canvas.rows() - 1, status.line(canvas.columns() - 2))
  canvas.pen(palette.problem())
  for i, line in ipairs(status.problems()) do
    canvas.text(1, i, line)
  end
end

function view.draw()
  canvas.clear(0.45)
  if not view.plain then sky.draw_air(canvas.rows()) end
  sky.draw_stars(width, height)
  if not view.plain then sky.draw_moon(width, height) end
  grass.draw(width, height)
  for _, firefly in ipairs(meadow.fireflies) do
    draw_firefly(firefly)
  end
  draw_bat()
  draw_texts()
  canvas.compose()
end

return view
