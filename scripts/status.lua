-- SPDX-License-Identifier: MIT
--
-- What the game tells about itself: the status line, and news from Graft. Runs
-- without Graft, too; then there is no news.

local bus = require "bus"
local meadow = require "meadow"

local status = {}

status.frame_ms = 0 -- time for one update, a moving average

local patch = "none yet"
local problems, problems_end = {}, 0
local clock = 0

function status.update(dt, frame_ms)
  clock = clock + dt
  status.frame_ms = status.frame_ms * 0.95 + frame_ms * 0.05
end

-- The status line, not longer than `room` characters; what matters least is
-- last.
function status.line(room)
  local bat = meadow.bat
  local line = string.format("fireflies %d  in step %.2f  bat %d,%d  frame %.1f ms  patch %s",
    #meadow.fireflies, meadow.unison, math.floor(bat.x), math.floor(bat.y), status.frame_ms, patch)
  return string.sub(line, 1, math.max(0, room or #line))
end

-- Lines to show, as long as there is something wrong to tell.
function status.problems()
  return clock < problems_end and problems or {}
end

-- Shows a text for some seconds.
function status.complain(text, seconds)
  problems, problems_end = {}, clock + seconds
  for line in string.gmatch(text, "[^\n]+") do
    problems[#problems + 1] = line
  end
end

-- "firefly.colour v3", and how many more.
local function describe(report)
  local changes = {}
  for _, list in ipairs { report.updated or {}, report.added or {} } do
    for _, change in ipairs(list) do
      changes[#changes + 1] = string.format("%s v%d", change.name, change.version or 1)
    end
  end
  for _, change in ipairs(report.deleted or {}) do
    changes[#changes + 1] = change.name .. " gone"
  end
  if #changes == 0 then return "of values" end
  if #changes == 1 then return changes[1] end
  return string.format("%s and %d more", changes[1], #changes - 1)
end

local function on_patch(report)
  if report.ok == false then return end
  patch = describe(report)
  problems = {}
  bus.emit("report", report)
end

-- Where the error is, what it is, and the line with a caret under it.
local function on_reject(report)
  local text = string.format("%s:%d:%d: %s", report.file or "?", report.line or 0,
    report.column or 0, report.message or "rejected")
  if report.source then
    local indent = string.rep(" ", math.max(0, (report.column or 1) - 1))
    text = text .. "\n  " .. string.gsub(report.source, "\t", " ") .. "\n  " .. indent .. "^"
  end
  status.complain(text, 8)
  bus.emit("report", report)
end

-- A new version raised an error; the one before it is back.
local function on_revert(report)
  status.complain(string.format("%s: %s", report.name or "?", report.message or "reverted"), 8)
  bus.emit("report", report)
end

function status.open()
  local found, graft = pcall(require, "graft")
  if not found then return end
  graft.on("patch", on_patch)
  graft.on("reject", on_reject)
  graft.on("revert", on_revert)
end

return status
