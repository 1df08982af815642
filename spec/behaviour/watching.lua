-- SPDX-License-Identifier: MIT
--
-- What the program does about roots, ignored names, polling, batches, and files
-- that go and come back: W1 to W4 and T1 from the command line.

local engine = require "spec.support.engine"
local posix = require "posix"
local process = require "spec.support.process"

local function module(value)
  return ("local M = {}\nfunction M.value()\n  return %q\nend\nreturn M\n")
    :format(value)
end

-- Shows what each named module answers, whenever that changes.
local function main(...)
  return ([[
io.stdout:setvbuf "line"
local names, last, count = { %s }, nil, 0
function init() print "ready" end
function update()
  count = count + 1
  if count %% 20 == 0 then print "tick" end
  local parts = {}
  for i, name in ipairs(names) do
    local found, m = pcall(require, name)
    parts[i] = found and tostring(m.value and m.value()) or "none"
  end
  local now = "now " .. table.concat(parts, " ")
  if now ~= last then print(now) end
  last = now
end
]]):format('"' .. table.concat({ ... }, '", "') .. '"')
end

-- The program in the folder, with paths as a user would type them.
local function start(vm, folder, arguments)
  local all = { "--tick", "200" }
  for _, argument in ipairs(arguments) do all[#all + 1] = argument end
  local program = engine.start(vm, all, { cwd = folder.path })
  program:out "^ready"
  return program
end

local function git(folder, ...)
  local done = process.run { "git", "-c", "user.name=a", "-c",
    "user.email=a@b", "-c", "init.defaultBranch=main", "-C", folder.path, ... }
  if done.status ~= 0 then done:fail "git failed" end
end

return function(vm)
  after_each(engine.clean_up)

  local function project(sources)
    sources["s/main.lua"] = sources["s/main.lua"] or main "a"
    sources["s/a.lua"] = sources["s/a.lua"] or module "a1"
    return engine.project(sources)
  end

  -- What is watched ----------------------------------------------------------

  it("-v tells each root, how it is watched, and what is in it", function()
    local folder = project { ["s/x/b.lua"] = module "b", ["s/note.txt"] = "" }
    local program = start(vm, folder, { "-v", "-w", "s", "-w", "none" })
    assert.is_truthy(program:err "^Watch s %(.*, 2 folders, 3 files%)$")
    program:err "^Notice none does not exist yet; waiting for it$"
    program:err "^Watch none %(not there yet%)$"
    program:err "^Watch s/main%.lua$"
    program:err "^Watch s/a%.lua$"
    assert.equal(0, program:interrupt())
  end)

  it("a root that was given twice is watched once", function()
    local folder = project {}
    local program = start(vm, folder, { "-v", "-w", "s", "-w", "./s/" })
    program:out "^now a1$"
    folder:write("s/a.lua", module "a2")
    program:out "^now a2$"
    assert.equal(0, program:interrupt())
    assert.equal(1, program:count("err", "^Watch s %("))
    assert.equal(1, program:count("err", "^Update "))
  end)

  it("two roots, one inside the other: a save is one update", function()
    local folder = project { ["s/main.lua"] = main "x.b",
      ["s/x/b.lua"] = module "b1" }
    local program = start(vm, folder, { "-w", "s", "-w", "s/x" })
    program:out "^now b1$"
    folder:write("s/x/b.lua", module "b2")
    program:out "^now b2$"
    assert.equal(0, program:interrupt())
    assert.equal(1, program:count("err", "^Update x%.b%.value$"))
    assert.equal(1, program:count("err", "^Patch"))
  end)

  it("two roots are both watched", function()
    local folder = project { ["s/main.lua"] = main("a", "b"),
      ["mods/b.lua"] = module "b1" }
    local program = start(vm, folder, { "-w", "s", "-w", "mods" })
    program:out "^now a1 b1$"
    folder:write("mods/b.lua", module "b2")
    program:out "^now a1 b2$"
    folder:write("s/a.lua", module "a2")
    program:out "^now a2 b2$"
    assert.equal(0, program:interrupt())
  end)

  it("of a watched file's folder only that file is watched", function()
    local folder = project {
      ["s/main.lua"] = (main "a"):gsub('"now "', '"one "') }
    local program = start(vm, folder, { "--watch", "s/main.lua" })
    program:out "^one a1$"
    folder:write("s/a.lua", module "a2")
    folder:write("s/main.lua", (main "a"):gsub('"now "', '"two "'))
    program:out "^two a1$"
    assert.equal(0, program:interrupt())
  end)

  it("a glob is watched, and its folder is a root", function()
    local folder = project { ["s/main.lua"] = main("a", "x.b"),
      ["s/x/b.lua"] = module "b1" }
    local program = start(vm, folder, { "--watch", "s/**/*.lua" })
    program:out "^now a1 b1$"
    folder:write("s/x/b.lua", module "b2")
    program:out "^now a1 b2$"
    assert.equal(0, program:interrupt())
  end)

  it("a root behind a symbolic link, and a linked file in it", function()
    local folder = project {}
    folder:write("far/b.lua", module "a1")
    folder:remove "s/a.lua"
    folder:link("../far/b.lua", "s/a.lua")
    folder:link("s", "link")
    local program = start(vm, folder, { "--watch", "link" })
    program:out "^now a1$"
    folder:write("far/b.lua", module "a2")
    program:out "^now a2$"
    folder:write_over("far/b.lua", module "a3")
    program:out "^now a3$"
    assert.equal(0, program:interrupt())
  end)

  it("what is ignored does nothing, until the rule is gone", function()
    local folder = project { ["s/main.lua"] = main("a", "x.b"),
      ["s/x/b.lua"] = module "b1", ["s/.graftignore"] = "# a comment\nx/\n" }
    local program = start(vm, folder, { "-w", "s" })
    program:out "^now a1 b1$"
    folder:write("s/.a.lua.swp", module "a2")
    folder:write("s/a.lua~", module "a2")
    folder:write("s/#a.lua#", module "a2")
    folder:write("s/x/b.lua", module "b2")
    folder:write("s/a.lua", module "a3")
    program:out "^now a3 b1$"
    folder:write("s/.graftignore", "")
    program:out "^now a3 b2$"
    assert.equal(0, program:interrupt())
    assert.equal(2, program:count("err", "^Patch"))
  end)

  it("a file that nobody required is not read by the VM", function()
    local folder = project { ["s/b.lua"] = module "b1" }
    local program = start(vm, folder, { "-w", "s" })
    program:out "^now a1$"
    folder:write("s/b.lua", "this is = no Lua\n")
    folder:write("s/c.lua", "nor is = this\n")
    program:out "^tick$"
    folder:write("s/a.lua", module "a2")
    program:out "^now a2$"
    assert.equal(0, program:interrupt())
    assert.equal(0, program:count("err", "^Reject "))
  end)

  -- Roots that come and go ---------------------------------------------------

  it("a root may appear, go and come back while the program runs", function()
    local folder = project { ["s/main.lua"] = main("a", "b") }
    local program = start(vm, folder, { "-w", "s", "-w", "mods" })
    program:out "^now a1 none$"
    folder:write("new/b.lua", module "b1")
    folder:rename("new", "mods")
    program:out "^now a1 b1$"
    folder:write("mods/b.lua", module "b2")
    program:out "^now a1 b2$"
    folder:rename("mods", "away")
    program:err "^Notice mods is gone; waiting for it$"
    folder:write("away/b.lua", module "b3")
    folder:rename("away", "mods")
    program:out "^now a1 b3$"
    folder:write("mods/b.lua", module "b4")
    program:out "^now a1 b4$"
    assert.equal(0, program:interrupt())
    assert.equal(0, program:count("err", "^Delete "))
  end)

  it("a root that is deleted and made again is watched again", function()
    local folder = project {}
    local program = start(vm, folder, { "-w", "s" })
    program:out "^now a1$"
    folder:remove "s"
    folder:write("s/main.lua", main "a")
    folder:write("s/a.lua", module "a2")
    program:out "^now a2$"
    folder:write("s/a.lua", module "a3")
    program:out "^now a3$"
    assert.equal(0, program:interrupt())
    assert.equal(0, program:count("err", "^Delete "))
  end)

  -- Files that are empty or missing (W2) --------------------------------------

  it("an emptied file loses its functions after the grace time", function()
    local folder = project {}
    local program = start(vm, folder, { "-w", "s" })
    program:out "^now a1$"
    local from = process.now()
    folder:write("s/a.lua", "")
    program:out "^now nil$"
    assert.is_true(process.now() - from >= 0.9)
    program:err "^Delete a%.value$"
    folder:write("s/a.lua", module "a2")
    program:out "^now a2$"
    assert.equal(0, program:interrupt())
  end)

  it("a deleted file loses its functions, and gets them back", function()
    local folder = project {}
    local program = start(vm, folder, { "-w", "s" })
    program:out "^now a1$"
    folder:remove "s/a.lua"
    program:out "^now nil$"
    program:err "^Delete a%.value$"
    folder:write("s/a.lua", module "a2")
    program:out "^now a2$"
    program:err "^Add a%.value$"
    assert.equal(0, program:interrupt())
  end)

  it("a file that was gone has the same module table when it is back", function()
    local function with(number)
      return ("local M = {}\nM.number = %d\nfunction M.value()\n"
        .. "  return M.number\nend\nreturn M\n"):format(number)
    end
    local folder = project { ["s/a.lua"] = with(1),
      ["s/main.lua"] = (main "a"):gsub('"now "', 'tostring(require "a".number) .. " now "')
        .. '\nlocal kept = require "a"\nrequire = function() return kept end\n' }
    local program = start(vm, folder, { "-w", "s" })
    program:out "^1 now 1$"
    folder:remove "s/a.lua"
    program:out "now nil$"
    folder:write("s/a.lua", with(2))
    program:out "^2 now 2$"
    folder:write("s/a.lua", with(3))
    program:out "^3 now 3$"
    assert.equal(0, program:interrupt())
  end)

  it("within the grace time nothing is deleted and state stays", function()
    local text = "local M = {}\nlocal calls = 0\nfunction M.value()\n"
      .. "  calls = calls + 1\n  return calls > 3 and 'many' or 'VERSION'\nend\n"
      .. "return M\n"
    local folder = project { ["s/a.lua"] = text }
    local program = start(vm, folder, { "-w", "s" })
    program:out "^now many$"
    folder:write("s/a.lua", "")
    program:out "^tick$"
    folder:remove "s/a.lua"
    program:out "^tick$"
    folder:write("s/a.lua", (text:gsub("many", "more")))
    program:out "^now more$"
    assert.equal(0, program:interrupt())
    assert.equal(0, program:count("err", "^Delete "))
  end)

  for _, wait in ipairs { 50, 200, 900 } do
    it(("truncated, and written %d ms later"):format(wait), function()
      local folder = project {}
      local program = start(vm, folder, { "-w", "s" })
      program:out "^now a1$"
      folder:write("s/a.lua", "")
      posix.nanosleep(0, wait * 1000000)
      folder:write("s/a.lua", module "a2")
      program:out "^now a2$"
      assert.equal(0, program:interrupt())
      assert.equal(0, program:count("err", "^Delete "))
      assert.equal(1, program:count("err", "^Patch"))
    end)
  end

  it("deleted, and made again 100 ms later", function()
    local folder = project {}
    local program = start(vm, folder, { "-w", "s" })
    program:out "^now a1$"
    folder:remove "s/a.lua"
    posix.nanosleep(0, 100000000)
    folder:write("s/a.lua", module "a2")
    program:out "^now a2$"
    assert.equal(0, program:interrupt())
    assert.equal(0, program:count("err", "^Delete "))
  end)

  -- Saves that come fast ------------------------------------------------------

  it("two saves, 300 ms apart, both arrive", function()
    local folder = project {}
    local program = start(vm, folder, { "-w", "s" })
    program:out "^now a1$"
    folder:write("s/a.lua", module "a2")
    posix.nanosleep(0, 300000000)
    folder:write("s/a.lua", module "a3")
    program:out "^now a3$"
    assert.equal(0, program:interrupt())
    assert.equal(1, program:count("out", "^now a2$"))
  end)

  it("a moved folder's files go, and are there under their new names", function()
    local folder = project { ["s/main.lua"] = main("x.b", "y.b"),
      ["s/x/b.lua"] = module "b1" }
    local program = start(vm, folder, { "-w", "s" })
    program:out "^now b1 none$"
    folder:rename("s/x", "s/y")
    program:out "^now b1 b1$"
    folder:write("s/y/b.lua", module "b2")
    program:out "^now b1 b2$"
    program:out "^now nil b2$"
    program:err "^Delete x%.b%.value$"
    assert.equal(0, program:interrupt())
  end)

  it("10,000 files made at once keep no save waiting", function()
    local folder = project {}
    local program = start(vm, folder, { "-w", "s" })
    program:out "^now a1$"
    for i = 1, 10000 do
      folder:write(("s/many/f%d.lua"):format(i), "return " .. i .. "\n")
    end
    folder:write("s/a.lua", module "a2")
    program:out "^now a2$"
    assert.equal(0, program:interrupt())
    assert.equal(0, program:count("err", "^Reject "))
  end)

  it("of many saves in a row the last one wins", function()
    local folder = project {}
    local program = start(vm, folder, { "-w", "s" })
    program:out "^now a1$"
    for round = 2, 50 do folder:write("s/a.lua", module("a" .. round)) end
    program:out "^now a50$"
    assert.equal(0, program:interrupt())
  end)

  it("200 files are one transaction, and one broken of them none", function()
    local sources, names = {}, {}
    for i = 1, 200 do
      names[i] = "m" .. i
      sources[("s/m%d.lua"):format(i)] = module "1"
    end
    sources["s/main.lua"] = main((table.unpack or unpack)(names))
    local folder = project(sources)
    local program = start(vm, folder, { "-w", "s" })
    local function all(value) return "^now " .. (value .. " "):rep(199) .. value end
    program:out(all "1")
    program:paused(function()
      for i = 1, 200 do
        folder:write(("s/m%d.lua"):format(i),
          i == 77 and "local M = = {}\n" or module "2")
      end
    end)
    program:err "^Reject s/m77%.lua:1:11: "
    program:out "^tick$"
    assert.equal(1, program:count("out", "^now "))
    folder:write("s/m77.lua", module "2")
    program:out(all "2")
    assert.equal(0, program:interrupt())
    assert.equal(2, program:count("out", "^now "))
    assert.equal(1, program:count("err", "^Patch ok"))
    assert.equal(200, program:count("err", "^Update "))
  end)

  it("git checkout of another branch is one transaction", function()
    local folder = project { ["s/main.lua"] = main("a", "b", "c"),
      ["s/b.lua"] = module "b1", ["s/c.lua"] = module "c1" }
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "one")
    git(folder, "checkout", "-qb", "other")
    for _, name in ipairs { "a", "b", "c" } do
      folder:write("s/" .. name .. ".lua", module(name .. "2"))
    end
    git(folder, "commit", "-qam", "two")
    git(folder, "checkout", "-q", "main")
    local program = start(vm, folder, { "-w", "s" })
    program:out "^now a1 b1 c1$"
    git(folder, "checkout", "-q", "other")
    program:out "^now a2 b2 c2$"
    git(folder, "checkout", "-q", "main")
    program:out "^now a1 b1 c1$"
    assert.equal(0, program:interrupt())
    assert.equal(3, program:count("out", "^now "))
    assert.equal(2, program:count("err", "^Patch"))
  end)

  -- Polling, debounce, rest ----------------------------------------------------

  it("--poll finds changes without notification", function()
    local folder = project {}
    local program = start(vm, folder, { "-v", "--poll", "20", "-w", "s" })
    program:err "^Watch s %(polling, 1 folder, 2 files%)$"
    program:out "^now a1$"
    folder:write("s/a.lua", module "a2")
    program:out "^now a2$"
    folder:write_over("s/a.lua", module "a3")
    program:out "^now a3$"
    assert.equal(0, program:interrupt())
  end)

  it("--debounce is how long polling lets a file settle", function()
    local folder = project {}
    local program = start(vm, folder,
      { "--poll", "10", "--debounce", "400", "-w", "s" })
    program:out "^now a1$"
    local from = process.now()
    folder:write("s/a.lua", module "a2")
    program:out "^now a2$"
    assert.is_true(process.now() - from >= 0.3)
    assert.equal(0, program:interrupt())
  end)

  local function watcher(program)
    local tasks = ("/proc/%d/task"):format(program.pid)
    for _, task in ipairs(posix.dir(tasks)) do
      local file = io.open(tasks .. "/" .. task .. "/comm")
      local name = file and file:read "*l"
      if file then file:close() end
      if name == "graft-watch" then return tasks .. "/" .. task end
    end
    program:fail "has no watcher thread"
  end

  local function switches(task)
    local file = assert(io.open(task .. "/status"))
    local text = file:read "*a"
    file:close()
    return tonumber(text:match "\nvoluntary_ctxt_switches:%s*(%d+)")
  end

  it("W4: while nothing changes, the watcher does not wake", function()
    local folder = project {}
    local program = start(vm, folder, { "-w", "s" })
    local task = watcher(program)
    for _ = 1, 5 do program:out "^tick$" end
    local before = switches(task)
    for _ = 1, 10 do program:out "^tick$" end
    assert.equal(before, switches(task))
    folder:write("s/a.lua", module "a2")
    program:out "^now a2$"
    assert.is_true(switches(task) > before)
    assert.equal(0, program:interrupt())
  end)

  it("what the watcher has to say is a report like others", function()
    local folder = project {}
    local program = start(vm, folder,
      { "--log", "json", "-w", "s", "-w", "none" })
    local notice = engine.event(program, "notice")
    assert.equal("none does not exist yet; waiting for it", notice.message)
    assert.equal(0, program:interrupt())
  end)
end
