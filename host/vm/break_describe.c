// SPDX-License-Identifier: MIT
//
// Values as text, for who looks at a frame.

#include <string.h>

#include "vm/break_state.h"

enum { STRING_MOST = 200, TABLE_MOST = 160, NAMES_MOST = 200 };

static void describe_string(lua_State *L, int index, Buffer *text) {
  size_t size = 0;
  const char *string = lua_tolstring(L, index, &size);
  size_t shown = size < STRING_MOST ? size : STRING_MOST;
  buffer_add_text(text, "\"");
  for (size_t i = 0; i < shown; i++) {
    unsigned char byte = (unsigned char)string[i];
    if (byte == '"' || byte == '\\') {
      buffer_format(text, "\\%c", byte);
    } else if (byte == '\n') {
      buffer_add_text(text, "\\n");
    } else if (byte < 0x20 || byte == 0x7f) {
      buffer_format(text, "\\%03u", byte);
    } else {
      buffer_add(text, string + i, 1);
    }
  }
  buffer_add_text(text, shown < size ? "…\"" : "\"");
}

static void describe_function(lua_State *L, int index, Buffer *text) {
  lua_Debug info;
  lua_pushvalue(L, index);
  lua_getinfo(L, ">S", &info);
  if (info.what[0] == 'C') {
    buffer_add_text(text, "function in C");
  } else {
    buffer_format(text, "function at %s:%d", info.short_src, info.linedefined);
  }
}

static void describe_number(lua_State *L, int index, Buffer *text) {
  lua_pushvalue(L, index); // which lua_tostring makes a string of
  buffer_add_text(text, lua_tostring(L, -1));
  lua_pop(L, 1);
}

static bool is_word(const char *text) {
  static const char letters[] =
      "_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
  return *text != '\0' && (*text < '0' || *text > '9') &&
         text[strspn(text, letters)] == '\0';
}

static bool is_table_inside(lua_State *L, int index, Buffer *text) {
  if (lua_type(L, index) != LUA_TTABLE) return false;
  buffer_add_text(text, "{…}");
  return true;
}

static void describe_plain(lua_State *L, int index, Buffer *text);

// The value on top, inside of a table.
static void describe_inside(lua_State *L, Buffer *text) {
  if (!is_table_inside(L, -1, text)) describe_plain(L, lua_gettop(L), text);
}

static void describe_key(lua_State *L, int index, Buffer *text) {
  index = lua_absindex(L, index);
  if (lua_type(L, index) == LUA_TSTRING && is_word(lua_tostring(L, index))) {
    buffer_format(text, "%s = ", lua_tostring(L, index));
    return;
  }
  buffer_add_text(text, "[");
  if (!is_table_inside(L, index, text)) describe_plain(L, index, text);
  buffer_add_text(text, "] = ");
}

typedef struct TableText {
  Buffer *text;
  size_t start;
  int count;
  int listed; // of these, the values from 1 on
} TableText;

// False when the line is full.
static bool begin_field(TableText *self) {
  if (self->count++ > 0) buffer_add_text(self->text, ", ");
  if (self->text->size - self->start <= TABLE_MOST) return true;
  buffer_add_text(self->text, "…");
  return false;
}

// The values from 1 on.
static bool describe_list(lua_State *L, int index, TableText *self) {
  bool room = true;
  for (int i = 1; room; i++) {
    lua_rawgeti(L, index, i);
    if (lua_isnil(L, -1)) {
      lua_pop(L, 1);
      break;
    }
    room = begin_field(self);
    if (room) describe_inside(L, self->text);
    lua_pop(L, 1);
  }
  self->listed = self->count;
  return room;
}

static bool is_less(lua_State *L, int left, int right) {
  return strcmp(lua_tostring(L, left), lua_tostring(L, right)) < 0;
}

