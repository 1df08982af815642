-- SPDX-License-Identifier: MIT
--
-- What `cmake --install` puts into a folder, and projects that are built
-- against it, as a user's are.

local engine = require "spec.support.engine"
local process = require "spec.support.process"

local prefix = {}

-- The folder, from prefix.install() to prefix.remove().
prefix.path = nil

-- Runs a program that must end well; returns it.
function prefix.run(desc)
  desc.deadline = 120
  local program = process.run(desc)
  if program.status ~= 0 then program:fail("status " .. program.status) end
  return program
end

-- For setup.
function prefix.install()
  local folder = os.getenv "TMPDIR" or "/tmp"
  prefix.path = prefix.run { "mktemp", "-d", folder .. "/graft-prefix-XXXXXX" }
    .text.out:match "%S+"
  prefix.run { "cmake", "--install", engine.build, "--prefix", prefix.path }
end

-- For teardown.
function prefix.remove()
  if prefix.path then prefix.run { "rm", "-rf", prefix.path } end
  prefix.path = nil
end

-- Builds a CMake project into a folder; more are further arguments.
function prefix.build(source, folder, more)
  prefix.run { "cmake", "-S", source, "-B", folder, "-G", "Ninja",
    "-DCMAKE_PREFIX_PATH=" .. prefix.path, unpack(more or {}) }
  prefix.run { "cmake", "--build", folder }
end

-- What programs that were built so need to run.
function prefix.environment()
  return { LD_LIBRARY_PATH = prefix.path .. "/lib" }
end

return prefix
