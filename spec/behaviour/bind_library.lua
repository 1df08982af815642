-- SPDX-License-Identifier: MIT
--
-- `engine bind`: C libraries as modules, from their headers.

local engine = require "spec.support.engine"
local luacats = require "spec.support.luacats"
local process = require "spec.support.process"

local header = [[
#ifndef SHAPES_H
#define SHAPES_H
#include <stdarg.h>
#include <stdio.h>
#define SHAPES_MOST 0x10u
#define SHAPES_MASK (1 << 3 | SHAPES_MOST)
#define SHAPES_NAME "shapes"
#define SHAPES_HALF 0.5
#define SHAPES_CAST ((int)3)
#define SHAPES_CALL(x) shapes_area(x)
#define SHAPES_OLD 1
#undef SHAPES_OLD
#define SHAPES_OLD 2
enum { SHAPES_RED, SHAPES_GREEN = 5, SHAPES_BLUE };
typedef enum Kind { KIND_ROUND = -1, KIND_FLAT = SHAPES_MASK } Kind;
typedef struct Shape { double width, height; char name[8]; } Shape;
extern double shapes_area(const Shape *shape) __attribute__((pure));
Shape *shapes_new (double, double
  /* height */);
const char *shapes_name(void);
unsigned long long shapes_sum(const int values[], unsigned long count);
int shapes_each(int (*visit)(int, void *), void *context);
int shapes_any(int (*)(int), struct Shape *);
Kind shapes_kind(Kind kind);
Shape shapes_scaled(Shape shape, double by);
int shapes_print(const char *format, ...);
int shapes_missing(int a);
static inline int shapes_twice(int value) { return 2 * value; }
void shapes_clear(Shape *shape), *shapes_odd(int a);
extern int shapes_variable;
typedef int (*shapes_visitor)(int);
int (*shapes_pointer)(int);
#endif
]]

local source = [[
#include "shapes.h"
static Shape shape;
double shapes_area(const Shape *of) { return of->width * of->height; }
Shape *shapes_new(double w, double h) { shape.width = w; shape.height = h;
  return &shape; }
const char *shapes_name(void) { return "shapes"; }
unsigned long long shapes_sum(const int values[], unsigned long count) {
  unsigned long long sum = 0;
  while (count-- > 0) sum += values[count];
  return sum;
}
int shapes_each(int (*visit)(int, void *), void *context) {
  return visit != 0 && context != 0; }
int shapes_any(int (*f)(int), struct Shape *s) { return f == 0 && s == 0; }
Kind shapes_kind(Kind kind) { return kind; }
Shape shapes_scaled(Shape s, double by) { s.width *= by; return s; }
int shapes_print(const char *format, ...) { return format != 0; }
void shapes_clear(Shape *s) { s->width = 0; }
]]

