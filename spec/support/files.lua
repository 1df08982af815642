-- SPDX-License-Identifier: MIT
--
-- Temporary folders for specs, and the ways in which editors and tools save.

local lfs = require "lfs"
local posix = require "posix"

local files = {}
local Folder = {}
Folder.__index = Folder

local folders = {}

-- A new empty folder; removed by files.remove_all.
function files.folder()
  local path = assert(posix.mkdtemp(
    (os.getenv "TMPDIR" or "/tmp") .. "/graft-spec-XXXXXX"))
  local self = setmetatable({ path = path }, Folder)
  folders[#folders + 1] = self
  return self
end

-- A folder that is there already; stays.
function files.open(path)
  return setmetatable({ path = path }, Folder)
end

local function remove(path)
  local kind = lfs.symlinkattributes(path, "mode")
  if kind == "directory" then
    for _, name in ipairs(posix.dir(path)) do
      if name ~= "." and name ~= ".." then remove(path .. "/" .. name) end
    end
    posix.rmdir(path)
  elseif kind then
    posix.unlink(path)
  end
end

function files.remove_all()
  for index = #folders, 1, -1 do
    remove(folders[index].path)
    folders[index] = nil
  end
end

-- The full path of a name inside the folder.
function Folder:at(name)
  return self.path .. "/" .. name
end

function Folder:mkdir(name)
  local path = self.path
  for part in name:gmatch "[^/]+" do
    path = path .. "/" .. part
    posix.mkdir(path)
  end
end

local function make_parents(self, name)
  local parent = name:match "^(.*)/[^/]*$"
  if parent then self:mkdir(parent) end
end

local function put(path, text)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  file:close()
end

-- Truncates and writes at once, as most editors do.
function Folder:write(name, text)
  make_parents(self, name)
  put(self:at(name), text)
end

-- Writes beside the file and renames over it, as vim and VS Code may.
function Folder:write_over(name, text)
  make_parents(self, name)
  put(self:at(name .. ".new~"), text)
  assert(posix.rename(self:at(name .. ".new~"), self:at(name)) == 0)
end

-- Moves the old file to a backup, writes a new one, removes the backup, as vim
-- does with backupcopy=no.
function Folder:write_with_backup(name, text)
  assert(posix.rename(self:at(name), self:at(name .. "~")) == 0)
  put(self:at(name), text)
  assert(posix.unlink(self:at(name .. "~")) == 0)
end

-- Truncates, then writes piece by piece; between two pieces calls between().
function Folder:write_pieces(name, pieces, between)
  local file = assert(io.open(self:at(name), "wb"))
  file:setvbuf "no"
  for index, piece in ipairs(pieces) do
    if index > 1 and between then between(index) end
    assert(file:write(piece))
  end
  file:close()
end

function Folder:read(name)
  local file = assert(io.open(self:at(name), "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

function Folder:exists(name)
  return lfs.symlinkattributes(self:at(name), "mode") ~= nil
end

function Folder:rename(from, to)
  make_parents(self, to)
  assert(posix.rename(self:at(from), self:at(to)) == 0)
end

function Folder:remove(name)
  remove(self:at(name))
end

function Folder:link(target, name)
  assert(posix.link(target, self:at(name), true) == 0)
end

-- Sets the file's time stamp without touching what is in it.
function Folder:touch(name, time)
  assert(posix.utime(self:at(name), time or os.time(), time or os.time()) == 0)
end

return files
