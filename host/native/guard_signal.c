// SPDX-License-Identifier: MIT

#include "native/guard_inner.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "native/crash.h"
#include "native/machine.h"
#include "native/poke.h"
#include "native/backtrace.h"

#if defined(__SANITIZE_ADDRESS__)
void __asan_handle_no_return(void);
#define FORGET_FRAMES() __asan_handle_no_return()
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
void __asan_handle_no_return(void);
#define FORGET_FRAMES() __asan_handle_no_return()
#endif
#endif
#if !defined(FORGET_FRAMES)
#define FORGET_FRAMES() ((void)0)
#endif

// Guards whose natives a crash may be in. Handlers read this.
enum { GUARDS = 64, NEAR = 1 << 20, OVERFLOW_ROOM = 2 << 20, SCAN = 8192 };

static _Atomic(Guard *) guards[GUARDS];

bool guard_signal_open(Guard *self) {
  for (int i = 0; i < GUARDS; i++) {
    Guard *none = NULL;
    if (atomic_compare_exchange_strong(&guards[i], &none, self)) return true;
  }
  return false;
}

void guard_signal_close(Guard *self) {
  for (int i = 0; i < GUARDS; i++) {
    Guard *found = self;
    atomic_compare_exchange_strong(&guards[i], &found, NULL);
  }
}

static bool find_place(uintptr_t address, bool is_return, GuardPlace *place) {
  for (int i = 0; i < GUARDS; i++) {
    Guard *guard = atomic_load(&guards[i]);
    if (guard == NULL) continue;
    const GuardHost *host = &guard->desc.host;
    if (host->place(host->context, (const void *)address, is_return, place)) {
      return true;
    }
  }
  return false;
}

// --- The way to the crash ----------------------------------------------------

typedef struct Trace {
  GuardThread *thread; // or NULL
  const void *machine;
  GuardCrash *crash;
  GuardRecord *record; // whose call led to the crash, or NULL
  uintptr_t furthest;  // how far up the stack was followed
} Trace;

static void add_frame(GuardCrash *crash, uintptr_t address, bool is_return) {
  if (crash->frame_count == GUARD_FRAMES) return;
  GuardFrame frame = {.address = (const void *)address};
  bool native = find_place(address, is_return, &frame.place);
  bool seen = crash->frame_count > 0 &&
              crash->frames[crash->frame_count - 1].address == frame.address;
  if ((native || crash->frame_count == 0) && !seen) {
    crash->frames[crash->frame_count++] = frame;
  }
}

static GuardRecord *find_record(GuardThread *thread, uintptr_t sp) {
  for (int i = 0; thread != NULL && i < GUARD_RECORDS; i++) {
    GuardRecord *record = &thread->records[i];
    if (record->used &&
        (uintptr_t)record->call - record->call->stack_size == sp) {
      return record;
    }
  }
  return NULL;
}

static bool visit(void *context, const BacktraceFrame *frame) {
  Trace *trace = context;
  if (frame->sp > trace->furthest) trace->furthest = frame->sp;
  if (frame->address == (uintptr_t)guard_returned && trace->record == NULL) {
    trace->record = find_record(trace->thread, frame->sp);
  }
  add_frame(trace->crash, frame->address, frame->is_return);
  return trace->record == NULL; // what called it is not to blame
}

static void walk(void *argument) {
  Trace *trace = argument;
  backtrace_walk(trace->machine, visit, trace);
}

static bool is_same_call(const GuardRecord *record) {
  return record->call->serial == record->serial;
}

typedef struct Check {
  const GuardRecord *record;
  bool same;
} Check;

static void check_call(void *argument) {
  Check *check = argument;
  check->same = is_same_call(check->record);
}

// Where the stack could not be followed (no tables, or it was written over),
// the innermost call that is still where it was.
static GuardRecord *guess_record(Trace *trace, uintptr_t sp) {
  GuardThread *thread = trace->thread;
  GuardRecord *top = thread != NULL ? guard_thread_top(thread) : NULL;
  if (top == NULL) return NULL;
  uintptr_t call = (uintptr_t)top->call;
  if (trace->furthest > call) return NULL; // we came by, and it was not there
  if (top->on_thread_stack) {
    uintptr_t low = (uintptr_t)thread->stack_low;
    if (sp + OVERFLOW_ROOM < low || sp >= call) return NULL;
  } else if (sp >= call || call - sp > NEAR) {
    return NULL;
  }
  Check check = {top, false};
  return crash_try(check_call, &check) && check.same ? top : NULL;
}

