-- SPDX-License-Identifier: MIT
--
-- Calls of natives from Lua: exact or refused, alike on both VMs, in loops that
-- LuaJIT compiles too; and a native that Lua overrides meanwhile.

local engine = require "spec.support.engine"
local natives = require "spec.support.natives"

local kinds = [[
#include <stdbool.h>
#include <stdint.h>
typedef struct Where { uint64_t id; int64_t far; } Where;
static Where where = {7, 1000};
Where *kinds_where(void) { return &where; }
typedef enum Mood { CALM = 1, ANGRY = 3 } Mood;
int kinds_int(int a) { return a; }
unsigned kinds_unsigned(unsigned a) { return a; }
int8_t kinds_int8(int8_t a) { return a; }
uint8_t kinds_uint8(uint8_t a) { return a; }
int16_t kinds_int16(int16_t a) { return a; }
uint16_t kinds_uint16(uint16_t a) { return a; }
int64_t kinds_int64(int64_t a) { return a; }
uint64_t kinds_uint64(uint64_t a) { return a; }
float kinds_float(float a) { return a; }
double kinds_minus(double a, double b) { return a - b; }
bool kinds_not(bool a) { return !a; }
const char *kinds_text(const char *a) { return a; }
Mood kinds_mood(Mood a) { return a; }
void kinds_nothing(void) {}
void *kinds_any(void *a) { return a; }
int *kinds_numbers(int *a) { return a; }
]]

-- { call, result }, or { call, false, what the message has }.
local cases = {
  { "int(3)", "3" },
  { "int(-2147483648)", "-2147483648" },
  { "int(3.0)", "3" },
  { "int(3.5)", false, "#1 to 'kinds.int' (int expected, got 3.5" },
  { "int(2^31)", false, "got 2147483648, which is out of range" },
  { "int('3')", false, "(int expected, got string)" },
  { "int(0/0)", false, "which is not an integer" },
  { "int(true)", false, "(int expected, got boolean)" },
  { "int(nil)", false, "(int expected, got nil)" },
  { "int()", false, "kinds.int: expected 1 argument, got 0" },
  { "int(1, 2)", false, "kinds.int: expected 1 argument, got 2" },
  { "unsigned(4294967295)", "4294967295" },
  { "unsigned(-1)", false, "got -1, which is out of range" },
  { "int8(-128)", "-128" },
  { "int8(128)", false, "(int8_t expected, got 128" },
  { "uint8(255)", "255" },
  { "uint8(256)", false, "(uint8_t expected, got 256" },
  { "int16(-32769)", false, "(int16_t expected, got -32769" },
  { "uint16(65535)", "65535" },
  { "int64(-2^53)", "-9007199254740992" },
  { "int64(0.5)", false, "(int64_t expected, got 0.5" },
  { "uint64(5)", "5" },
  { "uint64(kinds.where() and kinds.where().id)", "7" },
  { "int64(kinds.where().id)", "7" },
  { "int8(kinds.where().id)", "7" },
  { "int8(kinds.where().far)", false, "is out of range" },
  { "uint64(-1)", false, "(uint64_t expected, got -1" },
  { "float(0.5)", "0.5" },
  { "float('0.5')", false, "(float expected, got string)" },
  { "minus(3, 1)", "2" },
  { "minus(3)", false, "kinds.minus: expected 2 arguments, got 1" },
  { "minus(3, {})", false, "#2 to 'kinds.minus' (double expected, got table" },
  { "['not'](true)", "false" },
  { "['not'](1)", false, "(bool expected, got number)" },
  { "text('hi')", "hi" },
  { "text('a\\0b')", false, "a string with a zero byte inside" },
  { "text(nil)", false, "(string expected, got nil)" },
  { "mood(3)", "3" },
  { "mood(4)", false, "(Mood expected, got 4, which is out of range)" },
  { "nothing()", "" },
  { "nothing(1)", false, "kinds.nothing: expected 0 arguments, got 1" },
  { "any(nil)", "nil" },
  { "numbers(nil)", "nil" },
  { "numbers({})", false, "(int * expected, got table)" },
}

-- Every call is made often enough for a loop to be compiled.
local main = [[
local kinds = require "kinds"
local load = loadstring or load
local function text(value)
  if type(value) ~= "number" then return tostring(value) end
  return (("%%.17g"):format(value))
end
local function run(source)
  local f = assert(load("local kinds, pcall = ...; return function() "
    .. "return pcall(function() return kinds" .. source .. " end) end"))(kinds, pcall)
  local ok, result, more
  for _ = 1, 200 do ok, result, more = f() end
  return ok, result, select("#", f())
end
for source in io.lines "calls" do
  local ok, result, count = run(source)
  print(ok, count > 1 and text(result) or "")
end
]]

return function(vm)
  after_each(engine.clean_up)

  it("arguments are exact or refused", function()
    local folder = engine.project {
      ["natives/kinds.c"] = kinds,
      ["main.lua"] = main:gsub("%%%%", "%%"),
    }
    local calls = {}
    for i, case in ipairs(cases) do
      calls[i] = (case[1]:find "^%[" and "" or ".") .. case[1]
    end
    folder:write("calls", table.concat(calls, "\n") .. "\n")
    local program = engine.run(vm,
      { "--no-watch", "--natives", "natives", "main.lua" },
      { cwd = folder.path, env = { XDG_CACHE_HOME = folder:at "cache" } })
    if program.status ~= 0 then program:fail "it raised" end
    local i = 0
    for line in program.text.out:gmatch "[^\n]+" do
      i = i + 1
      local case = cases[i]
      local ok, result = line:match "^(%a+)\t(.*)$"
      if case[2] then
        assert.equal("true " .. case[2], ok .. " " .. result, case[1])
      else
        assert.equal("false", ok, case[1])
        assert.is_truthy(result:find(case[3], 1, true),
          case[1] .. ": " .. result)
      end
    end
    assert.equal(#cases, i)
  end)

  it("C that calls what Lua overrides is no longer compiled into traces",
    function()
      local game = natives.start(vm, {
        sources = {
          ["natives/chain.c"] = "int chain_b(int n) { return n + 1; }\n"
            .. "int chain_a(int n) { return chain_b(n) * 2; }\n",
        },
        modules = { "chain" },
      })
      local sum = "(function() local s = 0 for i = 1, 1000 do "
        .. "s = s + chain.a(i) end return s end)()"
      assert.equal("1003000", game:ask(sum))
      game:write("scripts/chain.lua",
        "local M = {}\nfunction M.b(n) return n + 10 end\nreturn M\n")
      game:reports "^Swap chain.b native → script"
      assert.equal("1021000", game:ask(sum))
      assert.equal("true", game:ask "graft.swap('chain.b', 'native')")
      assert.equal("1003000", game:ask(sum))
      assert.equal("true", game:ask "graft.swap('chain.b', 'auto')")
      assert.equal("1021000", game:ask(sum))
      game:stop()
    end)
end
