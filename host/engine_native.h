// SPDX-License-Identifier: MIT
//
// Natives of the engine that are compiled from C while it runs: their files,
// the objects that were made of them, and the functions and variables in
// those. The parts in native/ and state/ know nothing of each other; here they
// become a transaction.
//
//   engine_native.c         opens and closes; files, objects, symbols
//   engine_native_intake.c  watcher thread: what changed goes to the compiler
//   engine_native_batch.c   worker threads: results, together with the scripts
//                           of the same save
//   engine_native_load.c    a folder of .c files at the start
//   engine_native_change.c  a change: the files that wait, rejecting, settling
//   engine_native_link.c    where variables lie, objects are placed
//   engine_native_check.c   who still relies on what the change would break
//   engine_native_switch.c  slots and state switch, commit or undo, report
//   engine_native_report.c  what is told of it
//   engine_native_version.c versions of old objects: rolling back, pins
//   engine_native_guard.c   probation, crashes, unloading
//
// Each function has a slot. Those that R2 names are in the engine's registry;
// static ones and others are in a registry of their own, `hidden`, under names
// such as "physics:clamp": they have versions and entries, but nobody calls
// them by name.

#ifndef GRAFT_ENGINE_NATIVE_H
#define GRAFT_ENGINE_NATIVE_H

#include "engine.h"
#include "native/dwarf_layout.h"
#include "native/entry.h"
#include "native/guard.h"
#include "native/link.h"
#include "native/signature_type.h"
#include "native/stacks.h"
#include "native/worker.h"
#include "state/storage.h"

// What a worker thread makes of a compiled file. Immutable; counted, since a
// change that was undone comes again.
typedef struct NativeProduct {
  const GraftAllocator *allocator;
  _Atomic uint32_t count;
  ObjectFile *object;
  LineTable *lines; // NULL without debug information
  Layout layout;    // empty without
} NativeProduct;

typedef struct NativeFile NativeFile;

// What is known of the functions that an object calls beyond itself.
typedef enum NativeReach {
  REACH_UNKNOWN,
  REACH_OWN,     // natives and the system's
  REACH_FOREIGN, // others, which may call Lua
} NativeReach;

// A product placed in memory. Counted: the file holds its present one, and
// each backing that has code in it. When the last lets go it is unloaded as
// soon as no thread can be in it.
typedef struct NativeObject {
  _Atomic(struct NativeObject *) next; // in Natives.objects
  uint32_t count;
  NativeFile *file;
  NativeProduct *product;
  Link *link;
  // By index of its data; NULL: its own, or none. All NULL: it was undone.
  StorageObject **storage;
  WorkerTier tier;
  NativeReach reach;
  int *lines;    // by index of its functions, where it has no debug information
  bool outdated; // a variable that it was linked against has another layout
} NativeObject;

// A function, known for the engine's life.
typedef struct NativeSymbol {
  char *key;        // "physics_step"; of a static one "natives/physics.c:clamp"
  NativeFile *file; // that has defined it last
  GraftFn *fn;
  const ObjectFunction *function; // in `object`
  NativeObject *object;           // where its newest code is; NULL: it is gone
  GuardFn *guard;
  bool is_global;
  uint64_t
      kept_out; // hash of the text whose version crashed, or was rolled back
} NativeSymbol;

// One file of a worker's result, or one that is gone.
typedef struct NativePlan {
  struct NativePlan *next;
  struct NativeResult *result; // counted; NULL for a file that is gone
  WorkerFile *file;            // in the result
  char *path;
  uint64_t notice_ns;
  uint64_t settled_ns;
} NativePlan;

// A worker's result, shared by the plans that are made of it.
typedef struct NativeResult {
  _Atomic uint32_t count;
  WorkerResult *worker;
} NativeResult;

struct NativeFile {
  char *path;     // as the user named its folder
  char *absolute; // or NULL
  char *root;     // the folder that was named, for compile_flags.txt
  char *module;   // "physics"
  NativeObject *object;
  NativePlan *waiting;
  GraftError shown; // the last rejection, so that it is shown once
  // What was compiled last and taken, and what makes sure that the fast tier
  // lays out its types alike. Both under the mutex.
  char *text;
  size_t size;
  char *checks;
  uint64_t hash; // of the text; host thread
  // It could not be taken at the start; it comes when it can, and holds
  // nothing up until then.
  bool late;
};

