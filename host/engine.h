// SPDX-License-Identifier: MIT
//
// Engine: owns the parts and wires them. engine.c opens, closes and answers;
// engine_file.c knows files, roots and modules; engine_plan.c turns changes
// into plans on the watcher thread; engine_update.c applies plans at safe
// points.
//
// Threads: `plans` and the units of `files` are shared with the watcher thread
// under `mutex`; all else belongs to the host thread.

#ifndef GRAFT_ENGINE_H
#define GRAFT_ENGINE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/map.h"
#include "native/library.h"
#include "patch/diff.h"
#include "patch/report.h"
#include "registry/slot.h"
#include "vm/break.h"
#include "vm/interrupt.h"
#include "vm/loader.h"
#include "vm/patcher.h"
#include "vm/probation.h"
#include "vm/view.h"
#include "watch/watch.h"

enum { ENGINE_HISTORY = 16 };

// A file that a script was loaded from, or may be.
typedef struct EngineFile {
  char *path;                         // as the user named its folder
  char *module;                       // "ai.goblin"
  Script *script;                     // host thread only
  GraftUnit *unit;                    // the present one; under the mutex
  GraftUnit *history[ENGINE_HISTORY]; // units before this one, oldest first
  size_t history_count;
  // What waits for a broken file of the same save; host thread only.
  struct Plan *waiting;
  GraftError shown; // the last rejection, so that it is shown once
} EngineFile;

// A change of one file, worked out as far as can be off the host thread.
typedef struct Plan {
  struct Plan *next;
  char *path;
  char *module; // or NULL when no root holds the file
  WatchKind kind;
  GraftUnit *unit; // NULL when it could not be parsed
  GraftUnit *base; // what `diff` starts from
  Diff *diff;      // NULL when the file was not loaded then
  // What the difference needs, compiled; NULL when the host does that.
  struct MakerCode *code;
  GraftStatus status;
  GraftError error;
  char *source_line; // that the error is about, or NULL
  uint64_t notice_ns;
  uint64_t settled_ns;
  uint64_t read_ns;
  uint64_t taken_ns; // when the watcher handed over its batch
  uint64_t planned_ns;
} Plan;

// What other threads have to say, on its way to the host thread.
typedef struct EngineNotice {
  struct EngineNotice *next;
  const GraftFn *fn; // a typed call of it has failed; NULL: the watcher's
  int count;         // of equal ones
  char *text;
} EngineNotice;

typedef struct EngineRoot {
  char *path;      // without a slash at the end; "" for the current folder
  int watch_index; // -1: not watched
  char *only;      // the one file that is watched, or NULL
} EngineRoot;

// Whom a host wants told of a slot.
typedef struct EngineConformed {
  GraftFn *fn;
  void (*callback)(void *context, GraftFn *fn); // NULL: ended
  void *context;
  uint32_t told; // the active version then, 0 for none
} EngineConformed;

// A slot whose active backing is of another kind now.
typedef struct EngineSwap {
  GraftFn *fn;
  const Backing *from; // retained, or NULL
  const Backing *to;
  bool exchanged; // Lua sees it
  bool failed;    // to make Lua see it, and this was told
} EngineSwap;

struct NativeChange;
struct Types;

struct GraftEngine {
  GraftAllocator allocator;
  GraftEngineDesc desc;
  Vm *vm;
  Registry *registry;
  LoaderHooks hooks;
  ViewHooks view_hooks;
  ARRAY(EngineRoot) roots;
  ARRAY(Library *) libraries;
  ARRAY(GraftFn *) native_slots; // slots that were given a native, each once
  ARRAY(EngineFile *) file_list; // under the mutex for adding
  Map files;                     // path → EngineFile; under the mutex

  Watch *watch;
  VmChecker *checker; // watcher thread
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  Plan *plans;           // newest first
  EngineNotice *notices; // newest first; under the mutex
  int watched;           // roots that the watcher has
  atomic_bool pending;
  atomic_bool has_updated; // the host has come to a safe point once
  atomic_bool new_sources; // C files have come, and there are no natives
  // Natives compiled by the engine; NULL until there are some.
  struct Natives *natives;

  Patcher *sweeping;      // committed; its references still follow, or NULL
  size_t sweep_notes;     // of its patcher that were told
  uint64_t sweep_ns;      // it took so far
  uint64_t safe_point_ns; // when this safe point began
  int sweep_safe_points;  // it had so far
  bool in_hook;           // it is in the hook of a script that never returns

