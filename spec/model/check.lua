-- SPDX-License-Identifier: MIT
--
-- The model check: random programs and random edits; after each patch the
-- live program must do what the model does. Run by the engine itself:
--
--   engine --no-watch [--sweep-budget US] check.lua SEED COUNT [EDITS [budget]]
--
-- A sequence that fails is cut down: edits, then functions are left out while
-- it still fails. The seed, the edits that are left and both last sources are
-- printed.

local graft = require "graft"
local model = require "model"

local OPERATIONS, SAFE_POINTS = 12, 30
local BUDGET = arg[4] == "budget"
local runs = 0
local listeners

function on(name, f) -- luacheck: ignore 111
  if listeners[name] then error("registered twice: " .. name) end
  listeners[name] = f
end

local function save(name, text)
  local file = assert(io.open(name .. ".lua", "wb"))
  assert(file:write(text))
  file:close()
end

-- ---------------------------------------------------------------------------
-- One program, alive
-- ---------------------------------------------------------------------------

local Live = {}
Live.__index = Live

local function fail(...)
  error({ text = (...):format(select(2, ...)) }, 0)
end

local function new_live(program)
  runs = runs + 1
  local self = setmetatable({
    program = program, names = {}, texts = {}, held = {}, routines = {},
    made = {},
  }, Live)
  listeners = {}
  for module = 1, 2 do self.names[module] = ("m%d_%d"):format(runs, module) end
  self:save()
  self[1], self[2] = require(self.names[1]), require(self.names[2])
  return self
end

-- Returns which modules have changed.
function Live:save()
  local saved = {}
  for module = 1, 2 do
    local text = model.source(self.program, module, self.names[1])
    if text ~= self.texts[module] then
      save(self.names[module], text)
      self.texts[module] = text
      saved[module] = true
    end
  end
  return saved
end

function Live:close()
  for module = 1, 2 do
    package.loaded[self.names[module]] = nil
    os.remove(self.names[module] .. ".lua")
  end
end

function Live:find(item)
  local M = self[item.module]
  if item.style == "nested" then return M.sub[item.name] end
  if item.style == "method" then return M.C[item.name] end
  if item.style == "local" then return M["show_" .. item.name] end
  if item.style == "global" then return rawget(_G, item.name) end
  return M[item.name]
end

-- Calls `f`, which must give what the model gives.
local function same(expected, f, what)
  local ok, value = pcall(f)
  if not ok then fail("%s: %s", what, tostring(value)) end
  if expected ~= value then
    fail("%s: expected %s, got %s", what, tostring(expected), tostring(value))
  end
end

-- ---------------------------------------------------------------------------
-- Operations
-- ---------------------------------------------------------------------------

local function pick(random, list)
  if #list > 0 then return list[random(#list)] end
end

local function call(self, random)
  local item = pick(random, self.program.items)
  if not item or item.kind ~= "function" then return end
  same(model.call(item), self:find(item), "call " .. item.name)
end

-- Ways of holding a function; each gives a way back to it.
local HOLDERS = {
  function(f)
    local list = { f }
    return function() return list[1] end
  end,
  function(f)
    local set = { [f] = true }
    return function() return (next(set)) end
  end,
  function(f) return function() return f end end,
  function(f)
    -- Not in `...`: LuaJIT loses that where it compiles a loop that yields.
    local get = coroutine.wrap(function(held)
      while true do coroutine.yield(held) end
    end)
    get(f)
    return get
  end,
  function(f)
    local object = setmetatable({}, { __index = { f = f } })
    return function() return object.f end
  end,
}

