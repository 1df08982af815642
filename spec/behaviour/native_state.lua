-- SPDX-License-Identifier: MIT
--
-- N4: variables of natives keep their values, by name and type; new ones get
-- their initialiser; a changed layout migrates.

local engine = require "spec.support.engine"
local natives = require "spec.support.natives"

local function world(fields, more)
  return ([[
#include <string.h>
typedef struct Body { %s } Body;
static Body bodies[1000];
static Body *first = &bodies[7];
Body *world_at(int i) { return &bodies[i]; }
Body *world_first(void) { return first; }
long world_distance(void) { return first - bodies; }
%s
]]):format(fields, more)
end

return function(vm)
  after_each(engine.clean_up)

  local function start(text, show, env)
    return natives.start(vm, { sources = { ["natives/world.c"] = text },
      show = show, env = env })
  end

  it("globals, statics and statics of functions keep their values", function()
    local text = [[
int world_global = 1;
static int hidden = 2;
static double table[3] = { 1, 2, 3 };
int world_bump(void) {
  static int local = 10;
  world_global++, hidden++, table[1] += 0.5;
  return ++local;
}
int world_sum(void) { return world_global * 10000 + hidden * 100 + (int)(table[1] * 2); }
]]
    local game = start(text, { "1" })
    assert.equal("11", game:ask "world.bump()")
    assert.equal("12", game:ask "world.bump()")
    assert.equal("30406", game:ask "world.sum()")
    game:edit("natives/world.c", "* 10000", "* 1000000")
    game:reports "^Update world%.sum$"
    assert.equal("3000406", game:ask "world.sum()")
    assert.equal("13", game:ask "world.bump()")
    game:stop()
  end)

  it("thread-local variables get their initialiser and keep their values", function()
    local text = [[
#include <pthread.h>
#include <string.h>
static _Thread_local int seed = 5;
static _Thread_local const char *name = "abc";
int world_name(void) { return (int)strlen(name); }
int world_seed(void) { return seed++; }
static void *ask(void *result) { *(int *)result = world_seed(); return 0; }
int world_other(void) {
  pthread_t id;
  int result = -1;
  pthread_create(&id, 0, ask, &result);
  pthread_join(id, 0);
  return result;
}
]]
    local game = start(text)
    assert.equal("5", game:ask "world.seed()")
    assert.equal("3", game:ask "world.name()")
    assert.equal("5", game:ask "world.other()")
    -- What cannot be placed leaves nothing.
    game:edit("natives/world.c", "static _Thread_local int seed",
      "static _Thread_local int more = 7;\nint nobody(void);\n"
      .. "int world_more(void) { return more++ + nobody(); }\nstatic _Thread_local int seed")
    game:reports "nobody defines nobody"
    game:edit("natives/world.c", " + nobody()", "")
    game:reports "^Add world%.more$"
    assert.equal("7", game:ask "world.more()")
    assert.equal("8", game:ask "world.more()")
    -- Threads that begin later begin with what the source has then.
    game:edit("natives/world.c", "seed = 5", "seed = 50")
    game:edit("natives/world.c", "return seed++", "return 100 + seed++")
    game:reports "^Update world%.seed$"
    assert.equal("106", game:ask "world.seed()")
    assert.equal("150", game:ask "world.other()")
    game:stop()
  end)

  it("statics that are added get their initialiser, in any order", function()
    local text = [[
static int a = 1;
static int b = 2;
int world_set(int x, int y) { a = x; b = y; return 0; }
int world_get(void) { return a * 100 + b; }
]]
    local game = start(text, { "world.get()" })
    game:shows("world.get()", 102)
    game:ask "world.set(5, 6)"
    game:shows("world.get()", 506)
    game:write("natives/world.c", [[
static int c = 3;
static int b = 2;
static int a = 1;
int world_set(int x, int y) { a = x; b = y; c++; return 0; }
int world_get(void) { return a * 100 + b + c * 10000; }
]])
    game:shows("world.get()", 30506)
    game:stop()
  end)

  it("an edited initialiser is taken, unless the program changed the value",
    function()
      local text = [[
static int hp = 100;
static int ammo = 30;
int world_hit(void) { hp = 40; return 0; }
int world_reload(void) { return ++ammo - ammo--; }
int world_get(void) { return hp * 1000 + ammo; }
]]
      local game = start(text, { "world.get()" })
      game:ask "world.hit()"
      game:shows("world.get()", 40030)
      game:write("natives/world.c", (text:gsub("= 100", "= 150"):gsub("= 30", "= 60")))
      game:reports "^Keep world hp = 40, source now 150"
      game:shows("world.get()", 40060)
      game:stop()
    end)

  local fill = [[
void world_fill(void) {
  for (int i = 0; i < 1000; i++) { bodies[i].hp = i; bodies[i].x = i * 0.5; }
}
double world_check(void) {
  double s = 0;
  for (int i = 0; i < 1000; i++) s += bodies[i].hp + bodies[i].x;
  return s;
}
]]

  it("a field that is inserted: the others keep their values", function()
    local game = start(world("double x; int hp;", fill), { "world.check()" })
    game:ask "world.fill()"
    game:shows("world.check()", 749250)
    game:write("natives/world.c", world("double x; int team; int hp; double y;", fill))
    game:reports "^Migrate world:bodies .*team added"
    game:reports "^Patch ok"
    assert.equal("749250", game:ask "world.check()")
    assert.equal("7", game:ask "world.distance()")
    game:stop()
  end)

  it("int hp → float hp keeps the value", function()
    local get = fill ..
      "\nint world_is(void) { return sizeof bodies[0].hp == 4 && bodies[10].hp == 10; }\n"
    local game = start(world("double x; int hp;", get), { "world.is()" })
    game:ask "world.fill()"
    game:shows("world.is()", 1)
    game:write("natives/world.c", world("double x; float hp;", get))
    game:reports "^Migrate world:bodies .*int → float"
    assert.equal("1", game:ask "world.is()")
    assert.equal("749250", game:ask "world.check()")
    game:stop()
  end)

  it("hp removed beside ammo added is no rename", function()
    local game = start(world("double x; int hp;",
      fill .. "int world_is(void) { return bodies[10].hp; }\n"), { "world.is()" })
    game:ask "world.fill()"
    game:shows("world.is()", 10)
    game:write("natives/world.c", world("double x; int ammo;",
      "int world_is(void) { return bodies[10].ammo; }\n"
      .. "double world_x(void) { return bodies[10].x; }\n"))
    game:shows("world.is()", 0)
    assert.equal("5", game:ask "world.x()")
    game:stop()
  end)

  it("a migration function is called for each element", function()
    local game = start(world("double x; int hp;", fill), { "world.check()" })
    game:ask "world.fill()"
    game:write("natives/world.c", world("double x; int hp; int half;", fill .. [[
struct OldBody { double x; int hp; };
void world_migrate_body(const void *old, Body *now) {
  now->half = ((const struct OldBody *)old)->hp / 2;
}
int world_half(int i) { return bodies[i].half; }
]]))
    game:reports "^Patch ok"
    assert.equal("50", game:ask "world.half(100)")
    assert.equal("749250", game:ask "world.check()")
    game:stop()
  end)

  it("what cannot be migrated is refused, and all stays", function()
    local more = "int world_get(void) { return bodies[3].v.i; }\n"
      .. "void world_set(int n) { bodies[3].v.i = n; }\n"
    local game = start(world("union { int i; float f; } v;", more), { "world.get()" })
    game:ask "world.set(9)"
    game:shows("world.get()", 9)
    game:write("natives/world.c", world("union { int i; double d; } v;",
      more:gsub("return ", "return 1000 + ")))
    game:reports "^Reject .*world%.c.*bodies"
    game:reports "^Patch failed"
    assert.equal("9", game:ask "world.get()")
    game:stop()
  end)

  it("constants and literals are those of the new text", function()
    local text = [[
static const int limits[] = { 1, 2, 3 };
static const char *names[] = { "one", "two" };
int world_limit(int i) { return limits[i]; }
const char *world_name(int i) { return names[i]; }
]]
    local game = start(text, { "world.limit(1)", "world.name(1)" })
    game:shows("world.limit(1)", 2)
    game:shows("world.name(1)", "two")
    game:write("natives/world.c", (text:gsub("1, 2, 3", "1, 20, 3"):gsub("two", "zwei")))
    game:shows("world.limit(1)", 20)
    game:shows("world.name(1)", "zwei")
    game:stop()
  end)

  it("arrays of graft_state_new outlive code, and migrate", function()
    local text = [[
#include <graft.h>
typedef struct Star { double x;%s int hp; } Star;
static Star *stars;
int world_make(int n) {
  stars = GRAFT_STATE(graft_engine, "stars", Star, n);
  for (int i = 0; i < n; i++) stars[i].hp = i;
  return stars != 0;
}
double world_check(void) {
  double s = 0;
  for (int i = 0; stars && i < 1000; i++) s += stars[i].hp;
  return s;
}
int world_size(void) { return sizeof(Star); }
]]
    local game = start(text:format "", { "world.check()", "world.size()" },
      { CFLAGS = "-O2 '-I" .. engine.root .. "/host/include'" })
    assert.equal("1", game:ask "world.make(1000)")
    game:shows("world.check()", 499500)
    game:write("natives/world.c", text:format " float team; double y;")
    game:reports "^Migrate stars .*team added"
    game:shows("world.size()", 32)
    assert.equal("499500", game:ask "world.check()")
    assert.equal("1", game:ask "world.make(1000)")
    game:stop()
  end)

  it("a stale view of Lua follows what has moved", function()
    local game = start(world("double x; int hp;", fill), { "world.check()" })
    game:ask "world.fill()"
    game:ask "(function() seen = world.at(7) return 1 end)()"
    assert.equal("7", game:ask "seen.hp")
    game:write("natives/world.c", world("double y; double x; int hp;", fill))
    game:reports "^Migrate world:bodies "
    game:reports "^Patch ok"
    assert.equal("7", game:ask "seen.hp")
    game:ask "(function() seen.hp = 107 return 1 end)()"
    assert.equal("749350", game:ask "world.check()")
    game:stop()
  end)

  it("a Lua C function that raised in its first call holds up no migration", function()
    local lua = [[
typedef struct lua_State lua_State;
void lua_pushstring(lua_State *L, const char *text);
int lua_error(lua_State *L);
int raiser_call(lua_State *L) { lua_pushstring(L, "%s"); return lua_error(L); }
]]
    local game = natives.start(vm, { sources = {
      ["natives/raiser.c"] = lua:format "one",
      ["natives/world.c"] = "static int hp = 3;\nint world_hp(void) { return hp++; }\n" } })
    assert.equal("3", game:ask "world.hp()")
    game:edit("natives/raiser.c", "one", "two")
    game:reports "^Update raiser%.call$"
    assert.equal("two", game:ask "select(2, pcall(raiser.call))")
    game:edit("natives/world.c", "int hp", "double hp")
    game:reports "^Migrate world:hp"
    assert.equal("4", game:ask "world.hp()")
    assert.equal(0, game.program:count("err", "^Notice a layout"))
    game:stop()
  end)
end
