-- SPDX-License-Identifier: MIT
--
-- Random saves by several writers while the program runs: in the end its state
-- is that of a fresh load, and neither descriptors nor memory have grown.
-- GRAFT_SOAK is how many seconds the writers go on for, each VM; 1800 is the
-- long form.

local engine = require "spec.support.engine"
local posix = require "posix"
local process = require "spec.support.process"
local writer = require "spec.support.writer"

local seconds = tonumber(os.getenv "GRAFT_SOAK") or 2
local writers, count = 3, 4

-- It answers what is written to the file "ask" with its state.
local main = [[
local modules = {}
for w = 1, WRITERS do
  for f = 1, FILES do
    modules[#modules + 1] = require(("w%d.f%d"):format(w, f))
  end
end
io.stdout:setvbuf "line"
local last = ""

local function state()
  local parts = {}
  for i, m in ipairs(modules) do
    parts[i] = table.concat({ tostring(m.value and m.value()),
      tostring(m.extra and m.extra()), tostring(m.hp),
      tostring(m.list and m.list[1]), tostring(m.list and m.list.name) }, "/")
  end
  return table.concat(parts, " ")
end

function init() print "ready" end

function update()
  local file = io.open(ASK)
  local asked = file and file:read "*l" or ""
  if file then file:close() end
  state()
  if asked == last then return end
  last = asked
  collectgarbage()
  collectgarbage()
  print(("state %s %d %s"):format(asked, collectgarbage "count" * 1024, state()))
end
]]

local function descriptors(pid)
  return #posix.dir(("/proc/%d/fd"):format(pid))
end

local function resident(pid)
  local file = assert(io.open(("/proc/%d/statm"):format(pid)))
  local pages = file:read "*a":match "^%d+ (%d+)"
  file:close()
  return tonumber(pages) * 4096
end

-- Its reports go to a file, since there are many.
local function start(vm, folder, log)
  local program = process.start {
    "sh", "-c", 'exec "$0" --vm "$1" --watch "$2" --tick 100 2>>"$3"',
    engine.path, vm, folder.path, log,
  }
  program:out "^ready"
  return program
end

local function ask(program, folder, what)
  folder:write(".ask", what .. "\n")
  local _, bytes, state = program:out("^state " .. what .. " (%d+) (.*)$", 60)
  return { bytes = tonumber(bytes), state = state,
    descriptors = descriptors(program.pid), resident = resident(program.pid) }
end

local function start_writers(folder)
  local running = {}
  for number = 1, writers do
    running[number] = process.start {
      "luajit", "spec/support/writer.lua", folder.path, tostring(number),
      tostring(count), tostring(seconds), cwd = engine.root,
    }
  end
  return running
end

local function make_project()
  local sources = {}
  for w = 1, writers do
    for f = 1, count do
      sources[("w%d/f%d.lua"):format(w, f)] = writer.text(w * 100 + f)
    end
  end
  local folder = engine.project(sources)
  local text = main:gsub("WRITERS", writers):gsub("FILES", count)
    :gsub("ASK", function() return ("%q"):format(folder:at ".ask") end)
  folder:write("main.lua", text)
  return folder
end

local function fresh_state(vm, folder)
  local program = start(vm, folder, "/dev/null")
  local found = ask(program, folder, "fresh")
  program:interrupt()
  return found.state
end

local function soak(vm)
  local folder = make_project()
  local log = folder:at ".log"
  local program = start(vm, folder, log)
  local running = start_writers(folder)
  local samples, from = {}, process.now()
  local every = math.max(1, seconds / 20)
  while process.now() - from < seconds do
    program:pump(math.ceil(every * 1000))
    posix.nanosleep(0, 200000000)
    if seconds >= 60 and process.now() - from > (#samples + 1) * every then
      samples[#samples + 1] = ask(program, folder, "at" .. #samples)
    end
  end
  local saves = 0
  for _, one in ipairs(running) do
    assert.equal(0, one:wait(seconds + 30))
    saves = saves + tonumber(one.text.out:match "saves (%d+)")
  end
  -- What was saved last has arrived when the state is that of a fresh load.
  local expected, tries = fresh_state(vm, folder), 0
  local last
  repeat
    tries = tries + 1
    last = ask(program, folder, "end" .. tries)
  until last.state == expected or tries == 50
  assert.equal(expected, last.state)
  assert.equal(0, program:interrupt())
  return saves, samples, last
end

local function show(vm, saves, samples, last)
  local first = samples[math.ceil(#samples / 4)]
  io.stderr:write(("%s: %d saves; after a quarter and at the end: "
    .. "descriptors %d, %d; resident %d, %d KB; Lua %d, %d KB\n"):format(
    vm, saves, first.descriptors, last.descriptors, first.resident / 1024,
    last.resident / 1024, first.bytes / 1024, last.bytes / 1024))
end

describe("soak:", function()
  after_each(engine.clean_up)

  for _, vm in ipairs { "lua54", "luajit" } do
    it(vm .. " keeps up with several writers", function()
      local saves, samples, last = soak(vm)
      assert.is_true(saves > 0)
      if #samples < 4 then return end
      show(vm, saves, samples, last)
      local first = samples[math.ceil(#samples / 4)]
      assert.is_true(last.descriptors <= first.descriptors)
      assert.is_true(last.resident < first.resident * 1.2 + 2e6)
      assert.is_true(last.bytes < first.bytes * 1.1 + 1e5)
    end)
  end
end)