  GraftReport report; // of this safe point
  bool is_guest;      // in a lua_State that somebody else owns
  bool of_state;      // ends with that lua_State: made by `require "graft"`
  bool updating;      // inside a safe point
  bool telling;       // listeners are told of an event
  bool stopped;       // the host looks at an error (T4)
  bool missed_break;  // it was told that it cannot be asked
  bool showing_swaps;
  bool telling_conformed;
  bool pinning;            // a backing is being chosen by hand
  bool undoing;            // slots are put back, which is no swap
  bool has_listeners;      // a script has asked for events
  const char *reverting;   // the function whose old version is being put back
  ARRAY(EngineSwap) swaps; // of the transaction, to be shown when it is done
  struct Types *types;     // for editors, kept up to date; or NULL
  ARRAY(EngineConformed) conformed;
  // Called with each event before desc.on_event; true: it has been shown.
  bool (*on_lua_event)(GraftEngine *engine, const GraftEvent *event);
};

// Provided by bindings/: the `graft` module.
GraftStatus bindings_open(GraftEngine *engine, GraftError *error);

// Whether no transaction may begin: inside of one, while listeners look at an
// event, whose texts the next one's report would take the place of, and while
// the host looks at the frames of an error.
static inline bool engine_is_busy(const GraftEngine *self) {
  return self->updating || self->telling || self->stopped;
}

// Tells the host and the listeners, and keeps it in the report.
void engine_emit(GraftEngine *self, const GraftEvent *event);
void engine_notice(GraftEngine *self, const char *text);
void engine_emit_error(GraftEngine *self, const GraftError *error);

// engine_file.c
// Files are known by their path without "./" in front.
const char *engine_plain_path(const char *path);
bool engine_is_file(const char *path);
// Tells the watcher what was loaded.
void engine_prime(GraftEngine *self, const char *path, const char *text,
                  size_t size);
void engine_init_hooks(GraftEngine *self);
void engine_clear_files(GraftEngine *self);
EngineFile *engine_find_file(GraftEngine *self, const char *path);
// The file with its script, ready to be run.
GraftStatus engine_open_script(GraftEngine *self, const char *path,
                               const char *module, Script **script,
                               GraftError *error);
// The module that a path is, by the roots; NULL: none, or out of memory.
char *engine_module_of(GraftEngine *self, const char *path);
bool engine_has_natives(GraftEngine *self, const char *module);
char *engine_read_file(const GraftEngine *self, const char *path, size_t *size,
                       GraftError *error);
void engine_set_unit(GraftEngine *self, EngineFile *file, GraftUnit *unit);
// engine_slots.c
// What slots were before a transaction, and which swaps are its own.
typedef struct EngineSlots {
  ARRAY(SlotSnapshot *) snapshots;
  size_t first_swap;
} EngineSlots;
// A backing for a definition of a script, without `script`.
BackingDesc engine_backing(const Script *script, int definition);
// Remembers what a slot is; `fn` NULL: out of memory.
GraftStatus engine_keep_slot(GraftEngine *self, EngineSlots *slots, GraftFn *fn,
                             GraftError *error);
// Slots of all that a script shows and that has none yet.
GraftStatus engine_bind_slots(GraftEngine *self, Script *script,
                              EngineSlots *slots, GraftError *error);
// Puts back what was remembered, and what Lua sees of it.
void engine_restore_slots(GraftEngine *self, EngineSlots *slots);
// Frees what the list holds. In any case the last call.
void engine_forget_slots(const GraftEngine *self, EngineSlots *slots);

// engine_plan.c: for WatchDesc, and what its messages become on the host thread
void engine_on_batch(void *context, const WatchBatch *batch);
void engine_on_message(void *context, const char *text);
// A typed call has failed on another thread. Any thread.
void engine_on_call_failed(GraftEngine *self, const GraftFn *fn,
                           const char *text);
void engine_show_notices(GraftEngine *self);
void engine_free_notices(GraftEngine *self);
typedef struct PlanDesc {
  const char *path;
  const char *contents;
  size_t size;
  WatchKind kind;
  bool compile; // also what a patch needs: not on the host thread, which would
                // do it twice
} PlanDesc;
// NULL when out of memory. Any thread; `checker` is that thread's.
Plan *plan_new(GraftEngine *engine, VmChecker *checker, const PlanDesc *desc);
// Sets `unit`, or `status`, `error` and `source_line`, of a plan whose `module`
// is set.
void plan_compile(GraftEngine *engine, VmChecker *checker, Plan *self,
                  const PlanDesc *desc);
