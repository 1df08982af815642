-- SPDX-License-Identifier: MIT
--
-- The demo as a newcomer sees it: in a terminal, and in a pipe.

local engine = require "spec.support.engine"
local process = require "spec.support.process"
local terminal = require "spec.support.terminal"

local natives = engine.build .. "/lib/natives.so"

-- A copy of the demo's scripts, so that specs can edit them.
local function demo()
  local folder = engine.project {}
  local copy = process.run {
    "cp", "-r", engine.root .. "/scripts", folder:at "scripts",
  }
  assert.equal(0, copy.status)
  return folder, {
    engine.path, "--watch", folder:at "scripts", "--natives", natives,
  }
end

-- Braille patterns and block elements, as UTF-8.
local function has_picture(screen)
  return screen:find "\226[\160-\163][\128-\191]" ~= nil
    or screen:find "\226\150[\128-\159]" ~= nil
end

local function edit(folder, name, from, to)
  local text = folder:read(name)
  local first, last = text:find(from, 1, true)
  assert(first, name .. " has no: " .. from)
  folder:write(name, text:sub(1, first - 1) .. to .. text:sub(last + 1))
end

describe("demo:", function()
  after_each(function()
    terminal.close_all()
    engine.clean_up()
  end)

  it("draws the meadow, follows the window, and puts the terminal back",
    function()
      local _, command = demo()
      local window = terminal.open(100, 30, command)
      window:wait("a picture", has_picture)
      window:wait("the status line", function(screen)
        return screen:find "fireflies 500"
      end)
      assert.equal("1 0", window:ask "#{alternate_on} #{cursor_flag}")

      window:resize(60, 16)
      window:wait("the status line in a smaller window", function(screen)
        local _, breaks = screen:gsub("\n", "")
        return breaks <= 16 and has_picture(screen)
          and screen:find "fireflies 500"
      end)

      window:keys "C-c"
      window:wait("a clean end", function(screen)
        return screen:find "ended 0"
      end)
      assert.equal("0 1", window:ask "#{alternate_on} #{cursor_flag}")
    end)

  it("shows a patch in the status line, and a syntax error", function()
    local folder, command = demo()
    local window = terminal.open(120, 30, command)
    window:wait("a picture", has_picture)

    edit(folder, "scripts/bat.lua", "function Bat:update(",
      "function Bat.spec_extra() end\n\nfunction Bat:update(")
    window:wait("the patch", function(screen)
      return screen:find("bat.spec_extra", 1, true)
    end)

    edit(folder, "scripts/bat.lua", "function Bat.spec_extra() end",
      "function Bat.spec_extra( end")
    window:wait("the syntax error", function(screen)
      return screen:find "bat%.lua:%d+:%d+:" and has_picture(screen)
    end)

    edit(folder, "scripts/bat.lua", "function Bat.spec_extra( end",
      "function Bat.spec_extra() return 1 end")
    window:wait("the fix", function(screen)
      return screen:find "bat%.spec_extra v2" and not screen:find "bat%.lua:%d+"
    end)
    window:keys "C-c"
    window:wait("a clean end", function(screen)
      return screen:find "ended 0"
    end)
  end)

  for _, vm in ipairs { "lua54", "luajit" } do
    it("prints a status line a second into a pipe, " .. vm, function()
      local folder, command = demo()
      command[#command + 1] = "--vm"
      command[#command + 1] = vm
      local program = process.start(command)
      program:out "^fireflies 500 "
      program:out "^fireflies 500 "
      assert.is_nil(program.text.out:find("\27", 1, true))

      -- The swarm goes on as it is, with one firefly function changed.
      edit(folder, "scripts/bat.lua", "function Bat:update(",
        "function Bat.spec_extra() end\n\nfunction Bat:update(")
      program:err "^Add bat%.spec_extra%f[%s%z]"
      program:out "^fireflies 500 "
      assert.equal(0, program:interrupt())
      assert.equal(0, program:count("err", "^Reject "))
    end)
  end
end)
