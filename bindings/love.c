// SPDX-License-Identifier: MIT

#include "graft_module.h"

// A game adds `require "graft"` to its main.lua, and all else is here: its
// folder is watched, there is a safe point before each frame, and new code that
// raises is put back instead of ending the game. LÖVE's main loop is a function
// that love.run returns, and that LÖVE calls for each frame.
static const char love_text[] =
    "local graft, love = ...\n"
    "local folder = love.filesystem.getSource()\n"
    "local here = love.filesystem.getWorkingDirectory() .. '/'\n"
    "local main = io.open(folder .. '/main.lua')\n"
    "if main then\n"
    "  main:close()\n"
    "  if folder:sub(1, #here) == here then folder = folder:sub(#here + 1) "
    "end\n"
    "  if folder .. '/' == here then folder = '.' end\n"
    "  assert(graft.watch(folder))\n"
    "else\n"
    "  io.stderr:write('graft: ', folder, ' is packed, so it is not watched; '"
    ",\n"
    "    'start LÖVE with the folder of the game\\n')\n"
    "end\n"
    "local run = love.run\n"
    "function love.run(...)\n"
    "  local frame = run(...)\n"
    "  if type(frame) ~= 'function' then return frame end\n"
    "  return function()\n"
    "    graft.update()\n"
    "    local ok, result, more = graft.call(frame)\n"
    "    if ok then return result, more end\n"
    "    if more ~= 'reverted' then error(result, 0) end\n"
    "  end\n"
    "end\n";

void love_open(lua_State *L) {
  lua_getglobal(L, "love");
  bool is_love = lua_istable(L, -1);
  if (is_love) {
    lua_getfield(L, -1, "filesystem");
    is_love = lua_istable(L, -1);
    lua_pop(L, 1);
  }
  if (!is_love) {
    lua_pop(L, 1);
    return;
  }
  // stack: graft, love
  if (luaL_loadbuffer(L, love_text, sizeof love_text - 1, "=graft") != LUA_OK) {
    lua_error(L);
  }
  lua_insert(L, -2);
  lua_pushvalue(L, -3);
  lua_insert(L, -2);
  lua_call(L, 2, 0);
}
