-- SPDX-License-Identifier: MIT
--
-- The real program for specs: where it is, and a project folder that it
-- watches. tools/test says in GRAFT_ENGINE which program; by default it is the
-- release build.

local files = require "spec.support.files"
local json = require "dkjson"
local process = require "spec.support.process"

local engine = {}

engine.root = os.getenv "GRAFT_ROOT" or require("posix").getcwd()
engine.build = os.getenv "GRAFT_BUILD" or engine.root .. "/build/release"
engine.path = os.getenv "GRAFT_ENGINE" or engine.build .. "/bin/engine"

local function append(list, more)
  for _, item in ipairs(more or {}) do list[#list + 1] = item end
  return list
end

-- Starts the program for a VM with these arguments; desc may have cwd and env.
function engine.start(vm, arguments, desc)
  local all = append({ engine.path, "--vm", vm }, arguments)
  for name, value in pairs(desc or {}) do all[name] = value end
  return process.start(all)
end

-- Runs the program to its end.
function engine.run(vm, arguments, desc)
  local all = append({ engine.path, "--vm", vm }, arguments)
  for name, value in pairs(desc or {}) do all[name] = value end
  return process.run(all)
end

-- Writes the files into a new folder; names are relative to it.
function engine.project(sources)
  local folder = files.folder()
  for name, text in pairs(sources) do folder:write(name, text) end
  return folder
end

-- A project that is being watched: returns the folder and the running program,
-- which has printed "ready" from main.lua's init. Fast ticks keep specs short.
function engine.watch(vm, sources, arguments)
  local folder = engine.project(sources)
  local program = engine.start(vm,
    append({ "--watch", folder.path, "--tick", "200" }, arguments))
  program:out "^ready"
  return folder, program
end

-- Compiles a project's natives/NAME.c into a shared object, as a game without a
-- compiler ships it; returns its path.
function engine.build_natives(folder, name)
  local object = folder:at(name .. ".so")
  local built = process.run {
    "gcc", "-g", "-O1", "-shared", "-fPIC", "-o", object,
    folder:at("natives/" .. name .. ".c"),
  }
  if built.status ~= 0 then built:fail "cannot build natives" end
  return object
end

-- The next JSON report of that event from a program started with --log json.
function engine.event(program, event)
  local line = program:err(('^{.*"event":%%s*"%s"'):format(event))
  local report, _, message = json.decode(line)
  if not report then program:fail("no JSON: " .. message) end
  return report
end

-- For after_each: no program and no folder outlives its spec.
function engine.clean_up()
  process.kill_all()
  files.remove_all()
end

return engine