local function hold(self, random)
  local item = pick(random, self.program.items)
  if not item or item.kind ~= "function" then return end
  self.held[#self.held + 1] = { item = item,
    get = HOLDERS[random(#HOLDERS)](self:find(item)) }
end

local function call_held(self, random)
  local held = pick(random, self.held)
  if not held then return end
  local f = held.get()
  if not held.item.gone and f ~= self:find(held.item) then
    fail("held %s is not the one that the module shows", held.item.name)
  end
  same(model.call(held.item), f, "held " .. held.item.name)
end

local function start(self, random)
  local item = pick(random, self.program.items)
  if not item or item.kind ~= "coroutine" then return end
  local routine = coroutine.wrap(self:find(item))
  local known = model.start(item)
  same(model.resume(known), routine, "start " .. item.name)
  self.routines[#self.routines + 1] = { known = known, live = routine }
end

local function resume(self, random)
  local routine = pick(random, self.routines)
  if not routine then return end
  same(model.resume(routine.known), routine.live, "resume")
end

local function make(self, random)
  local item = pick(random, self.program.items)
  if not item or item.kind ~= "maker" then return end
  local id = random(1000)
  self.made[#self.made + 1] = {
    known = model.make(self.program, item, id),
    live = self:find(item)(id),
  }
end

local function call_made(self, random)
  local made = pick(random, self.made)
  if not made then return end
  local n = random(3)
  same(model.call_inner(made.known, n), made.live[n] or made.live["k" .. n],
    ("closure %d of %s"):format(n, made.known.item.name))
end

local function hear(self, random)
  local item = pick(random, self.program.items)
  if item and item.kind == "listener" then
    same(model.call(item), listeners[item.name], "listener " .. item.name)
  end
  item = pick(random, self.program.removed)
  if item and item.kind == "listener" then
    same(nil, listeners[item.name], "removed listener " .. item.name)
  end
end

local ACTIONS = {
  call, call, hold, call_held, call_held, start, resume, resume, make,
  call_made, call_made, hear,
}

local function operate(self, random)
  for _ = 1, OPERATIONS do ACTIONS[random(#ACTIONS)](self, random) end
end

-- ---------------------------------------------------------------------------
-- After a patch
-- ---------------------------------------------------------------------------

local function check_shape(self)
  for _, item in ipairs(self.program.items) do
    if item.line then
      local f = self:find(item)
      if not f then fail("%s is not there", item.name) end
      local line = debug.getinfo(f, "S").linedefined
      if line ~= item.line then
        fail("%s is at line %d, not %d", item.name, line, item.line)
      end
    end
  end
  for _, item in ipairs(self.program.removed) do
    local left = item.kind ~= "listener" and item.style ~= "local"
      and self:find(item)
    if left then fail("%s is still there", item.name) end
  end
end

function Live:show()
  for module = 1, 2 do
    print(("--- module %d, edit %s\n%s"):format(module, tostring(self.edit),
      self.texts[module]))
  end
end

-- With a budget the sweep follows from safe point to safe point, and what it
-- has missed after collections.
local function reload()
  local report, message = graft.reload()
  local more = report
  while BUDGET and more and more.sweeping and not more.sweep do
    more = graft.update() or more
  end
  for i = 1, BUDGET and SAFE_POINTS or 0 do
    graft.update()
    if i % 8 == 0 then collectgarbage() end
  end
  return report, message
end

local function patch(self)
  local saved = self:save()
  local stale = model.commit(self.program, saved)
  if os.getenv "MODEL_TRACE" then self:show() end
  local report, message = reload()
  if not report then fail("not patched: %s", message) end
  local count = 0
  for _, entry in ipairs(report.stale) do count = count + entry.count end
  if count ~= stale then fail("%d are stale, not %d", count, stale) end
  check_shape(self)
end

-- A save that is broken changes nothing.
local function break_file(self, random)
  local module = random(2)
  save(self.names[module], self.texts[module] .. "\nfunction (")
  if reload() then fail "a broken file was taken" end
  save(self.names[module], self.texts[module])
  if not reload() then fail "the reverted file was not taken" end
end

-- A save whose statements raise changes nothing either: all its new functions
-- and variables are gone again.
local function raise_in_file(self, random)
  local module = random(2)
  local text = self.texts[module]
    :gsub('return "', 'return "bad '):gsub('yield%("', 'yield("bad ')
    :gsub("\nlocal (c%d+) = (%d+)", "\nlocal %1 = 1%2\nlocal bad = %1")
    :gsub("\nreturn M\n", "\nfunction M.bad() return bad end\n%0")
    :gsub("\nreturn M\n", "\nerror 'raised'\n%0")
  save(self.names[module], text)
  if reload() then fail "a file that raises was taken" end
  check_shape(self)
  if self[module].bad then fail "an undone function is there" end
  operate(self, random)
  save(self.names[module], self.texts[module])
  if not reload() then fail "the file without the error was not taken" end
  check_shape(self)
end

local function step(self, seed)
  local random = model.random(seed)
  for _ = 1, random(4) do model.edit(self.program, random) end
  patch(self)
  operate(self, random)
  if random(10) == 1 then break_file(self, random) end
  if random(10) == 1 then raise_in_file(self, random) end
end

-- Runs a sequence: which edits, and which items of the first program, are in
-- it. Nil, or what failed and the live program.
local function run(sequence)
  local program = model.new(model.random(sequence.seed))
  for place = #program.items, 1, -1 do
    local item = program.items[place]
    if sequence.without[item.id] and not item.was_called then
      table.remove(program.items, place)
    end
  end
  local live
  local ok, message = pcall(function()
    live = new_live(program)
    operate(live, model.random(sequence.seed + 1))
    for _, edit in ipairs(sequence.edits) do
      live.edit = edit
      step(live, sequence.seed * 1000 + edit)
    end
  end)
  if live then live:close() end
  if ok then return nil end
  return type(message) == "table" and message.text or tostring(message), live
end

-- ---------------------------------------------------------------------------
-- Shrinking
-- ---------------------------------------------------------------------------

local function without(list, place)
  local left = {}
  for i, value in ipairs(list) do
    if i ~= place then left[#left + 1] = value end
  end
  return left
end

local function shrink(sequence)
  for place = #sequence.edits, 1, -1 do
    local shorter = { seed = sequence.seed, without = sequence.without,
      edits = without(sequence.edits, place) }
    if run(shorter) then sequence = shorter end
  end
  for id = 1, 40 do
    local left = { [id] = true }
    for key in pairs(sequence.without) do left[key] = true end
    local smaller = { seed = sequence.seed, edits = sequence.edits,
      without = left }
    if run(smaller) then sequence = smaller end
  end
  return sequence
end

local function show(sequence, first)
  print("FAIL seed " .. sequence.seed)
  print(first)
  sequence = shrink(sequence)
  local message, live = run(sequence)
  print("edits " .. table.concat(sequence.edits, " "))
  print(message or "not the same when run again")
  if not live then return end
  live:show()
end

local seed, count = tonumber(arg[1]) or 1, tonumber(arg[2]) or 10
local edits = {}
for i = 1, tonumber(arg[3]) or 20 do edits[i] = i end
local failed = 0
for i = seed, seed + count - 1 do
  local sequence = { seed = i, edits = edits, without = {} }
  local message = run(sequence)
  if message then
    failed = failed + 1
    show(sequence, message)
    break
  end
end
print(failed == 0 and "done" or "failed")
