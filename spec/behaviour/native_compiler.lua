-- SPDX-License-Identifier: MIT
--
-- The user's compiler: which one it is, that there is none, and that it hangs.

local engine = require "spec.support.engine"
local natives = require "spec.support.natives"
local posix = require "posix"
local process = require "spec.support.process"

local physics = [[
static int calls;
int physics_step(int n) { calls++; return n + 1; }
int physics_calls(void) { return calls; }
]]

local alone = [[
io.stdout:setvbuf "line"
function init() print "ready" end
function update() end
]]

-- A compiler that is a shell script; %s is the project's folder.
local function compiler(folder, script)
  local path = folder:at "compiler"
  folder:write("compiler", "#!/bin/sh\n" .. script:gsub("%%s", folder.path))
  posix.chmod(path, "rwxr-xr-x")
  return path
end

local function await(what, condition)
  local give_up = process.now() + process.deadline
  while not condition() do
    assert(process.now() < give_up, what)
    posix.nanosleep(0, 5000000)
  end
end

local function read(path)
  local file = io.open(path)
  local text = file and file:read "*a"
  if file then file:close() end
  return text
end

local function is_running(pid)
  local state = read("/proc/" .. pid .. "/stat")
  return state ~= nil and not state:find "%) [ZX] "
end

return function(vm)
  after_each(engine.clean_up)

  for _, case in ipairs {
    { "compiles", 'case "$*" in *-dM*) exec gcc "$@";; esac\n' },
    { "is asked what it is", "" },
  } do
    it("Ctrl-C ends a compiler that hangs when it " .. case[1], function()
      local folder = engine.project { ["natives/physics.c"] = physics,
        ["scripts/main.lua"] = alone }
      local cc = compiler(folder, case[2]
        .. "sleep 1000 &\necho $$ $! >%s/pids.new\n"
        .. "mv %s/pids.new %s/pids\nwait\n")
      local program = engine.start(vm, { "--watch", folder:at "scripts" },
        { env = { CC = cc, XDG_CACHE_HOME = folder:at "cache" } })
      await("the compiler starts", function() return read(folder:at "pids") end)
      assert.equal(0, program:interrupt())
      local parent, child = read(folder:at "pids"):match "(%d+) (%d+)"
      await("it is gone", function() return not is_running(parent) end)
      await("and its child", function() return not is_running(child) end)
      assert.equal(0, program:count("err", "^engine:"))
    end)
  end

  it("without a compiler scripts and built natives run", function()
    local folder = engine.project { ["natives/physics.c"] = physics,
      ["natives/render.c"] = "int render_draw(void) { return 1; }\n",
      ["scripts/main.lua"] = alone .. [[
print(require("physics").step(1))
]] }
    local object = engine.build_natives(folder, "physics")
    local program = engine.start(vm, { "--watch", folder:at "scripts",
      "--natives", object, "--natives", folder:at "natives" },
      { env = { CC = "no-such-cc" } })
    program:out "^2$"
    program:out "^ready"
    folder:write("natives/render.c", "int render_draw(void) { return 2; }\n")
    folder:write("scripts/main.lua", alone .. 'print "still here"\n')
    program:out "^still here"
    assert.equal(0, program:interrupt())
    assert.equal(1, program:count("err",
      "^Notice CC is no%-such%-cc, and there is no such program"))
    assert.equal(0, program:count("err", "^Reject"))
  end)

  it("its messages have colours on a terminal only", function()
    local folder = engine.project { ["scripts/main.lua"] = alone,
      ["natives/physics.c"] = "int physics_step(int n) { return n +; }\n" }
    local command = ("'%s' --vm %s --watch '%s'"):format(engine.path, vm,
      folder:at "scripts")
    local env = { NO_COLOR = "", XDG_CACHE_HOME = folder:at "cache" }
    local plain = engine.start(vm, { "--watch", folder:at "scripts" },
      { env = env })
    plain:err "physics%.c:1:%d+: error: "
    assert.equal(0, plain:interrupt())
    local coloured = process.start { "env", "-u", "NO_COLOR",
      "script", "-qfec", command, "/dev/null", env = env }
    coloured:out "physics%.c:1:%d+:.*\27%[[%d;]*m.*error: "
    coloured:out "^ready"
  end)

  it("one that does not work is rejected, and scripts run", function()
    local folder = engine.project { ["natives/physics.c"] = physics,
      ["scripts/main.lua"] = alone }
    local cc = compiler(folder, "echo out of coffee; exit 7\n")
    local program = engine.start(vm, { "--watch", folder:at "scripts" },
      { env = { CC = cc } })
    program:err "^Reject .*physics%.c: .*status 7: out of coffee"
    program:out "^ready"
    assert.equal(0, program:interrupt())
  end)

  it("clang compiles, switches and keeps values too", function()
    local game = natives.start(vm, { sources = { ["natives/physics.c"] = physics },
      env = { CC = "clang" }, arguments = { "--no-tcc" } })
    assert.equal("2", game:ask "physics.step(1)")
    game:edit("natives/physics.c", "n + 1", "n + 10")
    game:reports "^Patch ok"
    assert.equal("11 2", game:ask "physics.step(1), physics.calls()")
    game:stop()
  end)
end
