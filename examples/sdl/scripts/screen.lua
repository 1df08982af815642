-- SPDX-License-Identifier: MIT
--
-- Takes the place of the demo's screen.lua, which writes to a terminal: game.c
-- paints what is on the canvas, and puts the title over its window.

local status = require "status"

local screen = { colours = 16777216 }

function screen.open() end

function screen.close() end

function screen.refresh() end

function screen.show() end

function screen.title()
  return status.problems()[1] or status.line()
end

return screen
