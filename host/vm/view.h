// SPDX-License-Identifier: MIT
//
// View: a C struct, array or pointer as Lua sees it: a place in memory and the
// type of what is there, no copy. Fields are read and written by name, elements
// by number from 0. In Lua 5.4 a view is a userdata; in LuaJIT it is a cdata of
// the FFI (view_luajit.c), so that access is compiled. What scripts do with
// both is the same.
//
// Types are known by name, as signatures have them ("Body" of "Body *"), so a
// file that is compiled again keeps its views as long as its structs are laid
// out as before. When a layout changes, views of what moved follow; memory
// that a view owns itself keeps its old layout, and is refused where the new
// one is wanted.

#ifndef GRAFT_VM_VIEW_H
#define GRAFT_VM_VIEW_H

#include "base/map.h"
#include "state/type.h"
#include "vm/vm.h"

// What the engine knows of types. All may be called at any time on the host
// thread.
typedef struct ViewHooks {
  // The type of this name ("Body", "struct Body"), complete where possible, and
  // the set it is in; NULL when there is none. Borrowed.
  const Type *(*find)(void *context, const char *name, TypeSet **types);
  // Where LuaJIT may call a native without passing through the VM: an entry
  // that stays, of code from which no Lua code can be reached; else NULL.
  GraftNative (*entry)(void *context, GraftFn *fn,
                       const struct Backing *backing);
  // How many elements of `size` bytes lie from `address` on, when it is in
  // memory that the engine knows, else 0; *before: how many lie in front.
  size_t (*extent)(void *context, const void *address, size_t size,
                   size_t *before);
  // The native whose first parameter has this C type ("Body *") and whose name
  // ends in `name`; NULL when there is none.
  GraftFn *(*method)(void *context, const char *pointer_type, const char *name);
  void *context;
} ViewHooks;

// `hooks` must outlive the VM.
GraftStatus view_open(Vm *vm, const ViewHooks *hooks, GraftError *error);
void view_close(Vm *vm); // NULL-safe

// Whether LuaJIT may compile calls of natives into its traces. Other VMs have
// none.
void view_allow_compiled(Vm *vm, bool allowed);

// Layouts may have changed: `forward` tells where bytes are now (itself when
// they did not move, NULL when they are gone). Views that are alive follow. It
// can be undone until view_keep.
typedef void *ViewForward(void *context, const void *address);
GraftStatus view_migrate(Vm *vm, ViewForward *forward, void *context,
                         GraftError *error);
void view_undo(Vm *vm);
void view_keep(Vm *vm);

#endif
