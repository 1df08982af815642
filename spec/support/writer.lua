-- SPDX-License-Identifier: MIT
--
-- A writer for the soak: saves its modules at random, in every way, until its
-- time is over; in the end each is a whole file again. Run as a program:
-- luajit spec/support/writer.lua FOLDER NUMBER FILES SECONDS, where NUMBER
-- names the writer and seeds it.

local files = require "spec.support.files"
local posix = require "posix"

local writer = {}

-- A module in which functions, constants and tables depend on a number.
function writer.text(number)
  local extra = number % 3 == 0 and
    ("function M.extra() return %d end\n"):format(number) or ""
  return ([[
local M = {}
local step = %d
M.hp = %d
M.list = { %d, name = "n%d" }
local function helper() return step * 2 + %d end
function M.value() return helper() + %d end
%sreturn M
]]):format(number, number * 2, number, number, number % 7, number, extra)
end

local function sleep(milliseconds)
  posix.nanosleep(0, milliseconds * 1000000)
end

local function pieces(text)
  local cut = math.random(#text - 1)
  return { text:sub(1, cut), text:sub(cut + 1) }
end

local ways = {
  function(folder, name, text) folder:write(name, text) end,
  function(folder, name, text) folder:write_over(name, text) end,
  function(folder, name, text) folder:write_with_backup(name, text) end,
  function(folder, name, text)
    folder:write_pieces(name, pieces(text), function() sleep(20) end)
  end,
  function(folder, name, text)
    folder:remove(name)
    sleep(math.random(5, 40))
    folder:write(name, text)
  end,
  function(folder, name, text)
    folder:write(name, "local M = = {}\n")
    sleep(30)
    folder:write(name, text)
  end,
  function(folder, name) folder:write(name, folder:read(name)) end,
  function(folder, name) folder:touch(name) end,
}

-- For longer than the grace time, so that its functions are deleted.
local function gone_for_long(folder, name)
  folder:remove(name)
  sleep(900)
  sleep(600)
end

function writer.run(folder, number, count, seconds)
  math.randomseed(number)
  local ends = os.time() + seconds
  local saves = 0
  while os.time() < ends do
    local name = ("w%d/f%d.lua"):format(number, math.random(count))
    if math.random(200) == 1 then gone_for_long(folder, name) end
    local way = folder:exists(name) and ways[math.random(#ways)] or ways[1]
    way(folder, name, writer.text(math.random(100000)))
    saves = saves + 1
    sleep(math.random(0, 60))
  end
  for file = 1, count do
    folder:write(("w%d/f%d.lua"):format(number, file),
      writer.text(math.random(100000)))
  end
  return saves
end

if arg and arg[0] and arg[0]:find "writer%.lua$" then
  local folder = files.open(arg[1])
  print("saves " .. writer.run(folder, tonumber(arg[2]), tonumber(arg[3]),
    tonumber(arg[4])))
end

return writer
