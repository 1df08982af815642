// SPDX-License-Identifier: MIT
//
// Prototypes: what a closure was compiled from. Their addresses tell exactly
// which definition of which version of a file a closure belongs to; names and
// lines cannot, because two functions may share a line and an old closure may
// outlive its file. The public interface of the VMs does not show them, so
// this reads the VM's structures, at offsets that `proto_check` verifies on
// the running VM before anything relies on them. Traded away: a VM that was
// built with another layout is refused by name instead of patched wrongly.
//
// One file for each VM implements this: proto_lua54.c and proto_luajit.c.

#ifndef GRAFT_VM_PROTO_H
#define GRAFT_VM_PROTO_H

#include "base/array.h"
#include "vm/compat.h"

typedef struct ProtoNode {
  const void *proto;
  int line;
  int last_line;
} ProtoNode;

typedef ARRAY(ProtoNode) ProtoList;

// Whether this VM's structures are laid out as this file knows them. May
// raise; leaves the stack as it was.
bool proto_check(lua_State *L);

// The prototype of the function at `index`, NULL for a C function. Valid
// while a closure of it, or of one that encloses it, is alive.
const void *proto_of(lua_State *L, int index);

// Appends the prototype of the Lua function at `index` and of all functions
// inside it, each before those inside it: the order of the `function` tokens.
// May raise, and then `list` still owns what it has.
void proto_list(lua_State *L, int index, const GraftAllocator *allocator,
                ProtoList *list);

// Moves all line numbers of this one prototype by `delta`, also for calls
// that run.
void proto_shift_lines(const void *proto, int delta);

// Tells the VM that the variable in upvalue `n` of the function at `index`
// may be assigned from now on. LuaJIT folds a variable that its own code never
// assigned into compiled traces.
void proto_unlock_cell(lua_State *L, int index, int n);

#endif
