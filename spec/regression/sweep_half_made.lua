-- SPDX-License-Identifier: MIT
--
-- With a sweep budget: a text that does not compile leaves a closure without
-- variables in Lua 5.4's heap until it is collected. The pass over all objects
-- read them, and crashed.

local patching = require "spec.support.patching"

return function(vm)
  it("a pass leaves alone what the compiler has given up", function()
    patching.run(vm, { m = 'return { f = function() return "old" end }' }, [[
      local m = require "m"
      local far = { { { { m.f } } } }
      collectgarbage "stop"
      for _ = 1, 100 do assert(not load "return +") end
      local report = change("m", '"old"', '"new"')
      for _ = 1, 100 do assert(not load "local function f() return x end (") end
      follow(report)
      collectgarbage "restart"
      equal("new", far[1][1][1][1]())
    ]], { "--sweep-budget", "1" })
  end)
end
