-- SPDX-License-Identifier: MIT
--
-- Sends the canvas to the terminal: only the cells that changed, in one write.

local canvas = require "canvas"
local terminal = require "terminal"

local screen = {}

local ESC = "\27["

-- Alternate screen, no cursor, no wrapping at the right edge.
local OPEN = ESC .. "?1049h" .. ESC .. "?25l" .. ESC .. "?7l" .. ESC .. "2J"
local CLOSE = ESC .. "0m" .. ESC .. "?7h" .. ESC .. "?25h" .. ESC .. "?1049l"

-- A frame is sent whole once in so many.
local REPAINT = 150
local frames_to_repaint = REPAINT

-- Between these two a terminal that knows them holds its picture still.
local BEGIN, END = ESC .. "?2026h", ESC .. "H" .. ESC .. "?2026l"

function screen.open()
  screen.colours = terminal.colours()
  terminal.hush()
  io.stdout:setvbuf("full")
  io.write(OPEN)
end

function screen.close()
  io.write(CLOSE)
  io.flush()
  terminal.unhush()
end

local function split(rgb)
  local red = math.floor(rgb / 65536)
  local green = math.floor(rgb / 256) % 256
  return red, green, rgb % 256
end

-- The nearest of the 6 by 6 by 6 colours, or of the 24 greys if that is nearer:
-- much nearer for a strong colour, or else the night would be all grey.
local function nearest(rgb)
  local best, best_distance = 16, math.huge
  local red, green, blue = split(rgb)
  local function try(index, r, g, b)
    local distance = (r - red) ^ 2 + (g - green) ^ 2 + (b - blue) ^ 2
    if distance < best_distance then best, best_distance = index, distance end
  end
  local function step(value)
    return math.max(0, math.floor((value - 35) / 40))
  end
  local function level(index)
    return index == 0 and 0 or 55 + 40 * index
  end
  local r, g, b = step(red), step(green), step(blue)
  try(16 + 36 * r + 6 * g + b, level(r), level(g), level(b))
  local grey = math.floor(math.max(0, math.min(23, (red + green + blue) / 30 - 0.3)))
  local strength = math.max(red, green, blue) - math.min(red, green, blue)
  best_distance = best_distance - strength ^ 2
  try(232 + grey, 8 + 10 * grey, 8 + 10 * grey, 8 + 10 * grey)
  return best
end

local digits = {}
for value = 0, 255 do
  digits[value] = string.format("%d", value)
end

local indices = {} -- for a colour, rounded, what nearest() found

local function index_of(rgb)
  local red, green, blue = split(rgb)
  local rounded = rgb - red % 8 * 65536 - green % 8 * 256 - blue % 8
  indices[rounded] = indices[rounded] or nearest(rounded)
  return indices[rounded]
end

-- The code that sets a colour. `layer` is "38;" for the character, "48;" for
-- what is behind it.
local function code(layer, rgb)
  if screen.colours == 0 then return "" end
  if screen.colours == 256 then
    return ESC .. layer .. "5;" .. digits[index_of(rgb)] .. "m"
  end
  local red, green, blue = split(rgb)
  return ESC .. layer .. "2;" .. digits[red] .. ";" .. digits[green] .. ";" .. digits[blue] .. "m"
end

local pieces, count = {}, 0 -- of the frame that is being made

local function put(piece)
  count = count + 1
  pieces[count] = piece
end

local function put_cells()
  local columns = canvas.columns()
  local last, last_ink, last_paper = -2, "", ""
  local cell = canvas.next(-1)
  while cell >= 0 do
    local column = cell % columns
    if cell ~= last + 1 or column == 0 then
      put(string.format("%s%d;%dH", ESC, (cell - column) / columns + 1, column + 1))
    end
    local ink, paper = code("38;", canvas.ink(cell)), code("48;", canvas.paper(cell))
    if ink ~= last_ink then put(ink) end
    if paper ~= last_paper then put(paper) end
    put(canvas.glyph(cell))
    last, last_ink, last_paper = cell, ink, paper
    cell = canvas.next(cell)
  end
end

-- Something else may have written to the terminal, such as a report on
-- standard error: draws all of it again soon.
function screen.refresh()
  frames_to_repaint = math.min(frames_to_repaint, 6)
end

function screen.show()
  frames_to_repaint = frames_to_repaint - 1
  if frames_to_repaint <= 0 then
    canvas.forget()
    frames_to_repaint = REPAINT
  end
  count = 0
  put(BEGIN)
  put_cells()
  put(END)
  io.write(table.concat(pieces, "", 1, count))
  io.flush()
end

return screen
