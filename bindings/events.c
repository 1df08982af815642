// SPDX-License-Identifier: MIT

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "graft_module.h"

// Listeners lie in the Lua registry, where a sweep reaches them.
static const char listeners_key[] = "graft.listeners";

// ---------------------------------------------------------------------------
// Events as tables
// ---------------------------------------------------------------------------

static void set_text(lua_State *L, const char *key, const char *text) {
  if (*text == '\0') return;
  lua_pushstring(L, text);
  lua_setfield(L, -2, key);
}

static void set_number(lua_State *L, const char *key, lua_Number number) {
  if (number <= 0) return;
  lua_pushinteger(L, (lua_Integer)number);
  lua_setfield(L, -2, key);
}

static void set_times(lua_State *L, const GraftEvent *event) {
  lua_pushnumber(L, event->settle_ms);
  lua_setfield(L, -2, "settle_ms");
  lua_pushnumber(L, event->plan_ms);
  lua_setfield(L, -2, "plan_ms");
  lua_pushnumber(L, event->apply_ms);
  lua_setfield(L, -2, "apply_ms");
  lua_pushnumber(L, event->sweep_ms);
  lua_setfield(L, -2, "sweep_ms");
}

static void push_event(lua_State *L, const GraftEvent *event) {
  lua_newtable(L);
  set_text(L, "event", graft_event_word(event->kind));
  set_text(L, "name", event->name);
  set_text(L, "file", event->file);
  set_number(L, "line", event->line);
  set_number(L, "column", event->column);
  set_number(L, "version", event->version);
  set_number(L, "count", event->count);
  set_text(L, "from", event->from);
  set_text(L, "to", event->to);
  set_text(L, "message", event->message);
  set_text(L, "source", event->source);
  if (event->kind == GRAFT_EVENT_SWEEP) {
    set_number(L, "safe_points", event->safe_points);
    lua_pushnumber(L, event->sweep_ms);
    lua_setfield(L, -2, "sweep_ms");
  }
  if (event->kind != GRAFT_EVENT_PATCH) return;
  lua_pushboolean(L, event->ok);
  lua_setfield(L, -2, "ok");
  lua_pushboolean(L, event->sweeping);
  lua_setfield(L, -2, "sweeping");
  set_times(L, event);
}

// ---------------------------------------------------------------------------
// Reports
// ---------------------------------------------------------------------------

// The list of a report that an event belongs to, or NULL.
static const char *list_of(GraftEventKind kind) {
  switch (kind) {
  case GRAFT_EVENT_ADD:
    return "added";
  case GRAFT_EVENT_UPDATE:
    return "updated";
  case GRAFT_EVENT_MOVE:
    return "moved";
  case GRAFT_EVENT_DELETE:
    return "deleted";
  case GRAFT_EVENT_RUN:
    return "ran";
  case GRAFT_EVENT_KEEP:
    return "kept";
  case GRAFT_EVENT_STALE:
    return "stale";
  case GRAFT_EVENT_ORPHAN:
    return "orphaned";
  case GRAFT_EVENT_SILENT:
    return "silenced";
  case GRAFT_EVENT_DEPENDS:
    return "depends";
  case GRAFT_EVENT_MIGRATE:
    return "migrated";
  case GRAFT_EVENT_REJECT:
  case GRAFT_EVENT_CRASH:
  case GRAFT_EVENT_REVERT:
  case GRAFT_EVENT_ERROR:
    return "errors";
  default:
    return NULL;
  }
}

static const char *const lists[] = {
    "added",    "updated", "moved", "deleted", "ran",      "kept",
    "orphaned", "depends", "stale", "errors",  "silenced", "migrated",
};

// Events of one file come in its order already; this sorts by file and line
// and keeps the order of equals.
static int compare_events(const void *left, const void *right) {
  const GraftEvent *a = *(const GraftEvent *const *)left;
  const GraftEvent *b = *(const GraftEvent *const *)right;
  int order = strcmp(a->file, b->file);
  if (order != 0) return order;
  if (a->line != b->line) return a->line < b->line ? -1 : 1;
  return a < b ? -1 : a > b;
}

static void add_to_list(lua_State *L, const GraftEvent *event) {
  const char *list = list_of(event->kind);
  if (list == NULL) return;
  lua_getfield(L, -1, list);
  push_event(L, event);
  lua_rawseti(L, -2, (int)lua_rawlen(L, -2) + 1);
  lua_pop(L, 1);
}

// What a report says of its transaction, and of a sweep that has ended.
static void add_to_report(lua_State *L, const GraftEvent *event) {
  if (event->kind == GRAFT_EVENT_PATCH) {
    set_times(L, event);
    lua_pushboolean(L, event->sweeping);
    lua_setfield(L, -2, "sweeping");
  } else if (event->kind == GRAFT_EVENT_SWEEP) {
    push_event(L, event);
    lua_setfield(L, -2, "sweep");
  }
}

