-- SPDX-License-Identifier: MIT
--
-- Programs that know nothing of Graft do under it what they do in the stock VM,
-- also when their files are watched and patched: Penlight and busted, as the
-- system has them, copied into a project.

local engine = require "spec.support.engine"
local posix = require "posix"
local process = require "spec.support.process"

local function read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read "*a"
  file:close()
  return text
end

return function(vm)
  after_each(engine.clean_up)

  local stock = vm == "lua54" and "lua5.4" or "luajit"
  local version = vm == "lua54" and "5.4" or "5.1"

  -- Adds the Lua files of an installed library to a project's sources.
  local function add_library(sources, name)
    local root = "/usr/share/lua/" .. version .. "/"
    local single = read(root .. name .. ".lua")
    if single then sources[name .. ".lua"] = single end
    for _, pattern in ipairs { "/*.lua", "/*/*.lua", "/*/*/*.lua" } do
      for _, path in ipairs(posix.glob(root .. name .. pattern) or {}) do
        sources[path:sub(#root + 1)] = read(path)
      end
    end
  end

  it("Penlight: fresh, with all lines moved, with all functions updated", function()
    local sources = {
      ["tour.lua"] = read(engine.root .. "/spec/fixtures/penlight_tour.lua"),
    }
    add_library(sources, "pl")
    assert.is_string(sources["pl/class.lua"])
    local names = {}
    for name in pairs(sources) do
      if name:find "^pl/" then names[#names + 1] = ("%q"):format(name) end
    end
    sources["stock.lua"] = 'print(require "tour"())'
    sources["main.lua"] = [[
local graft = require "graft"
local tour = require "tour"
local names = { ]] .. table.concat(names, ", ") .. [[ }
local function save(change)
  for _, name in ipairs(names) do
    local file = assert(io.open(name, "rb"))
    local text = file:read "*a"
    file:close()
    file = assert(io.open(name, "wb"))
    file:write(change(text), "")
    file:close()
  end
  return assert(graft.reload())
end
local fresh = tour()
print(fresh)
local report = save(function(text) return "-- Moved.\n\n\n" .. text end)
io.stderr:write("updated ", #report.updated, " moved ", #report.moved, "\n")
assert(#report.updated == 0 and #report.ran == 0)
assert(tour() == fresh, "after the move")
report = save(function(text)
  return (text:gsub("(\n *local function [%w_]+ *%b())( *\n)",
    "%1 local _ = nil;%2"):gsub("(\n *function [%w_.:]+ *%b())( *\n)",
    "%1 local _ = nil;%2"))
end)
io.stderr:write("updated ", #report.updated, "\n")
assert(#report.updated > 300, #report.updated)
assert(#report.stale == 0)
local patched = tour()
if patched ~= fresh then print(patched) end
assert(patched == fresh, "after the update")
]]
    local folder = engine.project(sources)
    local expected = process.run { stock, "stock.lua", cwd = folder.path,
      env = { LUA_PATH = "./?.lua;./?/init.lua;;" } }
    assert.equal(0, expected.status)
    local result = engine.run(vm, { "--no-watch", "main.lua" }, { cwd = folder.path })
    if result.status ~= 0 then
      error(result.text.out .. "\n" .. result.text.err:sub(-3000))
    end
    -- Only what files are called differs.
    assert.equal((expected.text.out:gsub("[%w_./]*/pl/", "pl/")),
      result.text.out)
  end)

  it("busted: the same results, with its own files watched", function()
    local sources = {}
    for _, name in ipairs { "busted", "pl", "luassert", "say", "cliargs", "mediator" } do
      add_library(sources, name)
    end
    assert.is_string(sources["busted/core.lua"])
    sources["some_spec.lua"] = [[
describe("a stack", function()
  local stack
  before_each(function() stack = {} end)
  after_each(function() stack = nil end)
  it("pushes", function() stack[1] = 1 assert.equal(1, #stack) end)
  it("is empty", function() assert.same({}, stack) end)
  describe("inside", function()
    it("fails", function() assert.equal(1, 2) end)
    it("raises", function() error "oops" end)
    pending("is to come", function() end)
  end)
  it("spies", function()
    local s = spy.new(function(x) return x end)
    s(1)
    assert.spy(s).was.called_with(1)
    local t = { f = function() return "real" end }
    local stubbed = stub(t, "f")
    t.f()
    assert.stub(stubbed).was.called(1)
    stubbed:revert()
    assert.equal("real", t.f())
    assert.has_error(function() error "x" end, "x")
    assert.has.errors(function() error { 1 } end)
    assert.is_true(true) assert.is_nil(nil) assert.truthy(1)
    local m = mock { a = function() end }
    m.a()
    assert.spy(m.a).was.called()
  end)
  for i = 1, 50 do
    it("number " .. i, function() assert.is_near(i, i + 0.1, 0.2) end)
  end
end)
]]
    sources["main.lua"] = [[
package.path = "./?.lua;./?/init.lua;" .. package.path
arg = { [0] = "busted", "--output=TAP", "some_spec.lua" }
require "busted.runner" { standalone = false }
]]
    local folder = engine.project(sources)
    local expected = process.run { stock, "main.lua", cwd = folder.path }
    local result = engine.run(vm, { "main.lua" }, { cwd = folder.path })
    assert.truthy(expected.text.out:find "ok 50")
    local function plain(text)
      return (text:gsub("0x%x+", "address"):gsub("\t%[C%][^\n]*", "\t[C]")
        :gsub("\n[^\n]*%[C%][^\n]*", ""))
    end
    assert.equal(plain(expected.text.out), plain(result.text.out))
    assert.equal(expected.status, result.status)
  end)
end
