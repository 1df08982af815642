// SPDX-License-Identifier: MIT
//
// The `graft` module. graft_module.c opens it, and has the functions that
// concern the engine as a whole; slot_functions.c those about registry
// functions; events.c events, reports and listeners; unit.c units.
//
// To Lua: nil, message, code for failures; wrong arguments raise.

#ifndef GRAFT_BINDINGS_GRAFT_MODULE_H
#define GRAFT_BINDINGS_GRAFT_MODULE_H

#include "engine.h"
#include "vm/state.h"

// The VM and the engine that a state belongs to. Raise when that is closed,
// which finalizers see.
Vm *module_vm(lua_State *L);
GraftEngine *module_engine(lua_State *L);

// Makes `L` the thread that runs, for calls into the engine; returns the one
// before, for module_leave.
lua_State *module_enter(lua_State *L);
void module_leave(lua_State *L, lua_State *previous);

// Pushes nil, message, code; returns 3.
int module_fail(lua_State *L, const GraftError *error);

// Each pushes nothing and adds its functions to the table on top.
void events_add_functions(lua_State *L);
void slot_add_functions(lua_State *L);
void values_add_functions(lua_State *L);
void unit_add_functions(lua_State *L);
void views_add_functions(lua_State *L);

// stack: …, graft. Makes itself at home in LÖVE, if this is one. May raise.
void love_open(lua_State *L);

// Pushes what a safe point did, or nil for NULL.
void events_push_report(lua_State *L, const GraftReport *report);

// For GraftEngine.on_lua_event.
bool events_on_event(GraftEngine *engine, const GraftEvent *event);

#endif