// A file of a job, as it was submitted.
typedef struct NativeText {
  struct NativeText *next;
  char *path;
  char *root;
  char *text; // NULL: what is on disk
  size_t size;
  char *base; // NULL: not for the fast tier
  size_t base_size;
  char *checks; // may be NULL
} NativeText;

// What was saved together and is being compiled. Saves that come meanwhile
// join it. Under the engine's mutex.
typedef struct NativeHold {
  uint64_t job;      // 0: nothing is at work
  NativeText *texts; // that the job was made of
  Plan *plans;       // scripts of the same saves, newest first
  // When the compiler was seen to have read other texts than these, since the
  // files are being saved again; 0: it was not.
  uint64_t stale_ns;
  uint64_t notice_ns;
  uint64_t settled_ns;
} NativeHold;

enum { NATIVE_THREADS = 16 };

typedef struct Natives {
  GraftEngine *engine;
  const GraftAllocator *allocator; // the engine's
  NativeRegion *region;
  LiteralPool *literals;
  Tls *tls;
  Storage *storage;
  Worker *worker;
  Registry *hidden;
  Guard *guard;
  // Around changes of the storage: guards copy state on other threads. The
  // host thread may take it twice, for what natives do during a change.
  pthread_mutex_t state_lock;
  ARRAY(NativeFile *) files; // adding: under the mutex
  Map by_path;               // → NativeFile; under the mutex
  Map symbols;               // key → NativeSymbol
  ARRAY(char *) headers;     // that are watched by themselves
  ARRAY(NativeSymbol *) symbol_list;
  // All that are placed. The host thread changes the list; handlers of signals
  // read it on any thread, and are counted meanwhile.
  _Atomic(NativeObject *) objects;
  atomic_int readers;
  NativeHold hold;   // under the mutex
  NativePlan *plans; // for the host thread, newest first; under the mutex
  NativePlan *taken; // from there, oldest first; host thread
  // The engine's own threads, which handle natives but never run them. Under
  // the mutex.
  pid_t threads[NATIVE_THREADS];
  size_t thread_count;
  bool loading; // at the start: results are waited for
  // The host thread waits for the compiler, and has been told not to.
  atomic_bool waiting, interrupted;
  bool switching;      // callers wait at their gates
  atomic_bool crashed; // a guard has something to tell
  bool told_busy;      // that a change waits for a thread
  bool told_no_compiler;
  uint64_t collected_ns;                // when unloading was last tried
  size_t progress_done, progress_count; // under the mutex
} Natives;

// --- engine_native.c ---------------------------------------------------------

// The engine's natives, opened when first asked for. NULL with an error.
Natives *natives_open(GraftEngine *engine, GraftError *error);
// For closing, in this order; all NULL-safe. Stops the workers; runs the
// natives' destructors, while slots are there still; frees all, after the
// registry, whose backings have code in the objects.
void natives_stop(Natives *self);
void natives_finish(Natives *self);
void natives_close(Natives *self);

// Ends the host's wait for the compiler, if it does. NULL-safe; from a signal
// handler of the host's thread too.
void natives_interrupt(Natives *self);

NativeFile *natives_find_file(Natives *self, const char *path);
NativeFile *natives_add_file(Natives *self, const char *path, const char *root);
NativeSymbol *natives_find_symbol(const Natives *self, const char *symbol);
// The symbol of an object's function, added when it is new; NULL when out of
// memory. `signature` may be NULL.
NativeSymbol *natives_add_symbol(Natives *self, NativeFile *file,
                                 const ObjectFunction *function);
NativeSymbol *natives_find_function(const Natives *self, const NativeFile *file,
                                    const ObjectFunction *function);
// "physics.step", "physics:clamp".
const char *native_symbol_name(const NativeSymbol *self);

// Puts an object into the list.
void natives_list_object(Natives *self, NativeObject *object);
void native_object_retain(NativeObject *self);
void native_object_release(Natives *self, NativeObject *object);
// Frees it; nobody is in it.
void native_object_unload(Natives *self, NativeObject *object);
NativeProduct *native_product_retain(NativeProduct *self);
void native_product_release(NativeProduct *self); // NULL-safe
void native_plan_free(const GraftAllocator *allocator, NativePlan *self);
// The layout's entry for an object's function, or NULL.
const LayoutFunction *native_product_function(const NativeProduct *self,
                                              const ObjectFunction *function);
