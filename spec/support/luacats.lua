-- SPDX-License-Identifier: MIT
--
-- Reads LuaCATS files, as far as Graft writes them, into what they declare, and
-- refuses what lua-language-server would not take: unknown tags, types that do
-- not parse, types that nothing declares, Lua that does not compile.

local lfs = require "lfs"

local luacats = {}

local builtin = {}
for word in ([[nil any boolean string number integer function table thread
  userdata lightuserdata unknown true false self]]):gmatch "%S+" do
  builtin[word] = true
end

-- Types ----------------------------------------------------------------------

-- A reader of one line; `used` collects the names of types.
local function reader(text, used)
  local self = { at = 1 }

  function self.try(pattern)
    local first, last, capture = text:find("^%s*(" .. pattern .. ")", self.at)
    if first then self.at = last + 1 end
    return capture
  end

  function self.need(pattern)
    return self.try(pattern)
      or error(("%s expected in %q at %d"):format(pattern, text, self.at), 0)
  end

  local function list(close, item)
    if self.try(close) then return end
    repeat item() until not self.try ","
    self.need(close)
  end

  local function typed_name()
    if not self.try "%.%.%." then self.need "[%a_][%w_]*" self.try "%?" end
    if self.try ":" then self.type() end
  end

  local function atom()
    if self.try "fun%(" then
      list("%)", typed_name)
      if self.try ":" then
        repeat
          if not self.try "%.%.%." then self.type() end
        until not self.try ","
      end
    elseif self.try "{" then
      list("}", function()
        self.need "[%a_][%w_]*"
        self.try "%?"
        self.need ":"
        self.type()
      end)
    elseif self.try "%(" then
      self.type()
      self.need "%)"
    elseif not (self.try '"[^"]*"' or self.try "`[%w_]+`"
      or self.try "%-?%d+") then
      used[self.need "[%a_][%w_%.]*"] = true
    end
    repeat until not (self.try "%[%]" or self.try "%?")
  end

  function self.type()
    local first = self.at
    repeat atom() until not self.try "|"
    return (text:sub(first, self.at - 1):gsub("^%s+", ""))
  end

  function self.rest()
    return (text:sub(self.at):gsub("^%s+", ""))
  end

  return self
end

-- Tags -----------------------------------------------------------------------

local tags = {}

function tags.meta(block, line, all)
  block.meta = line.need "[%w_%.%-]+"
  assert(not all.meta, "two ---@meta")
  all.meta = block.meta
end

function tags.class(block, line, all)
  local name = line.need "[%a_][%w_%.]*"
  if line.try ":" then line.type() end
  assert(not all.classes[name], "class " .. name .. " twice")
  block.class = { name = name, fields = {}, methods = {} }
  all.classes[name] = block.class
end

function tags.field(block, line)
  local class = assert(block.class, "a field without a class")
  local name = line.try "%[integer%]" or line.try '%["[^"]+"%]'
    or line.need "[%a_][%w_]*%??"
  name = name:gsub("%?$", "")
  assert(not class.fields[name], "field " .. name .. " twice")
  class.fields[name] = line.type()
end

function tags.alias(block, line, all)
  block.alias = { name = line.need "[%a_][%w_%.]*", values = {} }
  all.aliases[block.alias.name] = block.alias
  if line.rest() ~= "" then line.type() end
end

function tags.operator(_, line)
  line.need "%a+"
  if line.try "%(" then line.type() line.need "%)" end
  line.need ":"
  line.type()
end

function tags.param(block, line)
  local name = line.try "%.%.%." or line.need "[%a_][%w_]*"
  local optional = line.try "%?" or ""
  block.params[#block.params + 1] =
    { name = name, type = line.type(), optional = optional }
end

function tags.generic(block, line)
  block.generic[line.need "[%a_][%w_]*"] = true
end

tags["return"] = function(block, line)
  block.returns[#block.returns + 1] = line.type()
end

function tags.overload(_, line)
  line.type()
end

-- Files ----------------------------------------------------------------------

local function new_block()
  return { params = {}, returns = {}, generic = {}, doc = {} }
end

local function take_comment(block, text, all)
  local used = {}
  local tag, rest = text:match "^@(%a+)%s*(.*)$"
  if tag then
    local take = assert(tags[tag], "unknown tag @" .. tag)
    take(block, reader(rest, used), all)
  elseif text:find "^|" then
    local alias = assert(block.alias, "| without an alias")
    local line = reader(text:sub(2), used)
    alias.values[#alias.values + 1] = line.type()
  elseif text ~= "" then
    block.doc[#block.doc + 1] = text
  end
  for name in pairs(used) do
    if not block.generic[name] then all.used[name] = true end
  end
end

local function take_function(block, line, all)
  local name, list = line:match "^local function ([%w_]+)(%b()) end$"
  if not name then name, list = line:match "^function ([%w_%.:]+)(%b()) end$" end
  if not name then name, list = line:match "^(.+) = function(%b()) end$" end
  if not name then return end
  local declared = { name = name, doc = block.doc, returns = block.returns,
    params = block.params, list = list:sub(2, -2) }
  local at = {}
  for parameter in declared.list:gmatch "[^%s,]+" do at[parameter] = true end
  for _, parameter in ipairs(block.params) do
    assert(at[parameter.name], name .. " has no parameter " .. parameter.name)
  end
  all.functions[name] = declared
  local owner, method = name:match "^([%w_]+):([%w_]+)$"
  if owner and all.last_class and all.last_variable == owner then
    all.last_class.methods[method] = declared
  end
end

-- What a text declares.
function luacats.parse(text, name)
  local all = { classes = {}, aliases = {}, functions = {}, used = {} }
  assert(loadstring(text, "@" .. name))
  local block = new_block()
  local number = 0
  for line in text:gmatch "([^\n]*)\n" do
    number = number + 1
    local ok, message = pcall(function()
      local comment = line:match "^%-%-%-(.*)$"
      if comment then
        take_comment(block, comment, all)
      else
        local variable = line:match "^local ([%w_]+) = {}$"
        if variable and block.class then
          all.last_class, all.last_variable = block.class, variable
        end
        take_function(block, line, all)
        block = new_block()
      end
    end)
    if not ok then
      error(("%s:%d: %s"):format(name, number, tostring(message)), 0)
    end
  end
  assert(all.meta, name .. ": no ---@meta")
  return all
end

local function list(folder, below, found)
  for name in lfs.dir(folder .. "/" .. below) do
    local path = below .. name
    if name ~= "." and name ~= ".." then
      local kind = lfs.attributes(folder .. "/" .. path, "mode")
      if kind == "directory" then
        list(folder, path .. "/", found)
      else
        found[#found + 1] = path
      end
    end
  end
  table.sort(found)
  return found
end

-- The files below a folder, by name.
function luacats.list(folder)
  return list(folder, "", {})
end

-- All of a folder: path → what it declares. Each type that is used is declared.
function luacats.read(folder)
  local files, declared, used = {}, {}, {}
  for _, path in ipairs(luacats.list(folder)) do
    local file = assert(io.open(folder .. "/" .. path))
    local all = luacats.parse(file:read "*a", path)
    file:close()
    files[path] = all
    for name in pairs(all.classes) do declared[name] = true end
    for name in pairs(all.aliases) do declared[name] = true end
    for name in pairs(all.used) do used[name] = path end
  end
  for name, path in pairs(used) do
    if not builtin[name] and not declared[name] then
      error(path .. ": nothing declares the type " .. name, 0)
    end
  end
  return files
end

return luacats
