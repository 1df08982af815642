// SPDX-License-Identifier: MIT
//
// What the guard's files share. guard.c has functions, switches and crashes
// that wait; guard_call.c is what gates lead to; guard_signal.c decides in
// signal handlers; guard_thread.c knows the calls of each thread.
//
// A call has two halves: GuardCall on the native's stack, which guard_*.S
// fills, and GuardRecord in memory of its thread's, which a native cannot
// write over by mistake and which is still there when the stack is not: a
// native may be left by longjmp, and nobody says so. Such a record is found
// dead when the stack has been unwound past its call.

#ifndef GRAFT_NATIVE_GUARD_INNER_H
#define GRAFT_NATIVE_GUARD_INNER_H

#include <pthread.h>
#include <stdalign.h>

#include "base/array.h"
#include "native/gate.h"
#include "native/guard.h"
#include "native/guard_frame.h"
#include "native/snapshot.h"
#include "native/watchdog.h"

enum { GUARD_RECORDS = 64, GUARD_TRIES = 3 };

// guard_*.S knows this layout (guard_frame.h).
typedef struct GuardCall {
  alignas(64) unsigned char vectors[GUARD_VECTORS];
  uintptr_t registers[10]; // the first one is the first argument
  uintptr_t results[2];    // of a call that gives zero
  uintptr_t frame_pointer;
  uintptr_t arguments;  // where those on the stack are
  uintptr_t stack_size; // of them, a multiple of 16
  uintptr_t direct;     // not guarded
  GuardFn *fn;
  uint64_t serial; // of the record
} GuardCall;

struct GuardFn {
  uint64_t vectors; // machine_vectors(); guard_*.S reads it
  Guard *guard;
  void *owner;
  _Atomic(GraftNative) *cell;
  bool lua;
  Gate gate; // `cell` NULL: not supported
  // Below: written under the guard's mutex.
  _Atomic(GraftNative) code;
  GraftNative previous;
  atomic_bool probation;
  size_t stack_size;
  size_t result_size;
  const GuardChange *change; // of the switch under way, or NULL
  bool fell_back; // `code` was in use before, and came back after a crash
  // The last crash that was told, so that a native which crashes at each call
  // is not told of each time.
  const void *crash_address;
  GraftNative crash_code;
};

typedef struct GuardRecord {
  bool used;
  atomic_bool running; // the native is, not the guard
  atomic_bool left;    // found dead by a signal handler
  bool on_thread_stack;
  bool has_snapshot;
  bool watched;
  int tries;
  int asked; // by the watchdog, how often
  uint64_t serial;
  GuardCall *call;
  GuardFn *fn;
  GraftNative code;
  size_t stack_size; // as in the call
  uint64_t script_depth;
  uintptr_t lua_words[GUARD_LUA_WORDS];
  sigset_t mask;
  Snapshot snapshot;
  WatchdogCall watch;
  pid_t thread;
} GuardRecord;

typedef struct GuardThread {
  struct GuardThread *next; // of all
  pid_t id;
  char *stack_low; // of the thread's own stack
  char *stack_high;
  bool has_signal_stack; // ours
  bool inside;           // in the guard's own code, where a crash is ours
  uint64_t serial;       // the last one given out
  _Atomic(const void *) parked; // the end of what a waiting gate uses
  GuardFn *left;                // the last one that was left by a jump
  GuardCrash crash; // of this thread, from the handler to guard_recover
  GuardRecord records[GUARD_RECORDS];
} GuardThread;

typedef struct GuardUndo { // what a cell held before a switch
  GraftNative cell;
} GuardUndo;

struct Guard {
  GraftAllocator allocator;
  GuardDesc desc;
  pthread_t host;
  GateTable gates;
  Watchdog *watchdog;
  ARRAY(GuardFn *) fns;
  pthread_mutex_t mutex;
  pthread_cond_t switched;
  const GuardChange *changes; // of the switch under way
  size_t change_count;
  GuardUndo *undo;
  bool switching;
  pthread_t switcher;
  atomic_int active;                 // calls on probation
  GuardCrash crashes[GUARD_CRASHES]; // a ring
  size_t crash_first, crash_count;
};

// guard_*.S
void guard_entry(void);
void guard_returned(void);
void guard_resume(void);
// … and what it calls, in guard_call.c.
GraftNative guard_enter(GuardCall *call, GuardFn *fn);
void guard_leave(GuardCall *call);
GraftNative guard_recover(GuardCall *call);

// guard.c: what belongs into the gate's cell. Mutex held.
void guard_fn_set_gate(GuardFn *self);
// Mutex held. Drops the oldest when there are too many.
void guard_add_crash(Guard *self, const GuardCrash *crash);

// guard_thread.c. NULL: this thread never came here. Safe in handlers.
GuardThread *guard_thread_find(void);
// With a signal stack. NULL: out of memory.
GuardThread *guard_thread_get(void);
bool guard_thread_init(void); // once for each guard; false: out of memory
void guard_thread_close(void);
// Forgets the calls of a guard that closes, on all threads.
void guard_thread_forget(const Guard *guard);
// Whether an address is on the thread's own stack.
bool guard_thread_has(const GuardThread *self, const void *address);
// The innermost record that is not dead, or NULL.
GuardRecord *guard_thread_top(GuardThread *self);
GuardRecord *guard_thread_record(GuardThread *self, const GuardCall *call);
// A free one, or NULL.
GuardRecord *guard_thread_add(GuardThread *self);
// Forgets what lies deeper than `sp`.
void guard_thread_prune(GuardThread *self, const void *sp);
void guard_record_drop(GuardRecord *self);

// guard_call.c: the host's answer, 0 on other threads. Safe in handlers.
uint64_t guard_script_depth(const Guard *self);

// guard_signal.c
struct CrashSignal;
bool guard_on_crash(const struct CrashSignal *signal);
int guard_on_late(void *context, WatchdogCall *call, int elapsed_ms);
bool guard_signal_open(Guard *self); // false: too many engines
void guard_signal_close(Guard *self);

#endif
