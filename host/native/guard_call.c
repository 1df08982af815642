// SPDX-License-Identifier: MIT

#include "native/guard_inner.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>

_Static_assert(offsetof(GuardCall, registers) == GUARD_REGISTERS, "as in .S");
_Static_assert(offsetof(GuardCall, results) == GUARD_RESULTS, "as in .S");
_Static_assert(offsetof(GuardCall, frame_pointer) == GUARD_FRAME_POINTER,
               "as in .S");
_Static_assert(offsetof(GuardCall, arguments) == GUARD_ARGUMENTS, "as in .S");
_Static_assert(offsetof(GuardCall, stack_size) == GUARD_STACK_SIZE, "as in .S");
_Static_assert(offsetof(GuardCall, direct) == GUARD_DIRECT, "as in .S");
_Static_assert(offsetof(GuardCall, fn) == GUARD_FN, "as in .S");
_Static_assert(offsetof(GuardCall, serial) == GUARD_SERIAL, "as in .S");
_Static_assert(sizeof(GuardCall) == GUARD_CALL_SIZE, "as in .S");
_Static_assert(offsetof(GuardFn, vectors) == 0, "as in .S");

#if defined(__aarch64__)
enum { RESULT_REGISTER = 8 }; // where the caller wants a large result
#else
enum { RESULT_REGISTER = 0 };
#endif

enum { ROOM = 64 * 1024 };

// A result of zeroes, where there is no code to give one.
static GraftNative give_zero(GuardCall *call, size_t result_size) {
  call->results[0] = call->results[1] = 0;
  if (result_size > 0) {
    void *result = (void *)call->registers[RESULT_REGISTER];
    memset(result, 0, result_size);
    call->results[0] = (uintptr_t)result;
  }
  return NULL;
}

static bool is_switcher(const Guard *guard) {
  return guard->switching && pthread_equal(guard->switcher, pthread_self());
}

// Mutex held. Whoever asks meanwhile which code this thread is inside need not
// look at what lies deeper than the call, which may be left from others.
static void wait_for_switch(const GuardFn *fn, const GuardCall *call) {
  Guard *guard = fn->guard;
  GuardThread *thread = guard_thread_find();
  while (fn->change != NULL && !is_switcher(guard)) {
    if (thread != NULL) {
      atomic_store(&thread->parked, (const void *)call->arguments);
    }
    pthread_cond_wait(&guard->switched, &guard->mutex);
  }
  if (thread != NULL) atomic_store(&thread->parked, NULL);
}

// Mutex held, nobody is switching but this thread.
static GraftNative current_code(const GuardFn *fn) {
  return fn->change != NULL ? fn->change->code : atomic_load(&fn->code);
}

// --- In ----------------------------------------------------------------------

// A call within a call is part of it.
static bool has_call(GuardThread *thread, const GuardFn *fn) {
  for (int i = 0; i < GUARD_RECORDS; i++) {
    if (thread->records[i].used && thread->records[i].fn == fn) return true;
  }
  return false;
}

static bool wants_guard(GuardCall *call, GuardFn *fn, GuardThread *thread) {
  pthread_mutex_lock(&fn->guard->mutex);
  wait_for_switch(fn, call);
  bool wanted = fn->change == NULL && atomic_load(&fn->probation) &&
                !has_call(thread, fn);
  pthread_mutex_unlock(&fn->guard->mutex);
  return wanted;
}

uint64_t guard_script_depth(const Guard *self) {
  const GuardHost *host = &self->desc.host;
  bool asked =
      host->script_depth != NULL && pthread_equal(self->host, pthread_self());
  return asked ? host->script_depth(host->context) : 0;
}

static void prepare(GuardRecord *record, GuardThread *thread, GuardCall *call,
                    GuardFn *fn) {
  const GuardHost *host = &fn->guard->desc.host;
  record->call = call;
  record->fn = fn;
  record->on_thread_stack = guard_thread_has(thread, call);
  call->serial = record->serial;
  atomic_fetch_add(&fn->guard->active, 1);
  pthread_sigmask(SIG_SETMASK, NULL, &record->mask);
  record->has_snapshot = snapshot_take(&record->snapshot, host);
  record->script_depth = guard_script_depth(fn->guard);
  if (fn->lua && host->lua_enter != NULL) {
    host->lua_enter(host->context, (void *)call->registers[0],
                    record->lua_words);
  }
  Watchdog *watchdog = fn->guard->watchdog;
  record->watched =
      watchdog != NULL && watchdog_begin(watchdog, &record->watch);
}

// The code to call, and whether `record` is of use for it. From here on until
// the call, the thread does not sleep in the kernel: stacks.h counts on that.
static GraftNative choose(GuardCall *call, GuardFn *fn, GuardRecord *record) {
  pthread_mutex_lock(&fn->guard->mutex);
  bool waits = fn->change != NULL && !is_switcher(fn->guard);
  if (record != NULL && waits) {
    call->direct = 2; // the snapshot is too old when the switch is over
    pthread_mutex_unlock(&fn->guard->mutex);
    return NULL;
  }
  wait_for_switch(fn, call);
  GraftNative code = current_code(fn);
  call->stack_size = fn->stack_size;
  call->direct = record == NULL || fn->change != NULL ||
                 !atomic_load(&fn->probation) || code == NULL;
  if (code == NULL) give_zero(call, fn->result_size);
  if (record != NULL) {
    record->code = code;
    record->stack_size = call->stack_size;
  }
  pthread_mutex_unlock(&fn->guard->mutex);
  return code;
}

