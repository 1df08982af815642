-- SPDX-License-Identifier: MIT
--
-- What `cmake --install` puts into a prefix is enough for others: hosts that
-- find it by CMake or pkg-config, and stock interpreters.

local engine = require "spec.support.engine"
local prefix = require "spec.support.prefix"
local process = require "spec.support.process"

local host = [[
#include <graft.h>
#include <stdio.h>

int main(void) {
  GraftEngine *engine = NULL;
  GraftError error;
  if (graft_engine_open(&(GraftEngineDesc){0}, &engine, &error) < 0) return 1;
  printf("runs %s\n", graft_vm_name());
  graft_engine_close(engine);
  return 0;
}
]]

local project = [[
cmake_minimum_required(VERSION 3.22)
project(host LANGUAGES C)
find_package(graft 0.1 REQUIRED %s)
add_executable(host host.c)
target_link_libraries(host PRIVATE %s)
]]

local run = prefix.run

local function built_host(folder)
  return run { folder:at "build/host",
    env = prefix.environment() }.text.out
end

local function build_by_cmake(component, target)
  local folder = engine.project {
    ["host.c"] = host, ["CMakeLists.txt"] = project:format(component, target),
  }
  prefix.build(folder.path, folder:at "build")
  return built_host(folder)
end

local function build_by_pkg_config(package)
  local folder = engine.project { ["host.c"] = host }
  folder:mkdir "build"
  run { "sh", "-c",
    "gcc -o build/host host.c $(pkg-config --cflags --libs " .. package .. ")",
    cwd = folder.path, env = { PKG_CONFIG_PATH = prefix.path .. "/lib/pkgconfig" } }
  return built_host(folder)
end

describe("installed:", function()
  setup(prefix.install)
  after_each(engine.clean_up)
  teardown(prefix.remove)

  it("CMake finds graft::graft, which runs Lua 5.4", function()
    assert.equal("runs lua54\n", build_by_cmake("", "graft::graft"))
  end)

  it("CMake finds LuaJIT as a component", function()
    assert.equal("runs luajit\n",
      build_by_cmake("COMPONENTS luajit", "graft::graft"))
  end)

  it("CMake finds the static libraries", function()
    assert.equal("runs luajit\n", build_by_cmake("", "graft::luajit_static"))
  end)

  it("CMake refuses a component that is not there", function()
    local folder = engine.project {
      ["host.c"] = host,
      ["CMakeLists.txt"] = project:format("COMPONENTS lua51", "graft::graft"),
    }
    local program = process.run { "cmake", "-S", folder.path, "-B",
      folder:at "build", "-DCMAKE_PREFIX_PATH=" .. prefix.path, deadline = 120 }
    assert.not_equal(0, program.status)
    assert.is_truthy(program.text.err:find("lua54 and luajit, not lua51", 1,
      true), program.text.err)
  end)

  for vm, package in pairs { lua54 = "graft-lua54", luajit = "graft-luajit" } do
    it("pkg-config finds " .. package, function()
      assert.equal("runs " .. vm .. "\n", build_by_pkg_config(package))
    end)
  end

  for interpreter, abi in pairs { ["lua5.4"] = "5.4", luajit = "5.1" } do
    it(interpreter .. " finds the module", function()
      local program = run { interpreter, "-e",
        'print(require("graft").version)',
        env = { LUA_CPATH = ("%s/lib/lua/%s/?.so"):format(prefix.path, abi) } }
      assert.equal("0.1.0\n", program.text.out)
    end)
  end

  it("the programs run from there", function()
    for _, vm in ipairs { "lua54", "luajit" } do
      local program = run { prefix.path .. "/bin/engine", "--vm", vm, "--version" }
      assert.is_truthy(program.text.out:find("0.1.0", 1, true))
    end
  end)
end)
