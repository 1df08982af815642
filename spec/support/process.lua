-- SPDX-License-Identifier: MIT
--
-- Child programs for specs: started with pipes, waited for by the lines they
-- print, never by a fixed time. Every wait has a deadline; when it passes, the
-- error shows all that the program has printed.

local posix = require "posix"

local process = {}
local Process = {}
Process.__index = Process

-- Sanitized programs are several times slower than others.
process.deadline = tonumber(os.getenv "GRAFT_DEADLINE")
  or ((os.getenv "GRAFT_ENGINE" or ""):find("asan", 1, true) and 60 or 20)

local running = {}

function process.now()
  local seconds, nanoseconds = posix.clock_gettime "monotonic"
  return seconds + nanoseconds / 1e9
end

local function pipe()
  local reader, writer = posix.pipe()
  assert(reader, writer)
  for _, fd in ipairs { reader, writer } do
    posix.fcntl(fd, posix.F_SETFD, posix.FD_CLOEXEC)
  end
  return reader, writer
end

-- The child's half of a fork: never returns.
local function become(desc, stdin, stdout, stderr)
  posix.dup2(stdin, 0)
  posix.dup2(stdout, 1)
  posix.dup2(stderr, 2)
  if desc.cwd and posix.chdir(desc.cwd) ~= 0 then posix._exit(126) end
  for name, value in pairs(desc.env or {}) do
    posix.setenv(name, value or nil)
  end
  posix.execp(desc[1], unpack(desc, 2))
  posix.write(2, "cannot run " .. desc[1] .. "\n")
  posix._exit(127)
end

-- Starts desc[1] with the arguments desc[2], ...; desc.cwd is its folder, and
-- desc.env has variables to set (false: to unset).
function process.start(desc)
  local stdin, stdin_ours = pipe()
  local stdout_ours, stdout = pipe()
  local stderr_ours, stderr = pipe()
  io.stdout:flush()
  local pid = assert(posix.fork())
  if pid == 0 then become(desc, stdin, stdout, stderr) end
  for _, fd in ipairs { stdin, stdout, stderr } do posix.close(fd) end
  local self = setmetatable({
    pid = pid,
    name = table.concat(desc, " "),
    stdin = stdin_ours,
    fds = { out = stdout_ours, err = stderr_ours },
    text = { out = "", err = "" },  -- all that was printed
    seen = { out = 1, err = 1 },    -- where the next line to look at begins
  }, Process)
  running[self] = true
  return self
end

-- Runs a program to its end; returns the finished process.
function process.run(desc)
  local self = process.start(desc)
  if desc.input then self:write(desc.input) end
  self:close_stdin()
  self:wait(desc.deadline)
  return self
end

-- For after_each: ends what the spec left running, whatever state it is in.
function process.kill_all()
  for self in pairs(running) do
    if not self.status then
      posix.kill(self.pid, posix.SIGKILL)
      posix.wait(self.pid)
    end
    self:close()
  end
end

function Process:close()
  self:close_stdin()
  for stream, fd in pairs(self.fds) do
    posix.close(fd)
    self.fds[stream] = nil
  end
  running[self] = nil
end

function Process:write(text)
  while #text > 0 do
    local written, message = posix.write(self.stdin, text)
    if not written then self:fail("cannot be written to: " .. message) end
    text = text:sub(written + 1)
  end
end

function Process:close_stdin()
  if self.stdin then posix.close(self.stdin) end
  self.stdin = nil
end

function Process:signal(number)
  assert(not self.status, "signal to a program that has ended")
  posix.kill(self.pid, number)
end

-- Runs body while the program stands still, so that it meets everything that
-- body does at once.
function Process:paused(body)
  self:signal(posix.SIGSTOP)
  local _, how = posix.wait(self.pid, posix.WUNTRACED)
  assert(how == "stopped", how)
  local ok, message = pcall(body)
  self:signal(posix.SIGCONT)
  assert(ok, message)
