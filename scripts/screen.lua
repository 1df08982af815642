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

-- The nearest of the 6 by 6 by 6 colours, or of the 24 greys if that is nearer.
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
  try(232 + grey, 8 + 10 * grey, 8 + 10 * grey, 8 + 10 * grey)
  return best
end

-- Makes a function from a colour to the code that sets it; `layer` is 38 for
-- the character, 48 for what is behind it. It remembers what it made.
local function make_coder(layer)
  local codes, count = {}, 0
  return function(rgb)
    local code = codes[rgb]
    if code then return code end
    if count >= 4096 then codes, count = {}, 0 end
    if screen.colours > 256 then
      code = string.format("%s%d;2;%d;%d;%dm", ESC, layer, split(rgb))
    elseif screen.colours > 0 then
      code = string.format("%s%d;5;%dm", ESC, layer, nearest(rgb))
    else
      code = ""
    end
    codes[rgb], count = code, count + 1
    return code
  end
end

local ink_code, paper_code = make_coder(38), make_coder(48)

function screen.show()
  local columns = canvas.columns()
  local out, n = { BEGIN }, 1
  local last, last_ink, last_paper = -2, nil, nil
  local cell = canvas.next(-1)
  while cell >= 0 do
    if cell ~= last + 1 or cell % columns == 0 then
      local row = math.floor(cell / columns)
      n = n + 1
      out[n] = string.format("%s%d;%dH", ESC, row + 1, cell - row * columns + 1)
    end
    local ink, paper = ink_code(canvas.ink(cell)), paper_code(canvas.paper(cell))
    if ink ~= last_ink then n = n + 1 out[n] = ink end
    if paper ~= last_paper then n = n + 1 out[n] = paper end
    n = n + 1
    out[n] = canvas.glyph(cell)
    last, last_ink, last_paper = cell, ink, paper
    cell = canvas.next(cell)
  end
  out[n + 1] = END
  io.write(table.concat(out))
  io.flush()
end

return screen
