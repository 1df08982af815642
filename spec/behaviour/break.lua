-- SPDX-License-Identifier: MIT
--
-- T4, `--on-error break`: new code that raises before it first returned stops
-- in the frame of the error; commands come from standard input.

local engine = require "spec.support.engine"
local terminal = require "spec.support.terminal"

local main = [[
local m = require "m"
io.stdout:setvbuf "line"
shared = "global"
local count = 0
function init() print "ready" end
function update(dt)
  count = count + 1
  if count % 20 == 0 then print "tick" end
  local before = m.last
  m.step(count, "a", nil, "c")
  if m.last ~= before then print("last " .. tostring(m.last)) end
end
function quit() print "quit" end
]]

local good = [[
local M = { last = 0 }
local hp = 10
local unused = "file"
local function heal(n)
  hp = hp + n
  return hp
end
function M.step(count, ...)
  local goblin = { name = "grub" }
  return goblin.name
end
M.heal = heal
return M
]]

-- Raises in its third line, which is the file's 11th, unless hp is above 50.
local bad = (good:gsub("  return goblin%.name\n", [[
  if hp > 50 then M.last = hp return end
  return goblin.weapon.damage + hp
]]))

local function start(vm, arguments, sources)
  sources = sources or {}
  sources["main.lua"] = sources["main.lua"] or main
  sources["m.lua"] = sources["m.lua"] or good
  local all = { "--on-error", "break" }
  for _, argument in ipairs(arguments or {}) do all[#all + 1] = argument end
  return engine.watch(vm, sources, all)
end

local function stop(vm, arguments)
  local folder, program = start(vm, arguments)
  folder:write("m.lua", bad)
  program:out "^>%s+11%s+return goblin%.weapon"
  return folder, program
end

-- Types a line and looks for the answer.
local function ask(program, line, pattern)
  program:write(line .. "\n")
  return program:out(pattern)
end

return function(vm)
  after_each(function()
    terminal.close_all()
    engine.clean_up()
  end)

  -- Looking ------------------------------------------------------------------

  it("shows the error once, the numbered frames and the line", function()
    local folder, program = start(vm)
    folder:write("m.lua", bad)
    local line = program:err "^Break m%.step: "
    assert.is_truthy(line:find("m.lua:11: attempt to index", 1, true), line)
    program:out "^>  0  .*m%.lua:11  m%.step  %(new%)$"
    program:out "^   1  .*main%.lua:10  main%.update$"
    program:out "^>%s+11%s+return goblin%.weapon%.damage %+ hp$"
    program:write "continue\n"
    program:out "^tick$"
    assert.equal(1, program:count("err", "^Break "))
    assert.equal(0, program:interrupt())
  end)

  it("evaluates with the locals, upvalues, varargs and globals", function()
    local _, program = stop(vm)
    ask(program, "goblin.name", '^"grub"$')
    ask(program, "goblin", '^{name = "grub"}$')
    ask(program, "hp * 2", "^20$")
    ask(program, "select('#', ...), (...)", '^3\t"a"$')
    ask(program, "{ 1, { 2 }, z = 1, a = {}, [true] = 'x' }",
      '^{1, {…}, a = {…}, z = 1, %[true%] = "x"}$')
    ask(program, "setmetatable({}, { __tostring = function() return 'me' end })",
      "^me$")
    ask(program, "print, nil, 1.5, 'a\\nb\\0'",
      '^function in C\tnil\t1.5\t"a\\nb\\000"$')
    ask(program, "shared .. '!'", '^"global!"$')
    ask(program, "= unused", '^"file"$') -- which the function does not use
    ask(program, "for i = 1, 2 do print('loop', i) end", "^loop\t1$")
    ask(program, "locals", "^  local%s+count = %d+$")
    program:out '^  local%s+goblin = {name = "grub"}$'
    program:out '^  %.%.%.%s+1 = "a"$'
    program:out '^  %.%.%.%s+2 = nil$'
    program:out '^  %.%.%.%s+3 = "c"$'
    program:out "^  upvalue%s+hp = 10$"
    ask(program, "source", "^%s+8  function M%.step%(count, %.%.%.%)$")
    ask(program, "help", "^revert ")
    program:write "continue\n"
    program:out "^tick$"
    assert.equal(0, program:interrupt())
  end)

  it("selects frames", function()
    local _, program = stop(vm)
    ask(program, "up", "^>  1  .*main%.lua:10  main%.update$")
    program:out "^>%s+10%s+m%.step%(count"
    ask(program, "before", "^0$")
    ask(program, "goblin", "^nil$")
    ask(program, "up", "^there is no such frame$")
    ask(program, "frame 0", "^>  0  .*m%.lua:11  m%.step")
    ask(program, "down", "^there is no such frame$")
    ask(program, "frame 7", "^there is no such frame$")
    ask(program, "goblin.name", '^"grub"$')
    assert.equal(0, program:interrupt())
  end)

  it("sets variables, which keep their values", function()
    local _, program = stop(vm)
    program:write "goblin = { weapon = { damage = 5 } }\n"
    ask(program, "goblin.weapon.damage", "^5$")
    program:write "hp = 77 shared = 'set' unused = 'too'\n"
    ask(program, "M.heal(1), _G.shared, unused", '^78\t"set"\t"too"$')
    program:write "continue\n"
    program:out "^last 78$"
    assert.equal(0, program:interrupt())
  end)

  it("an error in what is evaluated is only shown", function()
    local _, program = stop(vm)
    ask(program, "error 'mine'", "mine$")
    ask(program, "goblin.weapon.damage", "attempt to index")
    ask(program, "M.step(1)", "m%.lua:11: attempt to index")
    ask(program, "nonsense(", "unexpected symbol")
    ask(program, "error()", "nil")
    ask(program, "coroutine.yield()", "yield")
    ask(program, "setmetatable({}, { __tostring = error })", "table")
    ask(program, "goblin.name", '^"grub"$')
    program:write "revert\n"
    program:out "^tick$"
    assert.equal(1, program:count("err", "^Break "))
    assert.equal(1, program:count("err", "^Revert "))
    assert.equal(0, program:interrupt())
  end)

  it("functions that were made while stopped go on with globals", function()
    local _, program = stop(vm)
    program:write "function late() return goblin, shared end\n"
    ask(program, "late().name", '^"grub"$')
    program:write "M.step = function() print(late()) end\n"
    program:write "continue\n"
    program:out "^nil\tglobal$"
    assert.equal(0, program:interrupt())
  end)

  -- Going on -----------------------------------------------------------------

  it("revert puts the version before back", function()
    local folder, program = stop(vm)
    program:write "revert\n"
    program:err "^Revert m%.step: .*m%.lua:11: attempt to index"
    program:out "^tick$"
    program:out "^tick$"
    assert.equal(1, program:count("err", "^Break "))
    assert.equal(0, program:count("err", "stack traceback"))
    folder:write("m.lua", (bad:gsub("hp > 50", "hp > 5")))
    program:out "^last 10$"
    assert.equal(0, program:interrupt())
  end)

  it("the end of the input reverts, with one message", function()
    local folder, program = start(vm)
    program:close_stdin()
    folder:write("m.lua", bad)
    program:out "^end of input: the version before is put back$"
    program:err "^Revert m%.step: "
    program:out "^tick$"
    assert.equal(1, program:count("out", "end of input"))
    assert.equal(0, program:interrupt())
  end)

  it("continue leaves the new version, and does not stop again", function()
    local folder, program = stop(vm)
    program:write "continue\n"
    program:err "m%.lua:11: attempt to index"
    program:out "^tick$"
    program:out "^tick$"
    assert.equal(1, program:count("err", "^Break "))
    assert.equal(0, program:count("err", "^Revert "))
    folder:write("m.lua", (bad:gsub("hp > 50", "hp > 5")))
    program:out "^last 10$"
    assert.equal(0, program:interrupt())
  end)

  it("retry makes the same call with what was saved meanwhile", function()
    local folder, program = stop(vm)
    local _, count = ask(program, "count, 'count'", '^(%d+)\t"count"$')
    folder:write("m.lua", (bad:gsub("goblin%.weapon%.damage", "+ +")))
    program:err "^Reject .*m%.lua:11:%d+: "
    ask(program, "retry", "^what was saved cannot be taken")
    folder:write("m.lua", (bad:gsub("return goblin%.weapon%.damage %+ hp",
      "M.last = count")))
    program:out "^1 changed file was saved; retry takes it$"
    assert.equal(0, program:count("err", "^Revert "))
    program:write "retry\n"
    program:err "^Update m%.step%f[%s%z]"
    -- main.update has counted this frame a second time.
    local _, last = program:out "^last (%d+)$"
    assert.equal(tonumber(count) + 1, tonumber(last))
    program:out "^tick$"
    assert.equal(1, program:count("err", "^Break "))
    assert.equal(1, program:count("err", "^Reject "))
    assert.equal(0, program:interrupt())
  end)

  it("retry without a save calls again, with what was set", function()
    local _, program = stop(vm)
    program:write "retry\n"
    program:err "^Break m%.step: "
    program:err "^Break m%.step: "
    program:write "hp = 60\nretry\n"
    program:out "^last 60$"
    program:out "^tick$"
    assert.equal(0, program:interrupt())
  end)

  it("what runs by itself cannot be called again", function()
    local folder = engine.project {
      ["m.lua"] = good,
      ["s.lua"] = [[
        io.stdout:setvbuf "line"
        local m, graft = require "m", require "graft"
        print "ready"
        while true do m.step(1) graft.update() end
      ]],
    }
    local program = engine.start(vm,
      { "--on-error", "break", folder:at "s.lua" })
    program:out "^ready$"
    folder:write("m.lua", bad)
    program:out "^>%s+11%s+return goblin%.weapon"
    ask(program, "retry", "^no call to make again")
    program:write "continue\n"
    assert.equal(1, program:wait())
    assert.is_truthy(program.text.err:find "engine: .*m%.lua:11: attempt")
  end)

  it("the time that it stood is none to the program", function()
    local folder, program = start(vm, nil, { ["main.lua"] = [[
      local m = require "m"
      io.stdout:setvbuf "line"
      local most = 0
      function init() print "ready" end
      function update(dt)
        if dt > most then most = dt end
        m.step(1)
        if m.last == 60 then print("most " .. most) m.last = 0 end
      end
    ]] })
    folder:write("m.lua", bad)
    program:out "^>%s+11%s+return goblin%.weapon"
    local started = os.time()
    ask(program, ("repeat until os.time() > %d print 'late'")
      :format(started + 3), "^late$")
    program:write "hp = 60\ncontinue\n"
    local _, most = program:out "^most (%S+)$"
    assert.is_true(tonumber(most) < 2, most)
    assert.equal(0, program:interrupt())
  end)

  -- What stops, and what does not --------------------------------------------

  it("errors that a script catches do not stop", function()
    local folder, program = start(vm, nil, { ["main.lua"] = [[
      local m = require "m"
      io.stdout:setvbuf "line"
      function init() print "ready" end
      local told
      function update()
        local ok = pcall(m.step, 1)
        local co = coroutine.create(m.step)
        local resumed = coroutine.resume(co, 1)
        local handled = xpcall(m.step, debug.traceback, 1)
        if not (ok or resumed or handled or told) then
          told = true
          print "caught"
        end
      end
    ]] })
    folder:write("m.lua", bad)
    program:out "^caught$"
    assert.equal(0, program:interrupt())
    assert.equal(0, program:count("err", "^Break "))
  end)

  it("an error that comes out of a coroutine stops where it is resumed",
    function()
      local folder, program = start(vm, nil, { ["main.lua"] = [[
        local m = require "m"
        io.stdout:setvbuf "line"
        local count = 0
        function init() print "ready" end
        function update()
          count = count + 1
          if count % 20 == 0 then print "tick" end
          local run = coroutine.wrap(function() m.step(1) end)
          run()
        end
      ]] })
      folder:write("m.lua", bad)
      program:err "^Break m%.step: .*m%.lua:11: attempt to index"
      program:out "^>  1  .*main%.lua:9  main%.update"
      ask(program, "type(run)", '^"function"$')
      program:write "revert\n"
      program:err "^Revert m%.step: "
      program:out "^tick$"
      assert.equal(0, program:interrupt())
    end)

  it("a stack that overflowed can be looked at", function()
    local folder, program = start(vm)
    folder:write("m.lua", (bad:gsub("return goblin%.weapon%.damage %+ hp",
      "return 1 + M.step(count + 1)")))
    program:err "^Break m%.step: .*stack overflow"
    program:out "^     … %d+ frames$"
    program:out "main%.update$"
    ask(program, "frame 1", "^>  1  .*m%.lua:11  m%.step")
    program:out "^>%s+11 "
    ask(program, "hp, goblin.name", '^10\t"grub"$')
    ask(program, "string.rep('x', 3)", '^"xxx"$')
    program:write("local function deep(n) return n == 0 and 0 or 1 + deep(n - 1) end "
      .. "print(deep(1000))\n")
    program:out "^1000$"
    program:write "revert\n"
    program:err "^Revert m%.step: "
    program:out "^tick$"
    assert.equal(0, program:interrupt())
  end)

  it("a stack of C functions that overflowed can be looked at", function()
    local folder, program = start(vm)
    folder:write("m.lua", (bad:gsub("return goblin%.weapon%.damage %+ hp",
      "table.sort({ 1, 2 }, function() M.step(count + 1) return false end)")))
    program:err "^Break m%.step: .*overflow"
    ask(program, "hp", "^10$")
    program:write "print((string.gsub('x', 'x', string.upper)))\n"
    program:out "^X$"
    program:write "revert\n"
    program:err "^Revert m%.step: "
    program:out "^tick$"
    assert.equal(0, program:interrupt())
  end)

  it("errors that are no strings stop, too", function()
    local folder, program = start(vm)
    folder:write("m.lua", (bad:gsub("return goblin%.weapon%.damage %+ hp",
      "error({ code = 7 })")))
    program:err "^Break m%.step: %(error object is a table value%)"
    program:out "^   0  %[C%]  error$"
    program:out "^>  1  .*m%.lua:11  m%.step"
    ask(program, "goblin.name", '^"grub"$')
    program:write "revert\n"
    program:out "^tick$"
    assert.equal(0, program:interrupt())
  end)

  it("the locals of a loop that was compiled are those of the error", function()
    local folder, program = start(vm)
    folder:write("m.lua", (bad:gsub("return goblin%.weapon%.damage %+ hp", [[
      local sum, list = 0, {}
      for i = 1, 1000 do list[i] = { i } end
      list[900] = 5
      for i = 1, 1000 do sum = sum + list[i][1] end]])))
    program:err "^Break m%.step: .*m%.lua:14: attempt to index"
    ask(program, "i, sum, #list, list[i]", "^900\t404550\t1000\t5$")
    program:write "revert\n"
    program:out "^tick$"
    assert.equal(0, program:interrupt())
  end)

  it("an error while a patch is taken is undone, and does not stop", function()
    local folder, program = start(vm)
    folder:write("m.lua", (bad:gsub("M%.heal = heal", "M.heal = heal\nM.step(1)")))
    program:err "^Reject .*m%.lua:11: attempt to index"
    program:out "^tick$"
    assert.equal(0, program:interrupt())
    assert.equal(0, program:count("err", "^Break "))
  end)

  it("nothing is changed while it stands", function()
    local _, program = stop(vm)
    program:write "graft = require 'graft'\n"
    ask(program, "graft.update()", "^nil$")
    ask(program, "graft.rollback 'm.step'", "inside a transaction")
    ask(program, "graft.info('m.step').version", "^2$")
    assert.equal(0, program:interrupt())
  end)

  -- Formats ------------------------------------------------------------------

  it("is JSON, too, and nothing else on standard error", function()
    local folder, program = start(vm, { "--log", "json" })
    folder:write("m.lua", bad)
    local report = engine.event(program, "break")
    assert.equal("m.step", report.name)
    assert.equal(11, report.line)
    program:write "revert\n"
    engine.event(program, "revert")
    program:out "^tick$"
    assert.equal(0, program:interrupt())
    assert.equal(program:count("err", "."), program:count("err", "^{.*}$"))
  end)

  it("a line at the prompt of -i stops, and the prompt goes on", function()
    local folder = engine.project { ["m.lua"] = good }
    local program = engine.start(vm,
      { "--watch", folder.path, "--on-error", "break", "-i", "-m", "m" })
    program:write "m = require 'm' print 'there'\n"
    program:out "^there$"
    folder:write("m.lua", bad)
    program:err "^Patch ok"
    program:write "m.step(1)\n"
    program:out "^>%s+11%s+return goblin%.weapon"
    ask(program, "goblin.name", '^"grub"$')
    ask(program, "retry", "^no call to make again")
    program:write "revert\n"
    program:err "^Revert m%.step: "
    ask(program, "m.step(1)", "^grub$")
    program:close_stdin()
    assert.equal(0, program:wait())
    assert.equal(1, program:count("err", "^Revert .*attempt to index"))
  end)

  it("the prompt of -i goes on after the program has stopped", function()
    local folder, program = start(vm, { "-i" })
    ask(program, "1 + 1", "^2$")
    folder:write("m.lua", bad)
    program:out "^>%s+11%s+return goblin%.weapon"
    ask(program, "goblin.name", '^"grub"$')
    program:write "revert\n"
    program:err "^Revert m%.step: "
    ask(program, "2 + 2", "^4$")
    assert.equal(0, program:interrupt())
  end)

  -- In a terminal ------------------------------------------------------------

  it("in a terminal: a prompt, Ctrl-C, Ctrl-D", function()
    local folder = engine.project { ["main.lua"] = main, ["m.lua"] = good }
    local window = terminal.open(100, 50, {
      engine.path, "--vm", vm, "--on-error", "break", "--watch", folder.path,
    })
    local function see(text)
      return window:wait(text, function(screen)
        return screen:find(text, 1, true)
      end)
    end
    see "ready"
    folder:write("m.lua", bad)
    see "help lists the commands\nbreak>"
    window:keys("goblin.name", "Enter")
    see '"grub"\nbreak>'
    -- What is saved meanwhile does not hide the prompt.
    folder:write("m.lua", (bad:gsub("goblin%.weapon", "+")))
    see "Reject"
    see " ^\nbreak>"
    window:keys("print 'within' while true do local x = 1 end", "Enter")
    see "\nwithin\n"
    window:keys "C-c"
    see "interrupted\nbreak>"
    window:keys("coroutine.wrap(function() print 'inside' while true do end end)()",
      "Enter")
    see "\ninside\n"
    window:keys "C-c"
    window:wait("a second interruption", function(screen)
      return screen:find "interrupted.*interrupted.*\nbreak>"
    end)
    window:keys("hp", "Enter")
    see "10\nbreak>"
    window:keys "C-d"
    see "Revert m.step: "
    folder:write("m.lua", (bad:gsub("hp > 50", "hp > 500")))
    see "hp > 500 then"
    window:keys "C-c"
    see "quit\nended 0"
  end)
end
