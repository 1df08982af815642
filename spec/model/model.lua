-- SPDX-License-Identifier: MIT
--
-- A program as the model check sees it: variables and functions as data, which
-- can be written as source, edited, and run without any Lua source at all (the
-- oracle). What a function does is a list of effects: it adds to variables,
-- and gives back a text of its version, variables and what it called.
--
-- The rules that decide what a patch keeps are said once more here, in their
-- own words: all of an item's closures take its new code and keep their cells
-- (P1 to P3); a gained cell of an enclosing function comes from a sibling that
-- shares a cell, or the closure stays behind (P4); a coroutine under way ends
-- on its old code (P5); what is deleted lives on where it is held (P7); an
-- edited initial value is taken where the live one is the old one (S3).

local model = {}

-- The same numbers on every VM.
function model.random(seed)
  local state = seed % 2147483646 + 1
  return function(limit)
    state = state * 16807 % 2147483647
    return state % limit + 1
  end
end

local STYLES = { "field", "assigned", "nested", "method", "local", "global" }

-- ---------------------------------------------------------------------------
-- Making
-- ---------------------------------------------------------------------------

local function serial(self)
  self.serial = self.serial + 1
  return self.serial
end

local function pick(random, list)
  if #list > 0 then return list[random(#list)] end
end