void events_push_report(lua_State *L, const GraftReport *report) {
  if (report == NULL) {
    lua_pushnil(L);
    return;
  }
  size_t count = graft_report_count(report);
  const GraftEvent **sorted = lua_newuserdata(L, (count + 1) * sizeof *sorted);
  for (size_t i = 0; i < count; i++) sorted[i] = graft_report_event(report, i);
  qsort(sorted, count, sizeof *sorted, compare_events);
  lua_newtable(L);
  for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
    lua_newtable(L);
    lua_setfield(L, -2, lists[i]);
  }
  lua_pushboolean(L, graft_report_ok(report));
  lua_setfield(L, -2, "ok");
  for (size_t i = 0; i < count; i++) {
    add_to_list(L, sorted[i]);
    add_to_report(L, sorted[i]);
  }
  lua_remove(L, -2);
}

// ---------------------------------------------------------------------------
// Listeners
// ---------------------------------------------------------------------------

static const char *const kinds[] = {
    "watch",   "add",    "update", "move",   "delete",  "swap",
    "run",     "keep",   "stale",  "orphan", "depends", "reject",
    "silent",  "revert", "error",  "notice", "patch",   "crash",
    "migrate", "break",  "sweep",  "*",      NULL,
};

// Pushes the list of listeners for a word; it is made when there is none.
static void push_listeners(lua_State *L, const char *word) {
  lua_getfield(L, LUA_REGISTRYINDEX, listeners_key);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, listeners_key);
  }
  lua_getfield(L, -1, word);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, word);
  }
  lua_remove(L, -2);
}

// The function that graft.on returns: takes the listener away again. Its
// upvalues are the list and the listener's own cell in it.
static int off(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, lua_upvalueindex(2));
  int count = (int)lua_rawlen(L, -2);
  for (int i = 1; i <= count; i++) {
    lua_rawgeti(L, -2, i);
    bool found = lua_rawequal(L, -1, -2);
    lua_pop(L, 1);
    if (!found) continue;
    for (int k = i; k <= count; k++) {
      lua_rawgeti(L, -2, k + 1);
      lua_rawseti(L, -3, k);
    }
    return 0;
  }
  return 0;
}

// graft.on(event, f) → function that ends it
static int on(lua_State *L) {
  const char *word = kinds[luaL_checkoption(L, 1, NULL, kinds)];
  luaL_checktype(L, 2, LUA_TFUNCTION);
  module_engine(L)->has_listeners = true;
  push_listeners(L, word);
  lua_createtable(L, 1, 0);
  lua_pushvalue(L, 2);
  lua_rawseti(L, -2, 1);
  lua_pushvalue(L, -1);
  lua_rawseti(L, -3, (int)lua_rawlen(L, -3) + 1);
  // stack: event, f, list, listener
  lua_pushcclosure(L, off, 2);
  return 1;
}

typedef struct Dispatch {
  GraftEngine *engine;
  const GraftEvent *event;
  bool shown;
} Dispatch;

// A listener that raises is told to the host, not to listeners.
static void tell_failure(const Dispatch *self, const GraftError *error) {
  if (self->engine->desc.on_event == NULL) return;
  char text[1200];
  snprintf(text, sizeof text, "listener of '%s': %s",
           graft_event_word(self->event->kind), error->message);
  self->engine->desc.on_event(self->engine->desc.context,
                              &(GraftEvent){.kind = GRAFT_EVENT_ERROR,
                                            .name = "",
                                            .file = error->file,
                                            .line = error->line,
                                            .from = "",
                                            .to = "",
                                            .message = text,
                                            .source = ""});
}

// stack: …, argument
static void call_listeners(Dispatch *self, Vm *vm, lua_State *L,
                           const char *word) {
  push_listeners(L, word);
  int count = (int)lua_rawlen(L, -1);
  for (int i = 1; i <= count; i++) {
    int top = lua_gettop(L);
    lua_rawgeti(L, top, i);
    if (!lua_istable(L, -1)) break; // one before it was taken away
    lua_rawgeti(L, -1, 1);
    lua_pushvalue(L, top - 1);
    GraftError error;
    if (vm_pcall(vm, L, 1, 1, &error) < 0) {
      tell_failure(self, &error);
    } else {
      self->shown |= lua_toboolean(L, -1) != 0;
    }
    lua_settop(L, top);
  }
  lua_pop(L, 1);
}

static void dispatch(Vm *vm, lua_State *L, void *context) {
  Dispatch *self = context;
  lua_getfield(L, LUA_REGISTRYINDEX, listeners_key);
  if (lua_isnil(L, -1)) return;
  luaL_checkstack(L, 16, "listeners");
  if (self->event->kind == GRAFT_EVENT_PATCH) {
    events_push_report(L, &self->engine->report);
  } else {
    push_event(L, self->event);
  }
  call_listeners(self, vm, L, graft_event_word(self->event->kind));
  lua_pop(L, 1);
  push_event(L, self->event);
  call_listeners(self, vm, L, "*");
}

bool events_on_event(GraftEngine *engine, const GraftEvent *event) {
  if (!engine->has_listeners) return false;
  Dispatch self = {engine, event, false};
  vm_protect(engine->vm, dispatch, &self, NULL);
  return self.shown;
}

void events_add_functions(lua_State *L) {
  lua_pushcfunction(L, on);
  lua_setfield(L, -2, "on");
}
