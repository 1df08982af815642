-- SPDX-License-Identifier: MIT
--
-- W1 to W3 as far as one edit needs them: each editor's way of saving arrives,
-- a save that changes nothing does nothing, and what settles together is one
-- transaction.

local engine = require "spec.support.engine"

local main = [[
local a, b = require "a", require "lib.b"
io.stdout:setvbuf "line"
local last
local count = 0
function init() print "ready" end
function update()
  count = count + 1
  local now = a.value() .. " " .. b.value()
  if now ~= last then print("now " .. now) end
  last = now
  if count % 20 == 0 then print "tick" end
end
]]

local function module(value)
  return ("local M = {}\nfunction M.value()\n  return %q\nend\nreturn M\n")
    :format(value)
end

local function start(vm, arguments)
  local folder, program = engine.watch(vm, {
    ["main.lua"] = main, ["a.lua"] = module "a1", ["lib/b.lua"] = module "b1",
  }, arguments)
  program:out "^now a1 b1$"
  return folder, program
end

return function(vm)
  after_each(engine.clean_up)

  local ways = {
    { "truncate and write", "write" },
    { "rename over", "write_over" },
    { "backup, new file, backup removed", "write_with_backup" },
  }
  for _, way in ipairs(ways) do
    it("a save by " .. way[1] .. " arrives, once", function()
      local folder, program = start(vm)
      for round = 2, 4 do
        folder[way[2]](folder, "a.lua", module("a" .. round))
        program:out(("^now a%d b1$"):format(round))
      end
      assert.equal(3, program:count("err", "^Update a%.value%f[%s%z]"))
      assert.equal(0, program:count("err", "^Delete "))
      assert.equal(0, program:count("err", "^Reject "))
      assert.equal(0, program:interrupt())
    end)
  end

  it("a file written in pieces is taken when it is whole", function()
    local folder, program = start(vm)
    local text = module "a2"
    local pieces = {}
    for from = 1, #text, 10 do pieces[#pieces + 1] = text:sub(from, from + 9) end
    folder:write_pieces("a.lua", pieces, function() program:out "^tick$" end)
    program:out "^now a2 b1$"
    assert.equal(0, program:count("err", "^Reject "))
    assert.equal(0, program:count("err", "^Delete "))
    assert.equal(0, program:interrupt())
  end)

  it("an identical save and a touch do nothing", function()
    local folder, program = start(vm)
    folder:write("a.lua", module "a1")
    folder:touch("a.lua", os.time() + 100)
    folder:write_over("lib/b.lua", module "b1")
    program:out "^tick$"
    program:out "^tick$"
    -- What comes after them shows that they were noticed before.
    folder:write("a.lua", module "a2")
    program:out "^now a2 b1$"
    program:err "^Patch"
    assert.equal(1, program:count("err", "^Update "))
    assert.equal(1, program:count("err", "^Patch"))
    assert.equal(0, program:interrupt())
  end)

  it("files that settle together are one transaction", function()
    local folder, program = start(vm)
    program:paused(function()
      folder:write("a.lua", module "a2")
      folder:write("lib/b.lua", module "b2")
    end)
    program:err "^Patch"
    program:out "^now a2 b2$"
    assert.equal(1, program:count("err", "^Patch"))
    assert.equal(2, program:count("err", "^Update "))
    assert.equal(0, program:count("out", "^now a2 b1$"))
    assert.equal(0, program:count("out", "^now a1 b2$"))
    assert.equal(0, program:interrupt())
  end)

  it("T1: one broken file of two holds both back until it is fixed", function()
    local folder, program = start(vm)
    program:paused(function()
      folder:write("a.lua", module "a2")
      folder:write("lib/b.lua", "local M = = {}\n")
    end)
    program:err "^Reject .*lib/b%.lua:1:11: "
    program:out "^tick$"
    program:out "^tick$"
    assert.equal(1, program:count("out", "^now "))
    folder:write("lib/b.lua", module "b2")
    program:out "^now a2 b2$"
    assert.equal(2, program:count("out", "^now "))
    assert.equal(0, program:interrupt())
  end)

  it("files in new folders are found when they are required", function()
    local folder, program = start(vm)
    folder:write("new/c.lua", module "c1")
    folder:write("a.lua",
      "local M = {}\nfunction M.value()\n  return require('new.c').value()\n"
      .. "end\nreturn M\n")
    program:out "^now c1 b1$"
    folder:write("new/c.lua", module "c2")
    program:out "^now c2 b1$"
    assert.equal(0, program:interrupt())
  end)
end
