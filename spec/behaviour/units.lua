-- SPDX-License-Identifier: MIT
--
-- Units as Lua sees them: U1 to U4, and each row of the table of Rhai's rules
-- in host/unit/unit.h. Each case is a script of its own in a small project.

local engine = require "spec.support.engine"

-- Functions for the scripts.
local prelude = [[
local graft = require "graft"
local unpack = unpack or table.unpack

local function names(unit)
  local list = {}
  for f in unit:functions() do list[#list + 1] = f.name end
  return table.concat(list, " ")
end

local function compile(text, name)
  return assert(graft.compile { source = text, name = name or "m" })
end

local function list(events)
  local result = {}
  for i, event in ipairs(events) do result[i] = event.name or event.line end
  return table.concat(result, " ")
end

local function say(...)
  local words = { ... }
  for i = 1, select("#", ...) do words[i] = tostring(words[i]) end
  print(table.concat(words, " "))
end
]]

local module_m = [[
local M = {}
local count = 0

local function helper(x)
  return "helped " .. x
end

function M.think()
  count = count + 1
  return helper "think " .. count
end

function M.flee()
  return "flee"
end

M.hp = 40
ran = (ran or 0) + 1
return M
]]

-- Runs a script in a project that has m.lua; returns what it printed.
local function run(vm, script, sources)
  local all = { ["m.lua"] = module_m }
  for name, text in pairs(sources or {}) do all[name] = text end
  all["main.lua"] = prelude .. script
  local folder = engine.project(all)
  local program = engine.run(vm, { "--no-watch", "main.lua" },
    { cwd = folder.path })
  if program.status ~= 0 then program:fail "did not end with 0" end
  return program.text.out, program.text.err
end

local function check(vm, expected, script, sources)
  assert.equal(expected, (run(vm, script, sources)))
end

return function(vm)
  after_each(engine.clean_up)

  describe("compile", function()
    it("U1: runs nothing", function()
      check(vm, "nil\t2\n", [[
        local unit = compile "touched = true print 'ran'"
        print(touched, unit.statements)
      ]])
    end)

    it("tells of each function what is known, in source order", function()
      check(vm, [[
ai.goblin:late late ai.goblin 1 1 7 false false false
ai.goblin.think M.think ai.goblin 5 5 1 false false true
ai.goblin.tick M.tick ai.goblin 7 9 1 true true true
parameters self dt
function M:tick(dt, ...)
  return dt
end
]], [[
        local unit = compile("local function late() end\nlocal M = {}\n\n" ..
          "-- Thinks.\nfunction M.think(a, b) end\n\n" ..
          "function M:tick(dt, ...)\n  return dt\nend\nreturn M\n", "ai.goblin")
        local last
        for f in unit:functions() do
          say(f.name, f.path, f.file, f.line, f.last_line, f.column, f.vararg,
            f.method, f.shown)
          last = f
        end
        say("parameters", unpack(last.parameters))
        say(last.source)
      ]])
    end)

    it("of a file takes the module's name from the folder", function()
      check(vm, "ai.goblin\tai/goblin.lua\tai.goblin.think\n" ..
        "other\tother.think\n" .. "main\tmain\n", [[
        local unit = assert(graft.compile { file = "ai/goblin.lua" })
        print(unit.name, unit.file, names(unit))
        unit = assert(graft.compile { file = "ai/goblin.lua", name = "other" })
        print(unit.name, names(unit))
        print((assert(graft.compile { file = "main.lua" })).name,
          (assert(graft.compile { file = "./main.lua" })).name)
      ]], { ["ai/goblin.lua"] =
        "local M = {}\nfunction M.think() end\nreturn M\n" })
    end)

    it("U1: shows the VM's own message, with place and code", function()
      local out = run(vm, [[
        print(graft.compile { name = "ai.goblin", source = "local x =\n  = 1" })
        print(graft.compile { source = "return 'open" })
        print(graft.compile { file = "none.lua" })
      ]])
      local lines = {}
      for line in out:gmatch "[^\n]+" do lines[#lines + 1] = line end
      assert.equal("nil\tai.goblin:2:3: unexpected symbol near '='\t-3", lines[1])
      assert.is_truthy(lines[2]:find("^nil\t%?:1:%d+: unfinished string near .*\t%-3$"),
        lines[2])
      assert.is_truthy(lines[3]:find "^nil\t.*none%.lua.*\t%-6$", lines[3])
    end)

    it("refuses what only the other VM takes", function()
      local source = vm == "luajit" and "return 7 // 2" or "return 1LL"
      local out = run(vm, ("print(graft.compile { source = %q })"):format(source))
      assert.is_truthy(out:find "^nil\t%?:1:%d+: .*\t%-3\n$", out)
    end)
  end)

  -- Each row of the table in host/unit/unit.h, by the name it has there.
  describe("Rhai's rules:", function()
    it("order is source order, always", function()
      check(vm, "true\ttrue\n", [[
        local parts, expected = { "local M = {}" }, {}
        for i = 1, 200 do
          local name = "f" .. (i * 7919) % 1000
          parts[#parts + 1] = ("function M.%s() return %d end"):format(name, i)
          expected[#expected + 1] = "m." .. name
        end
        parts[#parts + 1] = "return M"
        local text = table.concat(parts, "\n")
        local order = table.concat(expected, " ")
        print(names(compile(text)) == order, names(compile(text)) == order)
      ]])
    end)

    it("clear_statements keeps functions, clear_functions statements", function()
      check(vm, "4\t7\n4\t0\nm:helper m.think m.flee\n0\t7\n", [[
        local text = "local M = {} x = 1 " ..
          "local function helper() end function M.think() end " ..
          "function M.flee() end function M.hide() end return M"
        local unit = compile(text)
        print(#unit, unit.statements)
        unit:clear_statements()
        print(#unit, unit.statements)
        unit:retain_functions(function(f) return f.name ~= "m.hide" end)
        print(names(unit))
        unit = compile(text)
        unit:clear_functions()
        print(#unit, unit.statements)
      ]])
    end)

    it("retain_functions sees all that is known of a function", function()
      check(vm, "m.b\nm:c\nm.a\nm.a m.b m:c\n", [[
        local text = "local M = {}\nfunction M.a() end\n" ..
          "function M.b(x, y) end\nlocal function c() end\nreturn M"
        local function kept(predicate)
          local unit = compile(text)
          unit:retain_functions(predicate)
          print(names(unit))
        end
        kept(function(f) return #f.parameters == 2 end)
        kept(function(f) return not f.shown end)
        kept(function(f) return f.source:find("M.a", 1, true) and f.line == 2 end)
        kept(function() return 0 end)
      ]])
    end)

    it("an error in a predicate leaves the unit as it was", function()
      check(vm, "false\ttrue\nm.a m.b\nfalse\ttrue\nm.a\nfalse\ttrue\n", [[
        local text = "local M = {} function M.a() end function M.b() end return M"
        local unit, other = compile(text), compile(text)
        local calls = 0
        local function fails()
          calls = calls + 1
          if calls % 2 == 0 then error { mine = true } end
          return false
        end
        local ok, message = pcall(unit.retain_functions, unit, fails)
        print(ok, type(message) == "table" and message.mine)
        print(names(unit))
        other:retain_functions(function(f) return f.name == "m.a" end)
        ok, message = pcall(other.combine, other, unit, fails)
        print(ok, message.mine)
        print(names(other))
        ok, message = pcall(unit.merge, unit, compile(text), fails)
        print(ok, message.mine)
      ]])
    end)

    it("a predicate that changes the unit is told so", function()
      check(vm, "false\ttrue\n0\n", [[
        local unit = compile "local M = {} function M.a() end return M"
        local ok, message = pcall(unit.retain_functions, unit, function()
          unit:clear_functions()
          return true
        end)
        print(ok, message:find("has changed the unit", 1, true) ~= nil)
        print(#unit)
      ]])
    end)

    it("merge is pure: it adds and replaces by name, the later wins", function()
      check(vm, "m.a m.b m.c : 1 4 5\nm.a m.b : 1 2\nm.b m.c : 4 5\n", [[
        local a = compile "function a() return 1 end function b() return 2 end"
        local b = compile "function b() return 4 end function c() return 5 end"
        local function show(unit)
          local bodies = {}
          for f in unit:functions() do
            bodies[#bodies + 1] = f.source:match "return (%d)"
          end
          say(names(unit), ":", table.concat(bodies, " "))
        end
        show(a:merge(b))
        show(a)
        show(b)
      ]])
    end)

    it("combine is the same in place, also with itself", function()
      check(vm, "m.a m.b\t2\nm.a m.b\t4\nm.b\n", [[
        local a = compile "function a() end"
        local b = compile "function b() end"
        a:combine(b)
        print(names(a), a.statements)
        a:combine(a)
        print(names(a), a.statements)
        print(names(b))
      ]])
    end)

    it("the filter holds also when the receiver has no functions", function()
      check(vm, "m.a\nm.a\nm.a\n", [[
        local empty = compile "x = 1"
        local two = compile "function a() end function b() end"
        local function only_a(f) return f.name == "m.a" end
        print(names(empty:merge(two, only_a)))
        empty:combine(two, only_a)
        print(names(empty))
        local cleared = compile "function z() end"
        cleared:clear_functions()
        print(names(cleared:merge(two, only_a)))
      ]])
    end)

    it("statements concatenate", function()
      check(vm, "3\t3\n", [[
        local a, b = compile "x = 1", compile "x = 2 y = 3"
        print((a + b).statements, (b + a).statements)
      ]])
    end)

    it("a replaced function takes the old one's place", function()
      check(vm, "m.a m.b m.c m.d\n", [[
        local a = compile "function a() end function b() end function c() end"
        local b = compile "function d() end function b() return 1 end"
        print(names(a + b))
      ]])
    end)

    it("source is recoverable byte for byte, also per function", function()
      check(vm, "true\ttrue\ttrue\n\tfunction b() return '\\0' end\n", [[
        local text = "\239\187\191#!/usr/bin/lua\r\n-- \0 \255\n" ..
          "function a( )\r\n\treturn [==[\n\0]==] end\n"
        local unit = compile(text)
        local first = unit:functions()()
        print(unit:source() == text, text:find(first.source, 1, true) ~= nil,
          first.source == "function a( )\r\n\treturn [==[\n\0]==] end")
        local merged = unit + compile "function b() return '\\0' end"
        local last
        for f in merged:functions() do last = f.source end
        print(merged:source(), last)
      ]])
    end)

    it("functions nested in one come with it", function()
      check(vm, "m.a\ttrue\n", [[
        local unit = compile
          "function a() local function b() return 'in' end return b end"
        local f = unit:functions()()
        print(names(unit), f.source:find("'in'", 1, true) ~= nil)
      ]])
    end)

    it("a fingerprint sees tokens, not space and comments", function()
      check(vm, "true\tfalse\n", [[
        local function of(text) return compile(text):functions()().fingerprint end
        local a = of "function a(x) return x end"
        print(a == of "\n\nfunction a( x ) -- same\n return x end",
          a == of "function a(x) return -x end")
      ]])
    end)
  end)

  it("(a + b) + c and a + (b + c) are the same, for many sets", function()
    check(vm, "same\n", [[
      local seed = 7
      local function random(n)
        seed = (seed * 16807) % 2147483647
        return seed % n + 1
      end
      local function unit()
        local parts = {}
        for i = 1, random(6) - 1 do
          parts[i] = ("function f%d() return %d end x = %d"):format(
            random(5), random(1000), i)
        end
        local made = compile(table.concat(parts, "\n"))
        if random(4) == 1 then made:clear_statements() end
        if random(4) == 1 then
          made:retain_functions(function() return random(2) == 1 end)
        end
        return made
      end
      local function text(u)
        local parts = { tostring(u.statements) }
        for f in u:functions() do parts[#parts + 1] = f.name .. f.source end
        return table.concat(parts, "\n")
      end
      for _ = 1, 300 do
        local a, b, c = unit(), unit(), unit()
        local before = text(a) .. text(b) .. text(c)
        local left, right = (a + b) + c, a + (b + c)
        assert(text(left) == text(right), text(left) .. "\n---\n" .. text(right))
        assert(before == text(a) .. text(b) .. text(c), "not pure")
      end
      print "same"
    ]])
  end)

  describe("merging into the engine", function()
    -- m.lua as it is on disk, with changes: pairs of old and new text.
    local changed = [[
      local m = require "m"
      local function changed(...)
        local file = assert(io.open "m.lua")
        local text = file:read "*a"
        file:close()
        for i = 1, select("#", ...), 2 do
          local from, to = select(i, ...)
          local first, last = text:find(from, 1, true)
          text = text:sub(1, first - 1) .. to .. text:sub(last + 1)
        end
        return compile(text)
      end
      local function only(unit, ...)
        local wanted = {}
        for _, name in ipairs { ... } do wanted[name] = true end
        unit:clear_statements()
        unit:retain_functions(function(f) return wanted[f.name] end)
        return unit
      end
      local function merge(unit)
        local report = assert(graft.merge(unit))
        for _, kind in ipairs { "added", "updated", "deleted", "ran", "kept",
            "orphaned", "stale", "errors" } do
          if #report[kind] > 0 then say(kind, list(report[kind])) end
        end
        return report
      end
    ]]

    local function merges(expected, script, sources)
      check(vm, expected, changed .. script, sources)
    end

    it("U4: patches just the function that was kept", function()
      merges([[
helped think 1 flee
updated m.think
helped new think 2 true flee 40 1
version 2 of 2
fn helped new think 3
]], [[
        local think = m.think
        say(think(), m.flee())
        merge(only(changed('helper "think', 'helper "new think',
          '"helped "', '"HELPED "', '"flee"', '"gone"', "M.hp = 40",
          "M.hp = 150", "ran or 0", "ran or 7"), "m.think"))
        say(think(), think == m.think, m.flee(), m.hp, ran)
        say("version", graft.info "m.think".version, "of", #graft.history "m.think")
        say("fn", graft.fn "m.think"())
      ]])
    end)

    it("reaches functions that the module does not show", function()
      merges("helped think 1\nupdated m:helper\nHELPED think 2\n", [[
        say(m.think())
        merge(only(changed('"helped "', '"HELPED "', '"think "', '"x"'),
          "m:helper"))
        say(m.think())
      ]])
    end)

    it("statements run if they were not cleared, unchanged ones never", function()
      merges([[
updated m.flee
ran 17
gone 150 1
]], [[
        merge(changed('"flee"', '"gone"', "M.hp = 40", "M.hp = 150"))
        say(m.flee(), m.hp, ran)
      ]])
    end)

    it("S3: a value that was changed at run time is kept", function()
      merges("ran 17\nkept m\n7\n", [[
        m.hp = 7
        merge(changed("M.hp = 40", "M.hp = 150"))
        say(m.hp)
      ]])
    end)

    it("U3: what the unit lacks is kept", function()
      merges("updated m.flee\nhelped think 1 gone 40 1\nm.flee m.think\n", [[
        merge(compile "local M = {}\nfunction M.flee() return 'gone' end\nreturn M")
        say(m.think(), m.flee(), m.hp, ran)
        say(table.concat(graft.names "^m%.", " "))
      ]])
    end)

    it("U3: what is new is added, with a slot", function()
      merges([[
added m.hide
helped hide true
m.flee m.hide m.think
main.lua
]], [[
        merge(only(changed("function M.flee()",
          "function M.hide() return helper 'hide' end\nfunction M.flee()"),
          "m.hide"))
        say(m.hide(), graft.fn "m.hide"() == m.hide())
        say(table.concat(graft.names "^m%.", " "))
        say(arg[0])
      ]])
    end)

    it("a function of a table constructor is added as its field", function()
      merges("added m.hooks.b\n1 2 1\n", [[
        local h = require "hooks"
        local unit = assert(graft.compile { name = "hooks", source =
          "local M = { n = 5 }\nM.hooks = {\n" ..
          "  a = function() return 1 end,\n  b = function() return 2 end }\n" ..
          "return M" })
        unit:clear_statements()
        local report = assert(graft.merge(unit))
        say("added", (list(report.added):gsub("^hooks", "m")))
        say(h.hooks.a(), h.hooks.b(), h.n)
      ]], { ["hooks.lua"] = "local M = { n = 1 }\n" ..
        "M.hooks = { a = function() return 1 end }\nreturn M\n" })
    end)

    it("new locals come before the functions that use them", function()
      merges([[
added m:twice
updated m.flee
ran 13
flee flee
2
]], [[
        merge(changed("function M.flee()\n  return \"flee\"",
          "local times = 2\nlocal function twice(s)\n" ..
          "  return (s .. ' '):rep(times):sub(1, -2)\nend\n" ..
          "function M.flee()\n  return twice \"flee\""))
        say(m.flee())
        say(select(2, m.flee():gsub("flee", "")))
      ]])
    end)

    it("a function whose local the module lacks is refused, by name", function()
      merges("nil m:13:17: m.flee uses the local 'times', which neither m.lua " ..
        "nor what the unit keeps declares before it -6\nflee 0\n", [[
        local unit = only(changed("function M.flee()\n  return \"flee\"",
          "local times = 2 function M.flee()\n  return times"), "m.flee")
        say(graft.merge(unit))
        say(m.flee(), #graft.history "m.flee" - 1)
      ]])
    end)

    it("a statement whose local the module lacks is refused, too", function()
      merges("nil m:2:1: a statement uses the local 'N', which neither m.lua " ..
        "nor what the unit keeps declares before it -6\n" ..
        "nil nil\n", [[
        local unit = compile "local N = {}\nfunction N.hide() end\nreturn N"
        unit:clear_statements()
        say(graft.merge(unit))
        say(m.hide, N)
      ]])
    end)

    it("what the source calls by one name is one, shown or not", function()
      merges("added n.open\nupdated n.f\n2 3\n" ..
        "1\n", [[
        local n = require "n"
        local text = "local function open() return 2 end\n" ..
          "local function f() return open() + 1 end\nreturn { f = f, open = open }"
        local report = assert(graft.merge(compile(text, "n")))
        say("added", "n.open")
        say("updated", list(report.updated):match "n%.f")
        say(n.open(), n.f())
        local _, count = graft.history "n.f"[2].source:gsub("open", "")
        say(count)
      ]], { ["n.lua"] = "local function open() return 1 end\n" ..
        "local function f() return open() end\nreturn { f = f }\n" })
    end)

    it("the file's own names go around the new code", function()
      merges("updated w.a w.b w.c\na2 b2 c2 x\na3 b3 c3 x\n", [[
        local w = require "w"
        local function source(n, c)
          return ("local W = {}\nW.a = function(self) return 'a%d' end\n" ..
            "function W:b(...) return 'b%d', ... end\n" ..
            "function W%sc() return 'c%d' end\nreturn W"):format(n, n, c, n)
        end
        merge(assert(graft.compile { name = "w", source = source(2, "."):gsub(
          "W", "M") }))
        say(w:a(), (w:b "x"), w.c(), select(2, w:b "x"))
        local report = assert(graft.merge(compile(source(3, ":"):gsub("W", "M"),
          "w")))
        assert(report.ok)
        say(w:a(), (w:b "x"), w:c(), select(2, w:b "x"))
      ]], { ["w.lua"] = "local M = {}\nfunction M:a() return 'a' end\n" ..
        "M.b = function(self, ...) return 'b', ... end\n" ..
        "function M:c() return 'c' end\nM.other = 1\nreturn M\n" })
    end)

    it("P1: reaches callbacks, other modules' locals and coroutines", function()
      merges("1 1 1\nupdated bus:bus.on/1\n2 2 1\n2\n", [[
        local bus = require "bus"
        local held = bus.held
        local routine = coroutine.wrap(function(f)
          while true do coroutine.yield((f())) end
        end)
        say(held(), bus.held(), routine(held))
        local unit = assert(graft.compile { name = "bus", source =
          "local bus = {}\nfunction bus.on(f) bus.held = f calls = (calls or 0) + 1 end\n" ..
          "bus.on(function() return 2, calls end)\nreturn bus" })
        unit:clear_statements()
        merge(unit)
        say(held(), bus.held())
        say(routine())
      ]], { ["bus.lua"] =
        "local bus = {}\nfunction bus.on(f) bus.held = f calls = (calls or 0) + 1 end\n" ..
        "bus.on(function() return 1, calls end)\nreturn bus\n" })
    end)

    it("units of several modules are one transaction", function()
      merges("updated m.flee n.f\ngone 2\n" ..
        "nil n.lua boom\ngone 2\n", [[
        local n = require "n"
        local function of_n(text)
          return compile("local N = {}\nfunction N.f() return " .. text .. "\nreturn N", "n")
        end
        local unit = only(changed('"flee"', '"gone"'), "m.flee") + of_n "2 end"
        merge(unit)
        say(m.flee(), n.f())
        local bad = only(changed('"flee"', '"lost"'), "m.flee") +
          of_n "3 end error 'boom'"
        local result, message = graft.merge(bad)
        say(result, message:match "^n%.lua", message:match "boom")
        say(m.flee(), n.f())
      ]], { ["n.lua"] = "local N = {}\nfunction N.f() return 1 end\nreturn N\n" })
    end)

    it("T2: a statement that raises undoes all of it", function()
      merges([[
nil m.lua:19 true -4
flee 40 1 1
updated m.flee
gone
]], [[
        local unit = changed('"flee"', '"gone"', "M.hp = 40",
          "M.hp = 150 M.mp = 1 error 'no'")
        local result, message, code = graft.merge(unit)
        say(result, message:match "^m%.lua:%d+", message:find("no", 1, true) ~= nil,
          code)
        say(m.flee(), m.hp, ran, m.mp or graft.info "m.flee".version)
        merge(only(unit, "m.flee"))
        say(m.flee())
      ]])
    end)

    it("a unit that brings nothing new does nothing", function()
      merges("true 1\ntrue\n", [[
        local report = merge(changed())
        say(report.ok, graft.info "m.think".version)
        local empty = compile "x = 1"
        empty:clear_statements()
        say(merge(empty).ok)
      ]])
    end)

    it("of a module that is not loaded is refused", function()
      merges("nil no script of module 'other' is loaded -6\n" ..
        "nil a unit without a module name cannot be merged into the engine -2\n", [[
        say(graft.merge(compile("function f() end", "other")))
        say(graft.merge(graft.compile { source = "x = 1" }))
      ]])
    end)

    it("inside a transaction is refused", function()
      merges("nil a unit cannot be merged while a change is being applied -4\n" ..
        "updated m.flee\ngone\n", [[
        graft.on("update", function()
          say(graft.merge(compile("x = 1", "m")))
        end)
        merge(only(changed('"flee"', '"gone"'), "m.flee"))
        say(m.flee())
      ]])
    end)

    it("inside of any other listener is refused, too", function()
      merges("nil m.flee -4\nreload nil\nflee\n", [[
        graft.on("add", function(event)
          local result, _, code = graft.merge(only(changed('"flee"', '"gone"'), "m.flee"))
          say(result, "m.flee", code)
          say("reload", graft.update())
        end)
        graft.on("add", function(event) assert(event.name == "n.f") end)
        local report = graft.merge(compile("function f() end", "n"))
        assert(report == nil)
        require "n"
        assert(graft.merge(compile("local n = {} function n.f() end return n", "n")))
        say(m.flee())
      ]], { ["n.lua"] = "local n = {}\nreturn n\n" })
    end)

    it("can be repeated: versions go on, the last wins", function()
      merges("4 run 3\n", [[
        for i = 1, 3 do
          assert(graft.merge(only(changed('"flee"', '"run ' .. i .. '"'), "m.flee")))
        end
        say(graft.info "m.flee".version, m.flee())
      ]])
    end)

    it("the next save of the file applies as usual", function()
      merges([[
updated m.flee
gone 40
updated m.flee
updated m.think
saved helped think 1
]], [[
        merge(only(changed('"flee"', '"gone"'), "m.flee"))
        say(m.flee(), m.hp)
        local file = assert(io.open "m.lua")
        local text = file:read "*a"
        file:close()
        file = assert(io.open("m.lua", "w"))
        file:write((text:gsub('"flee"', '"saved"'):gsub("count %+ 1", "1 + count")))
        file:close()
        local report = assert(graft.reload "m.lua")
        for _, change in ipairs(report.updated) do
          if change.name == "m.flee" then say("updated", change.name) end
        end
        for _, change in ipairs(report.updated) do
          if change.name == "m.think" then say("updated", change.name) end
        end
        say(m.flee(), m.think())
      ]])
    end)

    it("a broken save goes on waiting meanwhile", function()
      merges("nil\nupdated m.flee\ngone\nhelped mended 1 flee\n", [[
        local function save(from, to)
          local file = assert(io.open "m.lua")
          local text = file:read "*a":gsub(from, to)
          file:close()
          file = assert(io.open("m.lua", "w"))
          file:write(text)
          file:close()
        end
        local unit = only(changed('"flee"', '"gone"'), "m.flee")
        save("think \" %.%.", "mended \" .. )")
        say((graft.reload()))
        merge(unit)
        say(m.flee())
        save("%.%. %)", "..")
        assert(graft.reload())
        say(m.think(), m.flee())
      ]])
    end)

    it("T5: is undone by rollback", function()
      merges("updated m.flee\ngone\nflee\n", [[
        merge(only(changed('"flee"', '"gone"'), "m.flee"))
        say(m.flee())
        assert(graft.rollback "m.flee")
        say(m.flee())
      ]])
    end)

    it("works inside of a coroutine, and in a function that is replaced", function()
      merges("updated m.flee\nold gone\n", [[
        local unit = only(changed('"flee"', '"gone"'), "m.flee")
        m.act = coroutine.wrap(function()
          merge(unit)
          return "old", m.flee()
        end)
        say(m.act())
      ]])
    end)

    it("line numbers are those of the merged source", function()
      merges("m.lua:14\nm.lua:17\n", [[
        local function place(f)
          return (select(2, pcall(f)):match "^(m.lua:%d+)")
        end
        assert(graft.merge(only(changed('return "flee"', "error 'x'"), "m.flee")))
        say(place(m.flee))
        assert(graft.merge(only(changed("count = count + 1",
          "count = count\n\n\n+ 1"), "m.think")))
        say(place(m.flee))
      ]])
    end)

    it("the main script can merge into itself while it runs", function()
      merges("1\nupdated main.f\n2\n", [[
        function f() return 1 end
        local unit = compile("function f() return 2 end", "main")
        say(f())
        unit:clear_statements()
        merge(unit)
        say(f())
      ]])
    end)
  end)

  -- Two versions of a module with functions in all forms and any order; some
  -- of the second's are merged into the first. Every function then gives what
  -- the version gives that it is to come from.
  it("merging any part of a unit gives just that part, in any form", function()
    check(vm, "120 merged\n", [==[
      local seed = 11
      local function random(n)
        seed = (seed * 16807) % 2147483647
        return seed % n + 1
      end
      local forms = {
        "function M.%s() return '%s' end",
        "M.%s = function(...) return '%s', ... end",
        "function M:%s(a) return '%s', self, a end",
        "local function %s() return '%s' end\nM.%s = function() return %s() end",
      }
      -- Text of a module, and the set of its names.
      local function version(tag)
        local parts, fields, names = {}, {}, {}
        for i = 1, 12 do
          local form, name = random(6), "f" .. i
          if forms[form] then
            local text = forms[form]:format(name, tag .. i, name, name)
            table.insert(parts, random(#parts + 1), "-- " .. name .. "\n" .. text)
          elseif form == 5 then
            fields[#fields + 1] =
              ("  %s = function() return '%s' end,"):format(name, tag .. i)
          end
          names[name] = form <= 5
        end
        return "local M = {\n" .. table.concat(fields, "\n") .. "\n}\n" ..
          table.concat(parts, "\n") .. "\ncount = (count or 0) + 1\nreturn M\n", names
      end
      local function fail(name, first, second, why)
        error(("%s: %s\n--- present\n%s--- merged\n%s"):format(name, why, first, second))
      end
      local merged = 0
      for round = 1, 120 do
        local module = "p" .. round
        local first, had = version "a"
        local second, has = version "b"
        local file = assert(io.open(module .. ".lua", "w"))
        file:write(first)
        file:close()
        local M = require(module)
        local unit = compile(second, module)
        local wanted, share = {}, random(4)
        for i = 1, 12 do wanted["f" .. i] = random(4) <= share end
        if random(2) == 1 then
          unit:clear_statements()
        else -- The functions in a table come with its statement.
          for name in second:gmatch "  (f%d+) = " do wanted[name] = true end
        end
        unit:retain_functions(function(f) return wanted[f.name:match "f%d+$"] end)
        count = 0
        local report, message = graft.merge(unit)
        if not report then fail(module, first, second, message) end
        merged = merged + 1
        for i = 1, 12 do
          local name = "f" .. i
          local from = wanted[name] and has[name] and "b" or had[name] and "a"
          local value = M[name] and M[name](M)
          if value ~= (from and from .. i or nil) then
            fail(module, first, second, name .. " gives " .. tostring(value))
          end
        end
        if count ~= 0 then fail(module, first, second, "statements ran") end
      end
      print(merged .. " merged")
    ]==])
  end)

  it("finalizers that run when the engine closes are told so", function()
    local out = run(vm, [[
      local unit = compile "function f() end"
      local function finalize()
        say(pcall(graft.compile, { source = "x = 1" }))
        say(pcall(graft.merge, unit))
        say(pcall(graft.names))
        say(pcall(tostring, unit))
      end
      if newproxy then
        kept = newproxy(true)
        getmetatable(kept).__gc = finalize
      else
        kept = setmetatable({}, { __gc = finalize })
      end
    ]])
    local closed = "false the engine is closed\n"
    local first, rest = out:sub(1, 3 * #closed), out:sub(3 * #closed + 1)
    assert.equal(closed:rep(3), first)
    -- The unit may have gone before.
    assert.is_truthy(rest == "true graft.unit: m (1 functions, 1 statements)\n"
      or rest == "false the unit has been collected\n", rest)
  end)

  describe("bad input:", function()
    it("wrong arguments raise, and say which", function()
      local out = run(vm, [[
        local unit = compile "function a() end"
        local function try(f, ...) print((select(2, pcall(f, ...)))) end
        try(graft.compile)
        try(graft.compile, "text")
        try(graft.compile, {})
        try(graft.compile, { source = "", file = "m.lua" })
        try(graft.compile, { source = 1 })
        try(graft.compile, { source = "", name = {} })
        try(graft.compile, { source = "", name = "a\0b" })
        try(graft.merge)
        try(graft.merge, "unit")
        try(graft.merge, io.stdout)
        try(unit.retain_functions, unit)
        try(unit.retain_functions, unit, {})
        try(unit.merge, unit)
        try(unit.merge, unit, unit, 1)
        try(unit.combine, unit, {})
        try(unit.functions, io.stdout)
        try(function() return unit + 1 end)
        try(function() return {} + unit end)
        try(function() unit.x = 1 end)
        print(unit.nothing, unit[1], getmetatable(unit))
      ]])
      local expected = {
        "#1 to '.*' %(table expected, got no value%)",
        "#1 to '.*' %(table expected, got string%)",
        "^graft.compile takes either source or file$",
        "^graft.compile takes either source or file$",
        "^bad field 'source' %(string expected, got number%)$",
        "^bad field 'name' %(string expected, got table%)$",
        "^bad field 'name' %(it has a zero byte%)$",
        "graft.unit expected, got no value",
        "graft.unit expected, got string",
        "graft.unit expected, got ",
        "function expected, got no value",
        "function expected, got table",
        "graft.unit expected, got no value",
        "function expected, got number",
        "graft.unit expected, got table",
        "graft.unit expected, got ",
        "attempt to merge a unit with a number value",
        "attempt to merge a unit with a table value",
        "attempt to index",
        "^nil\tnil\tgraft.unit$",
      }
      local n = 0
      for line in out:gmatch "[^\n]+" do
        n = n + 1
        assert.is_truthy(line:find(expected[n] or "nothing"), n .. ": " .. line)
      end
      assert.equal(#expected, n)
    end)

    it("zero bytes, empty and large sources are sources", function()
      check(vm, "0 0\n0 0\n20000 true\nnil deep:1:221:  -3\ntrue\n", [[
        local empty = compile ""
        say(#empty, empty.statements)
        local blank = compile "-- \0 \n"
        say(#blank, blank.statements)
        local parts = {}
        for i = 1, 20000 do
          parts[i] = ("function f%d(a, b)\n  return a + b * %d\nend\n"):format(i, i)
        end
        local text = table.concat(parts)
        local large = compile(text)
        say(#large, large:source() == text)
        local result, message, code =
          graft.compile { source = ("("):rep(100000), name = "deep" }
        say(result, message:match "^deep:1:221: ", code)
        say(#(large + large) == 20000)
      ]])
    end)

    it("units that nobody holds are collected", function()
      check(vm, "true\n", [[
        local held = setmetatable({}, { __mode = "k" })
        for _ = 1, 100 do
          local unit = compile "function f() end"
          local both = unit + compile "function g() end"
          both:retain_functions(function(f) return f.name == "m.g" end)
          held[unit], held[both] = true, true
        end
        collectgarbage()
        collectgarbage()
        print(next(held) == nil)
      ]])
    end)
  end)
end
