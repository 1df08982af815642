-- SPDX-License-Identifier: MIT
--
-- Programs that edit and patch themselves, which is faster than watching them:
-- main.lua saves other files of its folder and calls graft.reload().

local engine = require "spec.support.engine"
local files = require "spec.support.files"

local patching = {}

-- Stands in front of main.lua's first line.
local prelude = 'local graft = require "graft"; local try = require "try"; '
  .. "local write, edit, patch, change, equal, names = "
  .. "try.write, try.edit, try.patch, try.change, try.equal, try.names; "
  .. "local follow = try.follow; "

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

-- Runs a program to its end; it is right when it does not raise. `body` is
-- main.lua behind the prelude, `modules` the other files by module name,
-- `options` what else the program is given.
function patching.run(vm, modules, body, options)
  local sources = {
    ["main.lua"] = prelude .. body .. '\nprint "done"\n',
    ["try.lua"] = read(engine.root .. "/spec/support/try.lua"),
  }
  for name, text in pairs(modules) do sources[name .. ".lua"] = text end
  local folder = engine.project(sources)
  local arguments = { "--no-watch" }
  for _, option in ipairs(options or {}) do
    arguments[#arguments + 1] = option
  end
  arguments[#arguments + 1] = "main.lua"
  local result = engine.run(vm, arguments, { cwd = folder.path })
  files.remove_all()
  local out, err = result.text.out, result.text.err
  if result.status ~= 0 or not out:find "done\n$" then
    error(("status %s, signal %s\n%s\n%s"):format(tostring(result.status),
      tostring(result.killed_by), out, err), 2)
  end
  return result
end

return patching