const LayoutVariable *native_product_variable(const NativeProduct *self,
                                              const ObjectData *data);

// The type of this name, of those that are loaded, complete where possible;
// NULL: none. For views, as is the next; `self` may be NULL.
const Type *natives_find_type(const Natives *self, const char *name,
                              TypeSet **types);
// How many elements of `size` bytes lie from the address on in the variable
// that it is in, and how many in front; 0 when it is in none.
size_t natives_find_extent(const Natives *self, const void *address,
                           size_t size, size_t *before);

// What natives mean by a name of graft.h; NULL: nothing.
void *natives_find_api(Natives *self, const char *name);

// --- engine_native_batch.c ---------------------------------------------------

bool native_is_source(const char *path);
// NULL when out of memory.
NativePlan *native_plan_new(const GraftAllocator *allocator, const char *path);
// With the mutex held: what is being compiled. A text that is held takes the
// place of an older one; all that is held is submitted as one job, so that what
// was at work goes along.
bool natives_hold_text(Natives *self, const NativeText *text);
void natives_drop_text(Natives *self, const char *path);
GraftStatus natives_submit_hold(Natives *self, GraftError *error);
// On one of the engine's own threads: remembers it.
void natives_note_thread(Natives *self);
// Asks whether anybody is in this code; GRAFT_OK and the answer.
GraftStatus natives_ask(Natives *self, const StacksRange *ranges, size_t count,
                        StacksAnswer *answer, GraftError *error);
GraftStatus natives_open_worker(Natives *self, GraftError *error);
void natives_clear_batches(Natives *self);
// On the watcher thread: compiles what a batch has of natives. `plans`, the
// newest first, are its scripts'. True: they wait with that.
bool natives_take_batch(Natives *self, const WatchBatch *batch, Plan *plans);
// Compiles a file's text; `text` NULL: what is on disk. Host thread.
GraftStatus natives_submit(Natives *self, const NativeText *texts, size_t count,
                           GraftError *error);
// Compiles once more what was read while it was being saved. Cheap when there
// is nothing. Any thread.
void natives_retry(Natives *self);
// Watches the headers of a file that the roots do not deliver.
void natives_watch_headers(Natives *self, const WorkerFile *file);
// With the mutex held: brings what was compiled to the host thread.
void natives_take_queue(Natives *self);

// --- Changes -----------------------------------------------------------------

typedef struct NativeStep {
  NativeFile *file;
  NativePlan *plan;
  NativeProduct *product; // NULL: the file is gone
  NativeObject *object;   // placed
  StorageObject **storage;
  bool partial; // the fast tier's: only the named functions switch
} NativeStep;

typedef struct NativeRetype {
  GraftFn *fn;
  EntryType before;
} NativeRetype;

typedef struct NativeNews {
  GraftEventKind kind;
  NativeSymbol *symbol;
  int line;
  uint32_t version;
} NativeNews;

// A function that the change switches.
typedef struct NativeSwitch {
  NativeSymbol *symbol;
  NativeStep *step;               // NULL: the function goes
  const ObjectFunction *function; // in the step's object
  size_t index;                   // of it there
  bool keep_version;
  NativeSymbol was;       // for undo
  GraftNative was_code;   // the same; NULL: it had none
  SlotSnapshot *snapshot; // the same
} NativeSwitch;

typedef struct NativeChange {
  Natives *natives;
  ARRAY(NativeStep) steps; // by path
  StorageChange *storage;
  StorageReport report;
  bool applied; // the storage change
  ARRAY(NativeRetype) retypes;
  ARRAY(NativeSwitch) switches;
  ARRAY(StorageObject *) moved; // variables that have another layout
  size_t first_swap;            // of its own, in the engine's
  bool switched;                // the slots
  bool was_switched;            // also when it was undone
  bool busy;                    // a thread is inside
  bool awaits_removal;          // of a file that another one takes over from
  ARRAY(NativeNews) news;
} NativeChange;

