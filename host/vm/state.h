// SPDX-License-Identifier: MIT
//
// State: what the files of vm/ and bindings/ share about the Lua state.
//
// Graft keeps its own Lua values in one private table, which a sweep does not
// enter: old versions in histories must stay what they are. References are
// numbers in it.

#ifndef GRAFT_VM_STATE_H
#define GRAFT_VM_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/pointer_map.h"
#include "vm/break.h"
#include "vm/collector.h"
#include "vm/compat.h"
#include "vm/heap.h"
#include "vm/interrupt.h"
#include "vm/probation.h"
#include "vm/remnant.h"
#include "vm/running.h"
#include "vm/vm.h"

typedef struct Script Script;
struct LoaderHooks;

enum { VM_NO_REF = 0 };

struct Vm {
  GraftAllocator allocator;
  lua_State *main;
  lua_State *L;      // the thread that runs now; `main` outside of calls
  lua_State *walker; // in the private table
  bool owned;
  bool raw;       // settle_check: memory may be read in place
  bool raw_stack; // raw_stack_check: and stacks
  Heap heap;      // all objects, if it is known where they are
  Collector collector;
  Remnant remnant;
  int busy;                      // calls of scripts under way
  int private_ref;               // of the private table, in the Lua registry
  int cell_ref;                  // makes cells, in the private table
  int silent_ref;                // makes functions that do nothing
  int own_ref;                   // metatable of a sweep's own tables
  int traceback_ref;             // message handler
  int slot_traceback_ref;        // … of calls of slots
  int stubs_ref;                 // slot → stub
  int module_ref;                // the `graft` module
  int results_ref;               // strings that the last call from C returned
  int args_ref;                  // what the next call from C is handed
  PointerMap protos;             // prototype → ScriptProto
  Script *scripts;               // all of them, linked
  uint32_t walk;                 // number of the last complete walk
  int hook_events;               // return events that the hook still looks at
  int hook_depth;                // loads under way that want them
  bool unfinished;               // a chunk that had not returned has cleanups
  void *engine;                  // what bindings/ find
  void (*closed)(void *context); // of VmDesc
  void *closed_context;
  // probation.c
  int probation_count;
  int probation_events; // that the hook still looks at
  int probation_safe_points;
  ProbationFailure failure;
  VmFailed *failed;
  void *failed_context;
  // break.c
  VmBreak *on_break; // NULL: nothing stops
  void *break_context;
  GraftBreak *at;                 // while stopped
  unsigned stops;                 // so far
  lua_State *evaluator;           // thread for what is evaluated
  lua_State *volatile evaluating; // the same while it runs, for signals
  // interrupt.c. A number for each outermost call, 0 between them.
  _Atomic uint64_t outer_call;
  uint64_t call_count;
  pthread_t host;
  Running running;
  VmSafePoint *safe_point;
  void *safe_point_context;
  const struct LoaderHooks *hooks;
  struct ViewState *views; // view.c
  // stub_ffi.c
  int ffi_maker_ref;
  int ffi_stubs_ref;    // slot → signature → function
  bool ffi_interpreted; // they must not be compiled
};

// The Vm that a state belongs to, or NULL.
Vm *vm_of(lua_State *L);
// The state belongs to none any more. Never raises.
void vm_forget(lua_State *L);

// Keeps the value on top of L in the private table; pops it. May raise.
int vm_ref(Vm *self, lua_State *L);
// Pushes it; nil for VM_NO_REF.
void vm_push(Vm *self, lua_State *L, int ref);
void vm_unref(Vm *self, int ref); // also for VM_NO_REF; never raises

// Pushes an empty table with this `__mode`. May raise.
void vm_push_weak(lua_State *L, const char *mode);
// Room for so many values more, without raising; false when out of memory.
bool vm_reserve(lua_State *L, int count);
void vm_push_private(Vm *self, lua_State *L);

// Runs `body` protected on the thread that runs now. Raised errors come back
// as GRAFT_ERUN (GRAFT_ENOMEM when out of memory) with their text.
typedef void VmBody(Vm *vm, lua_State *L, void *context);
GraftStatus vm_protect(Vm *self, VmBody *body, void *context,
                       GraftError *error);

// Moves "file:12: " from the front of the message to the error's place.
void vm_take_place(GraftError *error);

// Takes the error value on top of L: text, and place if it begins with one.
GraftStatus vm_take_error(lua_State *L, int lua_status, GraftError *error);

// A call with a traceback in the error message. stack: function, arguments →
// results, or nothing after a failure.
GraftStatus vm_pcall(Vm *self, lua_State *L, int arg_count, int result_count,
                     GraftError *error);

// GraftValue ↔ Lua.
void vm_push_value(lua_State *L, const GraftValue *value);
GraftValue vm_to_value(lua_State *L, int index);

#endif
