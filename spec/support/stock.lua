-- SPDX-License-Identifier: MIT
--
-- Stock programs for specs, with nothing of Graft but its Lua module: lua5.4,
-- luajit, love.

local engine = require "spec.support.engine"
local process = require "spec.support.process"

local stock = {}

local interpreters = { lua54 = "lua5.4", luajit = "luajit" }
local folders = { lua54 = "5.4", luajit = "5.1" }

local function library(name)
  local found = process.run { "gcc", "-print-file-name=" .. name }
  return (found.text.out:gsub("%s+$", ""))
end

-- What the program's environment needs so that it finds the module. A sanitized
-- module wants its runtime loaded first; leaks are looked for by the C specs,
-- since a stock interpreter has some of its own.
function stock.environment(vm)
  local env = {
    LUA_CPATH = ("%s/lib/lua/%s/?.so"):format(engine.build, folders[vm]),
  }
  if engine.path:find("asan", 1, true) then
    env.LD_PRELOAD = library "libasan.so" .. " " .. library "libubsan.so"
    env.ASAN_OPTIONS = (os.getenv "ASAN_OPTIONS" or "") .. ":detect_leaks=0"
  end
  return env
end

-- Starts main.lua of a new folder with these sources; returns both.
function stock.start(vm, sources)
  local folder = engine.project(sources)
  return folder, process.start {
    interpreters[vm], "main.lua", cwd = folder.path,
    env = stock.environment(vm),
  }
end

-- Replaces a text in a file, as an editor saves it.
function stock.edit(folder, name, from, to)
  local text = folder:read(name)
  local first, last = text:find(from, 1, true)
  assert(first, from .. " is not in " .. name)
  folder:write(name, text:sub(1, first - 1) .. to .. text:sub(last + 1))
end

return stock
