-- SPDX-License-Identifier: MIT
--
-- A terminal for specs: one window of a tmux server of its own, which is typed
-- into and looked at from outside.

local posix = require "posix"
local process = require "spec.support.process"

local terminal = {}
local Terminal = {}
Terminal.__index = Terminal

local open = {}
local count = 0

local function quote(word)
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

-- Runs a program, given as a list of words, in a terminal of that size. When
-- it has ended, the terminal shows "ended STATUS" and stays.
function terminal.open(columns, rows, command)
  count = count + 1
  local self = setmetatable({
    name = ("graft-spec-%d-%d"):format(posix.getpid "pid", count),
  }, Terminal)
  local words = {}
  for _, word in ipairs(command) do words[#words + 1] = quote(word) end
  open[self] = true
  self:tmux("-u", "-f", "/dev/null", "new-session", "-d", "-s", "spec",
    "-x", columns, "-y", rows,
    table.concat(words, " ") .. "; echo ended $?; exec cat")
  return self
end

-- For after_each.
function terminal.close_all()
  for self in pairs(open) do
    process.run { "tmux", "-L", self.name, "kill-server" }
    open[self] = nil
  end
end

function Terminal:tmux(...)
  local command = { "tmux", "-L", self.name, ... }
  for index, word in ipairs(command) do command[index] = tostring(word) end
  command.env = { TMUX = false, LC_ALL = "C.UTF-8", TERM = "xterm-256color" }
  local run = process.run(command)
  if run.status ~= 0 then run:fail "tmux failed" end
  return run.text.out
end

-- What the terminal shows, with or without its colour codes.
function Terminal:screen(with_colours)
  if with_colours then
    return self:tmux("capture-pane", "-p", "-e", "-t", "spec")
  end
  return self:tmux("capture-pane", "-p", "-t", "spec")
end

function Terminal:rows()
  local rows = {}
  for row in self:screen():gmatch "([^\n]*)\n" do rows[#rows + 1] = row end
  return rows
end

-- What tmux knows of the window, such as "#{alternate_on}".
function Terminal:ask(format)
  return (self:tmux("display-message", "-p", "-t", "spec", format)
    :gsub("\n$", ""))
end

function Terminal:keys(...)
  self:tmux("send-keys", "-t", "spec", ...)
end

function Terminal:resize(columns, rows)
  self:tmux("resize-window", "-t", "spec", "-x", columns, "-y", rows)
end

-- Looks until check(screen) is true.
function Terminal:wait(what, check)
  local give_up = process.now() + process.deadline
  while true do
    local screen = self:screen()
    if check(screen) then return screen end
    if process.now() > give_up or screen:find "\nended %d+\n" then
      error(("the terminal never showed %s\n%s")
        :format(what, (screen:gsub("%s+$", "\n"))), 0)
    end
    posix.nanosleep(0, 30000000)
  end
end

return terminal