static GraftNative enter(GuardCall *call, GuardFn *fn, GuardThread *thread) {
  for (;;) {
    GuardRecord *record = NULL;
    if (thread != NULL && wants_guard(call, fn, thread)) {
      record = guard_thread_add(thread);
    }
    if (record != NULL) prepare(record, thread, call, fn);
    GraftNative code = choose(call, fn, record);
    if (record != NULL && call->direct == 0) {
      atomic_store(&record->running, true);
    } else if (record != NULL) {
      guard_record_drop(record);
    }
    if (call->direct < 2) return code;
  }
}

static __attribute__((noinline)) GraftNative enter_with_room(GuardCall *call,
                                                             GuardFn *fn) {
  int error = errno;
  GuardThread *thread = guard_thread_get();
  bool inside = thread != NULL && thread->inside;
  call->serial = 0;
  if (thread != NULL) {
    thread->inside = true;
    guard_thread_prune(thread, (void *)call->arguments);
  }
  GraftNative code = enter(call, fn, thread);
  if (thread != NULL) thread->inside = inside;
  errno = error;
  return code;
}

// Near the end of the stack there is no room for the guard. Most likely this
// is endless recursion, and the overflow shall be the native's.
static bool is_short_of_stack(const GuardCall *call) {
  const GuardThread *thread = guard_thread_find();
  return thread != NULL && guard_thread_has(thread, call) &&
         (const char *)call - thread->stack_low < ROOM;
}

GraftNative guard_enter(GuardCall *call, GuardFn *fn) {
  if (is_short_of_stack(call) && atomic_load(&fn->code) != NULL) {
    call->direct = 1;
    return atomic_load(&fn->code);
  }
  return enter_with_room(call, fn);
}

// --- Out ---------------------------------------------------------------------

// The native has returned: its code goes where callers jump to.
static void prove(GuardFn *fn) {
  atomic_store(&fn->probation, false);
  fn->previous = NULL;
  guard_fn_set_gate(fn);
  GraftNative gate = fn->gate.entry;
  atomic_compare_exchange_strong(fn->cell, &gate, atomic_load(&fn->code));
}

void guard_leave(GuardCall *call) {
  int error = errno;
  GuardFn *fn = call->fn;
  GuardThread *thread = guard_thread_find();
  GuardRecord *record =
      thread != NULL ? guard_thread_record(thread, call) : NULL;
  if (record != NULL) {
    thread->inside = true;
    atomic_store(&record->running, false);
    pthread_mutex_lock(&fn->guard->mutex);
    if (fn->change == NULL && atomic_load(&fn->probation) &&
        atomic_load(&fn->code) == record->code) {
      prove(fn);
    }
    pthread_mutex_unlock(&fn->guard->mutex);
    guard_record_drop(record);
    guard_thread_prune(thread, call);
    thread->inside = false;
  }
  errno = error;
}

// --- After a crash -----------------------------------------------------------

// Which code comes next for everybody, and for this call, which may be none.
// Mutex held.
static GraftNative go_back(GuardFn *fn, GuardRecord *record,
                           GuardCrash *crash) {
  crash->outcome = GUARD_WENT_BACK;
  if (atomic_load(&fn->code) == record->code) {
    if (fn->previous != NULL) {
      atomic_store(&fn->code, fn->previous);
      fn->previous = NULL;
      fn->fell_back = true;
    } else {
      crash->outcome = GUARD_GAVE_ZERO;
      if (!fn->fell_back) {
        atomic_store(&fn->code, NULL);
        atomic_store(&fn->probation, false);
      }
    }
    guard_fn_set_gate(fn);
  }
  bool again =
      crash->outcome == GUARD_WENT_BACK && ++record->tries < GUARD_TRIES;
  GraftNative next = again ? atomic_load(&fn->code) : NULL;
  if (next == NULL) crash->outcome = GUARD_GAVE_ZERO;
  return next;
}

static bool is_news(GuardFn *fn, const GuardCrash *crash) {
  bool news = fn->crash_code != crash->code ||
              fn->crash_address != crash->frames[0].address;
  fn->crash_code = crash->code;
  fn->crash_address = crash->frames[0].address;
  return news;
}

static void put_back(GuardThread *thread, GuardRecord *record) {
  const GuardHost *host = &record->fn->guard->desc.host;
  GuardFn *left = thread->left;
  guard_thread_prune(thread, record->call);
  thread->left = left; // calls inside the one that crashed are not news
  thread->crash.state_restored =
      record->has_snapshot && snapshot_restore(&record->snapshot);
  if (record->fn->lua && host->lua_resume != NULL) {
    host->lua_resume(host->context, (void *)record->call->registers[0],
                     record->lua_words);
  }
}

GraftNative guard_recover(GuardCall *call) {
  GuardFn *fn = call->fn;
  Guard *guard = fn->guard;
  GuardThread *thread = guard_thread_find();
  GuardRecord *record = guard_thread_record(thread, call);
  assert(record != NULL);
  GuardCrash *crash = &thread->crash;
  thread->inside = true;
  put_back(thread, record);
  crash->fn = fn;
  crash->code = record->code;
  pthread_mutex_lock(&guard->mutex);
  wait_for_switch(fn, call);
  GraftNative next = go_back(fn, record, crash);
  bool news = is_news(fn, crash);
  if (news) guard_add_crash(guard, crash);
  record->code = next;
  size_t result_size = fn->result_size;
  call->stack_size = record->stack_size = fn->stack_size;
  pthread_mutex_unlock(&guard->mutex);
  if (news && guard->desc.host.noticed != NULL) {
    guard->desc.host.noticed(guard->desc.host.context);
  }
  if (next == NULL) {
    guard_record_drop(record);
    give_zero(call, result_size);
  } else {
    atomic_store(&record->running, true);
  }
  thread->inside = false;
  return next;
}
