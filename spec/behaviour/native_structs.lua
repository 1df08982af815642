-- SPDX-License-Identifier: MIT
--
-- C structs in Lua: what natives point to is read and written in place, by the
-- same script on both VMs.

local engine = require "spec.support.engine"

local world = [[
#include <stdbool.h>
#include <stdint.h>
typedef struct Vec { double x, y; } Vec;
typedef double Number;
typedef enum Mood { CALM, ANGRY = 7 } Mood;
typedef union Any { int number; float real; } Any;
typedef struct Body {
  int hp;
  Vec position;
  float speed;
  bool alive;
  char name[16];
  int inventory[4];
  struct Body *next;
  const struct Body *parent;
  unsigned flags : 3;
  int balance : 5;
  Mood mood;
  int8_t tiny;
  uint8_t small;
  int16_t shorter;
  uint16_t port;
  uint32_t wide;
  double matrix[2][3];
  Vec path[2];
  void *user;
  union { int level; float ratio; };
  Any any;
  const char *title;
  bool locked : 1;
} Body;
typedef struct Other { int hp; } Other;
static Body bodies[10] = {[3] = {.title = "Sir"}};
static Other other;
Body *world_body(int i) { return i >= 0 && i < 10 ? &bodies[i] : 0; }
Other *world_other(void) { return &other; }
Vec *world_place(Body *body) { return &body->position; }
int world_hurt(Body *body, int by) { return body->hp -= by; }
int world_hp(int i) { return bodies[i].hp; }
double world_sum(const Number *values, int count) {
  double sum = 0;
  for (int i = 0; i < count; i++) sum += values[i];
  return sum;
}
Vec world_scaled(Vec place, double by) {
  return (Vec){place.x * by, place.y * by};
}
Mood world_calmer(Mood mood) { return mood == ANGRY ? CALM : mood; }
double world_far(const Vec *place) { return place->x * place->x; }
]]

local prelude = [[
local graft = require "graft"
local world = require "world"
local b = world.body(3)
local function same(expected, got)
  if expected ~= got then
    error(("expected %s, got %s"):format(tostring(expected), tostring(got)), 2)
  end
end
local function fails(pattern, f, ...)
  local ok, message = pcall(f, ...)
  if ok or not message:find(pattern) then
    error(("no error like %q: %s"):format(pattern, tostring(message)), 2)
  end
end
]]