local function vars_of(self, module)
  local found = {}
  for _, var in ipairs(self.vars) do
    if var.module == module then found[#found + 1] = var end
  end
  return found
end

local function add_var(self, random)
  local id = serial(self)
  local init = random(9)
  self.vars[#self.vars + 1] = {
    id = id, name = "c" .. id, module = random(2), init = init, live = init,
  }
end

-- What `item` may call: what is older, in its module or shown by the first.
local function callable(self, item)
  local found = {}
  for _, other in ipairs(self.items) do
    local near = other.module == item.module
    local far = other.module == 1
      and (other.style == "field" or other.style == "assigned")
    if other.kind == "function" and other.id < item.id and (near or far) then
      found[#found + 1] = other
    end
  end
  return found
end

local function new_code(self, random, item)
  local vars = vars_of(self, item.module)
  local code = {
    tag = ("%s%d.%d"):format(item.kind:sub(1, 1), item.id, serial(self)),
    delta = random(5), adds = {}, reads = {}, calls = {},
  }
  if random(2) == 1 then code.adds[1] = pick(random, vars) end
  for n = 1, random(3) - 1 do code.reads[n] = pick(random, vars) end
  if item.kind ~= "listener" and random(3) == 1 then
    code.calls[1] = pick(random, callable(self, item))
    if code.calls[1] then code.calls[1].was_called = true end
  end
  return code
end

-- The code of a closure that a maker makes, over the maker's id, s and e.
local function new_inner(self, random, item)
  local code = new_code(self, random, item)
  code.cells = {}
  for _, name in ipairs { "id", "s", "e" } do
    code.cells[name] = random(2) == 1
  end
  code.adds_cell = code.cells.s and random(2) == 1
  return code
end

local KINDS = {
  "function", "function", "function", "maker", "coroutine", "listener",
}

local function add_item(self, random)
  local id = serial(self)
  local item = { id = id, kind = pick(random, KINDS), module = random(2) }
  item.name = item.kind:sub(1, 1) .. id
  item.style = item.kind == "function" and pick(random, STYLES) or "field"
  item.code = new_code(self, random, item)
  item.start = random(100)
  item.keyed = random(2) == 1
  item.changed = {} -- by inner function: since the last patch
  if item.kind == "maker" then
    item.inner = {}
    for n = 1, 3 do item.inner[n] = new_inner(self, random, item) end
  end
  self.items[#self.items + 1] = item
end

function model.new(random)
  local self = { vars = {}, items = {}, serial = 0, layout = 1, stale = 0,
    instances = {}, held = {}, removed = {} }
  for _ = 1, 3 + random(4) do add_var(self, random) end
  for _ = 1, 3 + random(8) do add_item(self, random) end
  for _, item in ipairs(self.items) do item.patched_code = item.code end
  return self
end

-- ---------------------------------------------------------------------------
-- As source
-- ---------------------------------------------------------------------------

local Text = {}
Text.__index = Text

function Text:add(line)
  self[#self + 1] = line
end

-- Comments and empty lines, as the layout has them.
function Text:space()
  local kind = self.random(6)
  if kind == 1 then self:add "" end
  if kind == 2 then self:add "-- function end ]] 'x" end
  if kind == 3 then self:add "--[[\n\n]]" end
end

function Text:line()
  local _, count = table.concat(self, "\n"):gsub("\n", "")
  return count + (#self > 0 and 2 or 1)
end

local function reference(other, item)
  if other.module ~= item.module then return "A." .. other.name end
  if other.style == "nested" then return "M.sub." .. other.name end
  if other.style == "method" then return "C." .. other.name end
  if other.style == "local" or other.style == "global" then return other.name end
  return "M." .. other.name
end

local function add_effects(text, code)
  if code.adds_cell then text:add(("    s = s + %d"):format(code.delta)) end
  for _, var in ipairs(code.adds) do
    text:add(("  %s = %s + %d"):format(var.name, var.name, code.delta))
  end
end

local function result(code, item, more)
  local parts = { ("%q"):format(code.tag) }
  for _, name in ipairs(more) do parts[#parts + 1] = name end
  for _, var in ipairs(code.reads) do parts[#parts + 1] = var.name end
  for _, other in ipairs(code.calls) do
    parts[#parts + 1] = reference(other, item) .. "()"
  end
  return table.concat(parts, ' .. "," .. ')
end

local function cell_names(code)
  local names = {}
  for _, name in ipairs { "id", "s", "e" } do
    if code.cells[name] then names[#names + 1] = name end
  end
  return names
end

local HEADS = {
  field = "function M.%s()", assigned = "M.%s = function()",
  nested = "M.sub.%s = function()", method = "function C:%s()",
  ["local"] = "local function %s()", global = "function %s()",
}

local function write_function(text, item)
  item.line = text:line()
  text:add(HEADS[item.style]:format(item.name))
  text:space()
  add_effects(text, item.code)
  text:add("  return " .. result(item.code, item, {}))
  text:add "end"
  if item.style == "local" then
    text:add(("M.show_%s = %s"):format(item.name, item.name))
  end
end

local function write_maker(text, item)
  item.line = text:line()
  text:add(("function M.%s(id)"):format(item.name))
  text:add(("  local s = %d"):format(item.start))
  text:space()
  text:add(("  local e = %d"):format(item.start + 1000))
  text:add "  return {"
  for n, code in ipairs(item.inner) do
    text:add(item.keyed and ("  k%d = function()"):format(n) or "  function()")
    add_effects(text, code)
    text:space()
    text:add("  return " .. result(code, item, cell_names(code)))
    text:add "  end,"
  end
  text:add "  }"
  text:add "end"
end

local function write_coroutine(text, item)
  item.line = text:line()
  text:add(("function M.%s()"):format(item.name))
  text:add(("  local n = %d"):format(item.start))
  text:add "  while true do"
  text:add "  n = n + 1"
  add_effects(text, item.code)
  text:add(("  coroutine.yield(%s)"):format(result(item.code, item, { "n" })))
  text:add "  end"
  text:add "end"
end

local function write_listener(text, item)
  text:add(("on(%q, function()"):format(item.name))
  add_effects(text, item.code)
  text:add("  return " .. result(item.code, item, {}))
  text:add "end)"
end

local WRITERS = {
  ["function"] = write_function, maker = write_maker,
  coroutine = write_coroutine, listener = write_listener,
}

-- Local functions stand first, by age; the others as the layout has them.
local function in_order(self, module, random)
  local first, rest = {}, {}
  for _, item in ipairs(self.items) do
    if item.module == module then
      local list = item.style == "local" and first or rest
      local place = list == first and #list + 1 or random(#list + 1)
      table.insert(list, place, item)
    end
  end
  for _, item in ipairs(rest) do first[#first + 1] = item end
  return first
end

function model.source(self, module, other_name)
  local random = model.random(self.layout * 7 + module)
  local text = setmetatable({ random = random }, Text)
  text:add "local M = { sub = {} }"
  text:add "local C = {}"
  text:add "M.C = C"
  if module == 2 then text:add(("local A = require %q"):format(other_name)) end
  local vars = {}
  for _, var in ipairs(vars_of(self, module)) do
    table.insert(vars, random(#vars + 1), var)
  end
  for _, var in ipairs(vars) do
    text:space()
    text:add(("local %s = %d"):format(var.name, var.next_init or var.init))
  end
  for _, item in ipairs(in_order(self, module, random)) do
    text:space()
    WRITERS[item.kind](text, item)
  end
  text:add "return M\n"
  return table.concat(text, "\n")
end

-- ---------------------------------------------------------------------------
-- Edits. Each does nothing where it does not fit, so that any may be left out.
-- ---------------------------------------------------------------------------

local function change_code(self, random)
  local item = pick(random, self.items)
  if not item or item.renamed then return end
  local previous = item.code
  if item.before and random(4) == 1 then
    item.code = item.before
  else
    item.code = new_code(self, random, item)
  end
  item.before = previous
end

-- Whether a live sibling has the cell, and is of the same activation for sure:
-- it shares one. `known` are the cells that closures have, by closure.
local function find_cell(known, n, name)
  for k, other in ipairs(known) do
    if k ~= n and other[name] then
      for shared, held in pairs(known[n]) do
        if held and other[shared] then return true end
      end
    end
  end
  return false
end

local function gains_all(known, n, code)
  for name, wanted in pairs(code.cells) do
    if wanted and not known[n][name] and not find_cell(known, n, name) then
      return false
    end
  end
  return true
end

local function copy(cells)
  local all = {}
  for name, held in pairs(cells) do all[name] = held end
  return all
end

-- What no closure of the source captures is not known of old code either.
local function forget(item, cells)
  for name in pairs(cells) do
    local captured = false
    for _, code in ipairs(item.inner) do
      captured = captured or code.cells[name]
    end
    if not captured then cells[name] = nil end
  end
end

-- All closures that are behind take the new code at once, where they can.
local function take_instance(self, instance)
  local item, known = instance.item, instance.known
  local ready = {}
  for n, code in ipairs(item.inner) do
    ready[n] = instance.codes[n] ~= code and gains_all(known, n, code)
    if item.changed[n] and not ready[n] then self.stale = self.stale + 1 end
  end
  for n, code in ipairs(item.inner) do
    if ready[n] then
      instance.codes[n] = code
      known[n] = copy(code.cells)
    end
    forget(item, known[n])
  end
end

local function take_inner(self, saved)
  for _, instance in ipairs(self.instances) do
    local item = instance.item
    if saved[item.module] and not item.gone then take_instance(self, instance) end
  end
  for _, item in ipairs(self.items) do
    item.changed = {}
    item.renamed, item.patched_code = false, item.code
  end
end

local function change_inner(self, random)
  local item = pick(random, self.items)
  if not item or not item.inner then return end
  local n = random(3)
  -- Which of several without a name was rewritten as which is a guess (D1).
  if not item.keyed and next(item.changed, nil) and not item.changed[n] then
    return
  end
  item.changed[n] = true
  item.inner[n] = new_inner(self, random, item)
end

local function change_start(self, random)
  local item = pick(random, self.items)
  if item then item.start = random(100) end
end

local function change_layout(self, random)
  self.layout = random(1000000)
end

local function change_init(self, random)
  local var = pick(random, self.vars)
  if not var then return end
  local init = random(20)
  var.next_init = init
end

local function take_inits(self)
  for _, var in ipairs(self.vars) do
    if var.next_init then
      if var.live == var.init then var.live = var.next_init end
      var.init, var.next_init = var.next_init, nil
    end
  end
end

local function delete_item(self, random)
  local place = random(#self.items + 1)
  local item = self.items[place]
  if not item or item.was_called then return end
  table.remove(self.items, place)
  item.gone = true
  if not item.patched_code then return end -- Nobody has seen it.
  item.code = item.patched_code
  self.removed[#self.removed + 1] = item
end

-- A rename is one only without another change (P7).
local function rename_item(self, random)
  local item = pick(random, self.items)
  if not item or item.was_called or item.style ~= "field"
    or item.kind ~= "function" or item.code ~= item.patched_code then
    return
  end
  item.renamed = true
  item.name = "f" .. serial(self)
end

local EDITS = {
  change_code, change_code, change_code, change_inner, change_inner,
  change_start, change_layout, change_layout, change_init, add_var, add_item,
  delete_item, rename_item,
}

function model.edit(self, random)
  EDITS[random(#EDITS)](self, random)
end

-- Takes over what the edits since the last time mean to what is alive; returns
-- how many closures stay behind code that changed. `saved`: by module.
function model.commit(self, saved)
  self.stale = 0
  take_inits(self)
  take_inner(self, saved)
  return self.stale
end

-- ---------------------------------------------------------------------------
-- The oracle
-- ---------------------------------------------------------------------------

local function run(code, parts)
  for _, var in ipairs(code.adds) do var.live = var.live + code.delta end
  for _, var in ipairs(code.reads) do parts[#parts + 1] = var.live end
  for _, item in ipairs(code.calls) do
    parts[#parts + 1] = run(item.code, { item.code.tag })
  end
  return table.concat(parts, ",")
end

function model.call(item)
  return run(item.code, { item.code.tag })
end

function model.start(item)
  return { code = item.code, n = item.start }
end

function model.resume(routine)
  routine.n = routine.n + 1
  return run(routine.code, { routine.code.tag, routine.n })
end

function model.make(self, item, id)
  local instance = { item = item, codes = {},
    cells = { id = id, s = item.start, e = item.start + 1000 } }
  instance.known = {}
  for n, code in ipairs(item.inner) do
    instance.codes[n], instance.known[n] = code, copy(code.cells)
  end
  self.instances[#self.instances + 1] = instance
  return instance
end

function model.call_inner(instance, n)
  local code, parts = instance.codes[n], {}
  if code.adds_cell then
    instance.cells.s = instance.cells.s + code.delta
  end
  parts[1] = code.tag
  for _, name in ipairs(cell_names(code)) do
    parts[#parts + 1] = instance.cells[name]
  end
  return run(code, parts)
end

return model
