// SPDX-License-Identifier: MIT
//
// VM: one Lua state, as the parts that know no VM see it. What they do with
// scripts is in script.h and patcher.h, which do not include lua.h either;
// state.h is for the files of vm/ and bindings/.
//
// All of it belongs to the host thread, but for the checker.

#ifndef GRAFT_VM_VM_H
#define GRAFT_VM_VM_H

#include "base/memory.h"
#include "registry/registry.h"

typedef struct Vm Vm;
typedef struct ProbationFailure ProbationFailure;

// "lua54" or "luajit".
const char *vm_name(void);

// Such as "Lua 5.4".
const char *vm_version(void);

typedef struct VmDesc {
  const GraftAllocator *allocator;
  // A lua_State that the host owns, or NULL for one of the VM's own with the
  // standard libraries.
  void *state;
  // The owner of `state` has closed it: nothing of the VM can be used any more.
  // Called from a finalizer; may close the VM. May be NULL.
  void (*closed)(void *context);
  void *context;
} VmDesc;

// GRAFT_ENOMEM; GRAFT_EARG when Graft is in the state already; GRAFT_ERUN when
// the VM is built in a way that Graft does not know.
GraftStatus vm_open(const VmDesc *desc, Vm **vm, GraftError *error);

// Closes a state of its own; leaves a host's as it was, if that is still open.
// Finalizers of scripts run here, and may call natives, so this comes before
// anything that a script can reach is freed; they find no engine any more.
// NULL-safe.
void vm_stop(Vm *self);

// Stops the VM, and frees what is left. NULL-safe.
void vm_close(Vm *self);

// The main lua_State; NULL when it is closed.
void *vm_state(const Vm *self);

// No call is under way any more on the thread that the VM was opened on.
void vm_rest(Vm *self);

// Lets the garbage collector rest until as many calls of the second.
void vm_rest_collector(Vm *self);
void vm_wake_collector(Vm *self);

// Old closures that a spread sweep has missed (remnant.h): whether there is
// something to do about them, and doing it for so long.
typedef struct RemnantResult {
  bool done;    // a round has ended
  bool at_once; // by a walk along references
  size_t count; // references that the round has replaced
} RemnantResult;
bool vm_has_remnants(Vm *self);
RemnantResult vm_sweep_remnants(Vm *self, uint64_t budget_ns);

// What bindings/ find again from a state.
void vm_set_engine(Vm *self, void *engine);

// For RegistryDesc.script; its context is the Vm.
GraftStatus vm_call(void *vm, GraftFn *fn, const Backing *backing,
                    GraftCall *call, GraftError *error);
void vm_release(void *vm, uint64_t script);

// Another reference to the same value, or 0 when out of memory.
uint64_t vm_copy_ref(Vm *self, uint64_t script);

// Runs `text` as a chunk on the main thread; results are dropped.
GraftStatus vm_run_text(Vm *self, const char *text, const char *chunk_name,
                        GraftError *error);

// What to do when a call that the host made has failed because of new code
// (probation.h). Returns the status that the call is to have.
typedef GraftStatus VmFailed(void *context, ProbationFailure *failure,
                             const GraftError *error);
void vm_set_failed(Vm *self, VmFailed *failed, void *context);

// A function that a script has given to be called later has raised.
typedef void VmCallbackFailed(void *context, const GraftError *error);

// Calls back who follows functions (conform.h) that were exchanged outside of a
// patch.
void vm_tell_followers(Vm *self, VmCallbackFailed *failed, void *context);

// GRAFT_ERUN when the owner of the lua_State has closed it.
GraftStatus vm_check_open(const Vm *self, GraftError *error);

// Gives a name what its source gives it (reset.h).
GraftStatus vm_reset(Vm *self, const char *name, GraftError *error);

// Registers a cleanup of the top-level statement that runs (defer.h).
// GRAFT_ERUN when none does.
GraftStatus vm_defer(Vm *self, void (*callback)(void *context), void *context,
                     GraftError *error);

// Who still has superseded code of a function (inspect.h).
GraftStatus vm_count_old(Vm *self, const char *name, GraftOldCode *old,
                         GraftError *error);

// Between calls: runs the cleanups of chunks that have raised (S6). Cheap when
// there are none. Where the host runs scripts itself nobody can tell that one
// has raised; then they run when the file is loaded again.
void vm_run_cleanups(Vm *self, VmCallbackFailed *failed, void *context);

// A VM's compiler without anything to run, for one thread, any.
typedef struct VmChecker VmChecker;

VmChecker *vm_checker_new(void); // NULL when out of memory
void vm_checker_free(VmChecker *self);

// Whether the VM accepts the text; GRAFT_ESYNTAX with the VM's own message,
// without its place, which is in `file` and `line`.
GraftStatus vm_checker_check(VmChecker *self, const char *text, size_t size,
                             const char *file, GraftError *error);

#endif