// engine_native_change.c. All but the first take a change of zero steps or
// NULL for one that does nothing.
//
// Collects the files that wait. False: out of memory.
bool native_change_init(NativeChange *self, Natives *natives);
void native_change_clear(NativeChange *self);
// Rejects files that did not compile; true: there are some, and so nothing is
// to be applied.
bool native_change_reject_broken(NativeChange *self);
// Rejects the file that an error names, if it is one of the change's.
bool native_change_reject(NativeChange *self, const GraftError *error);
// Links and checks; nothing is visible yet. On failure nothing has happened,
// and error->file is that of the file at fault.
GraftStatus native_change_prepare(NativeChange *self, GraftError *error);
// It cannot be applied before a thread has left code, and will come again.
bool native_change_is_busy(const NativeChange *self);
bool native_change_has_news(const NativeChange *self);
void native_change_times(const NativeChange *self, GraftEvent *event);
// It is done: its files wait no more.
void native_change_settle(NativeChange *self);
// What was compiled becomes what files wait for. False: nothing of it is
// wanted, so that what waits already is as it was. NULL-safe.
bool natives_take_plans(Natives *self);

// Whether a variable that the change declares will be somewhere else.
bool native_change_moves(const NativeChange *self, const StorageObject *object);
// engine_native_link.c: declares variables, places the objects.
GraftStatus native_change_link(NativeChange *self, GraftError *error);
// The first values of a step's thread-local variables, for threads that begin
// later: of those that are new, or of all.
void native_step_give_locals(Natives *natives, const NativeStep *step,
                             bool all);
// engine_native_check.c: refuses what would break who stays (N3).
GraftStatus native_change_check(NativeChange *self, GraftError *error);
// engine_native_switch.c: switches state and slots. On failure all is as it
// was.
GraftStatus native_change_switch(NativeChange *self, GraftError *error);
void native_change_undo(NativeChange *self);
void native_change_commit(NativeChange *self);
// engine_native_report.c: reports what the change did, after commit.
void native_change_emit(NativeChange *self);
void native_change_emit_output(NativeChange *self);

// The C type of a function for a slot, the registry's own; NULL when it cannot
// be called with values, and `why_not` says so.
const Signature *native_signature(const GraftFn *fn,
                                  const LayoutFunction *function,
                                  char why_not[SIGNATURE_WHY_NOT]);

// --- engine_native_guard.c ---------------------------------------------------

GraftStatus natives_open_guard(Natives *self, GraftError *error);
// For NativeHost.
GraftNative natives_target(void *context, const GraftFn *fn,
                           const Backing *backing);
// At each safe point: reports crashes, unloads what nobody is in. Cheap when
// there is nothing.
void natives_step(Natives *self);
// A change has to wait for a thread: GRAFT_ERUN, told once.
GraftStatus native_tell_busy(NativeChange *self, const StacksAnswer *answer,
                             GraftError *error);

// --- engine_native_reach.c ---------------------------------------------------

// Whether a call of a native may end up in Lua code. NULL-safe.
bool natives_reach_lua(const Natives *self);

// --- engine_native_load.c ----------------------------------------------------

// Whether a path is, or has below it, .c files.
bool natives_has_sources(const char *path);
// Compiles and loads a .c file, or all of a folder, those that can be.
GraftStatus natives_load(Natives *self, const char *path, GraftError *error);

// Compiles what is on disk now, of this file or of all, and waits for it; the
// next transaction takes it. NULL-safe.
void natives_reload(Natives *self, const char *path);

// --- engine_native_version.c -------------------------------------------------

// The text of a function in a file; false when it is not found.
typedef struct NativeRange {
  size_t start, end;
  int line;
} NativeRange;
bool native_find_text(const char *text, size_t size, const char *name,
                      NativeRange *range);

// Whether a function has a native version of this number (0: any) that was
// compiled here. NULL-safe.
bool natives_has_version(Natives *self, const char *name, uint32_t version);
// Puts a version back that natives_has_version knows.
GraftStatus natives_rollback(Natives *self, const char *name, uint32_t version,
                             GraftError *error);
// Refuses a version that does not fit what is there now.
GraftStatus natives_check_version(Natives *self, const GraftFn *fn,
                                  const Backing *backing, GraftError *error);

#endif
