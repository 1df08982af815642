-- SPDX-License-Identifier: MIT
--
-- What programs that patch themselves use: spec/support/patching.lua copies
-- this file into their folder, and gives main.lua its functions as locals.

local graft = require "graft"

local try = {}

local function read(name)
  local file = assert(io.open(name .. ".lua", "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

-- Saves a module.
function try.write(name, text)
  local file = assert(io.open(name .. ".lua", "wb"))
  assert(file:write(text))
  file:close()
end

-- Saves a module with one place in it replaced.
function try.edit(name, from, to)
  local text = read(name)
  local first, last = text:find(from, 1, true)
  if not first then error("not in the source: " .. from, 2) end
  try.write(name, text:sub(1, first - 1) .. to .. text:sub(last + 1))
end

-- Takes what was saved; returns the report.
function try.patch()
  local report, message = graft.reload()
  if not report then error("not patched: " .. message, 2) end
  return report
end

function try.change(name, from, to)
  try.edit(name, from, to)
  return try.patch()
end

-- Comes to safe points until the sweep of a patch has ended; returns what is
-- reported of that, and how many safe points it took.
function try.follow(report)
  if not report.sweeping then error("not under way", 2) end
  for count = 1, 100000 do
    local more = graft.update()
    if more and more.sweep then return more.sweep, count end
  end
  error("the sweep does not end", 2)
end

-- The names in a list of a report, as one text.
function try.names(list)
  local names = {}
  for i, entry in ipairs(list) do names[i] = entry.name end
  return table.concat(names, " ")
end

local function show(value)
  return type(value) == "string" and ("%q"):format(value) or tostring(value)
end

function try.equal(expected, value, what)
  if expected ~= value then
    error(("expected %s, got %s%s"):format(show(expected), show(value),
      what and ": " .. what or ""), 2)
  end
end

return try
