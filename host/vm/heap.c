// SPDX-License-Identifier: MIT

#include "vm/heap.h"

// Where the lists may begin, at most this far from the start.
enum { SEARCH_SIZE = 256 };

static int hold(lua_State *L) {
  (void)L;
  return 0;
}

static void push_listed(lua_State *L, int list) {
  lua_newtable(L);
  if (list == 0) return;
  lua_newtable(L);
  lua_pushcfunction(L, hold);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
}

// Where the newest object of a list is kept: two that are made one after the
// other are found there, the second before the first. 0: nowhere, or in more
// places than one.
static size_t find_first(const char *global, lua_State *L, int list) {
  int top = lua_gettop(L);
  bool held[SEARCH_SIZE / sizeof(void *)];
  size_t found = 0, count = 0;
  push_listed(L, list);
  for (size_t at = 0; at < SEARCH_SIZE; at += sizeof(void *)) {
    held[at / sizeof(void *)] =
        raw_pointer(global, at) == lua_topointer(L, top + 1);
  }
  push_listed(L, list);
  const void *newest = lua_topointer(L, top + 2);
  for (size_t at = 0; at < SEARCH_SIZE; at += sizeof(void *)) {
    if (!held[at / sizeof(void *)] || raw_pointer(global, at) != newest) {
      continue;
    }
    // A metatable may have been made in between.
    const void *next = heap_next(newest);
    if (next != lua_topointer(L, top + 1)) continue;
    found = at;
    count++;
  }
  lua_settop(L, top);
  return count == 1 ? found : 0;
}

static bool check_push(lua_State *L) {
  int top = lua_gettop(L);
  heap_push_holder(L);
  lua_newtable(L);
  heap_push(L, top + 1, lua_topointer(L, -1));
  bool fits = lua_rawequal(L, -1, -2) != 0;
  lua_pushliteral(L, "a key");
  lua_pushboolean(L, 1);
  // stack: holder, table, table, key, value
  lua_rawset(L, top + 2);
  const char *node = raw_nodes(lua_topointer(L, top + 2)).first;
  if (raw_node_is_free(node)) node += RAW_NODE; // of two
  heap_push_key(L, top + 1, node);
  lua_pushliteral(L, "a key");
  fits = fits && lua_rawequal(L, -1, -2) != 0;
  heap_push(L, top + 1, L);
  fits = fits && lua_tothread(L, -1) == L;
  lua_settop(L, top);
  return fits;
}

static bool check_kinds(lua_State *L) {
  int top = lua_gettop(L);
  lua_newtable(L);
  lua_pushnil(L);
  lua_pushcclosure(L, lua_error, 1);
  bool fits = heap_kind(lua_topointer(L, top + 1)) == HEAP_TABLE &&
              heap_kind(lua_topointer(L, top + 2)) == HEAP_C_FUNCTION &&
              heap_kind(L) == HEAP_THREAD && heap_is_whole_thread(L) &&
              !heap_is_dead(lua_topointer(L, top + 1), heap_white(L));
  lua_settop(L, top);
  return fits;
}

#if VM_LUAJIT
static bool knows_kind(const char *global, lua_State *L) {
  (void)global, (void)L;
  return false;
}

bool heap_is_generational(const Heap *self) {
  (void)self;
  return false;
}
#else
// Single bytes: the mark of new objects, the state, and the kind, which is 1
// when it is generational.
enum { GLOBAL_WHITE = 100, GLOBAL_KIND = 102 };

static bool knows_kind(const char *global, lua_State *L) {
  return raw_byte(global, GLOBAL_WHITE) == heap_white(L) &&
         raw_byte(global, GLOBAL_KIND) <= 1;
}

bool heap_is_generational(const Heap *self) {
  return self->has_kind && raw_byte(self->global, GLOBAL_KIND) == 1;
}
#endif

void heap_check(Heap *self, lua_State *L) {
  *self = (Heap){.global = NULL};
  luaL_checkstack(L, 10, "heap");
  lua_State *other = lua_newthread(L);
  const char *global = raw_pointer(L, STATE_GLOBAL);
  bool fits = global != NULL && raw_pointer(other, STATE_GLOBAL) == global &&
              check_kinds(L) && check_push(L);
  bool running = lua_gc(L, LUA_GCISRUNNING, 0) != 0;
  lua_gc(L, LUA_GCSTOP, 0);
  for (int i = 0; i < HEAP_LISTS && fits; i++) {
    self->first[i] = find_first(global, L, i);
    fits = self->first[i] != 0;
  }
  if (running) lua_gc(L, LUA_GCRESTART, 0);
  if (fits) self->global = global;
  self->has_kind = fits && knows_kind(global, L);
  lua_pop(L, 1);
}

// The table may have been marked on the way, and then says nothing.
unsigned heap_white(lua_State *L) {
  unsigned white = 0;
  while (white == 0) {
    lua_newtable(L);
    white = raw_byte(lua_topointer(L, -1), OBJECT_MARK) & MARK_WHITES;
    lua_pop(L, 1);
  }
  return white;
}

void heap_push_holder(lua_State *L) {
  lua_pushnil(L);
  lua_pushcclosure(L, hold, 1);
}

void heap_push(lua_State *L, int holder, const void *object) {
  char *slot = heap_holder_slot(lua_topointer(L, holder));
  heap_write_object(slot, object);
  lua_getupvalue(L, holder, 1);
  heap_write_nil(slot);
}

void heap_push_key(lua_State *L, int holder, const char *node) {
  char *slot = heap_holder_slot(lua_topointer(L, holder));
  heap_write_key(slot, node);
  lua_getupvalue(L, holder, 1);
  heap_write_nil(slot);
}

void heap_set_code(const void *function, const void *other) {
  const void *code = raw_pointer(other, CLOSURE_CODE);
  memcpy((char *)function + CLOSURE_CODE, &code, sizeof code);
}
