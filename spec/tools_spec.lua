-- SPDX-License-Identifier: MIT
--
-- tools/setup and tools/run as somebody meets them who may not install.

local engine = require "spec.support.engine"
local process = require "spec.support.process"

-- A folder of programs that stand in for the system's.
local function system(programs)
  local folder = engine.project(programs)
  for name in pairs(programs) do
    assert.equal(0, process.run { "chmod", "+x", folder:at(name) }.status)
  end
  return { PATH = folder.path .. ":" .. os.getenv "PATH" }
end

local nothing_installed = "#!/bin/sh\nexit 1\n"
local not_root = "#!/bin/sh\necho 1000\n"
local refused = "#!/bin/sh\nexit 1\n"

describe("tools:", function()
  after_each(engine.clean_up)

  for _, tool in ipairs { "run", "test" } do
    it(tool .. " prints the one line to type when it may not install", function()
      local program = process.run {
        engine.root .. "/tools/" .. tool,
        env = system {
          ["dpkg-query"] = nothing_installed,
          id = not_root,
          sudo = refused,
          ["apt-get"] = "#!/bin/sh\necho 'apt-get was called'\n",
        },
        cwd = "/",
      }
      assert.equal(1, program.status)
      assert.equal(0, program:count("out", "apt%-get was called"))
      assert.equal(1, program:count("err", "^sudo apt%-get"))
      local line = program.text.err:match "(sudo apt%-get[^\n]*)\n$"
      assert.is_truthy(line, "the line is not the last")
      assert.is_truthy(line:find("--no-install-recommends", 1, true))
      for _, package in ipairs {
        "gcc", "cmake", "ninja-build", "pkg-config", "liblua5.4-dev",
        "libluajit-5.1-dev", "libuv1-dev", "libdw-dev", "libffi-dev",
      } do
        assert.is_truthy((line .. " "):find(" " .. package .. " ", 1, true),
          package .. " is not in: " .. line)
      end
      assert.equal(tool == "test",
        (line .. " "):find(" lua-busted ", 1, true) ~= nil)
    end)
  end

  it("setup says what each missing package is for", function()
    local program = process.run {
      engine.root .. "/tools/setup", "run",
      env = system {
        ["dpkg-query"] = nothing_installed, id = not_root, sudo = refused,
      },
    }
    assert.is_truthy(program.text.err:find("libuv1%-dev +watches files\n"))
  end)

  it("setup installs only what is missing, with sudo", function()
    local program = process.run {
      engine.root .. "/tools/setup", "run",
      env = system {
        ["dpkg-query"] = "#!/bin/sh\n"
          .. "for name do case $name in libffi-dev) ;; [a-z]*)\n"
          .. "echo \"installed $name\" ;; esac; done\nexit 1\n",
        id = not_root,
        sudo = "#!/bin/sh\n[ \"$1\" = -n ] && shift; exec \"$@\"\n",
        ["apt-get"] = "#!/bin/sh\necho \"apt-get $*\" >&2; exit 1\n",
      },
    }
    assert.equal(1, program.status)
    assert.is_truthy(program.text.err:find("libffi-dev", 1, true))
    assert.is_nil(program.text.err:find("libuv1-dev", 1, true))
  end)

  it("setup does nothing when all is there", function()
    local program = process.run { engine.root .. "/tools/setup", "run" }
    assert.equal(0, program.status)
    assert.equal("", program.text.out .. program.text.err)
  end)

  it("run works from any folder, through a symlink, without the network",
    function()
      local env = system {
        ["apt-get"] = "#!/bin/sh\necho 'apt-get was called'\n",
      }
      local folder = engine.project {}
      folder:link(engine.root .. "/tools/run", "graft run")
      local program = process.run {
        folder:at "graft run", "--frames", "2", "--tick", "100",
        env = env, cwd = folder.path, deadline = 600,
      }
      assert.equal(0, program.status, program.text.err)
      assert.is_truthy(program.text.out:find "^fireflies 500 ")
      assert.is_nil(program.text.out:find "apt%-get was called")
      -- A second run neither configures nor says anything about building.
      program = process.run {
        folder:at "graft run", "--version", env = env, cwd = "/",
      }
      assert.equal(0, program.status)
      assert.is_truthy(program.text.out:find "%d+%.%d+%.%d+")
      assert.equal("", program.text.err)
    end)

  it("run shows what the compiler said", function()
    local folder = engine.project {}
    assert.equal(0, process.run {
      "cp", "-r", engine.root .. "/tools", folder.path,
    }.status)
    folder:write("CMakePresets.json", "{ this is no JSON")
    local program = process.run { folder:at "tools/run" }
    assert.equal(1, program.status)
    assert.is_truthy(program.text.err:find("CMakePresets.json", 1, true)
      or program.text.err:find("presets", 1, true), program.text.err)
    assert.is_truthy(program.text.err:find "The build failed")
  end)

  it("test rejects an unknown option, and explains itself", function()
    local program = process.run { engine.root .. "/tools/test", "--nonsense" }
    assert.equal(2, program.status)
    program = process.run { engine.root .. "/tools/test", "--help" }
    assert.equal(0, program.status)
    assert.is_truthy(program.text.out:find "usage: tools/test")
  end)
end)
