-- SPDX-License-Identifier: MIT
--
-- Behaviours are written once, as files of spec/behaviour and spec/regression
-- that return a function of the VM's name; the spec files of the VMs run them
-- all. GRAFT_ONLY leaves out those whose path does not contain it.

local posix = require "posix"

local vms = {}

local function behaviours()
  local found = {}
  for _, folder in ipairs { "spec/behaviour", "spec/regression" } do
    for _, path in ipairs(posix.glob(folder .. "/*.lua") or {}) do
      found[#found + 1] = path
    end
  end
  table.sort(found)
  return found
end

-- Declares every behaviour for one VM, "lua54" or "luajit". The words of busted
-- (describe, it, ...) are those of the calling file's environment, into which
-- the behaviours are loaded, too.
function vms.run(vm)
  local only = os.getenv "GRAFT_ONLY" or ""
  local words = getfenv(2)
  for _, path in ipairs(behaviours()) do
    if path:find(only, 1, true) then
      local name = path:match "([^/]*)%.lua$"
      words.describe(vm .. " " .. name .. ":", function()
        setfenv(assert(loadfile(path)), words)()(vm)
      end)
    end
  end
end

return vms
