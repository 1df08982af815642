-- SPDX-License-Identifier: MIT
--
-- A meadow at night: 500 fireflies that fly in swarms, find a common beat, and
-- hide from a bat. `engine` calls init() once, update() 60 times a second and
-- quit() at the end.
--
-- Where to go from here: tuning.lua has the numbers, palette.lua the colours,
-- events.lua what follows from what, story.lua what happens when.

local grass = require "grass"
local meadow = require "meadow"
local screen = require "screen"
local sky = require "sky"
local status = require "status"
local terminal = require "terminal"
local view = require "view"
require "events"

local drawing = false -- or else one status line a second
local updates = 0
local next_line = 0

function init()
  meadow.open()
  sky.open()
  grass.open()
  status.open()
  drawing = terminal.interactive()
  if drawing then
    screen.open()
    view.plain = screen.colours == 0
  end
end

-- Pictures come at half the rate of updates.
local function show(dt)
  if drawing and updates % 2 == 0 then
    view.resize(terminal.columns(), terminal.rows())
    view.draw()
    screen.show()
  elseif not drawing then
    next_line = next_line - dt
    if next_line <= 0 then
      next_line = next_line + 1
      print(status.line())
      io.flush()
    end
  end
end

function update(dt)
  local start = terminal.clock()
  updates = updates + 1
  meadow.update(dt)
  grass.update(dt)
  show(dt)
  status.update(dt, 1000 * (terminal.clock() - start))
end

function quit()
  if drawing then screen.close() end
end
