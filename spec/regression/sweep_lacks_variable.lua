-- SPDX-License-Identifier: MIT
--
-- With a sweep budget, old closures that the passes miss are told by the
-- garbage collector and replaced then. A closure that had to stay behind, since
-- a variable of its new code was nowhere, was taken for one of these, and its
-- place was taken by the one that lacks the variable.

local patching = require "spec.support.patching"

local module = [[
local M = {}
function M.make(a, b)
  return function() return a .. "" end
end
function M.f() return "old" end
return M
]]

return function(vm)
  it("leaves a closure that is behind its definition", function()
    patching.run(vm, { m = module }, [[
      local m = require "m"
      local kept, f = m.make("a", "b"), { { { { m.f } } } }
      follow(change("m", '"old"', '"new"'))
      local report = change("m", 'a .. ""', "a .. b")
      equal(1, report.stale[1].count)
      for _ = 1, 6 do
        collectgarbage()
        for _ = 1, 100 do graft.update() end
      end
      equal("a", kept())
      equal("ab", m.make("a", "b")())
      equal("new", f[1][1][1][1]())
    ]], { "--sweep-budget", "1" })
  end)
end
