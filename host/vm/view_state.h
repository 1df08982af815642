// SPDX-License-Identifier: MIT
//
// Views, for the files of vm/ and bindings/.

#ifndef GRAFT_VM_VIEW_STATE_H
#define GRAFT_VM_VIEW_STATE_H

#include "vm/state.h"
#include "vm/view.h"

// Pushes a view of what a pointer of this C type ("Body *") points to; nil for
// NULL; a light userdata when nothing is known of the type. May raise.
void view_push(Vm *vm, lua_State *L, const char *pointer_type, void *address);

// LuaJIT: pushes the FFI's type of what such a pointer leads to. False, and
// nothing pushed, when nothing is known of it. May raise.
bool view_push_type(Vm *vm, lua_State *L, const char *pointer_type);

// Whether the value is a view, and of what: its address, and the name of a
// pointer to it. The name is one that no type has when its layout is old.
bool view_get(Vm *vm, lua_State *L, int index, void **address,
              const char **pointer_type);

// Pushes the native that is a method of such pointers, as its module shows it.
// False, and nothing pushed, when there is none. May raise.
bool view_push_method(Vm *vm, lua_State *L, const char *pointer_type,
                      const char *name);

// Pushes a new table for methods that were found. It is reached from the Lua
// registry, where sweeps exchange functions; the private table is none of that.
// May raise.
void view_push_methods(lua_State *L);

// For view_open: what the VM needs. May raise.
void view_set_up(Vm *vm, lua_State *L);

// LuaJIT: whether the value is a boxed 64-bit integer, and which; one that only
// an unsigned type has is none. Lua 5.4 has no such values.
bool view_get_integer(Vm *vm, lua_State *L, int index, int64_t *integer);

// Pushes a view that owns `count` zeroed elements of the type. False, and
// nothing pushed, when there is no such type, or it has no size. May raise.
bool view_push_new(Vm *vm, lua_State *L, const char *type, size_t count);

// How many elements the view at `index` has; 0 when that is not known.
size_t view_extent(lua_State *L, int index);

#endif
