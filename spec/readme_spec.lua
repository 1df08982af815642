-- SPDX-License-Identifier: MIT
--
-- The session at an error that the README shows: its file is saved, its lines
-- are typed, and the terminal shows the rest.

local engine = require "spec.support.engine"
local terminal = require "spec.support.terminal"

local main = [[
local goblin = require "goblin"
local grub = { name = "grub", x = 10 }
local told
function update(dt)
  goblin.think(grub, dt)
  if not told then print("goblin thinks") told = true end
  if grub.dir and grub.x < 10 then print("grub walks") grub.x = 11 end
end
]]

-- The code blocks of a section, without the fences.
local function blocks(heading)
  local file = assert(io.open(engine.root .. "/README.md"))
  local text = file:read "*a"
  file:close()
  local start = assert(text:find("\n## " .. heading .. "\n", 1, true), heading)
  local section = text:sub(start + 4):match "^(.-)\n## "
  local list = {}
  for block in section:gmatch "\n```%l*\n(.-)```" do list[#list + 1] = block end
  return list
end

describe("readme:", function()
  after_each(function()
    terminal.close_all()
    engine.clean_up()
  end)

  it("the session at an error is a real one", function()
    local listed = blocks "Stopping at an error"
    local saved, session = listed[1], listed[2]
    local folder = engine.project {
      ["scripts/main.lua"] = main,
      ["scripts/goblin.lua"] = saved:gsub("\n  goblin[^\n]*", "\n  return goblin, dt"),
    }
    local window = terminal.open(110, 50, {
      "sh", "-c", 'cd "$1" && exec "$2" --on-error break --watch scripts', "sh",
      folder.path, engine.path,
    })
    window:wait("the program", function(screen)
      return screen:find "goblin thinks"
    end)
    folder:write("scripts/goblin.lua", saved)
    local shown = ""
    local function see()
      window:wait(shown, function(screen)
        return screen:find(shown, 1, true)
      end)
    end
    for line in session:gmatch "([^\n]*)\n" do
      local typed = line:match "^break> (.*)$"
      if typed then
        shown = shown .. "break>"
        see()
        window:keys("-l", typed)
        window:keys "Enter"
        shown = shown .. " " .. typed .. "\n"
      else
        shown = shown .. (line:gsub("%s+$", "")) .. "\n"
      end
    end
    see()
    window:wait("the call that was made again", function(screen)
      return screen:find "grub walks"
    end)
    window:keys "C-c"
    window:wait("a clean end", function(screen)
      return screen:find "ended 0"
    end)
  end)
end)
