-- SPDX-License-Identifier: MIT
--
-- What busted prints under tools/test: "ok NAME" or "FAIL NAME: ..." for each
-- case, as the C spec programs do. A pending case counts as failed, because
-- nothing may be skipped in silence.

local busted = require "busted"
local base = require "busted.outputHandlers.base"

return function()
  local handler = base()
  local cases = 0

  local function show(verdict, element, message)
    local text = verdict .. " " .. handler.getFullName(element)
    if message then
      if type(message) ~= "string" then
        message = message.message or require("pl.pretty").write(message)
      end
      local trace = element.trace or {}
      text = ("%s: %s:%s: %s"):format(text, trace.short_src or "?",
        trace.currentline or "?", message)
    end
    io.write(text, "\n")
    io.flush()
  end

  local function last_message(list)
    return (list[#list] or {}).message or "no message"
  end

  local function test_end(element, _, status)
    cases = cases + 1
    if status == "success" then
      show("ok", element)
    elseif status == "pending" then
      show("FAIL", element, "pending")
    elseif status == "failure" then
      show("FAIL", element, last_message(handler.failures))
    else
      show("FAIL", element, last_message(handler.errors))
    end
    return nil, true
  end

  -- An error outside of a case: in a file or in what surrounds cases.
  local function stray_error(element)
    if element.descriptor ~= "it" then
      show("FAIL", element, last_message(handler.errors))
    end
    return nil, true
  end

  local function suite_end()
    if cases == 0 and (os.getenv "GRAFT_ONLY" or "") == "" then
      io.write "FAIL no case found\n"
    end
    return nil, true
  end

  busted.subscribe({ "test", "end" }, test_end)
  busted.subscribe({ "error" }, stray_error)
  busted.subscribe({ "failure" }, stray_error)
  busted.subscribe({ "suite", "end" }, suite_end)
  return handler
end
