-- SPDX-License-Identifier: MIT
--
-- Makes the picture of the README: plays the demo for some seconds of its own
-- time, then writes what the terminal would show as SVG. It uses the game's own
-- modules, so the picture cannot differ from the game.
--
--   engine --watch scripts tools/picture.lua [COLUMNS ROWS SECONDS] > tools/picture.svg

local canvas = require "canvas"
local grass = require "grass"
local meadow = require "meadow"
local sky = require "sky"
local view = require "view"
require "events"

local CELL = 8 -- the width of a cell; it is twice as high

-- Where the bits of a braille character are, in dots.
local DOTS = {
  { 1, 0, 0 }, { 2, 0, 1 }, { 4, 0, 2 }, { 64, 0, 3 },
  { 8, 1, 0 }, { 16, 1, 1 }, { 32, 1, 2 }, { 128, 1, 3 },
}

local arguments = arg or {}

local columns = tonumber(arguments[1]) or 100
local rows = tonumber(arguments[2]) or 30
local seconds = tonumber(arguments[3]) or 8

-- Colours are rounded a little, for a smaller file.
local function hex(rgb)
  local red, green = math.floor(rgb / 65536), math.floor(rgb / 256) % 256
  local function round(value)
    return math.min(255, math.floor((value + 2) / 4) * 4)
  end
  return string.format("#%02x%02x%02x", round(red), round(green), round(rgb % 256))
end

-- Collects strokes by colour, in the order in which colours come.
local function new_layer()
  return { order = {}, strokes = {} }
end

local function add(layer, colour, ...)
  local strokes = layer.strokes[colour]
  if not strokes then
    strokes = {}
    layer.strokes[colour] = strokes
    layer.order[#layer.order + 1] = colour
  end
  strokes[#strokes + 1] = string.format(...)
end

local function write_layer(layer, attributes)
  io.write("<g ", attributes, ">\n")
  for _, colour in ipairs(layer.order) do
    io.write(string.format('<path stroke="%s" d="%s"/>\n', colour,
      table.concat(layer.strokes[colour])))
  end
  io.write("</g>\n")
end

local function play()
  meadow.open()
  sky.open()
  grass.open()
  view.resize(columns, rows)
  for frame = 1, seconds * 60 do
    meadow.update(1 / 60)
    grass.update(1 / 60)
    if frame % 2 == 0 then view.draw() end
  end
end

-- The number of a braille character's pattern, nil for other characters.
local function pattern(glyph)
  local first, second, third = string.byte(glyph, 1, 3)
  if first ~= 0xE2 or second < 0xA0 or second > 0xA3 then return nil end
  return (second - 0xA0) * 64 + third - 0x80
end

local function add_dots(layer, cell, x, y)
  local bits = pattern(canvas.glyph(cell))
  if not bits then return end
  for _, dot in ipairs(DOTS) do
    if math.floor(bits / dot[1]) % 2 == 1 then
      add(layer, hex(canvas.ink(cell)), "M%d %dh0", x + 2 + 4 * dot[2], y + 2 + 4 * dot[3])
    end
  end
end

-- One half row of the background: cells of one colour become one stroke.
local function add_air(layer, row, half)
  local start, before = 0, nil
  for column = 0, columns do
    local cell = row * columns + column
    local upper = half == 0 and canvas.glyph(cell) == "▀"
    local colour = column < columns and hex(upper and canvas.ink(cell) or canvas.paper(cell))
    if colour ~= before then
      if before then
        add(layer, before, "M%d %dh%d", start * CELL, (4 * row + 2 * half + 1) * CELL / 2,
          (column - start) * CELL)
      end
      start, before = column, colour
    end
  end
end

local function write_text(row)
  local text, first = {}, row * columns
  for cell = first, first + columns - 1 do
    local glyph = canvas.glyph(cell)
    text[#text + 1] = (pattern(glyph) or glyph == "▀") and " " or glyph
  end
  local line = string.gsub(table.concat(text), "[<&]", { ["<"] = "&lt;", ["&"] = "&amp;" })
  if not string.find(line, "%S") then return end
  io.write(string.format('<text x="0" y="%d" textLength="%d" xml:space="preserve">%s</text>\n',
    (row + 1) * 2 * CELL - 4, columns * CELL, line))
end

local function write_picture()
  local air, dots = new_layer(), new_layer()
  for row = 0, rows - 1 do
    add_air(air, row, 0)
    add_air(air, row, 1)
    for column = 0, columns - 1 do
      add_dots(dots, row * columns + column, column * CELL, row * 2 * CELL)
    end
  end
  io.write(string.format('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d">\n',
    columns * CELL, rows * 2 * CELL))
  io.write("<title>A meadow at night: fireflies, grass, the moon and a bat</title>\n")
  write_layer(air, 'shape-rendering="crispEdges" stroke-width="8"')
  write_layer(dots, 'stroke-linecap="round" stroke-width="3"')
  io.write('<g font-family="monospace" font-size="13" fill="#8ca899">\n')
  for row = 0, rows - 1 do
    write_text(row)
  end
  io.write("</g>\n</svg>\n")
end

play()
write_picture()
