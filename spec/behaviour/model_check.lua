-- SPDX-License-Identifier: MIT
--
-- Random programs and random edits: after each patch the live program does what
-- a model of the rules says (spec/model). GRAFT_LONG=10000 runs that many
-- sequences, GRAFT_SEED=n begins at another seed.

local engine = require "spec.support.engine"
local files = require "spec.support.files"

-- A program has so many sequences, lest what it once loaded slows it down.
local BATCH = 20
local EDITS = "20"

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

return function(vm)
  after_each(engine.clean_up)

  local count = tonumber(os.getenv "GRAFT_LONG") or 40
  local seed = tonumber(os.getenv "GRAFT_SEED") or 1

  -- `options` are of the program, `more` arguments of the check.
  local function check(options, more)
    local sources = {}
    for _, name in ipairs { "check.lua", "model.lua" } do
      sources[name] = read(engine.root .. "/spec/model/" .. name)
    end
    for first = seed, seed + count - 1, BATCH do
      local folder = engine.project(sources)
      local arguments = { "--no-watch" }
      for _, option in ipairs(options) do
        arguments[#arguments + 1] = option
      end
      for _, argument in ipairs { "check.lua", tostring(first),
        tostring(math.min(BATCH, seed + count - first)), EDITS, more } do
        arguments[#arguments + 1] = argument
      end
      local result = engine.run(vm, arguments,
        { cwd = folder.path, deadline = 300 })
      files.remove_all()
      if result.status ~= 0 or not result.text.out:find "done\n$" then
        error(result.text.out .. result.text.err:sub(-2000))
      end
    end
  end

  it("random edits of random programs", function() check {} end)

  it("the same, with a sweep that is spread over safe points", function()
    check({ "--sweep-budget", "1" }, "budget")
  end)
end
