-- SPDX-License-Identifier: MIT
--
-- DESIGN section 5: options, what a program may define, and how it ends.

local engine = require "spec.support.engine"

local function run(vm, sources, arguments, desc)
  local folder = engine.project(sources)
  desc = desc or {}
  desc.cwd = folder.path
  return engine.run(vm, arguments, desc)
end

local function lines(text)
  local list = {}
  for line in text:gmatch "[^\n]+" do list[#list + 1] = line end
  return list
end

return function(vm)
  after_each(engine.clean_up)

  -- Asking -----------------------------------------------------------------

  it("-h lists the options on standard output", function()
    for _, option in ipairs { "-h", "--help" } do
      local program = engine.run(vm, { option })
      assert.equal(0, program.status)
      assert.equal("", program.text.err)
      for _, listed in ipairs {
        "--watch", "-w", "--natives", "--vm", "--tick", "--frames", "--log",
        "-i", "-m", "--version", "-h", "-v",
      } do
        assert.is_truthy(program.text.out:find(listed, 1, true), listed)
      end
    end
  end)

  it("--version names the program and its version", function()
    local program = engine.run(vm, { "--version" })
    assert.equal(0, program.status)
    assert.equal(1, #lines(program.text.out))
    assert.is_truthy(program.text.out:find "%d+%.%d+%.%d+")
  end)

  it("bad usage ends with 2 and one line that helps", function()
    local cases = {
      { { "--nonsense" }, "--nonsense" },
      { { "-Z" }, "-Z" },
      { { "--tick" }, "--tick" },
      { { "--tick", "often", "x.lua" }, "often" },
      { { "--frames", "-3", "x.lua" }, "-3" },
      { { "--log", "xml", "x.lua" }, "xml" },
      { { "--vm", "lua99", "x.lua" }, "lua99" },
      { {}, "" },
    }
    for _, case in ipairs(cases) do
      local program = engine.run(vm, case[1])
      local shown = table.concat(case[1], " ")
      assert.equal(2, program.status, shown)
      assert.equal("", program.text.out)
      local found = lines(program.text.err)
      assert.equal(1, #found, shown .. ": " .. program.text.err)
      assert.is_truthy(found[1]:find(case[2], 1, true), found[1])
    end
  end)

  -- Scripts ----------------------------------------------------------------

  it("a script gets its arguments, in arg and in ...", function()
    local program = run(vm, { ["s.lua"] =
      "print(arg[0], arg[1], arg[2], #arg, select('#', ...), ...)" },
      { "--no-watch", "s.lua", "one", "--two" })
    assert.equal(0, program.status)
    assert.equal("s.lua\tone\t--two\t2\t2\tone\t--two\n", program.text.out)
    assert.equal("", program.text.err)
  end)

  it("the VM is the one that was asked for", function()
    local program = run(vm, { ["s.lua"] = "print(_VERSION, jit and 'jit')" },
      { "--no-watch", "s.lua" })
    assert.equal(vm == "luajit" and "Lua 5.1\tjit\n" or "Lua 5.4\tnil\n",
      program.text.out)
  end)

  it("a script that ends ends the program, watched or not", function()
    for _, options in ipairs { { "--no-watch", "s.lua" }, { "s.lua" } } do
      local program = run(vm, { ["s.lua"] = "print 'done'" }, options)
      assert.equal(0, program.status)
      assert.equal("done\n", program.text.out)
    end
  end)

  it("os.exit gives the exit status", function()
    local program = run(vm, { ["s.lua"] = "os.exit(7)" },
      { "--no-watch", "s.lua" })
    assert.equal(7, program.status)
  end)

  it("a missing script ends with 1 and names the file", function()
    local program = run(vm, {}, { "nowhere.lua" })
    assert.equal(1, program.status)
    assert.equal("", program.text.out)
    assert.is_truthy(program.text.err:find("nowhere.lua", 1, true))
  end)

  it("a script error ends with 1, its place and a traceback", function()
    local program = run(vm, { ["s.lua"] =
      "local function f()\n  error 'boom'\nend\nf()\n" },
      { "--no-watch", "s.lua" })
    assert.equal(1, program.status)
    assert.is_truthy(program.text.err:find("s.lua:2: boom", 1, true))
    assert.is_truthy(program.text.err:find("stack traceback", 1, true))
  end)

  it("an error that is no string is shown, too", function()
    local program = run(vm, { ["s.lua"] =
      "error(setmetatable({}, { __tostring = function() return 'odd' end }))" },
      { "--no-watch", "s.lua" })
    assert.equal(1, program.status)
    assert.is_truthy(program.text.err:find("odd", 1, true))
    program = run(vm, { ["s.lua"] = "error()" }, { "--no-watch", "s.lua" })
    assert.equal(1, program.status)
    assert.is_truthy(#program.text.err > 0)
  end)

  it("a script finds the modules beside it", function()
    local program = run(vm, {
      ["app/s.lua"] = "print(require 'ai.goblin'.name())",
      ["app/ai/goblin.lua"] = "return { name = function() return 'Grak' end }",
    }, { "app/s.lua" })
    assert.equal(0, program.status, program.text.err)
    assert.equal("Grak\n", program.text.out)
  end)

  it("a script that is watched and defines update is patched", function()
    local text = [[
      io.stdout:setvbuf "line"
      function value() return "one" end
      local last
      function update()
        if value() ~= last then print("now " .. value()) end
        last = value()
      end
    ]]
    local folder = engine.project { ["s.lua"] = text }
    local program = engine.start(vm, { folder:at "s.lua" })
    program:out "^now one$"
    folder:write("s.lua", (text:gsub("one", "two")))
    program:out "^now two$"
    assert.equal(0, program:interrupt())
  end)

  it("--no-watch watches nothing", function()
    local text = [[
      io.stdout:setvbuf "line"
      function value() return "one" end
      local count = 0
      function update()
        count = count + 1
        print(value() .. " " .. count)
      end
    ]]
    local folder = engine.project { ["s.lua"] = text }
    local program = engine.start(vm, { "--no-watch", folder:at "s.lua" })
    program:out "^one 1$"
    folder:write("s.lua", (text:gsub("one", "two")))
    program:out "^one 30$"
    assert.equal(0, program:interrupt())
    assert.equal("", program.text.err)
  end)

  -- main.lua of a watched folder ---------------------------------------------

  local main = [[
    io.stdout:setvbuf "line"
    function init() print "init" end
    function update(dt)
      print(type(dt), dt > 0 and dt < 60)
    end
    function quit() print "quit" end
  ]]

  it("init, update --frames times, quit", function()
    local program = run(vm, { ["main.lua"] = main },
      { "--watch", ".", "--tick", "500", "--frames", "3" })
    assert.equal(0, program.status)
    assert.equal("init\n" .. ("number\ttrue\n"):rep(3) .. "quit\n",
      program.text.out)
    assert.equal("", program.text.err)
  end)

  it("the functions may be fields of the module instead", function()
    local program = run(vm, { ["main.lua"] = [[
      local M = {}
      function M.init() print "init" end
      function M.update() print "update" end
      function M.quit() print "quit" end
      return M
    ]] }, { "-w", ".", "--tick=500", "--frames=2" })
    assert.equal(0, program.status, program.text.err)
    assert.equal("init\nupdate\nupdate\nquit\n", program.text.out)
  end)

  it("--tick sets the pace", function()
    local program = run(vm, { ["main.lua"] = [[
      local sum = 0
      function update(dt) sum = sum + dt end
      function quit() print(sum) end
    ]] }, { "-w", ".", "--tick", "20", "--frames", "10" })
    -- Ten updates of a twentieth of a second, whatever the machine adds; the
    -- first may come at once.
    local sum = tonumber(program.text.out)
    assert.is_truthy(sum and sum > 0.4, program.text.out)
  end)

  it("Ctrl-C runs quit and ends with 0", function()
    local folder = engine.project { ["main.lua"] = main }
    local program = engine.start(vm, { "-w", folder.path })
    program:out "^init$"
    program:out "^number"
    assert.equal(0, program:interrupt())
    local found = lines(program.text.out)
    assert.equal("quit", found[#found])
    assert.equal(1, program:count("out", "^quit$"))
    assert.equal("", program.text.err)
  end)

  it("a folder without main.lua says so and ends with 1", function()
    local program = run(vm, { ["other.lua"] = "" }, { "--watch", "." })
    assert.equal(1, program.status)
    assert.is_truthy(program.text.err:find("main", 1, true))
  end)

  -- Modules and the REPL -----------------------------------------------------

  it("-m runs a module, or a function of it", function()
    local sources = { ["tool.lua"] = [[
      print "loaded"
      return { run = function(...) print("run", ...) end }
    ]] }
    local program = run(vm, sources, { "-w", ".", "-m", "tool" })
    assert.equal(0, program.status, program.text.err)
    assert.equal("loaded\n", program.text.out)
    program = run(vm, sources, { "-w", ".", "-m", "tool:run" })
    assert.equal(0, program.status, program.text.err)
    assert.is_truthy(program.text.out:find "^loaded\nrun")
  end)

  it("-m with a module or a function that is not there ends with 1", function()
    local sources = { ["tool.lua"] = "return {}" }
    local program = run(vm, sources, { "-w", ".", "-m", "absent" })
    assert.equal(1, program.status)
    assert.is_truthy(program.text.err:find("absent", 1, true))
    program = run(vm, sources, { "-w", ".", "-m", "tool:absent" })
    assert.equal(1, program.status)
    assert.is_truthy(program.text.err:find("absent", 1, true))
  end)

  it("-i reads lines after the script, until the end of input", function()
    local program = run(vm, { ["s.lua"] = "x = 20" },
      { "--no-watch", "-i", "s.lua" },
      { input = "print(x + 1)\nx * 2\nerror 'oops'\nprint 'still here'\n" })
    assert.equal(0, program.status)
    assert.is_truthy(program.text.out:find("21", 1, true))
    assert.is_truthy(program.text.out:find("40", 1, true))
    assert.is_truthy(program.text.out:find("still here", 1, true))
    assert.is_truthy((program.text.out .. program.text.err):find("oops", 1, true))
  end)
end
