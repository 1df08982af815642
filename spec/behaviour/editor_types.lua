-- SPDX-License-Identifier: MIT
--
-- LuaCATS files for editors: `engine types`, and `--types` while watching.

local engine = require "spec.support.engine"
local lfs = require "lfs"
local luacats = require "spec.support.luacats"

local world = [[
#include <stdbool.h>
typedef struct Vec { double x, y; } Vec;
typedef enum Mood { CALM, ANGRY = 7 } Mood;
typedef struct Body {
  int hp;
  Vec position;
  bool alive;
  char name[16];
  int inventory[4];
  struct Body *next;
  const char *title;
  Mood mood;
  void *user;
  struct { float left, right; } arms;
  union { int level; float ratio; };
  Vec *path[3];
  int end;
} Body;
typedef struct string { int size; } string;
static Body bodies[10];
Body *world_body(int i) { return &bodies[i]; }
int world_hurt(Body *body, int by) { return body->hp -= by; }
const char *world_name(const Body *body, const char *by) { return by; }
Vec world_scaled(Vec place, double by) { return place; }
bool world_calm(Mood mood) { return mood == CALM; }
void world_each(void (*f)(int), double *values) { (void)f, (void)values; }
int world_end(string *text) { return text->size; }
int world_print(const char *format, ...) { return format != 0; }
]]

local goblin = [[
local M = { Brain = {} }

--- Thinks.
---@param dt number seconds
---@return string
function M.think(dt, ...) return "sleep" end

-- No words for editors.
function M.Brain:tick(dt) end
M["a b"] = function(x) end
local function hidden() end
return M
]]

local function sources()
  return {
    ["scripts/main.lua"] = "io.stdout:setvbuf 'line'\n" ..
      "local goblin = require 'ai.goblin'\nlocal last\n" ..
      "function update(dt)\n  local now = goblin.think()\n" ..
      "  if now ~= last then print('now', now) end\n  last = now\nend\n",
    ["scripts/ai/goblin.lua"] = goblin,
    ["scripts/world.lua"] =
      "local M = {}\nfunction M.hurt(body, amount) end\nreturn M\n",
    ["scripts/call.lua"] = "return function(a, b) end\n",
    ["natives/world.c"] = world,
  }
end

