-- The Lua of every VM at once: specs run under LuaJIT, scripts under both.
std = "max"
self = false -- A method may leave its receiver alone.
max_line_length = 100
files["spec"] = { std = "max+busted" }
files["bindings/graft_types.lua"] = { unused = false }
files["scripts"] = { globals = { "init", "update", "quit" } }
files["examples"] = { globals = { "update", "frame", "tick", "greet", "log" } }
exclude_files = { "build*/**", "spec/fixtures/**" }
