-- SPDX-License-Identifier: MIT
--
-- How C files become natives: compilers, flags, tiers, files that are broken
-- from the start, and symbols that nobody has or two have.

local engine = require "spec.support.engine"
local natives = require "spec.support.natives"

local one = "int world_get(void) { return 1; }\n"

return function(vm)
  after_each(engine.clean_up)

  local function start(sources, desc)
    desc = desc or {}
    desc.sources = sources
    desc.show = desc.show or { "world.get()" }
    return natives.start(vm, desc)
  end

  it("without a compiler one message says so, and built natives run", function()
    local folder = natives.prepare { modules = { "world" }, show = { "world.get()" },
      sources = { ["natives/other.c"] = one, ["world.c"] = one } }
    folder:write("natives/world.c", one)
    local object = engine.build_natives(folder, "world")
    folder:remove "natives/world.c"
    local program = engine.start(vm, { "--watch", folder:at "scripts",
      "--natives", folder:at "natives", "--natives", object, "--tick", "200" },
      { env = { PATH = "/nowhere", CC = false, XDG_CACHE_HOME = folder:at "cache" } })
    program:err "^Notice .*compiler"
    program:out "^world%.get%(%) = 1$"
    assert.equal(1, program:count("err", "compiler"))
    assert.equal(0, program:interrupt())
  end)

  it("CC, CFLAGS and compile_flags.txt are followed", function()
    local game = start({
      ["natives/world.c"] = "int world_get(void) { return A * 10 + B; }\n",
      ["natives/compile_flags.txt"] = "-DB=4\n",
    }, { env = { CC = "gcc", CFLAGS = "-O1 -DA=3" } })
    game:shows("world.get()", 34)
    game:stop()
  end)

  if natives.has "clang" then
    it("clang serves as well", function()
      local text = "static int n = 5;\n"
        .. "int world_get(void) { return n; }\nvoid world_set(int v) { n = v; }\n"
      local game = start({ ["natives/world.c"] = text },
        { env = { CC = "clang" } })
      game:ask "world.set(8)"
      game:shows("world.get()", 8)
      game:edit("natives/world.c", "return n;", "return n + 100;")
      game:shows("world.get()", 108)
      game:stop()
    end)
  end

  if natives.has "tcc" then
    it("tcc serves, without types", function()
      local game = start({ ["natives/world.c"] = one }, { show = { "1" },
        env = { CC = "tcc" } })
      assert.is_truthy(game:ask("world.get()"):find("debug information", 1, true))
      game:stop()
    end)
  end

  it("a file that is broken at the start comes when it is mended", function()
    local game = start({ ["natives/world.c"] = one,
      ["natives/bad.c"] = "int bad_get(void) { return ; ] }\n" },
      { modules = { "world" } })
    game:reports "^Reject .*bad%.c:1:"
    game:shows("world.get()", 1)
    game:edit("natives/world.c", "return 1", "return 2")
    game:shows("world.get()", 2)
    game:write("natives/bad.c", "int bad_get(void) { return 7; }\n")
    game:reports "^Add bad%.get$"
    assert.equal("7", game:ask "require('bad').get()")
    game:stop()
  end)

  it("a symbol that nobody has is named, with who uses it", function()
    local game = start({ ["natives/world.c"] = one })
    game:write("natives/world.c",
      "int nobody_has(void);\nint world_get(void) { return nobody_has(); }\n")
    local line = game:reports "^Reject .*world%.c:2: "
    assert.is_truthy(line:find("nobody_has", 1, true), line)
    assert.is_truthy(line:find("world_get", 1, true), line)
    assert.equal("1", game:ask "world.get()")
    game:write("natives/nobody.c", "int nobody_has(void) { return 9; }\n")
    game:shows("world.get()", 9)
    game:stop()
  end)

  it("a function of two files is refused", function()
    local game = start({ ["natives/world.c"] = one })
    game:write("natives/other.c", one:gsub("1", "2"))
    game:reports "^Reject .*world_get is defined in .*world%.c too"
    assert.equal("1", game:ask "world.get()")
    game:stop()
  end)

  it("the fast tier's code gives way to the optimised, unseen", function()
    local text = "static int calls;\nint world_get(void) { calls++; return 1; }\n"
      .. "int world_calls(void) { return calls; }\n"
    local game = start({ ["natives/world.c"] = text })
    game:shows("world.get()", 1)
    game:edit("natives/world.c", "return 1", "return 2")
    game:shows("world.get()", 2)
    local before = tonumber(game:ask "world.calls()")
    game:write("natives/last.c", "int last_one(void) { return 1; }\n")
    game:reports "^Add last%.one$"
    assert.equal(1, game.program:count("err", "^Update world%.get$"))
    assert.equal("2", game:ask "graft.info('world.get').version")
    assert.is_true(tonumber(game:ask "world.calls()") > before)
    game:stop()
  end)

  it("a Lua C function is one, and goes back when it crashes", function()
    local text = [[
#include <lua.h>
int world_sum(lua_State *L) {
  lua_pushinteger(L, lua_tointeger(L, 1) + lua_tointeger(L, 2));
  return 1;
}
int world_get(void) { return 1; }
]]
    local package = vm == "lua54" and "lua5.4" or "luajit-2.1"
    local game = start({ ["natives/world.c"] = text },
      { env = { CFLAGS = "-O1 -I/usr/include/" .. package } })
    assert.equal("5", game:ask "world.sum(2, 3)")
    game:edit("natives/world.c", "+ lua_tointeger", "* lua_tointeger")
    game:reports "^Update world%.sum$"
    assert.equal("6", game:ask "world.sum(2, 3)")
    game:edit("natives/world.c", "  lua_push", "  *(volatile int *)0 = 1;\n  lua_push")
    game:reports "^Update world%.sum$"
    assert.equal("6", game:ask "world.sum(2, 3)")
    game:reports "^Revert world%.sum: "
    game:stop()
  end)

  it("a file that changes while it is written is taken whole", function()
    local game = start { ["natives/world.c"] = one }
    for n = 2, 12 do
      game.folder:write("natives/world.c", "")
      game.folder:write("natives/world.c", (one:gsub("1", n)))
      game:shows("world.get()", n)
    end
    assert.equal(0, game.program:count("err", "^Delete "))
    game:stop()
  end)

  it("headers elsewhere, and of other names, are watched too", function()
    local game = start({
      ["natives/world.c"] = '#include "../shared/size.h"\n#include "more.inc"\n'
        .. "int world_get(void) { return SIZE * 10 + MORE; }\n",
      ["shared/size.h"] = "#define SIZE 1\n",
      ["natives/more.inc"] = "#define MORE 1\n" })
    game:shows("world.get()", 11)
    game:write("shared/size.h", "#define SIZE 2\n")
    game:shows("world.get()", 21)
    game:write("natives/more.inc", "#define MORE 2\n")
    game:shows("world.get()", 22)
    game:stop()
  end)

  it("graft.reload takes natives that are not watched", function()
    local folder = natives.prepare { sources = { ["natives/world.c"] = one,
      ["main.lua"] = [[
local graft = require "graft"
local world = require "world"
print(world.get())
local file = assert(io.open("natives/world.c", "w"))
file:write("int world_get(void) { return 2; }\n")
file:close()
print(#assert(graft.reload("natives/world.c")).updated, world.get())
]] } }
    local program = engine.run(vm, { "--no-watch", "--natives", "natives",
      "main.lua" }, { cwd = folder.path,
      env = { XDG_CACHE_HOME = folder:at "cache" } })
    assert.equal("1\n1\t2\n", program.text.out)
  end)
end