// stack: …, name before or nil → …, the next by the alphabet, or nil
static void next_name(lua_State *L, int index) {
  int before = lua_gettop(L);
  int best = before + 1;
  lua_pushnil(L);
  lua_pushnil(L);
  while (lua_next(L, index)) {
    lua_pop(L, 1);
    if (lua_type(L, -1) != LUA_TSTRING) continue;
    bool comes = lua_isnil(L, before) || is_less(L, before, -1);
    bool nearer = lua_isnil(L, best) || is_less(L, -1, best);
    if (!comes || !nearer) continue;
    lua_pushvalue(L, -1);
    lua_replace(L, best);
  }
  lua_remove(L, before);
}

static bool describe_named(lua_State *L, int index, TableText *self) {
  bool room = true;
  lua_pushnil(L);
  for (next_name(L, index); room && !lua_isnil(L, -1); next_name(L, index)) {
    room = begin_field(self);
    if (!room) break;
    lua_pushvalue(L, -1);
    lua_rawget(L, index);
    describe_key(L, -2, self->text);
    describe_inside(L, self->text);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return room;
}

static bool is_listed(lua_State *L, int index, const TableText *self) {
  if (lua_type(L, index) != LUA_TNUMBER) return false;
  lua_Number number = lua_tonumber(L, index);
  return number >= 1 && number <= self->listed && number == (int)number;
}

// The rest; names, too, when they were not described.
static void describe_others(lua_State *L, int index, TableText *self,
                            bool with_names) {
  bool room = true;
  lua_pushnil(L);
  while (room && lua_next(L, index)) {
    bool is_name = lua_type(L, -2) == LUA_TSTRING;
    if (!is_listed(L, -2, self) && (with_names || !is_name)) {
      room = begin_field(self);
      if (room) {
        describe_key(L, -2, self->text);
        describe_inside(L, self->text);
      }
    }
    lua_pop(L, 1);
  }
  if (!room) lua_pop(L, 1);
}

static bool has_many(lua_State *L, int index) {
  int count = 0;
  lua_pushnil(L);
  while (lua_next(L, index)) {
    lua_pop(L, 1);
    if (++count <= NAMES_MOST) continue;
    lua_pop(L, 1);
    return true;
  }
  return false;
}

// One level deep, and no further than a line holds: values from 1 on, then
// names by the alphabet, unless there are many, then the rest.
static void describe_table(lua_State *L, int index, Buffer *text) {
  TableText self = {.text = text, .start = text->size};
  buffer_add_text(text, "{");
  bool room = describe_list(L, index, &self);
  bool many = room && has_many(L, index);
  if (room && !many) room = describe_named(L, index, &self);
  if (room) describe_others(L, index, &self, many);
  buffer_add_text(text, "}");
}

static void describe_plain(lua_State *L, int index, Buffer *text) {
  switch (lua_type(L, index)) {
  case LUA_TNIL:
    buffer_add_text(text, "nil");
    break;
  case LUA_TBOOLEAN:
    buffer_add_text(text, lua_toboolean(L, index) ? "true" : "false");
    break;
  case LUA_TNUMBER:
    describe_number(L, index, text);
    break;
  case LUA_TSTRING:
    describe_string(L, index, text);
    break;
  case LUA_TFUNCTION:
    describe_function(L, index, text);
    break;
  case LUA_TTABLE:
    describe_table(L, index, text);
    break;
  default:
    buffer_format(text, "%s: %p", luaL_typename(L, index),
                  lua_topointer(L, index));
  }
}

// An object that has a text of its own is shown by it.
void break_describe(lua_State *L, int index, Buffer *text) {
  luaL_checkstack(L, 8, "too much to show");
  index = lua_absindex(L, index);
  bool is_string = lua_type(L, index) == LUA_TSTRING;
  if (!is_string && luaL_callmeta(L, index, "__tostring")) {
    const char *own = lua_tostring(L, -1);
    buffer_add_text(text, own != NULL ? own : "(__tostring gave no string)");
    lua_pop(L, 1);
    return;
  }
  describe_plain(L, index, text);
}
