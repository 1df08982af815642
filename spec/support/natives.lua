-- SPDX-License-Identifier: MIT
--
-- A game with natives in C for specs: its main.lua prints what expressions
-- give whenever that changes, and takes lines of Lua from standard input.

local assert = require "luassert"
local engine = require "spec.support.engine"

local natives = {}
local Game = {}
Game.__index = Game

local main = [[
io.stdout:setvbuf "line"
local graft = require "graft"
local shown, last = { %s }, {}
for _, name in ipairs { %s } do _G[name] = require(name) end
local load = loadstring or load
local function text(value)
  return type(value) == "number" and ("%%.14g"):format(value) or tostring(value)
end
local function evaluate(source)
  local results = { pcall(assert(load("local graft = ...; return " .. source)), graft) }
  local parts = {}
  for i = 2, #results do parts[#parts + 1] = text(results[i]) end
  return table.concat(parts, " ")
end
local commands = io.open(%q, "r")
function init() print "ready" end
function update()
  local line = commands and commands:read "*l"
  while line do
    print("> " .. line .. " = " .. evaluate(line))
    line = commands:read "*l"
  end
  for i, source in ipairs(shown) do
    local now = source .. " = " .. evaluate(source)
    if now ~= last[i] then print(now) end
    last[i] = now
  end
end
]]

local function quoted(list)
  local parts = {}
  for _, item in ipairs(list) do parts[#parts + 1] = ("%q"):format(item) end
  return table.concat(parts, ", ")
end

-- desc.sources: files, natives/NAME.c among them; desc.show: expressions that
-- are printed when they change; desc.modules: what main.lua requires (by
-- default, every NAME of natives/NAME.c); desc.arguments; desc.env.
function natives.prepare(desc)
  local modules = desc.modules or {}
  if not desc.modules then
    for name in pairs(desc.sources) do
      modules[#modules + 1] = name:match "^natives/([%w_]+)%.c$"
    end
  end
  local folder = engine.project(desc.sources)
  folder:write("commands", "")
  folder:write("scripts/main.lua", desc.sources["scripts/main.lua"]
    or main:format(quoted(desc.show or {}), quoted(modules),
                   folder:at "commands"))
  return folder
end

-- The game, running: fields folder and program.
function natives.start(vm, desc)
  local folder = natives.prepare(desc)
  local arguments = { "--watch", folder:at "scripts", "--tick", "200" }
  for _, argument in ipairs(desc.arguments or {}) do
    arguments[#arguments + 1] = argument
  end
  local env = { XDG_CACHE_HOME = folder:at "cache", CFLAGS = "-O2" }
  for name, value in pairs(desc.env or {}) do env[name] = value end
  local program = engine.start(vm, arguments,
    { env = env, cwd = folder.path })
  local self = setmetatable({ folder = folder, program = program }, Game)
  if desc.ready ~= false then program:out "^ready$" end
  return self
end

local function escaped(text)
  return (text:gsub("%p", "%%%0"))
end

-- Waits until the expression gives this.
function Game:shows(expression, value)
  return self.program:out("^" .. escaped(expression .. " = " .. tostring(value)) .. "$")
end

-- Evaluates an expression in the game, now; its results as one text.
function Game:ask(expression)
  local file = assert(io.open(self.folder:at "commands", "a"))
  file:write(expression, "\n")
  file:close()
  local line = self.program:out("^> " .. escaped(expression) .. " = ")
  return line:sub(#expression + 6)
end

function Game:write(name, text)
  self.folder:write(name, text)
end

-- Replaces text in a file, once, and saves it.
function Game:edit(name, old, new)
  local file = assert(io.open(self.folder:at(name), "rb"))
  local text = file:read "*a"
  file:close()
  local from, to = text:find(old, 1, true)
  assert(from, "no such text: " .. old)
  self.folder:write(name, text:sub(1, from - 1) .. new .. text:sub(to + 1))
end

function Game:reports(pattern)
  return self.program:err(pattern)
end

-- Ends the game as Ctrl-C does; it must end well.
function Game:stop()
  assert.equal(0, self.program:interrupt())
end

function natives.has(command)
  return os.execute("command -v " .. command .. " >/dev/null 2>&1") == 0
end

return natives