void plan_free(const GraftAllocator *allocator, Plan *self);
// With the mutex held: hands plans, the newest first, to the host thread.
void engine_queue_plans(GraftEngine *self, Plan *plans);
// Interrupts a script that never comes to a safe point. Any thread but the
// host's, without the mutex.
void engine_interrupt_if_stuck(GraftEngine *self);

// engine.c: opens an engine, in somebody else's lua_State if `state` is set.
typedef struct GuestDesc {
  const GraftEngineDesc *desc;
  void *state;
  bool of_state;
} GuestDesc;
GraftStatus engine_open(const GuestDesc *guest, GraftEngine **engine,
                        GraftError *error);

// engine_types.c: writes the types for editors again, if they are to be kept
// and something has changed.
void engine_refresh_types(GraftEngine *self);

// engine_values.c: after a transaction, tells the host of slots that have
// another version now.
void engine_tell_conformed(GraftEngine *self);

// engine_view.c
void engine_init_views(GraftEngine *self);

// engine_guest.c: the owner of the lua_State has closed it; for VmDesc.
void engine_on_state_closed(void *context);
// Takes over the chunks that run now and whose files lie in the roots, and what
// has returned of these. Nothing happens where the engine owns its VM.
void engine_adopt_chunks(GraftEngine *self);
void engine_finish_chunks(GraftEngine *self);

// Runs what chunks that have raised had registered, between calls.
void engine_run_cleanups(GraftEngine *self);
void engine_on_cleanup_failed(void *context, const GraftError *error);

// engine_update.c: takes a list of plans, oldest first, and owns them; with
// them natives that have been compiled.
int engine_take_plans(GraftEngine *self, Plan *plans);
// The same for what waits now.
int engine_take_waiting(GraftEngine *self);
// engine_rollback.c, for VmFailed.
GraftStatus engine_on_failure(void *context, ProbationFailure *failure,
                              const GraftError *error);
// An error as one text, its place in front.
void engine_place_message(const GraftError *error, char *text, size_t size);
// engine_break.c, for VmBreak.
bool engine_on_break(void *context, GraftBreak *at, GraftRestart *restart);
// Reports that a file cannot be taken, once.
void engine_reject(GraftEngine *self, EngineFile *file, const GraftError *error,
                   const char *source);
// For VmSafePoint.
void engine_safe_point(void *context);

// engine_apply.c: applies what waits in these files, as one transaction.
typedef ARRAY(EngineFile *) EngineFiles;
// `change` has natives that wait too, or is NULL.
GraftStatus engine_apply(GraftEngine *self, const EngineFiles *files,
                         struct NativeChange *change, GraftError *error);
void engine_emit_note(GraftEngine *self, const Note *note);
// engine_sweep.c: the sweep that goes on after its transaction, which hands its
// patcher over.
void engine_begin_sweep(GraftEngine *self, Patcher *patcher, uint64_t spent_ns);
// Goes on for what is left of the budget at this safe point.
void engine_sweep(GraftEngine *self);
// Whether that has something to do. Cheap, but for the host thread alone.
bool engine_has_sweep(const GraftEngine *self);
// Does the rest at once; `why` is for the report. Does nothing without one.
void engine_end_sweep(GraftEngine *self, const char *why);
// With a budget, the garbage collector rests at a safe point: a step of it may
// take longer than all else.
void engine_begin_safe_point(GraftEngine *self);
void engine_end_safe_point(GraftEngine *self);
// Leaves what is left as it is: the VM closes.
void engine_forget_sweep(GraftEngine *self);
// Whether a transaction that begins now is to spread its sweep.
bool engine_spreads(const GraftEngine *self);

// engine_merge.c: graft_unit_compile with the VM's own compiler for a second
// opinion (U1). `desc->allocator` is the engine's.
GraftStatus engine_compile_unit(GraftEngine *self, const GraftUnitDesc *desc,
                                GraftUnit **unit, GraftError *error);

// engine.c: modules are looked for among such slots. False: out of memory.
bool engine_note_native(GraftEngine *self, GraftFn *fn);
// Whether a C file of this path was compiled.
bool engine_has_native_file(GraftEngine *self, const char *path);
void engine_load_new_sources(GraftEngine *self);
// Makes Lua see the swaps that were noted, up to the first that fails.
GraftStatus engine_exchange_swaps(GraftEngine *self, GraftError *error);
// Puts back and forgets those from `first` on.
void engine_undo_swaps(GraftEngine *self, size_t first);
// Reports those that Lua sees; the others are tried again next time.
void engine_show_swaps(GraftEngine *self);

#endif