local use_zlib = [[
local graft = require "graft"
local zlib = require "zlib"
local text = ("To be or not to be. "):rep(50)
local room = tonumber(zlib.compressBound(#text))
local source = graft.new("Bytef", #text)
for i = 1, #text do source[i - 1] = text:byte(i) end
local packed, size = graft.new("Bytef", room), graft.new("uLongf", 1)
size[0] = room
assert(zlib.compress(packed, size, source, #text) == zlib.Z_OK)
local small = tonumber(size[0])
assert(small < #text / 10)
local back = graft.new("Bytef", #text)
size[0] = #text
assert(zlib.uncompress(back, size, packed, small) == zlib.Z_OK)
assert(graft.string(back, #text) == text)
local stream = graft.new("z_stream")
assert(zlib.deflateInit_(stream, 9, zlib.ZLIB_VERSION, 112) == zlib.Z_OK)
stream.next_in, stream.avail_in = source, #text
stream.next_out, stream.avail_out = packed, room
assert(stream:deflate(zlib.Z_FINISH) == zlib.Z_STREAM_END)
assert(tonumber(stream.total_out) == small)
assert(stream:deflateEnd() == zlib.Z_OK)
print(zlib.zlibVersion() == zlib.ZLIB_VERSION)
]]

return function(vm)
  after_each(engine.clean_up)

  local function bind(folder, arguments, env)
    local all = { "bind" }
    for _, argument in ipairs(arguments) do all[#all + 1] = argument end
    return engine.run(vm, all, { cwd = folder.path, env = env })
  end

  local function shapes()
    local folder = engine.project { ["shapes.h"] = header,
      ["shapes.c"] = source, ["scripts/main.lua"] = "" }
    local built = process.run { "gcc", "-shared", "-fPIC", "-o",
      folder:at "libshapes.so", folder:at "shapes.c" }
    if built.status ~= 0 then built:fail "cannot build the library" end
    return folder
  end

  local function run(folder, main)
    folder:write("scripts/main.lua", main)
    local program = engine.run(vm, { "--no-watch", "--watch", "scripts" },
      { cwd = folder.path })
    if program.status ~= 0 then program:fail "it raised" end
    return program
  end

  it("zlib is a module, with its structs and constants", function()
    local folder = engine.project { ["scripts/main.lua"] = "" }
    local program = bind(folder, { "zlib.h", "-l", "z", "-o", "scripts" })
    if program.status ~= 0 then program:fail "did not end with 0" end
    assert.is_truthy(program.text.out:find
      "^Bind scripts/zlib%.c: %d+ functions, %d+ left out\n")
    assert.is_truthy(program.text.out:find(
      "\n  gzprintf: takes a variable number of arguments\n", 1, true))
    assert.equal("true\n", run(folder, use_zlib).text.out)

    program = engine.run(vm, { "types", "--watch", "scripts" },
      { cwd = folder.path })
    assert.equal(0, program.status)
    local all = luacats.read(folder:at ".graft/types")
    local compress = all["zlib.lua"].functions["zlib.compress"]
    assert.equal("dest, destLen, source, sourceLen", compress.list)
    assert.equal("integer[]?", compress.params[1].type)
    assert.equal("integer", all["zlib.lua"].classes.zlib.fields.Z_OK)
    assert.equal("string", all["zlib.lua"].classes.zlib.fields.ZLIB_VERSION)
    assert.equal("integer",
      all["graft-structs.lua"].classes.z_stream.fields.avail_in)
  end)

  it("the README's example runs", function()
    local readme = assert(io.open(engine.root .. "/README.md"))
    local section = readme:read "*a":match "\n## A C library\n(.-)\n## "
    readme:close()
    local folder = engine.project { ["scripts/main.lua"] = "" }
    local command = section:match "%$ engine ([^\n]+)\n"
    assert.equal("bind zlib.h -l z -o scripts", command)
    assert.equal(0,
      bind(folder, { "zlib.h", "-l", "z", "-o", "scripts" }).status)
    run(folder, section:match "```lua\n(.-)```")
  end)

  it("declarations of every kind are read", function()
    local folder = shapes()
    local program = bind(folder,
      { "shapes.h", "-l", "./libshapes.so", "-o", "scripts/my.c" })
    if program.status ~= 0 then program:fail "did not end with 0" end
    run(folder, [[
      local graft = require "graft"
      local my = require "my"
      local shape = my.shapes_new(3, 4)
      assert(my.shapes_area(shape) == 12 and shape:shapes_area() == 12)
      assert(my.shapes_name() == "shapes")
      local list = graft.new("int", 3)
      list[0], list[1], list[2] = 1, 2, 3
      assert(tonumber(my.shapes_sum(list, 3)) == 6)
      assert(my.shapes_any(nil, nil) == 1 and my.shapes_each(nil, nil) == 0)
      assert(my.shapes_kind(my.KIND_FLAT) == 24 and my.KIND_ROUND == -1)
      assert(not pcall(my.shapes_kind, 25))
      assert(my.shapes_scaled(shape, 2).width == 6 and shape.width == 3)
      assert(my.shapes_twice(4) == 8)
      assert(my.SHAPES_MOST == 16 and my.SHAPES_MASK == 24)
      assert(my.SHAPES_NAME == "shapes" and my.SHAPES_HALF == 0.5)
      assert(my.SHAPES_RED == 0 and my.SHAPES_BLUE == 6)
      assert(my.SHAPES_OLD == 2 and my.SHAPES_CAST == nil)
      assert(my.printf == nil and my.shapes_missing == nil)
    ]])
    local out = program.text.out
    assert.is_truthy(out:find("shapes_print: takes a variable number", 1, true))
    assert.is_truthy(out:find("shapes_missing: .*libshapes.so does not have it"))
    assert.is_nil(out:find("shapes_twice", 1, true))
  end)

  it("it is written again, and nobody else's file is", function()
    local folder = shapes()
    local arguments = { "shapes.h", "-l", "./libshapes.so", "-o", "scripts" }
    assert.equal(0, bind(folder, arguments).status)
    local first = folder:read "scripts/shapes.c"
    assert.equal(0, bind(folder, arguments).status)
    assert.equal(first, folder:read "scripts/shapes.c")
    folder:write("scripts/shapes.c", "int mine;\n")
    local program = bind(folder, arguments)
    assert.equal(1, program.status)
    assert.is_truthy(program.text.err:find("scripts/shapes.c is there already",
      1, true))
    assert.equal("int mine;\n", folder:read "scripts/shapes.c")
  end)

  it("what cannot be bound is said, and nothing is written", function()
    local folder = shapes()
    folder:write("empty.h", "#define NOTHING 1\n")
    folder:write("broken.h", "#include <no_such_header.h>\n")
    local function refused(arguments, message)
      arguments[#arguments + 1] = "-o"
      arguments[#arguments + 1] = "scripts"
      local program = bind(folder, arguments)
      assert.equal(1, program.status)
      assert.is_truthy(program.text.err:find(message, 1, true),
        program.text.err)
      for _, path in ipairs(luacats.list(folder:at "scripts")) do
        assert.equal("main.lua", path)
      end
    end
    refused({ "no_such.h" }, "the compiler cannot read <no_such.h>")
    refused({ "broken.h" }, "no_such_header.h")
    refused({ "shapes.h", "-l", "no_such" }, "cannot load the library: libno")
    folder:write("plain.h", "int shapes_other(void);\n")
    refused({ "plain.h", "-l", "m" }, "has none of the functions of")
    refused({ "empty.h" }, "declares no function")
    refused({ "libshapes.so" }, "libshapes.so is a library: name its header")
    for _, arguments in ipairs { {}, { "a.h", "b.h" }, { "a.h", "-l" } } do
      assert.equal(2, bind(folder, arguments).status)
    end
  end)

  it("a library that is gone is told with the file", function()
    local folder = shapes()
    assert.equal(0, bind(folder, { "shapes.h", "-l", "./libshapes.so", "-o",
      "scripts" }).status)
    folder:remove "libshapes.so"
    folder:write("scripts/main.lua", "")
    local program = engine.run(vm, { "--no-watch", "--watch", "scripts" },
      { cwd = folder.path })
    assert.is_truthy(program.text.err:find(
      "scripts/shapes.c[^\n]*cannot load its library: [^\n]*libshapes.so"),
      program.text.err)
  end)
end
