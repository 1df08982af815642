-- SPDX-License-Identifier: MIT
--
-- With a sweep budget, a patch that deletes one function and changes another:
-- counting who still holds the deleted one put another sweep in the place of
-- the one that was under way, and what was far kept its old code for good.

local patching = require "spec.support.patching"

local module = [[
local M = {}
function M.gone() return "gone" end
function M.f() return "old" end
return M
]]

return function(vm)
  it("what is far follows all the same", function()
    patching.run(vm, { m = module }, [[
      local m = require "m"
      local far = {}
      for i = 1, 30000 do far[i] = {} end
      far[29000].f, far[29001].gone = m.f, m.gone
      edit("m", 'function M.gone() return "gone" end\n', "")
      local report = change("m", '"old"', '"new"')
      equal("m.gone", names(report.deleted))
      equal(nil, m.gone)
      equal("new", m.f())
      equal("old", far[29000].f())
      follow(report)
      equal("new", far[29000].f())
      equal(m.f, far[29000].f)
      equal("gone", far[29001].gone())
    ]], { "--sweep-budget", "1" })
  end)
end
