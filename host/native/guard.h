// SPDX-License-Identifier: MIT
//
// Guard: stands between callers and a native that is on probation. Its cell
// then holds a gate, a few instructions that lead here; the arguments are
// kept, registered state is copied, and the native is called. When it returns,
// its code goes into the cell, and a call costs what it costs without a guard.
// When it crashes (SEGV, FPE, BUS, ILL, ABRT, stack overflow) or the watchdog
// takes it out, state is put back, the code before it is called with the same
// arguments, and that stays until the next switch; without one the call
// returns zero. No signature is needed for any of it.
//
// The gate is also where callers wait while functions switch together: from
// guard_switch_begin to its end nobody but the switching thread gets through,
// so nobody sees one function's new code and then another's old.
//
// Traded away: what a native did to memory that is not registered (its heap,
// the host's) is not undone, nor are locks released that it held, malloc's
// among them. State that other threads wrote during the call is put back too.
// A crash inside a script that the native called ends the program as it would
// without Graft, since the VM cannot be left half way. A call from a stack
// that is not the thread's (a coroutine of the host's) is guarded as well, but
// such a stack must not be left while a native is on it.
//
// Threads: natives may be called on any. Functions below are for the host
// thread, one at a time, unless they say otherwise.

#ifndef GRAFT_NATIVE_GUARD_H
#define GRAFT_NATIVE_GUARD_H

#include <stdatomic.h>
#include <sys/types.h>

#include "base/memory.h"
#include "native/machine.h"

enum {
  GUARD_FRAMES = 24,            // of a crash that are kept
  GUARD_CRASHES = 32,           // that are kept until somebody takes them
  GUARD_LUA_WORDS = 4,          // for the VM layer to remember a call by
  GUARD_STACK_MOST = 64 * 1024, // bytes of arguments on the stack
};

typedef struct Guard Guard;     // of one engine
typedef struct GuardFn GuardFn; // one native, for the engine's life

// A place in natives' code, for messages. Texts are borrowed; NULL and 0 for
// what is not known.
typedef struct GuardPlace {
  const char *name; // of the C function
  const char *file;
  int line;
} GuardPlace;

typedef void GuardVisit(void *context, void *address, size_t size);

// What the owner of natives and state answers. Only `place` is needed.
typedef struct GuardHost {
  void *context;

  // Whether the address is in natives' code, and where. `is_return`: it is
  // where a call returns to, so the one before it is meant. Runs in signal
  // handlers: no locks, no allocation.
  bool (*place)(void *context, const void *address, bool is_return,
                GuardPlace *place);

  // Visits the writable ranges of registered state, which must stay mapped
  // until guard_is_idle(). On the thread of a call; it takes its own lock.
  void (*each_range)(void *context, GuardVisit *visit, void *visit_context);

  // A crash waits in guard_take_crash. On the thread that crashed, in plain
  // code, but whatever lock the native held is still held, malloc's too: set a
  // flag, wake the host. Or on the watchdog's thread.
  void (*noticed)(void *context);

  // How many calls of scripts by C are under way. A crash inside of one is not
  // taken out of by guards outside. Asked on the host thread, in signal
  // handlers too: reads only. NULL: none ever.
  uint64_t (*script_depth)(void *context);

  // For functions of type int (lua_State *), `L` being their argument. `enter`
  // remembers in `words` how the Lua stack stands; `can_resume` says whether
  // the VM is inside the same call still (a signal handler: reads only);
  // `resume` puts the Lua stack back. All NULL: they are guarded like others.
  void (*lua_enter)(void *context, void *L, uintptr_t words[GUARD_LUA_WORDS]);
  bool (*lua_can_resume)(void *context, void *L,
                         const uintptr_t words[GUARD_LUA_WORDS]);
  void (*lua_resume)(void *context, void *L,
                     const uintptr_t words[GUARD_LUA_WORDS]);
} GuardHost;

typedef struct GuardDesc {
  const GraftAllocator *allocator;
  GuardHost host;
  int watchdog_ms; // a native on probation may take this long; 0: for ever
  // REPORT: a crash is told on standard error and then takes its course: an
  // earlier handler, a debugger, a core dump. Else as above; there is nothing
  // to look at where a native has crashed, so BREAK is no different.
  GraftOnError on_error;
} GuardDesc;

// Installs handlers for the five signals, on top of those that are there, and
// gives this thread a signal stack. Handlers belong to the process: engines
// share them, and the last guard that closes takes them away. GRAFT_ENOMEM;
// GRAFT_EIO (no signal is free for the watchdog).
GraftStatus guard_open(const GuardDesc *desc, Guard **guard, GraftError *error);

// Nobody may be in a gate, nor call one, any more. NULL-safe.
void guard_close(Guard *self);

// False on processors without gates; then switches store code directly, and
// nothing is guarded.
bool guard_is_supported(void);