return function(vm)
  local folder

  -- Runs a text as main.lua; it is right when it does not raise.
  local function run(text)
    folder = engine.project {
      ["natives/world.c"] = world, ["main.lua"] = prelude .. text,
    }
    local object = engine.build_natives(folder, "world")
    local program = engine.run(vm,
      { "--no-watch", "--natives", object, "main.lua" }, { cwd = folder.path })
    if program.status ~= 0 then program:fail "it raised" end
  end

  after_each(engine.clean_up)

  it("fields are read and written where C has them", function()
    run [[
      b.hp, b.speed, b.alive, b.tiny = 40, 0.5, true, -8
      b.small, b.shorter, b.port, b.wide = 255, -300, 65535, 4294967295
      same(40, world.hp(3))
      same(40, b.hp)
      same(0.5, b.speed)
      same(true, b.alive)
      same(-8, b.tiny)
      same(255, b.small)
      same(-300, b.shorter)
      same(65535, b.port)
      same(4294967295, b.wide)
      b.mood = 7
      same(7, b.mood)
      same(35, world.hurt(b, 5))
      same(35, b.hp)
    ]]
  end)

  it("parts, arrays and unions are views of the same memory", function()
    run [[
      local position = b.position
      position.x, position.y = 1.5, 2
      same(1.5, b.position.x)
      same(2.25, world.far(position))
      same(1.5, world.place(b).x)
      for i = 0, 3 do b.inventory[i] = i * i end
      same(9, b.inventory[3])
      b.matrix[1][2] = 7
      same(7, b.matrix[1][2])
      b.path[1].y = 3
      same(3, b.path[1].y)
      b.level = 5
      same(5, b.level)
      b.any.number = 6
      same(6, b.any.number)
    ]]
  end)

  it("parts can be assigned as a whole", function()
    run [[
      b.position = { x = 4, y = 5 }
      same(5, b.position.y)
      world.body(4).position = b.position
      same(4, world.body(4).position.x)
      b.inventory = { 10, 20, 30 }
      same(10, b.inventory[0])
      same(30, b.inventory[2])
      b.name = "goblin"
      same("goblin", graft.string(b.name))
      same("gob", graft.string(b.name, 3))
    ]]
  end)

  it("structs go by value, and enums within their enumerators", function()
    run [[
      b.position = { x = 1.5, y = -2 }
      local scaled = world.scaled(b.position, 2)
      same(3.0, scaled.x)
      same(-4.0, scaled.y)
      scaled.x = 9
      same(1.5, b.position.x)
      same(18.0, world.scaled(scaled, 2).x)
      fails("bad argument #1 to 'world.scaled' %(Vec expected, got Body %*%)",
        world.scaled, b, 2)
      fails("bad argument #1 to 'world.scaled' %(Vec expected, got nil%)",
        world.scaled, nil, 2)
      same(0, world.calmer(7))
      fails("bad argument #1 to 'world.calmer' %(Mood expected, got 8, which " ..
        "is out of range%)", world.calmer, 8)
    ]]
  end)

  it("bit-fields keep to their bits", function()
    run [[
      b.flags, b.balance, b.locked = 5, -3, true
      same(5, b.flags)
      same(-3, b.balance)
      same(true, b.locked)
      b.flags = 0
      same(-3, b.balance)
    ]]
  end)

  it("pointers lead on, and end in nil", function()
    run [[
      same(nil, world.body(99))
      assert(b.next == nil and b.user == nil)
      b.next = world.body(4)
      b.next.hp = 7
      same(7, world.hp(4))
      assert(b.next == world.body(4) and b ~= b.next)
      b.parent = b
      same(true, b.parent == b)
      b.next = nil
      assert(b.next == nil)
      same("Sir", graft.string(b.title))
    ]]
  end)

  it("natives whose first parameter is the struct are its methods", function()
    run [[
      b.hp = 40
      same(35, b:hurt(5))
      same(b.hurt, world.hurt)
      same(0, b.position:far())
    ]]
  end)

  it("memory can be made for natives", function()
    run [[
      local values = graft.new("double", 3)
      values[0], values[1], values[2] = 1, 2, 3
      same(6, world.sum(values, 3))
      local body = graft.new("Body", { hp = 3, position = { x = 1, y = 2 } })
      same(2, world.hurt(body, 1))
      same(1, body.position.x)
      local one = graft.new("double")
      one[0] = 4
      same(4, world.sum(one, 1))
      local number = graft.new("Number", 1)
      number[0] = 5
      same(5, world.sum(number, 1))
      local list = graft.new("Body", 5)
      list[4].hp = 8
      same(8, list[4].hp)
      fails("no native has a type called 'Nobody'", graft.new, "Nobody")
    ]]
  end)

  it("what does not fit is refused", function()
    run [[
      fails("bad argument #1 to 'world.hurt' %(Body %* expected, got Vec %*%)",
        world.hurt, b.position, 1)
      fails("bad argument #1 to 'world.hurt' %(Body %* expected, got number%)",
        world.hurt, 7, 1)
      fails("Body %* expected, got Other %*", world.hurt, world.other(), 1)
      fails("Body has no field 'nothing'", function() return b.nothing end)
      fails("Body has no field 'nothing'", function() b.nothing = 1 end)
      fails("int", function() b.hp = "many" end)
      same(0, b.hp)
      assert(tostring(b):find "^Body %*: 0x")
    ]]
  end)

  if vm == "lua54" then
    it("numbers and places are exact or refused, in Lua 5.4", function()
      run [[
        fails("bad value for Body.hp %(int expected, got 3.5%)",
          function() b.hp = 3.5 end)
        b.hp = 3.0
        same(3, b.hp)
        fails("bad value for Body.tiny", function() b.tiny = 128 end)
        fails("bad value for Body.flags", function() b.flags = 8 end)
        fails("bad value for Body.alive", function() b.alive = 1 end)
        fails("bad value for Body.next %(.*Body %*.* got Vec %*%)",
          function() b.next = b.position end)
        fails("bad value for Body.name", function() b.name = ("x"):rep(17) end)
        fails("bad value for Body.inventory",
          function() b.inventory = { 1, 2, 3, 4, 5 } end)
        fails("bad value for Body.title", function() b.title = "x" end)
        fails("index 4 is out of range of int %* %(0 to 3%)",
          function() return b.inventory[4] end)
        fails("index %-1 is out of range",
          function() b.inventory[-1] = 0 end)
        same(4, #b.inventory)
        fails("Vec has no field 'z'", function() b.position = { z = 1 } end)
        local body = graft.new("Body", { position = { y = 2 } })
        local inner = body.position
        body = nil
        collectgarbage()
        collectgarbage()
        same(2.0, inner.y)
      ]]
    end)
  end
end
