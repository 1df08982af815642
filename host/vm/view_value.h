// SPDX-License-Identifier: MIT
//
// View values: numbers, pointers and parts between Lua 5.4 and memory, exactly
// or not at all. LuaJIT's FFI has rules of its own.

#ifndef GRAFT_VM_VIEW_VALUE_H
#define GRAFT_VM_VIEW_VALUE_H

#include "vm/view_class.h"

// Pushes a number or boolean. False, and nothing pushed, for other codes.
bool view_value_push(lua_State *L, ViewCode code, const char *address);

// Something that can be assigned.
typedef struct ViewPlace {
  Vm *vm;
  const ViewClass *whole; // whose type set `type` is in
  const Type *type;
  ViewCode code;
  char *address;
  const char *name; // for messages: "Body.hp"
} ViewPlace;

// Assigns the value at `index`; a table fills the parts that it names. Raises
// for what does not fit, and then nothing but earlier parts of a table has
// been assigned.
void view_value_set(lua_State *L, int index, const ViewPlace *place);

// The same for a member of the struct at `whole->address`, whose type and code
// do not matter.
void view_member_set(lua_State *L, int index, const ViewPlace *whole,
                     const ViewMember *member);

// Pushes a bit-field; `address` is that of the member.
void view_bits_push(lua_State *L, const ViewMember *member,
                    const char *address);

#endif
