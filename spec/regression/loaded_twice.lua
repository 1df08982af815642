-- SPDX-License-Identifier: MIT
--
-- A module that is loaded again has two lives: the first keeps its functions
-- and its state, the second is the one that is patched. The first one's script
-- was freed while its chunk could still be run.

local patching = require "spec.support.patching"

local one = "local M = {} local n = 0 "
  .. "function M.f() n = n + 1 return 'one' .. n end return M"

return function(vm)
  it("keeps what the first load made", function()
    patching.run(vm, { m = one }, [[
      local loader = (package.searchers or package.loaders)[2] "m"
      local first = require "m"
      package.loaded.m = nil
      local second = require "m"
      assert(first.f ~= second.f)
      equal("one1", first.f())
      equal("one1", second.f())
      equal("one1", loader("m").f())
      change("m", "one", "two")
      equal("one2", first.f())
      equal("two2", second.f())
    ]])
  end)

  it("frees it when nobody has it any more", function()
    patching.run(vm, { m = one }, [[
      local loader = (package.searchers or package.loaders)[2] "m"
      local second = require "m"
      loader = nil
      collectgarbage() collectgarbage()
      for i = 1, 3 do change("m", "'", "'x") end
      equal("xxxone1", second.f())
    ]])
  end)
end