static void find_trace(Trace *trace, void *machine) {
  uintptr_t pc = machine_pc(machine), sp = machine_sp(machine);
  MachinePlace place;
  bool nowhere = pc == (uintptr_t)trace->crash->address && pc != 0;
  nowhere = nowhere || pc == 0;
  add_frame(trace->crash, pc, false);
  trace->machine = machine;
  if (nowhere) machine_undo_call(machine, &place);
  bool whole = crash_try(walk, trace);
  if (nowhere) machine_redo_call(machine, &place);
  if (!whole) trace->record = NULL;
  if (trace->record == NULL) trace->record = guess_record(trace, sp);
}

// --- What to do about it -----------------------------------------------------

static void describe_thread(GuardCrash *crash) {
  crash->thread = (pid_t)syscall(SYS_gettid);
  prctl(PR_GET_NAME, crash->thread_name);
  for (int i = 0; i < GUARDS; i++) {
    const Guard *guard = atomic_load(&guards[i]);
    if (guard == NULL || !pthread_equal(guard->host, pthread_self())) continue;
    crash->on_host_thread = true;
  }
}

static bool is_overflow(const GuardThread *thread, const CrashSignal *signal) {
  if (thread == NULL || signal->number != SIGSEGV) return false;
  uintptr_t low = (uintptr_t)thread->stack_low;
  uintptr_t address = (uintptr_t)signal->info->si_addr;
  uintptr_t sp = machine_sp(signal->machine);
  return address + OVERFLOW_ROOM > low && address < low + NEAR / 4 &&
         sp + OVERFLOW_ROOM > low && sp < low + NEAR;
}

static void describe(GuardCrash *crash, const GuardThread *thread,
                     const CrashSignal *signal) {
  memset(crash, 0, sizeof *crash);
  crash->signal = signal->number;
  crash->signal_code = signal->info->si_code;
  if (signal->number == SIGSEGV || signal->number == SIGBUS) {
    crash->address = signal->info->si_addr;
    crash->access = machine_access(signal->machine);
  }
  crash->overflow = is_overflow(thread, signal);
}

static bool can_resume(const GuardThread *thread, const GuardRecord *record) {
  if (record == NULL || thread->inside || !atomic_load(&record->running) ||
      record->script_depth != guard_script_depth(record->fn->guard) ||
      record->fn->guard->desc.on_error == GRAFT_ON_ERROR_REPORT) {
    return false;
  }
  const GuardHost *host = &record->fn->guard->desc.host;
  return !record->fn->lua || host->lua_can_resume == NULL ||
         host->lua_can_resume(host->context, (void *)record->call->registers[0],
                              record->lua_words);
}

static void resume(GuardThread *thread, GuardRecord *record, void *machine) {
  for (int i = 0; i < GUARD_RECORDS; i++) {
    GuardRecord *inner = &thread->records[i];
    if (inner->used && inner->serial > record->serial) {
      atomic_store(&inner->left, true);
    }
  }
  atomic_store(&record->running, false);
  FORGET_FRAMES();
  machine_resume(machine, &(MachineResume){
                              .code = (void *)(uintptr_t)guard_resume,
                              .call = (uintptr_t)record->call,
                              .frame = record->call->frame_pointer,
                              .mask = &record->mask,
                          });
}

static void tell(const GuardCrash *crash) {
  char text[2048];
  static const char head[] = "A native ";
  memcpy(text, head, sizeof head - 1);
  size_t size = sizeof head - 1;
  size += guard_crash_text(crash, text + size, sizeof text - size - 1);
  if (size > sizeof text - 2) size = sizeof text - 2;
  text[size++] = '\n';
  ssize_t written = write(STDERR_FILENO, text, size);
  (void)written;
}

static bool is_in_natives(const GuardCrash *crash) {
  for (int i = 0; i < crash->frame_count; i++) {
    if (crash->frames[i].place.name != NULL) return true;
  }
  return false;
}

bool guard_on_crash(const CrashSignal *signal) {
  if (!crash_is_own(signal->info) || !machine_is_known()) return false;
  GuardThread *thread = guard_thread_find();
  GuardCrash crash;
  describe(&crash, thread, signal);
  Trace trace = {.thread = thread, .crash = &crash};
  find_trace(&trace, signal->machine);
  describe_thread(&crash);
  if (can_resume(thread, trace.record)) {
    thread->crash = crash;
    resume(thread, trace.record, signal->machine);
    return true;
  }
  if (is_in_natives(&crash)) tell(&crash);
  return false;
}

