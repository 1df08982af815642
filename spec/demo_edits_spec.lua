-- SPDX-License-Identifier: MIT
--
-- The six edits that the README walks through, on the demo as it is, and what
-- the demo does on terminals with fewer colours.

local engine = require "spec.support.engine"
local process = require "spec.support.process"
local terminal = require "spec.support.terminal"

-- A copy of the demo, and the words that run it.
local function demo(vm)
  local folder = engine.project {}
  for _, part in ipairs { "scripts", "natives" } do
    local copy = process.run {
      "cp", "-r", engine.root .. "/" .. part, folder:at(part),
    }
    assert.equal(0, copy.status)
  end
  return folder, {
    engine.path, "--vm", vm, "--watch", folder:at "scripts",
  }
end

-- The demo in a pipe, running.
local function play(vm)
  local folder, command = demo(vm)
  local program = process.start(command)
  program:out "^fireflies 500 "
  return folder, program
end

local function edit(folder, name, from, to)
  local text = folder:read(name)
  local first, last = text:find(from, 1, true)
  assert(first, name .. " has no: " .. from)
  folder:write(name, text:sub(1, first - 1) .. to .. text:sub(last + 1))
end

-- It goes on, and nothing went wrong on the way.
local function still_plays(program)
  program:out "^fireflies %d"
  assert.equal(0, program:count("err", "^Revert "))
  assert.equal(0, program:interrupt())
end

for _, vm in ipairs { "lua54", "luajit" } do
  describe("demo's six edits, " .. vm .. ":", function()
    after_each(engine.clean_up)

    it("1. a colour", function()
      local folder, program = play(vm)
      edit(folder, "scripts/palette.lua",
        "local red, green, blue = mix(0.70, 1.00, warmth),"
          .. " mix(0.95, 0.75, warmth), 0.20",
        "local red, green, blue = 0.25, mix(0.50, 0.80, warmth), 1.00")
      program:err "^Update palette%.firefly%f[%s%z]"
      program:out "patch palette%.firefly v2"
      still_plays(program)
    end)

    it("2. a callback that the bus holds", function()
      local folder, program = play(vm)
      edit(folder, "scripts/events.lua", "grass.shimmer(unison)",
        'io.stderr:write "beat\\n"')
      program:err "^Update events:"
      program:err "^beat$"
      still_plays(program)
    end)

    it("3. a number", function()
      local folder, program = play(vm)
      edit(folder, "scripts/tuning.lua", "fireflies = 500", "fireflies = 2000")
      program:out "^fireflies 2000 "
      edit(folder, "scripts/tuning.lua", "fireflies = 2000", "fireflies = 500")
      program:out "^fireflies 500 "
      still_plays(program)
    end)

    it("4. a syntax error", function()
      local folder, program = play(vm)
      edit(folder, "scripts/bat.lua", "self.time = self.time + dt",
        "self.time = self.time + + dt")
      program:err "^Reject .*bat%.lua:%d+:%d+: "
      program:out "^fireflies 500 "
      edit(folder, "scripts/bat.lua", "self.time = self.time + + dt",
        "self.time = self.time + 2 * dt")
      program:err "^Update bat%.update%f[%s%z]"
      still_plays(program)
    end)

    it("5. a native under a Lua function, and back", function()
      local folder, program = play(vm)
      folder:write("scripts/flock.lua", [[
local M = {}
function M.repel(x, y, radius)
  require("flock").attract(x, y, 3 * radius, 60)
end
return M
]])
      program:err "^Swap flock%.repel native → script"
      program:out "^fireflies 500 "
      folder:remove "scripts/flock.lua"
      program:err "^Swap flock%.repel script → native"
      still_plays(program)
    end)

    it("6. C, and a field of its structs", function()
      local folder, program = play(vm)
      edit(folder, "natives/flock.c", "1 - distance / radius",
        "distance / radius - 1")
      program:err "^Update flock%.repel$"
      program:out "patch flock%.repel v2"
      edit(folder, "natives/flock.c", "  double phase;\n",
        "  double age;\n  double phase;\n")
      program:err "^Migrate flock:swarm Firefly%[4096%].*age added$"
      program:err "^Patch ok"
      still_plays(program)
    end)
  end)
end

describe("demo's colours:", function()
  after_each(function()
    terminal.close_all()
    engine.clean_up()
  end)

  -- The demo in a terminal, when it has drawn; variables are NAME=VALUE.
  local function drawn(...)
    local _, command = demo "lua54"
    local words = { "env", "-u", "NO_COLOR", "-u", "COLORTERM", ... }
    for _, word in ipairs(command) do words[#words + 1] = word end
    local window = terminal.open(80, 24, words)
    window:wait("the status line", function(screen)
      return screen:find "fireflies 500"
    end)
    return window:screen(true)
  end

  it("24 bits where the terminal says so", function()
    local screen = drawn("TERM=xterm-256color", "COLORTERM=truecolor")
    assert.is_truthy(screen:find "\27%[38;2;")
  end)

  it("256 elsewhere", function()
    local screen = drawn "TERM=xterm-256color"
    assert.is_truthy(screen:find "[34]8;5;")
    assert.is_nil(screen:find "[34]8;2;")
  end)

  it("none if NO_COLOR is set", function()
    local screen = drawn("TERM=xterm-256color", "COLORTERM=truecolor",
      "NO_COLOR=1")
    assert.is_nil(screen:find "[34]8;[25];")
    assert.is_truthy(screen:find "\226[\160-\163][\128-\191]")
  end)

  it("a line a second, and no picture, on a dumb terminal", function()
    local screen = drawn "TERM=dumb"
    assert.is_nil(screen:find "\226[\160-\163][\128-\191]")
  end)
end)

describe("the picture:", function()
  after_each(engine.clean_up)

  it("is the same on both VMs", function()
    local pictures = {}
    for index, vm in ipairs { "lua54", "luajit" } do
      local _, command = demo(vm)
      for _, word in ipairs {
        engine.root .. "/tools/picture.lua", "60", "16", "2",
      } do
        command[#command + 1] = word
      end
      pictures[index] = process.run(command)
      assert.equal(0, pictures[index].status)
    end
    assert.is_truthy(pictures[1].text.out:find "^<svg .*</svg>\n$")
    assert.equal(pictures[1].text.out, pictures[2].text.out)
  end)
end)
