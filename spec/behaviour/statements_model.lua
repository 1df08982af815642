-- SPDX-License-Identifier: MIT
--
-- S3 to S5 and T2 with random files. A file gives names values: constants, what
-- is computed from names above, and tables of both. The program changes some of
-- them at run time, then the file is edited. What each name must have then is
-- told by loading the old and the new file afresh: the new value where the live
-- one is the old one, else the live one.

local patching = require "spec.support.patching"

local program = [[
local seed = SEED
local function random(limit)
  seed = seed * 16807 % 2147483647
  return seed % limit + 1
end

local NAMES = 9

-- Names are locals, fields or globals by their number; t1 is a table.
local function place(n)
  if n % 3 == 0 then return "g" .. n end
  if n % 3 == 1 then return "M.f" .. n end
  return "l" .. n
end

local function operand(file, n)
  local above = {}
  for i = 1, n - 1 do
    if file[i] and not file[i].table then above[#above + 1] = place(i) end
    if file[i] and file[i].table then above[#above + 1] = place(i) .. ".x" end
  end
  if #above == 0 or random(3) == 1 then return tostring(random(9)) end
  return above[random(#above)]
end

local function new_value(file, n)
  local kind = random(6)
  if kind <= 2 then return { text = tostring(random(99)) } end
  if kind <= 4 then
    return { text = operand(file, n) .. (random(2) == 1 and " + " or " * ")
      .. operand(file, n) }
  end
  if kind == 5 then return { text = "math.max(" .. random(99) .. ", 1)" } end
  return { table = true, text = ("{ x = %s, y = { %d, z = %s } }"):format(
    operand(file, n), random(9), operand(file, n)) }
end

local function source(file, tail)
  local lines = { "local M = {}" }
  for n = 1, NAMES do
    if file[n] then
      lines[#lines + 1] = (n % 3 == 2 and "local " or "") .. place(n) .. " = "
        .. file[n].text
    end
  end
  lines[#lines + 1] = "function M.get() return {"
  for n = 1, NAMES do
    if file[n] then lines[#lines + 1] = ("[%d] = %s,"):format(n, place(n)) end
  end
  lines[#lines + 1] = "} end\nfunction M.set(n, v)"
  for n = 1, NAMES do
    if file[n] then
      lines[#lines + 1] = ("if n == %d then %s = v end"):format(n, place(n))
    end
  end
  lines[#lines + 1] = "end\n" .. (tail or "") .. "return M\n"
  return table.concat(lines, "\n")
end

-- The values as a flat table: "4", "4.x", "4.y.1", ...
local function flatten(into, path, value)
  if type(value) ~= "table" then into[path] = value return end
  into[path] = "table"
  for key, field in pairs(value) do flatten(into, path .. "." .. key, field) end
end

local function flat(values)
  local all = {}
  for n = 1, NAMES do
    if values[n] ~= nil then flatten(all, tostring(n), values[n]) end
  end
  return all
end

local function fresh(text)
  local env = setmetatable({}, { __index = _G })
  for n = 1, NAMES do env["g" .. n] = false end
  local chunk
  if setfenv then chunk = setfenv(assert(loadstring(text)), env)
  else chunk = assert(load(text, "fresh", "t", env)) end
  return flat(chunk().get())
end

-- Names that depend on a call's result or on a table are left as they are, so
-- that what is computed from what cannot be known is not compared.
local function is_used(file, n)
  for i = n + 1, NAMES do
    if file[i] and file[i].text:find(place(n), 1, true) then return true end
  end
  return false
end

local function edit_file(file)
  local after = {}
  for n = 1, NAMES do after[n] = file[n] end
  for _ = 1, random(3) do
    local n = random(NAMES)
    if after[n] and file[n] then
      local value = new_value(after, n)
      if value.table == after[n].table then after[n] = value end
      if random(5) == 1 and not is_used(after, n) then after[n] = nil end
    elseif not file[n] and random(2) == 1 then
      after[n] = new_value({}, n) -- what is new is computed from live values
    end
  end
  return after
end

local function mutate(m, file)
  for _ = 1, random(3) - 1 do
    local n = random(NAMES)
    if file[n] and file[n].table then
      m.get()[n].x = random(1000) + 1000
    elseif file[n] then
      m.set(n, random(1000) + 1000)
    end
  end
end

local file = {}
for n = 1, NAMES do
  if random(5) > 1 then file[n] = new_value(file, n) end
end
write("m", source(file))
local m = require "m"
for round = 1, 12 do
  local old = source(file)
  mutate(m, file)
  local live = flat(m.get())
  local after = edit_file(file)
  local base, new = fresh(old), fresh(source(after))
  local tables = m.get()
  if random(4) == 1 then
    write("m", source(after, "error 'undone'\n"))
    assert(not graft.reload())
    local now = flat(m.get())
    for path, value in pairs(live) do
      equal(value, now[path], "undone " .. path .. "\n" .. source(after))
    end
  end
  write("m", source(after))
  patch()
  local now = flat(m.get())
  for n = 1, NAMES do
    if after[n] and not file[n] then live[tostring(n)] = base[tostring(n)] end
    if file[n] and not after[n] and n % 3 < 2 then
      local left
      if n % 3 == 1 then left = m["f" .. n] else left = _G["g" .. n] end
      local kept = false
      for path in pairs(base) do
        kept = kept or path:match "^%d+" == tostring(n) and live[path] ~= base[path]
      end
      assert(kept == (left ~= nil), ("removed %d: %s\n%s"):format(n, tostring(left), old))
      m["f" .. n], _G["g" .. n] = nil, nil
    end
  end
  for path in pairs(new) do
    local expected = live[path] == base[path] and new[path] or live[path]
    if new[path] == base[path] then expected = live[path] end
    equal(expected, now[path], ("round %d, %s: base %s, live %s, new %s\n%s\n%s")
      :format(round, path, tostring(base[path]), tostring(live[path]),
        tostring(new[path]), old, source(after)))
  end
  for n, t in pairs(m.get()) do
    if type(t) == "table" and file[n] then equal(tables[n], t, "the same table") end
  end
  file = after
end
]]

-- GRAFT_MODEL_STATEMENTS sets how many programs there are for each VM.
local count = tonumber(os.getenv "GRAFT_MODEL_STATEMENTS" or 12)

return function(vm)
  for seed = 1, count do
    it("S3 to S5, T2: random files, seed " .. seed, function()
      patching.run(vm, {}, (program:gsub("SEED", tostring(seed * 7919))))
    end)
  end
end
