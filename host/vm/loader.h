// SPDX-License-Identifier: MIT
//
// Loader: how scripts and natives get into Lua: `require`, the program's main
// script, and the functions that stand for natives.
//
// A native is shown to Lua as a C function, its *stub*, one for each slot. It
// calls whatever backing is active, so one that was kept somewhere is never
// wrong; while a script is active, Lua code holds the script's own closure
// instead, and a sweep exchanges the two (loader_exchange).

#ifndef GRAFT_VM_LOADER_H
#define GRAFT_VM_LOADER_H

#include "vm/script.h"
#include "vm/vm.h"

typedef enum ModuleKind {
  MODULE_NONE,
  MODULE_SCRIPT, // has a file, and perhaps natives
  MODULE_NATIVE, // has natives only
} ModuleKind;

// What the engine knows.
typedef struct LoaderHooks {
  // Finds a module, and makes the script of its file. Negative: a
  // GraftStatus, with the error.
  int (*find)(void *context, const char *module, Script **script,
              GraftError *error);
  // The script's chunk has returned. A failure leaves no slot of it.
  GraftStatus (*loaded)(void *context, Script *script, GraftError *error);
  // The `index`-th slot of a module that has a native backing, and its path
  // below the module; NULL at the end.
  GraftFn *(*native)(void *context, const char *module, size_t index,
                     const char **path);
  void *context;
} LoaderHooks;

// Puts a searcher in front of the VM's own. `hooks` must outlive the VM.
GraftStatus loader_install(Vm *vm, const LoaderHooks *hooks, GraftError *error);

// Takes it out again. `state` is the lua_State. Never raises.
void loader_remove(void *state);

typedef struct LoaderRun {
  Script *script;
  int arg_count;
  const char *const *args;
} LoaderRun;

// Runs a main script, with its arguments.
GraftStatus loader_run(Vm *vm, const LoaderRun *run, GraftError *error);

// Does what `require` does.
GraftStatus loader_require(Vm *vm, const char *module, GraftError *error);

// Runs the file of a module that is loaded already as natives alone: what it
// returns goes into the table that everybody has.
GraftStatus loader_add_script(Vm *vm, Script *script, GraftError *error);

// Makes what Lua sees of a slot follow a change of its active backing: sets
// the module's field and replaces all references to the old function.
// A backing that is NULL means that there is none, and nothing to replace.
GraftStatus loader_exchange(Vm *vm, GraftFn *fn, const Backing *from,
                            const Backing *to, GraftError *error);

#endif