end

function Process:fail(what)
  error(("%s\n  %s\n--- standard output\n%s--- standard error\n%s---")
    :format(self.name, what, self.text.out, self.text.err), 0)
end

-- Takes in what has been printed, waiting for at most that many milliseconds.
-- Returns false when both streams have ended.
function Process:pump(milliseconds)
  local set = {}
  for _, fd in pairs(self.fds) do set[fd] = { events = { IN = true } } end
  if not next(set) then return false end
  posix.poll(set, milliseconds)
  for stream, fd in pairs(self.fds) do
    local events = set[fd].revents
    if events and (events.IN or events.HUP or events.ERR) then
      local data = posix.read(fd, 65536)
      if data and #data > 0 then
        self.text[stream] = self.text[stream] .. data
      else
        posix.close(fd)
        self.fds[stream] = nil
      end
    end
  end
  return true
end

-- Takes the next complete line of a stream ("out" or "err"), or nil if there
-- is none yet.
function Process:next_line(stream)
  local text, from = self.text[stream], self.seen[stream]
  local last = text:find("\n", from, true)
  if not last then return nil end
  self.seen[stream] = last + 1
  return text:sub(from, last - 1)
end

-- Takes lines of a stream until one matches the pattern; returns that line and
-- the pattern's captures.
function Process:expect(stream, pattern, deadline)
  local give_up = process.now() + (deadline or process.deadline)
  while true do
    local line = self:next_line(stream)
    while line do
      if line:find(pattern) then return line, line:match(pattern) end
      line = self:next_line(stream)
    end
    local left = give_up - process.now()
    if left <= 0 then
      self:fail(("printed no line like %q within the time limit")
        :format(pattern))
    end
    if not self.fds[stream] then
      self:fail(("ended without a line like %q"):format(pattern))
    end
    self:pump(math.ceil(left * 1000))
  end
end

function Process:out(pattern, deadline)
  return self:expect("out", pattern, deadline)
end

function Process:err(pattern, deadline)
  return self:expect("err", pattern, deadline)
end

-- How many of all lines printed on a stream so far match the pattern.
function Process:count(stream, pattern)
  local count = 0
  for line in self.text[stream]:gmatch "[^\n]+" do
    if line:find(pattern) then count = count + 1 end
  end
  return count
end

-- Waits for the end; returns the exit status, or nil and the signal's number.
-- A sanitizer's finding is an error, whatever the spec expects.
function Process:wait(deadline)
  local give_up = process.now() + (deadline or process.deadline)
  while not self.status and not self.killed_by do
    local open = self:pump(10)
    local pid, how, value = posix.wait(self.pid, posix.WNOHANG)
    if pid == self.pid and how == "exited" then
      self.status = value
    elseif pid == self.pid and how == "killed" then
      self.status, self.killed_by = -1, value
    elseif process.now() > give_up then
      self:fail "did not end within the time limit"
    elseif not open then
      posix.nanosleep(0, 2000000)
    end
  end
  -- What it started may hold the pipes open; what it wrote itself is there.
  while self:pump(0) and self:has_more() do end
  self:check_sanitizers()
  self:close()
  if self.killed_by then return nil, self.killed_by end
  return self.status
end

function Process:has_more()
  local set = {}
  for _, fd in pairs(self.fds) do set[fd] = { events = { IN = true } } end
  return next(set) and posix.poll(set, 0) > 0
end

function Process:check_sanitizers()
  for _, finding in ipairs { "ERROR: %a+Sanitizer", "runtime error: " } do
    if self.text.err:find(finding) then self:fail "sanitizer finding" end
  end
end

-- Asks for a clean end, as Ctrl-C does, and waits for it.
function Process:interrupt()
  if not self.status then
    self:signal(posix.SIGINT)
    return self:wait()
  end
  return self.status
end

return process
