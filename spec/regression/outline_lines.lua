-- SPDX-License-Identifier: MIT
--
-- What the VM's compiler is shown of a changed file leaves out the functions
-- that are the same, with the comments between them; an error has its line all
-- the same, whatever the line ends are.

local patching = require "spec.support.patching"

local function module(line_end)
  local lines = { "local M = {}" }
  for i = 1, 4 do
    lines[#lines + 1] = "-- What number " .. i .. " does;"
    lines[#lines + 1] = "--[[ on" .. line_end .. " two lines ]]"
    lines[#lines + 1] = "function M.f" .. i .. "()"
    lines[#lines + 1] = "  return " .. i
    lines[#lines + 1] = "end" .. (i == 2 and ";" or "")
    lines[#lines + 1] = ""
  end
  lines[#lines + 1] = "return M"
  return table.concat(lines, line_end)
end

return function(vm)
  for _, case in ipairs { { "LF", "\n" }, { "CR LF", "\r\n" } } do
    local name, line_end = case[1], case[2]
    it("an error below functions that are the same has its line, " .. name,
      function()
        patching.run(vm, { m = module(line_end) }, [[
          local graft = require "graft"
          local m = require "m"
          edit("m", "return 4", "return 4 + + 1")
          local report, message = graft.reload()
          equal(nil, report)
          assert(message:find("m.lua:27:", 1, true), message)
          edit("m", "return 4 + + 1", "return 40")
          assert(graft.reload())
          equal(40, m.f4())
          equal(1, m.f1())
        ]])
      end)
  end
end
