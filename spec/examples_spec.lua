-- SPDX-License-Identifier: MIT
--
-- The examples, built against the installed package alone, and edited while
-- they run.

local display = require "spec.support.display"
local engine = require "spec.support.engine"
local prefix = require "spec.support.prefix"
local process = require "spec.support.process"
local stock = require "spec.support.stock"

-- What is built, by VM, for all specs here.
local built = {}

local function build(vm)
  local folder = prefix.path .. "/examples-" .. vm
  prefix.build(engine.root .. "/examples", folder, { "-DVM=" .. vm })
  built[vm] = folder
end

-- A copy of these folders of Graft, to be edited.
local function copy(folders)
  local project = engine.project {}
  for _, name in ipairs(folders) do
    project:mkdir(name)
    prefix.run { "cp", "-r", engine.root .. "/" .. name .. "/.",
      project:at(name) }
  end
  return project
end

local function start(vm, name, project, cwd, env)
  local all = prefix.environment()
  all.XDG_CACHE_HOME = project:at "cache"
  for key, value in pairs(env or {}) do all[key] = value end
  return process.start { built[vm] .. "/" .. name,
    cwd = cwd and project:at(cwd) or project.path, env = all }
end

local function start_game(vm, env)
  local project = copy { "examples/sdl", "scripts", "natives" }
  stock.edit(project, "scripts/main.lua", "function init()\n",
    "function init()\n  io.stderr:write 'ready\\n'\n")
  local game = start(vm, "game", project, nil, env)
  game:err "^ready$"
  return project, game
end

local function is_red(red, green, blue)
  return red > 150 and green < 80 and blue < 80
end

local function is_green(red, green, blue)
  return green > 150 and red < 80 and blue < 80
end

describe("examples:", function()
  setup(prefix.install)
  after_each(engine.clean_up)
  teardown(prefix.remove)

  for _, vm in ipairs { "lua54", "luajit" } do
    describe(vm, function()
      setup(function() build(vm) end)

      it("a host of 20 lines", function()
        local project = copy { "examples/host" }
        local host = start(vm, "host", project, "examples/host")
        host:out "^a mass of 2 weighs 19%.62$"
        local main = "examples/host/scripts/main.lua"
        stock.edit(project, main, "weighs", "is pulled by")
        host:out "^a mass of 2 is pulled by 19%.62$"
        stock.edit(project, main, "last = line\n", "last = line\n  return 0\n")
        assert.equal(0, host:wait())
      end)

      it("a host with a frame loop and threads", function()
        local project = copy { "examples/frames" }
        local host = start(vm, "frames", project, "examples/frames")
        host:out "^20 degrees$"
        stock.edit(project, "examples/frames/natives/heat.c", "room = 20",
          "room = 35")
        host:err "^Update heat%.step"
        host:out "^35 degrees$"
        local main = "examples/frames/scripts/main.lua"
        stock.edit(project, main, "degrees", "Celsius")
        host:out "^35 Celsius$"
        stock.edit(project, main, "return text\n", "return text .. nil\n")
        stock.edit(project, main, "Celsius", "centigrade")
        host:err "^Revert main%.frame"
        assert.equal(0, host:interrupt())
      end)

      it("a host that has a lua_State", function()
        local project = copy { "examples/guest" }
        local host = start(vm, "guest", project, "examples/guest")
        host:out "^log: the first tick$"
        host:out "^hello world$"
        local main = "examples/guest/scripts/main.lua"
        stock.edit(project, main, "hello", "goodbye")
        host:out "^goodbye world$"
        stock.edit(project, main, "ticks + 1", "ticks + nil")
        host:err "^Revert main%.tick"
        assert.equal(0, host:interrupt())
        assert.equal(1, host:count("out", "the first tick"))
      end)

      it("a game in a window, which is edited and closed", function()
        local screen = display.open()
        local project, game = start_game(vm,
          { DISPLAY = screen.name, SDL_VIDEODRIVER = "x11" })
        screen:shows(game, 500, 40, function(red, green, blue)
          return blue > red and blue > green
        end)
        stock.edit(project, "scripts/palette.lua",
          "return red + glare, green + glare, blue + glare * 1.2",
          "return 1, 0, 0")
        screen:shows(game, 500, 40, is_red)
        stock.edit(project, "natives/canvas.c",
          "channel(colour.red) << 16 | channel(colour.green) << 8",
          "channel(colour.red) << 8 | channel(colour.green) << 16")
        screen:shows(game, 500, 40, is_green)
        screen:close_windows()
        assert.equal(0, game:wait())
      end)

      it("a game without a screen, which Ctrl-C ends", function()
        local project, game = start_game(vm, { SDL_VIDEODRIVER = "dummy" })
        stock.edit(project, "examples/sdl/scripts/screen.lua",
          "function screen.title()",
          "function screen.title() io.stderr:write 'asked\\n'")
        game:err "^Update screen%.title"
        game:err "^asked$"
        assert.equal(0, game:interrupt())
      end)
    end)
  end

  it("are all told of", function()
    local file = assert(io.open(engine.root .. "/examples/README.md"))
    local text = file:read "*a"
    file:close()
    local count = 0
    for name in io.popen("ls -d '" .. engine.root .. "'/examples/*/")
      :read "*a":gmatch "/([%w_]+)/\n" do
      assert.is_truthy(text:find("| `" .. name .. "/` |", 1, true), name)
      count = count + 1
    end
    assert.equal(4, count)
  end)
end)
