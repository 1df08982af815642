// SPDX-License-Identifier: MIT
//
// What a stock `lua5.4`, `luajit` or `love` loads by `require "graft"`: an
// engine in its state, which ends with that.

#include <stdio.h>

#include "graft_module.h"

GRAFT_API int luaopen_graft(lua_State *L);

// As `engine` shows them when it is not asked for more.
static void show_event(void *context, const GraftEvent *event) {
  (void)context;
  if (event->kind == GRAFT_EVENT_MOVE) return; // no change to a user (D2)
  if (event->kind == GRAFT_EVENT_WATCH) return;
  char text[4096];
  graft_event_text(event, text, sizeof text);
  fprintf(stderr, "%s\n", text);
}

int luaopen_graft(lua_State *L) {
  bool is_new = vm_of(L) == NULL;
  if (is_new) {
    GraftEngine *engine = NULL;
    GraftError error;
    GuestDesc guest = {.desc = &(GraftEngineDesc){.on_event = show_event},
                       .state = L,
                       .of_state = true};
    if (engine_open(&guest, &engine, &error) < 0) {
      return luaL_error(L, "cannot start Graft: %s", error.message);
    }
  }
  vm_push(vm_of(L), L, vm_of(L)->module_ref);
  if (is_new) love_open(L);
  return 1;
}