local function params(declared)
  local texts = {}
  for _, parameter in ipairs(declared.params) do
    texts[#texts + 1] = parameter.name .. ": " .. parameter.type
  end
  return table.concat(texts, ", ")
end

return function(vm)
  after_each(engine.clean_up)

  local function types(folder, arguments)
    local all = { "types", "--watch", "scripts" }
    for _, argument in ipairs(arguments or {}) do all[#all + 1] = argument end
    return engine.run(vm, all, { cwd = folder.path })
  end

  local function written()
    local folder = engine.project(sources())
    local program = types(folder)
    if program.status ~= 0 then program:fail "did not end with 0" end
    assert.equal("Types .graft/types\n", program.text.out)
    return luacats.read(folder:at ".graft/types"), folder
  end

  -- What is written ----------------------------------------------------------

  it("scripts are described, and none is run", function()
    local all = written()
    local module = all["ai/goblin.lua"]
    assert.equal("ai.goblin", module.meta)
    assert.is_truthy(module.classes["ai.goblin"])
    local think = module.functions["goblin.think"]
    assert.equal("dt, ...", think.list)
    assert.equal("dt: number", params(think))
    assert.same({ "string" }, think.returns)
    assert.same({ " Thinks.", "scripts/ai/goblin.lua:6" }, think.doc)
    assert.equal("dt", module.functions["goblin.Brain:tick"].list)
    assert.equal("x", module.functions['goblin["a b"]'].list)
    assert.is_nil(module.functions["goblin.hidden"])
    assert.equal("dt", all["main.lua"].functions.update.list)
    assert.equal("a, b", all["call.lua"].functions.call.list)
  end)

  it("natives have the types of their C", function()
    local functions = written()["world.lua"].functions
    local function is(name, parameters, result)
      assert.equal(parameters, params(functions["world." .. name]))
      assert.equal(result, functions["world." .. name].returns[1])
    end
    is("body", "i: integer", "Body")
    is("name", "body: Body?, by: string?", "string")
    is("scaled", "place: Vec, by: number", "Vec")
    is("calm", "mood: Mood", "boolean")
    is("each", "f: graft.pointer?, values: number[]?", nil)
    -- The script's names, the native's types.
    is("hurt", "body: Body?, amount: integer", "integer")
    assert.equal("text: struct.string?",
      params(functions['world["end"]']))
    assert.is_truthy(functions["world.print"].doc[1]
      :find "^Cannot be called from Lua: ")
    assert.equal("`const char *(Body *, const char *)`",
      functions["world.name"].doc[1])
  end)

  it("structs are classes with their fields and methods", function()
    local all = written()["graft-structs.lua"]
    assert.equal("_", all.meta)
    local fields = all.classes.Body.fields
    assert.same({
      hp = "integer", position = "Vec", alive = "boolean",
      name = "string|integer[]", inventory = "integer[]", next = "Body",
      title = "integer[]", mood = "Mood", user = "graft.pointer",
      arms = "Body.arms", level = "integer", ratio = "number",
      path = "Vec[]", ['["end"]'] = "integer", ["[integer]"] = "Body",
    }, fields)
    assert.same({ left = "number", right = "number",
      ["[integer]"] = "Body.arms" }, all.classes["Body.arms"].fields)
    local hurt = all.classes.Body.methods.hurt
    assert.equal("by", hurt.list)
    assert.equal("by: integer", params(hurt))
    assert.is_nil(all.classes.Body.methods.name)
    assert.same({ "integer", "0", "7" }, all.aliases.Mood.values)
    assert.is_truthy(all.classes["struct.string"])
  end)

  it("names complete where a name is wanted", function()
    local names = written()["graft-names.lua"].aliases["graft.Name"].values
    local found = {}
    for _, name in ipairs(names) do found[name] = true end
    for _, name in ipairs { "ai.goblin.think", "ai.goblin.Brain.tick",
      "world.body", "main.update" } do
      assert.is_truthy(found[('"%s"'):format(name)], name)
    end
  end)

  it("the graft module has what there is, as the reference has it", function()
    local all, folder = written()
    local module = all["graft.lua"]
    folder:write("names.lua", [[
      local graft = require "graft"
      for name, value in pairs(graft) do print(name, type(value)) end
    ]])
    local program = engine.run(vm, { "--no-watch", "names.lua" },
      { cwd = folder.path })
    local count = 0
    for name, kind in program.text.out:gmatch "(%S+)\t(%S+)\n" do
      count = count + 1
      if kind == "function" then
        local declared = assert.is_truthy(module.functions["graft." .. name])
        assert.is_true(#declared.doc > 0, name)
      else
        assert.is_truthy(module.classes.graft.fields[name], name)
      end
    end
    for name in pairs(module.functions) do
      if name:find "^graft%." then count = count - 1 end
    end
    for _ in pairs(module.classes.graft.fields) do count = count - 1 end
    assert.equal(0, count)
    local reference = assert(io.open(engine.root .. "/bindings/README.md"))
    local sections = 0
    for name, list in reference:read "*a"
      :gmatch "\n### ([%w_.:]+)(%b())\n" do
      local declared = module.functions[(name:gsub("^unit:", "Unit:"))]
      assert.is_truthy(declared, name)
      local plain = list:sub(2, -2):gsub("[%[%]]", "")
      if not plain:find "or" then assert.equal(plain, declared.list, name) end
      sections = sections + 1
    end
    reference:close()
    assert.is_true(sections > 20)
  end)

  -- Kept fresh ---------------------------------------------------------------

  it("--types follows changes, and touches nothing else", function()
    local folder = engine.project(sources())
    local stubs = folder:at "types"
    local program = engine.start(vm,
      { "--watch", "scripts", "--types", "types", "--tick", "200" },
      { cwd = folder.path })
    program:out "^now\tsleep"
    local inode = lfs.attributes(stubs .. "/world.lua", "ino")
    folder:write_over("scripts/ai/goblin.lua", (goblin
      :gsub("think%(dt, %.%.%.%) return \"sleep\"",
        "think(dt, mood) return \"hunt\"")))
    program:err "^Patch"
    program:out "^now\thunt"
    local all = luacats.read(stubs)
    assert.equal("dt, mood",
      all["ai/goblin.lua"].functions["goblin.think"].list)
    assert.equal(inode, lfs.attributes(stubs .. "/world.lua", "ino"))

    local again = (goblin:gsub('"sleep"', '"done"'))
    folder:write("natives/world.c", (world:gsub("int hp;", "int hp, mp;")
      :gsub("int world_hurt%(Body %*body, int by%)",
        "int world_hurt(Body *body, double by)")))
    program:err "^Patch"
    folder:write_over("scripts/ai/goblin.lua", again)
    program:out "^now\tdone"
    all = luacats.read(stubs)
    assert.equal("integer", all["graft-structs.lua"].classes.Body.fields.mp)
    assert.equal("body: Body?, amount: number",
      params(all["world.lua"].functions["world.hurt"]))
    for _, path in ipairs(luacats.list(stubs)) do
      assert.is_nil(path:find "/%.", path)
    end
    program:interrupt()
  end)

  it("what is gone goes, and nobody else's file does", function()
    local all, folder = written()
    assert.is_truthy(all["ai/goblin.lua"])
    folder:remove "scripts/ai/goblin.lua"
    folder:write("scripts/main.lua", "function init() end")
    folder:write(".graft/types/mine/notes.lua", "-- Mine.")
    assert.equal(0, types(folder).status)
    assert.is_false(folder:exists ".graft/types/ai")
    assert.is_true(folder:exists ".graft/types/call.lua")
    assert.equal("-- Mine.", folder:read ".graft/types/mine/notes.lua")
  end)

  -- Bad input ----------------------------------------------------------------

  it("a broken script is told, and its file stays as it was", function()
    local _, folder = written()
    local before = folder:read ".graft/types/ai/goblin.lua"
    folder:write("scripts/ai/goblin.lua", "local M = = 1")
    local program = types(folder)
    assert.equal(1, program.status)
    assert.is_truthy(program.text.err
      :find("Reject scripts/ai/goblin.lua:1:11: ", 1, true), program.text.err)
    assert.equal(before, folder:read ".graft/types/ai/goblin.lua")
  end)

  it("folders that cannot be used are refused", function()
    local folder = engine.project(sources())
    local function refused(output, message)
      local program = types(folder, { "-o", output })
      assert.equal(1, program.status)
      assert.equal("", program.text.out)
      assert.is_truthy(program.text.err:find(message, 1, true),
        program.text.err)
    end
    refused("scripts", "types cannot be written to scripts: scripts are " ..
      "looked for in scripts.")
    refused("scripts/deep/types", "Name a folder outside")
    refused("scripts/../scripts/x", "Name a folder outside")
    assert.equal(0, types(folder, { "-o", "scripts/.types" }).status)
    folder:write("file", "")
    refused("file", "cannot ")
    folder:write("own/world.lua", "return 1")
    refused("own", "own/world.lua is not Graft's")
    assert.equal("return 1", folder:read "own/world.lua")
  end)

  it("wrong usage ends with 2", function()
    for _, arguments in ipairs { { "types" }, { "types", "-o" },
      { "-o", "x", "main.lua" }, { "types", "--nonsense" } } do
      local program = engine.run(vm, arguments)
      assert.equal(2, program.status)
      assert.is_truthy(program.text.err:find "^engine: [^\n]+\n$")
    end
  end)
end