// --- Natives -----------------------------------------------------------------

typedef struct GuardFnDesc {
  void *owner;                // given back with crashes
  _Atomic(GraftNative) *cell; // what callers jump through
  bool lua;                   // int (lua_State *)
} GuardFnDesc;

// NULL when out of memory. Lives as long as the guard; the cell is not touched
// before the first switch.
GuardFn *guard_fn_new(Guard *self, const GuardFnDesc *desc);

void *guard_fn_owner(const GuardFn *self);

// A code pointer for this native that is good for the engine's life: the gate,
// which jumps on to the code in one more jump when there is no probation. NULL
// where gates are not supported.
GraftNative guard_fn_gate(const GuardFn *self);

// What belongs into a cell that calls this native now: its code, or the gate
// on probation, during a switch, and for a native without code. For whoever
// makes the native active in the cell again after a script had it.
GraftNative guard_fn_target(const GuardFn *self);

// The code of the last switch, or what a crash put in its place. Any thread.
GraftNative guard_fn_code(const GuardFn *self);
bool guard_fn_on_probation(const GuardFn *self); // any thread

// --- Switching together (N6) -------------------------------------------------

typedef struct GuardChange {
  GuardFn *fn;
  GraftNative code;     // NULL: it has none now, and the gate gives zero
  GraftNative previous; // for after a crash; NULL: none that fits
  bool probation;
  bool keep_cell; // something else is in the cell, such as a script
  // Bytes of arguments on the stack, an upper bound (ffi_cif.bytes is one). 0:
  // not known, and then 256 are handed on.
  size_t stack_size;
  // Bytes of a result returned in memory that the caller provides; else 0.
  size_t result_size;
} GuardChange;

// From here on callers of these functions wait at their gates; those inside
// stay inside (ask stacks.h). The switching thread itself gets through, to the
// code of `changes`: migration functions may call natives. GRAFT_ENOMEM, and
// then nothing has happened. `changes` is borrowed until the end of the
// switch.
GraftStatus guard_switch_begin(Guard *self, const GuardChange *changes,
                               size_t count, GraftError *error);

// New code for everybody, or everything as it was. Neither can fail.
void guard_switch_commit(Guard *self);
void guard_switch_cancel(Guard *self);

// Puts one native on other code right now, without probation: for undo,
// rollback and removal outside of a switch.
void guard_fn_set(GuardFn *self, GraftNative code, bool keep_cell);

// --- Crashes -----------------------------------------------------------------

typedef enum GuardOutcome {
  GUARD_WENT_BACK, // the code before it was called
  GUARD_GAVE_ZERO, // there was none, or it had crashed as well
  GUARD_NAMED,     // it hangs where it cannot be taken out (watchdog)
} GuardOutcome;

typedef struct GuardFrame {
  const void *address; // of the fault first, then where calls return to
  GuardPlace place;    // `name` NULL: not in natives
} GuardFrame;

// Texts of places are borrowed as GuardHost.place gave them: from code that
// must not be unloaded before the crash is taken.
typedef struct GuardCrash {
  GuardFn *fn;
  GraftNative code; // that crashed
  GuardOutcome outcome;
  int signal;           // 0: the watchdog
  int signal_code;      // si_code
  const void *address;  // that was touched, for SEGV and BUS
  MachineAccess access; // in which way, where that is known
  bool overflow;        // of the stack
  bool state_restored;  // else there was no memory for a copy, or it is gone
  int elapsed_ms;       // of a hang
  pid_t thread;         // that it ran on
  char thread_name[16];
  bool on_host_thread;
  int frame_count;
  GuardFrame frames[GUARD_FRAMES];
} GuardCrash;

// The oldest crash that nobody has taken; false: none. The code before it, if
// any, is in place already, off probation once it returns. Any thread.
bool guard_take_crash(Guard *self, GuardCrash *crash);

// "crashed: SIGSEGV, writing to 0x0 in natives/physics.c:12 (physics_step)",
// "overflowed the stack …", "divided by zero …", "did not return in 500 ms …",
// with the traceback of natives in further lines. Returns the length of the
// whole, as snprintf does. Safe in signal handlers.
size_t guard_crash_text(const GuardCrash *crash, char *buffer, size_t size);

// --- Calls -------------------------------------------------------------------

// No call on probation is under way, on any thread: state may be unmapped.
bool guard_is_idle(Guard *self);

// Where the stack of a thread that waits at a gate begins to matter, or NULL
// when it does not wait. For stacks.c.
const void *guard_parked_at(pid_t thread);

// The function on probation whose call on this thread was last left by a jump
// (lua_error, lua_yield, longjmp, an exception) and not by returning, or NULL;
// forgets it. Such a call proves nothing: the function stays on probation.
GuardFn *guard_take_left(Guard *self);

#endif
