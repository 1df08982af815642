-- SPDX-License-Identifier: MIT
--
-- A screen that nobody sees, for programs with windows: Xvfb, whose picture is
-- read from the file that it keeps it in, and whose windows can be closed.

local engine = require "spec.support.engine"
local ffi = require "ffi"
local process = require "spec.support.process"

local display = {}
local Display = {}
Display.__index = Display

ffi.cdef [[
  typedef unsigned long Window;
  typedef struct { int type; unsigned long serial; int send_event; void *display;
    Window window; unsigned long message_type; int format; long data[5];
    long room[24]; } GraftXMessage;
  void *XOpenDisplay(const char *);
  int XCloseDisplay(void *);
  Window XDefaultRootWindow(void *);
  int XQueryTree(void *, Window, Window *, Window *, Window **, unsigned *);
  unsigned long XInternAtom(void *, const char *, int);
  int XSendEvent(void *, Window, int, long, GraftXMessage *);
  int XFree(void *);
]]

-- A screen of 1000 by 700 pixels, for the time of one spec.
function display.open()
  local folder = engine.project {}
  local server = process.start { "Xvfb", "-displayfd", "1", "-nolisten", "tcp",
    "-screen", "0", "1000x700x24", "-fbdir", folder.path }
  local number = server:out "^%d+$"
  return setmetatable({ name = ":" .. number, server = server,
    file = folder:at "Xvfb_screen0" }, Display)
end

-- The colour of a pixel: red, green, blue from 0 to 255. The file is an X
-- window dump: a header of 32-bit numbers, the first of them its size; colours;
-- the rows.
function Display:pixel(x, y)
  local file = assert(io.open(self.file, "rb"))
  local header = file:read(100)
  local function field(index)
    local a, b, c, d = header:byte(4 * index + 1, 4 * index + 4)
    return ((a * 256 + b) * 256 + c) * 256 + d
  end
  file:seek("set", field(0) + 12 * field(19) + field(12) * y + 4 * x)
  local blue, green, red = file:read(3):byte(1, 3)
  file:close()
  return red, green, blue
end

-- Waits until a pixel is such that accept(red, green, blue) is true, while
-- `program` runs.
function Display:shows(program, x, y, accept)
  local give_up = process.now() + process.deadline
  while not accept(self:pixel(x, y)) do
    if process.now() > give_up or not program:pump(20) then
      program:fail(("the pixel is %d,%d,%d"):format(self:pixel(x, y)))
    end
  end
end

-- Asks all windows to close, as a click on the cross of a title bar does.
function Display:close_windows()
  local X = ffi.load "X11"
  local connection = X.XOpenDisplay(self.name)
  assert(connection ~= nil, "cannot open display " .. self.name)
  local ids = ffi.new "Window[2]"
  local list, count = ffi.new "Window *[1]", ffi.new "unsigned[1]"
  X.XQueryTree(connection, X.XDefaultRootWindow(connection), ids, ids + 1, list,
    count)
  for i = 0, count[0] - 1 do
    local message = ffi.new("GraftXMessage", { type = 33, -- ClientMessage
      window = list[0][i], format = 32,
      message_type = X.XInternAtom(connection, "WM_PROTOCOLS", 0) })
    message.data[0] = X.XInternAtom(connection, "WM_DELETE_WINDOW", 0)
    X.XSendEvent(connection, list[0][i], 0, 0, message)
  end
  if list[0] ~= nil then X.XFree(list[0]) end
  X.XCloseDisplay(connection)
end

return display