// --- Calls that take too long ------------------------------------------------

typedef enum Late {
  LATE_ELSEWHERE, // not in natives' code, where it could be taken out
  LATE_INNER,     // a call inside it is under way, which has its own limit
  LATE_OVER,
  LATE_TAKEN,
} Late;

typedef struct Question {
  GuardRecord *record;
  uint64_t serial;
  Late answer;
  GuardCrash crash;
} Question;

// The nearest word on the stack that looks like a return to natives.
typedef struct Search {
  GuardCrash *crash;
  const GuardRecord *record;
  uintptr_t sp;
} Search;

static __attribute__((no_sanitize("address"))) void
look_for_native(void *argument) {
  Search *search = argument;
  uintptr_t end = (uintptr_t)search->record->call;
  uintptr_t at = search->sp & ~(sizeof at - 1);
  GuardPlace place;
  for (int i = 0; i < SCAN && at < end; i++, at += sizeof at) {
    uintptr_t word = *(const uintptr_t *)at;
    if (!find_place(word, true, &place) || !machine_is_return(word)) continue;
    add_frame(search->crash, word, true);
    return;
  }
}

static Late answer(Question *question, void *machine) {
  GuardThread *thread = guard_thread_find();
  GuardRecord *record = question->record;
  uintptr_t sp = machine_sp(machine);
  if (thread == NULL || !record->used || record->serial != question->serial) {
    return LATE_OVER;
  }
  if (record->on_thread_stack && (uintptr_t)record->call < sp) {
    atomic_store(&record->left, true);
    return LATE_OVER;
  }
  if (guard_thread_top(thread) != record) return LATE_INNER;
  GuardCrash *crash = &question->crash;
  GuardPlace place;
  if (!find_place(machine_pc(machine), false, &place)) {
    add_frame(crash, machine_pc(machine), false);
    Search search = {crash, record, sp};
    crash_try(look_for_native, &search);
    return LATE_ELSEWHERE;
  }
  Trace trace = {.thread = thread, .crash = crash};
  find_trace(&trace, machine);
  if (trace.record != record) {
    atomic_store(&record->left, trace.record == NULL);
    return LATE_OVER;
  }
  if (!can_resume(thread, record)) return LATE_ELSEWHERE;
  thread->crash = *crash;
  resume(thread, record, machine);
  return LATE_TAKEN;
}

static void on_poke(void *argument, void *machine) {
  Question *question = argument;
  GuardCrash *crash = &question->crash;
  describe_thread(crash);
  question->answer = answer(question, machine);
}

// The host thread may never come to where it would take the crash, so what
// hangs there is told at once.
static void name(Guard *guard, GuardRecord *record, GuardCrash *crash) {
  if (crash->on_host_thread) tell(crash);
  crash->fn = record->fn;
  crash->code = record->code;
  crash->outcome = GUARD_NAMED;
  crash->thread = record->thread;
  pthread_mutex_lock(&guard->mutex);
  guard_add_crash(guard, crash);
  pthread_mutex_unlock(&guard->mutex);
  if (guard->desc.host.noticed != NULL) {
    guard->desc.host.noticed(guard->desc.host.context);
  }
}

// The thread may be in native code at another moment, or too busy to answer,
// so it is asked again, before it is named and after that, less often as time
// goes by.
int guard_on_late(void *context, WatchdogCall *call, int elapsed_ms) {
  enum { SOON = 20, LATER = 500, SURE = 10, PATIENCE = 50 };
  Guard *guard = context;
  GuardRecord *record =
      (GuardRecord *)((char *)call - offsetof(GuardRecord, watch));
  if (atomic_load(&record->left)) return 0;
  Question question = {.record = record,
                       .serial = record->serial,
                       .answer = LATE_ELSEWHERE,
                       .crash = {.elapsed_ms = elapsed_ms}};
  poke_thread(&(PokeDesc){.thread = record->thread,
                          .handler = on_poke,
                          .argument = &question,
                          .timeout_ms = SOON});
  if (question.answer == LATE_OVER) return 0;
  if (question.answer != LATE_ELSEWHERE) return guard->desc.watchdog_ms;
  if (!atomic_load(&record->running)) return SOON;
  if (++record->asked == SURE) name(guard, record, &question.crash);
  return record->asked < PATIENCE ? SOON : LATER;
}
