// SPDX-License-Identifier: MIT
//
// Graft: an embeddable engine with a registry of named functions, each backed
// by compiled C or by Lua, swapped one at a time while the program runs.
//
//   GraftEngine *engine = NULL;
//   GraftError error;
//   if (graft_engine_open(&(GraftEngineDesc){0}, &engine, &error) < 0) {
//     fprintf(stderr, "%s\n", error.message);
//     return 1;
//   }
//   graft_engine_register(engine, "physics.gravity", (GraftNative)gravity,
//                         "double(double)", &error);
//   graft_engine_watch(engine, "scripts", &error);
//   graft_engine_require(engine, "main", &error);
//   GraftFn *update = graft_engine_fn(engine, "main.update");
//   while (running) {
//     graft_engine_update(engine, NULL);
//     graft_fn_call(update, &call, &error);
//   }
//   graft_engine_close(engine);

#ifndef GRAFT_H
#define GRAFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define GRAFT_API
#else
#define GRAFT_API __attribute__((visibility("default")))
#endif

// ---------------------------------------------------------------------------
// Status and errors
// ---------------------------------------------------------------------------

// Each status: code, value, message. 0 is success, errors are negative.
#define GRAFT_STATUS_LIST(X)                                                   \
  X(OK, 0, "no error")                                                         \
  X(ENOMEM, -1, "out of memory")                                               \
  X(EARG, -2, "wrong argument")                                                \
  X(ESYNTAX, -3, "syntax error")                                               \
  X(ERUN, -4, "error while running")                                           \
  X(EIO, -5, "file or system error")                                           \
  X(ENOTFOUND, -6, "not found")                                                \
  X(ESIGNATURE, -7, "signature mismatch")                                      \
  X(EREMOVED, -8, "function was removed")                                      \
  X(ETHREAD, -9, "wrong thread")                                               \
  X(EREVERTED, -10, "new code raised and was put back")

typedef enum GraftStatus {
#define GRAFT_STATUS_ENUM(code, value, message) GRAFT_##code = (value),
  GRAFT_STATUS_LIST(GRAFT_STATUS_ENUM)
#undef GRAFT_STATUS_ENUM
} GraftStatus;

// What went wrong, in the caller's memory; a success leaves it as it was. Every
// function that takes one takes NULL as well. `file` and `message` are always
// terminated; `line` and `column` count from 1, 0 where there is none. The
// message of a script that raised has the traceback in its further lines.
typedef struct GraftError {
  GraftStatus status;
  int line;
  int column;
  char file[256];
  char message[1024];
} GraftError;

// ---------------------------------------------------------------------------
// Memory
// ---------------------------------------------------------------------------

// The one allocator hook. `resize` works like realloc, and frees when `size`
// is 0; it returns NULL on failure. It may be called from any thread.
typedef struct GraftAllocator {
  void *(*resize)(void *context, void *block, size_t size);
  void *context;
} GraftAllocator;

// ---------------------------------------------------------------------------
// Registry
// ---------------------------------------------------------------------------

// A slot: a named function whose address stays for the engine's life, while
// its backings (C or Lua) come and go.
typedef struct GraftFn GraftFn;

// Any C function; cast to and from its own type.
typedef void (*GraftNative)(void);

typedef enum GraftType {
  GRAFT_NIL,
  GRAFT_BOOLEAN,
  GRAFT_INTEGER, // no result of a script in LuaJIT: its numbers are one type
  GRAFT_NUMBER,
  GRAFT_STRING,
  GRAFT_POINTER,
  GRAFT_OTHER, // what has no C form, such as a table; nil as an argument
} GraftType;

// A value on its way between C and a slot. Text is followed by a zero byte
// that `size` does not count. `type` of a pointer is its C name, such as
// "Body *", or NULL when it is not known; to Lua it is a view of what is there
// (bindings/README.md) when a native knows the type.
typedef struct GraftValue {
  GraftType type;
  union {
    bool boolean;
    int64_t integer;
    double number;
    struct {
      const char *text;
      size_t size;
    } string;
    struct {
      void *address;
      const char *type;
    } pointer;
    const char *other; // the name of its type, for messages
  } as;
} GraftValue;

// A dynamic call. All but `result_count` is set by the caller. That is how many
// of `results` were set, 0 after a failure; results beyond `result_capacity`
// are dropped. Strings in results are valid until the next call on the same
// engine. A native that returns a struct by value writes it to `bytes`, and the
// result is a pointer to there.
typedef struct GraftCall {
  const GraftValue *args;
  int arg_count;
  GraftValue *results;
  int result_capacity;
  int result_count;
  void *bytes;       // aligned for the struct; NULL where none is returned
  size_t byte_count; // how much room there is
} GraftCall;

typedef enum GraftPin {
  GRAFT_PIN_AUTO,
  GRAFT_PIN_NATIVE,
  GRAFT_PIN_SCRIPT,
  GRAFT_PIN_VERSION,
} GraftPin;

// What is known of a slot. Strings are borrowed until the slot changes.
typedef struct GraftInfo {
  const char *name;
  const char *kind;      // "native", "script" or "none"
  const char *layer;     // "built-in", "native", "script", "mod", "none"
  int mod;               // load order from 0, when the layer is "mod"
  uint32_t version;      // of the active backing, 0 for none
  const char *file;      // NULL where it is not known
  int line;              // 0 where it is not known
  const char *signature; // C type, or NULL
  uint64_t calls;        // all but those through typed pointers
  GraftPin pin;
  const char *removed; // what removed the last backing, or NULL
} GraftInfo;

// The registry name, borrowed for the engine's life. Any thread.
GRAFT_API const char *graft_fn_name(const GraftFn *fn);

// Calls the active backing. Arguments are checked against a native's
// signature: exact or not at all (an integer parameter takes 3 and 3.0, not
// 3.5 or what is out of its range; a double takes both; `const char *` takes
// strings without a zero inside; pointers take nil for NULL; an enum takes
// integers between its enumerators; a struct by value takes a pointer to one,
// such as "Body *"). A script takes any. A result that is a uint64_t beyond
// INT64_MAX comes as a number, NULL as nil. Fails with GRAFT_EREVERTED (the
// script raised in new code, and its previous version is back), GRAFT_EARG
// (count, type or range; the message names the function, the argument, what was
// expected and what it got; no room for a struct that is returned), GRAFT_ERUN
// (the script raised), GRAFT_EREMOVED and GRAFT_ENOTFOUND (no backing),
// GRAFT_ESIGNATURE (a native whose C type cannot be called with values),
// GRAFT_ETHREAD (a script, from another thread than the engine's).
// Natives may be called on any thread, scripts on the engine's. `error` may
// be NULL.
GRAFT_API GraftStatus graft_fn_call(GraftFn *fn, GraftCall *call,
                                    GraftError *error);

// A typed handle: the address of a pointer that always holds code of this C
// type which reaches the active backing. Load it anew for each call:
//
//   GraftNative const *gravity = graft_fn_typed(fn, "double(double)", &error);
//   double g = ((double (*)(double))GRAFT_LOAD(gravity))(height);
//
// When the active backing is a script, its error, a result of another type, or
// a call from another thread yields zero and is told by an ERROR event; so is a
// call when no backing is left. What happens on other threads is told at the
// next safe point, equal ones once with their `count`. A string that a script
// returned is valid until it returns the next. The handle is valid for the
// engine's life; the call may be made on any thread. Host thread. NULL and
// GRAFT_ESIGNATURE when the text is wrong or the function's C type is another
// (both are named), GRAFT_ENOMEM, GRAFT_ETHREAD. The C type of a function that
// has no native is set by the first who asks.
GRAFT_API GraftNative const *graft_fn_typed(GraftFn *fn, const char *signature,
                                            GraftError *error);

// The code in a typed handle, for one call. Any thread.
#if defined(__GNUC__)
#define GRAFT_LOAD(handle) __atomic_load_n((handle), __ATOMIC_ACQUIRE)
#else
#define GRAFT_LOAD(handle) (*(handle))
#endif

// The same as one plain C function pointer, for code that stores callbacks;
// a call costs one jump more. Same failures.
GRAFT_API GraftNative graft_fn_pointer(GraftFn *fn, const char *signature,
                                       GraftError *error);

// Host thread; cannot fail.
GRAFT_API void graft_fn_info(const GraftFn *fn, GraftInfo *info);

// An implementation that a slot has or had. Texts are borrowed until the slot
// changes, and NULL where there are none.
typedef struct GraftBacking {
  const char *kind;      // "native" or "script"
  const char *layer;     // as in GraftInfo
  int mod;               //
  uint32_t version;      //
  const char *file;      //
  int line;              //
  const char *signature; // of a native
  const char *why_not;   // why a native cannot be called with values
  const char *source;    // of a script: "function … end", not terminated
  size_t source_size;    //
} GraftBacking;

// The backings that a slot has now, the highest layer first. The second returns
// false when `index` is out of range. Host thread.
GRAFT_API size_t graft_fn_backing_count(const GraftFn *fn);
GRAFT_API bool graft_fn_backing(const GraftFn *fn, size_t index,
                                GraftBacking *backing);

// The last 16 versions of a slot, the oldest first, for graft_engine_rollback
// and _swap. As above.
GRAFT_API size_t graft_fn_history_count(const GraftFn *fn);
GRAFT_API bool graft_fn_history(const GraftFn *fn, size_t index,
                                GraftBacking *version);

// ---------------------------------------------------------------------------
// Units: Lua source as sets of functions that can be filtered and merged
// ---------------------------------------------------------------------------
//
// Patch one function of a file, whatever else is in it:
//
//   static bool is_think(void *context, const GraftUnitFunction *function) {
//     return strcmp(function->name, "ai.goblin.think") == 0;
//   }
//
//   GraftUnit *unit = NULL;
//   GraftUnitDesc desc = {.source = text, .module = "ai.goblin"};
//   if (graft_unit_compile(&desc, &unit, &error) < 0) return report(&error);
//   graft_unit_retain_functions(unit, &(GraftUnitFilter){is_think, NULL});
//   graft_unit_clear_statements(unit);
//   graft_engine_merge(engine, unit, NULL, &error);
//   graft_unit_free(unit);
//
// A unit belongs to no engine and no thread. Functions below may be called on
// any thread, but not for one unit on two threads at once.

// One parsed source file, or what merging made of several.
typedef struct GraftUnit GraftUnit;

// What to compile. Zero is the default for all but `source`.
typedef struct GraftUnitDesc {
  const char *source; // copied; need not be text
  size_t size;        // 0: `source` is terminated
  const char *module; // what `require` calls it, such as "ai.goblin"
  const char *file;   // for messages; default: the module
  const GraftAllocator *allocator; // copied; default: the C library's
} GraftUnitDesc;

// A function of a unit. Everything is borrowed until the unit is freed.
typedef struct GraftUnitFunction {
  const char *name; // in the registry: "ai.goblin.think", "ai.goblin:helper"
  const char *path; // in the source: "M.think", "helper"
  const char *file;
  int line;
  int last_line;
  int column;
  size_t parameter_count; // with "self" of a method
  const char *const *parameters;
  bool vararg;
  bool method;             // defined with `:`
  bool shown;              // the module shows it, so that it has a slot
  const char *source;      // "function … end", not terminated
  size_t source_size;      //
  const char *file_source; // the whole text that it stands in
  size_t file_source_size; //
  uint64_t fingerprint;    // equal when nothing but white space and comments
                           // differs, nested functions included
} GraftUnitFunction;

// True for functions to keep or take.
typedef struct GraftUnitFilter {
  bool (*keep)(void *context, const GraftUnitFunction *function);
  void *context;
} GraftUnitFilter;

// Parses `desc->source` and runs nothing of it. On success `*unit` is the
// caller's to free. GRAFT_ESYNTAX with line and column, GRAFT_EARG without
// source or with 2 GB of it, GRAFT_ENOMEM. `error` may be NULL.
GRAFT_API GraftStatus graft_unit_compile(const GraftUnitDesc *desc,
                                         GraftUnit **unit, GraftError *error);

// NULL-safe. Units merged from it stay valid.
GRAFT_API void graft_unit_free(GraftUnit *self);

// The functions directly in the file, in source order; those nested in them
// are part of them. A merged unit has the left side's first.
GRAFT_API size_t graft_unit_function_count(const GraftUnit *self);

// Fills `function`; false when `index` is out of range.
GRAFT_API bool graft_unit_function(const GraftUnit *self, size_t index,
                                   GraftUnitFunction *function);

GRAFT_API size_t graft_unit_statement_count(const GraftUnit *self);

// The source text the unit was compiled from, borrowed. A merged unit has
// none of its own: "" and size 0; each of its functions still has.
GRAFT_API const char *graft_unit_source(const GraftUnit *self, size_t *size);

// These change what the unit holds, and cannot fail.
GRAFT_API void graft_unit_clear_statements(GraftUnit *self);
GRAFT_API void graft_unit_clear_functions(GraftUnit *self);
GRAFT_API void graft_unit_retain_functions(GraftUnit *self,
                                           const GraftUnitFilter *filter);

// A new unit with `left`'s functions, where those of `right` with the same
// name replace them, `right`'s other functions behind, and both's statements.
// Neither side changes. With a filter (else NULL) only functions of `right`
// that it keeps are taken. NULL when out of memory; else the caller's to free.
GRAFT_API GraftUnit *graft_unit_merge(const GraftUnit *left,
                                      const GraftUnit *right,
                                      const GraftUnitFilter *filter);

// The same in place. `right` may be `self`. GRAFT_ENOMEM, and then `self` is
// as it was.
GRAFT_API GraftStatus graft_unit_combine(GraftUnit *self,
                                         const GraftUnit *right,
                                         const GraftUnitFilter *filter);

// ---------------------------------------------------------------------------
// Events and reports
// ---------------------------------------------------------------------------

typedef enum GraftEventKind {
  GRAFT_EVENT_WATCH,   // a file was loaded; with a `message`: a root, and how
                       // it is watched
  GRAFT_EVENT_ADD,     // a function is new
  GRAFT_EVENT_UPDATE,  // a function has new code
  GRAFT_EVENT_MOVE,    // a function is on another line
  GRAFT_EVENT_DELETE,  // a function is gone
  GRAFT_EVENT_SWAP,    // another backing is active: `from`, `to`
  GRAFT_EVENT_RUN,     // a statement ran
  GRAFT_EVENT_KEEP,    // a value changed at run time is kept: `message`
  GRAFT_EVENT_STALE,   // `count` closures keep the old code
  GRAFT_EVENT_ORPHAN,  // `count` closures of a deleted function are held
  GRAFT_EVENT_SILENT,  // `count` closures do nothing now: the statement that
                       // handed them over is gone, or hands over new ones
  GRAFT_EVENT_DEPENDS, // a value needs a call to follow another
  GRAFT_EVENT_REJECT,  // a change was not taken: `message`, place
  GRAFT_EVENT_REVERT,  // a function's previous version is back: `message`
  GRAFT_EVENT_BREAK,   // a script is stopped in new code that raised:
                       // `message`, without a traceback
  GRAFT_EVENT_CRASH,   // new native code crashed or hangs, and there is no
                       // version before it: `message`, place
  GRAFT_EVENT_MIGRATE, // `count` objects of a native variable have the new
                       // layout of their type: `message`
  GRAFT_EVENT_ERROR,   // a script raised, or `count` calls from C failed
  GRAFT_EVENT_NOTICE,  // something that the user should know: `message`
  GRAFT_EVENT_PATCH,   // ends a transaction: `ok`, times, `sweeping`
  GRAFT_EVENT_SWEEP,   // ends a sweep under a budget: `count` references were
                       // replaced in `safe_points`; `message` says why all of
                       // them or the last ones were replaced at once, if so
} GraftEventKind;

// One thing that happened. Texts are never NULL, and "" where there is none;
// they are borrowed until the callback returns, or as long as the report.
typedef struct GraftEvent {
  GraftEventKind kind;
  const char *name; // registry name, or module
  const char *file; // as the user named its folder
  int line;         // from 1, 0 for none
  int column;       // from 1, 0 for none
  uint32_t version; // of the function, 0 for none
  int count;        // see the kind
  const char *from; // kinds of backing
  const char *to;
  const char *message; // may have several lines
  const char *source;  // the line of source that a reject is about
  bool ok;             // of a patch
  double settle_ms;    // of a patch: waiting for the writer,
  double plan_ms;      // reading, parsing and comparing,
  double apply_ms;     // at the safe point, the sweep left out,
  double sweep_ms;     // replacing references; of a sweep: all its parts
  bool sweeping;       // of a patch: references follow at the next safe points
  int safe_points;     // of a sweep
} GraftEvent;

// The word for a kind in reports: "update".
GRAFT_API const char *graft_event_word(GraftEventKind kind);

// Writes an event as `engine` does, as text ("Update ai.goblin.think") or as
// one JSON object, without a line end. Returns the length of the whole, which
// may be more than fits, as snprintf does. Any thread.
GRAFT_API size_t graft_event_text(const GraftEvent *event, char *buffer,
                                  size_t size);
GRAFT_API size_t graft_event_json(const GraftEvent *event, char *buffer,
                                  size_t size);

// What one safe point did. Events are those of its transactions, in order.
typedef struct GraftReport GraftReport;

// Whether nothing was rejected, reverted or failed.
GRAFT_API bool graft_report_ok(const GraftReport *report);
GRAFT_API size_t graft_report_count(const GraftReport *report);
// NULL when `index` is out of range. Borrowed from the report.
GRAFT_API const GraftEvent *graft_report_event(const GraftReport *report,
                                               size_t index);

// ---------------------------------------------------------------------------
// Stopping at an error
// ---------------------------------------------------------------------------
//
// With GRAFT_ON_ERROR_BREAK the host is asked when new code raises, before
// anything is unwound: `on_break` is called inside of the call that fails, on
// the engine's thread, with the frames as they are at the error. It looks, and
// returns what is to be done. A debugger runs its window or its protocol there:
//
//   static GraftRestart ask(void *context, GraftBreak *at) {
//     GraftFrame frame;
//     for (size_t i = 0; graft_break_frame(at, i, &frame); i++) {
//       printf("%zu %s %s:%d\n", i, frame.name, frame.file, frame.line);
//     }
//     const char *hp = "";
//     size_t place = graft_break_place(at);
//     graft_break_evaluate(at, place, "self.hp", &hp, NULL);
//     printf("hp is %s\n", hp);
//     return GRAFT_RESTART_REVERT;
//   }
//
// Errors that a script catches itself (pcall, xpcall, coroutine.resume) do not
// stop, nor does one that is raised while another is looked at, or inside of a
// transaction, which undoes itself. Nothing is asked where there are no frames
// left to look at: when memory has run out.
//
// While stopped the engine takes no changes: graft_engine_update and _reload
// do nothing, and what changes the engine's functions fails as it does inside a
// transaction. Slots may be called.

// A script that is stopped. Valid until `on_break` returns; engine's thread.
typedef struct GraftBreak GraftBreak;

typedef enum GraftRestart {
  GRAFT_RESTART_REVERT,   // put the version before back; the call that failed
                          // fails with GRAFT_EREVERTED
  GRAFT_RESTART_CONTINUE, // leave the new version and trust it from now on; the
                          // call fails with its error
  GRAFT_RESTART_RETRY,    // take what was saved meanwhile, then make the call
                          // of the host that failed once more, with the same
                          // arguments; what it did before the error is done
                          // again. As CONTINUE where that is not possible
} GraftRestart;

// A call under way. Texts are borrowed until the next call of a function here.
typedef struct GraftFrame {
  const char *name; // in the registry; else as the VM describes it, or ""
  const char *file; // "[C]" for a C function
  int line;         // that runs, 0 for a C function
  int first_line;   // of the function's text, 0 for a C function
  int last_line;    //
  bool is_new;      // code on probation
} GraftFrame;

typedef enum GraftVariableKind {
  GRAFT_VARIABLE_LOCAL,
  GRAFT_VARIABLE_UPVALUE,
  GRAFT_VARIABLE_VARARG, // one value of `...`; its name is its number
} GraftVariableKind;

// A variable that a frame sees. Texts are borrowed as above.
typedef struct GraftVariable {
  GraftVariableKind kind;
  const char *name;
  const char *value; // to be read; tables are shown one level deep
} GraftVariable;

// The registry name of the function on probation that raised.
GRAFT_API const char *graft_break_name(const GraftBreak *at);

// The error, without a traceback. `line` is 0 when the message names no place.
GRAFT_API const GraftError *graft_break_error(const GraftBreak *at);

// Whether GRAFT_RESTART_RETRY is possible: the call is one that the host made
// through a slot or a typed handle. A script that is being run, a module that
// is being loaded or a text cannot be called again.
GRAFT_API bool graft_break_can_retry(const GraftBreak *at);

// Frames count from the innermost, which is 0.
GRAFT_API size_t graft_break_frame_count(const GraftBreak *at);

// False when `index` is out of range.
GRAFT_API bool graft_break_frame(GraftBreak *at, size_t index,
                                 GraftFrame *frame);

// The frame to look at first: the innermost one of a script.
GRAFT_API size_t graft_break_place(const GraftBreak *at);

// The variables that a frame holds: locals in the order of the source, where
// one may hide an earlier one of its name, varargs, upvalues. False when
// `index` is out of range.
GRAFT_API bool graft_break_variable(GraftBreak *at, size_t frame, size_t index,
                                    GraftVariable *variable);

// A line of the text that a frame's function was taken from, borrowed until the
// next call; NULL when there is no such line or the text is not known.
GRAFT_API const char *graft_break_line(GraftBreak *at, size_t frame, int line);

// Evaluates an expression or runs statements as if they stood in that frame:
// names are its locals, its upvalues, the file's local variables above it and
// its globals, `...` its varargs, and what is assigned to them is there when
// the script goes on. `*shown` gets the values, tab-separated, "" for none,
// borrowed until the next call; after a failure it is "". GRAFT_ESYNTAX,
// GRAFT_ERUN (also when interrupted by graft_engine_interrupt), GRAFT_EARG
// without such a frame, GRAFT_ENOMEM. `error` may be NULL.
GRAFT_API GraftStatus graft_break_evaluate(GraftBreak *at, size_t frame,
                                           const char *text, const char **shown,
                                           GraftError *error);

// Looks at what was saved meanwhile: reports what cannot be taken as REJECT
// events, each once. Returns how many changed files wait for the script to go
// on, and in `*broken`, unless that is NULL, how many of these cannot be taken.
GRAFT_API int graft_break_poll(GraftBreak *at, int *broken);

// ---------------------------------------------------------------------------
// Engine
// ---------------------------------------------------------------------------

// One Lua VM, one registry, and what watches files for them. An engine
// belongs to the thread that opened it; every function here is for that
// thread.
typedef struct GraftEngine GraftEngine;

// What to do when new code raises before it first returns. A native may also
// crash then (SIGSEGV, SIGFPE, SIGBUS, SIGILL, abort, an overflow of the
// stack). With REVERT and BREAK its previous version answers the same call, and
// natives' variables and persistent arrays are as before it; other memory is
// not, and a lock that it held, malloc's too, stays held. With REPORT, and
// whenever a native crashes that has returned once, or inside a script that it
// called, the place is told on standard error and the crash takes its course: a
// handler that the host had installed before, a debugger, a core dump.
typedef enum GraftOnError {
  GRAFT_ON_ERROR_REVERT, // put the previous version back, and report it
  GRAFT_ON_ERROR_REPORT, // leave it
  GRAFT_ON_ERROR_BREAK,  // stop, and ask `on_break`
} GraftOnError;

// Zero is the default everywhere.
typedef struct GraftEngineDesc {
  const GraftAllocator *allocator; // NULL: the C library's
  // Called for every event, when it happens. May be NULL.
  void (*on_event)(void *context, const GraftEvent *event);
  void *context;
  int debounce_ms; // settle time where the system cannot tell that a file was
                   // closed; 0: 50
  int poll_ms;     // > 0: poll files this often instead of being notified
  int grace_ms;    // how long a missing or emptied file is waited for; 0: 1000
  GraftOnError on_error;
  // Asked with GRAFT_ON_ERROR_BREAK, with `context`. Without it, a notice says
  // so once, and new code that raises is reverted.
  GraftRestart (*on_break)(void *context, GraftBreak *at);
  // 0: a transaction replaces every reference at once, which takes about half
  // as long as a full collection of garbage. Else it replaces only what calls
  // reach by name: slots, fields of modules, globals, variables of the changed
  // files, and what running calls hold. The other references follow at the next
  // safe points, none of which works on them beyond so many microseconds after
  // its start, until a pass over all objects finds no old one, which a SWEEP
  // event tells. Until then old references still call the old code. What the
  // program moved to where passes had been already is found when the garbage
  // collector has run twice more, and told by another SWEEP event. Deleted
  // functions that are still held are not reported (ORPHAN) with a budget, and
  // a patch in whose middle memory runs out is not survived.
  // Where it cannot be spread, all is done at once, and the SWEEP event says
  // why: a closure gains a variable of the function around it, a file's
  // variables are not known yet, another transaction comes before the end.
  int sweep_budget_us;
  bool no_tcc;     // natives are compiled by the user's compiler alone
  bool colours;    // what compilers write has colours, as for a terminal
  int watchdog_ms; // > 0: a new version of a native that does not return in
                   // this time counts as crashed; where it cannot be taken out
                   // (it waits in a system call), a CRASH event names it
} GraftEngineDesc;

// Opens an engine with a VM of its own (the one that the library was built
// for). `desc` is copied. On failure *engine is NULL: GRAFT_ENOMEM, GRAFT_ERUN
// (a build of the VM that Graft does not know).
GRAFT_API GraftStatus graft_engine_open(const GraftEngineDesc *desc,
                                        GraftEngine **engine,
                                        GraftError *error);

// Opens an engine in a lua_State of the host's own VM of the same kind: Lua
// code there gets `require "graft"`, and `require` finds scripts and natives of
// the engine. Chunks that run now are taken over by graft_engine_watch when
// their files lie in what it watches; modules that were loaded before stay as
// they are. `state` may be a coroutine; it stays the host's, and is to be
// closed after the engine, which leaves it as it was, but for the functions of
// the engine's scripts, which live on as plain Lua, and for functions that
// stand for natives, which raise from then on; package.loaded keeps both. If it
// is closed first, the engine takes no change any more, calls of scripts and
// what needs the state fail with GRAFT_ERUN, and natives can still be called;
// it is still to be closed. As graft_engine_open, and
// GRAFT_EARG without a state or when there is an engine in it already.
//
//   lua_State *L = luaL_newstate();
//   luaL_openlibs(L);
//   graft_engine_attach(&(GraftEngineDesc){0}, L, &engine, &error);
//   graft_engine_watch(engine, "scripts", &error);
//   graft_engine_require(engine, "main", &error);
GRAFT_API GraftStatus graft_engine_attach(const GraftEngineDesc *desc,
                                          void *state, GraftEngine **engine,
                                          GraftError *error);

// Closes the VM, stops watching and frees all, slots too: no handle, report or
// code of a native may be used any more, by no thread. NULL-safe. Not from
// inside a call of a script.
GRAFT_API void graft_engine_close(GraftEngine *engine);

// "lua54" or "luajit".
GRAFT_API const char *graft_vm_name(void);
// The version of Graft, such as "0.1.0", and of the VM, such as "Lua 5.4.4".
GRAFT_API const char *graft_version(void);
GRAFT_API const char *graft_vm_version(void);

// The engine's lua_State; NULL when its owner has closed it.
GRAFT_API void *graft_engine_state(GraftEngine *engine);

// Makes a C function a built-in native: `signature` is its C type, such as
// "double(double, int)", or "int (lua_State *)" for a Lua C function. The
// names are copied. A name's earlier built-in native gives way. GRAFT_EARG
// without code or a name, GRAFT_ESIGNATURE for a wrong text, or when typed
// handles of another C type are in use, GRAFT_ENOMEM.
GRAFT_API GraftStatus graft_engine_register(GraftEngine *engine,
                                            const char *name, GraftNative code,
                                            const char *signature,
                                            GraftError *error);

// Loads natives: from a `.c` file or all in a folder and below it, which are
// compiled with the user's compiler (CC, CFLAGS, compile_flags.txt), and from a
// built shared object or all in a folder. Every function `physics_step` of a
// `physics.c` becomes `physics.step`; its type is read from the debug
// information; without one that can be called it is there all the same, and a
// call says why not. A `.c` file that does not compile is told by a REJECT
// event, and the others are taken. graft_engine_watch of the folder loads them
// too, and from then on takes what is saved. GRAFT_EIO (also when there is no
// such file), GRAFT_ESIGNATURE as above, GRAFT_ERUN when
// graft_engine_interrupt has ended the wait for the compiler (what it makes
// comes at a safe point), GRAFT_ENOMEM.
GRAFT_API GraftStatus graft_engine_natives(GraftEngine *engine,
                                           const char *path, GraftError *error);

// Makes a folder a root for `require` and watches it, or watches one file,
// whose folder becomes a root. C files in it are natives (see above). What does
// not exist yet is waited for. GRAFT_EARG for an empty path, GRAFT_EIO when the
// system cannot watch, GRAFT_ERUN as of graft_engine_natives, GRAFT_ENOMEM.
GRAFT_API GraftStatus graft_engine_watch(GraftEngine *engine, const char *path,
                                         GraftError *error);

// The same without watching. GRAFT_ENOMEM.
GRAFT_API GraftStatus graft_engine_add_root(GraftEngine *engine,
                                            const char *path,
                                            GraftError *error);

// Runs a file with `args` as `...` and in the global `arg`, as `lua` does. Its
// functions have slots like those of a module. GRAFT_ENOTFOUND, GRAFT_EIO,
// GRAFT_ESYNTAX, GRAFT_ERUN, GRAFT_ENOMEM.
GRAFT_API GraftStatus graft_engine_run(GraftEngine *engine, const char *path,
                                       int arg_count, const char *const *args,
                                       GraftError *error);

// Loads a module as `require` does, if it is not loaded. Failures as above;
// GRAFT_ESYNTAX also when a module that it requires is broken.
GRAFT_API GraftStatus graft_engine_require(GraftEngine *engine,
                                           const char *module,
                                           GraftError *error);

// Runs a text; its results are dropped. GRAFT_ESYNTAX, GRAFT_ERUN,
// GRAFT_ENOMEM.
GRAFT_API GraftStatus graft_engine_run_text(GraftEngine *engine,
                                            const char *text,
                                            const char *chunk_name,
                                            GraftError *error);

// A safe point: takes what has changed, all of it or nothing, and goes on with
// a sweep that is spread. Costs a few nanoseconds when there is nothing to do.
// `report` may be NULL; else it is set to what was done, borrowed until the
// next safe point, or to NULL for nothing. Returns 1 when something was taken
// or refused, 0 when there was nothing.
GRAFT_API int graft_engine_update(GraftEngine *engine,
                                  const GraftReport **report);

// Waits until there is something for a safe point, for at most `timeout_ms`.
// True when there is, also while a sweep is spread.
GRAFT_API bool graft_engine_wait(GraftEngine *engine, double timeout_ms);

// Takes what is on disk now, as one transaction, with what waits for a safe
// point: every loaded file or, with a `path`, as reports name it, that one,
// which may also be new and override natives. A file that is gone loses its
// functions; one that cannot be read is refused. As graft_engine_update.
GRAFT_API int graft_engine_reload(GraftEngine *engine, const char *path,
                                  const GraftReport **report);

// Puts an old version of a function back, as a transaction; the next save of
// its file applies again. `version` 0 is the one before this; functions that
// have no slot know only that. GRAFT_ENOTFOUND lists the versions that there
// are; else as a save that is refused.
GRAFT_API GraftStatus graft_engine_rollback(GraftEngine *engine,
                                            const char *name, uint32_t version,
                                            GraftError *error);

// Makes the call of a script that runs now raise "interrupted" at its next VM
// instruction, as Ctrl-C does in the stock interpreter, and
// graft_engine_natives and _watch stop waiting for the compiler. Does nothing
// between calls. May be called from a signal handler of the engine's thread.
GRAFT_API void graft_engine_interrupt(GraftEngine *engine);

// Patches the functions that a unit keeps into the scripts of their modules,
// the registry and every live reference, all as one transaction, with report,
// undo, versions and history as a saved file has them. What the unit lacks is
// kept. A function goes by its registry name; one that is new to the module is
// added where its neighbours in the unit stand. The unit's statements run only
// if they were not cleared, and then only those that the module does not have
// already; a changed initial value merges as on a save, and functions in a
// statement that is new or changed come with it.
//
// `unit` is not changed, stays the caller's, and may be merged from units of
// several modules. Until the next save of a file, which applies as usual, the
// module's source is that of the merge, and so are its line numbers.
//
// `report` may be NULL; else it is set to what was done, borrowed until the
// next safe point, or to NULL for nothing. A unit that brings nothing new is no
// failure. Nothing has changed after a failure: GRAFT_EARG for a unit that was
// compiled without a module name; GRAFT_ENOTFOUND when no script of the module
// is loaded (merging loads none), when a function can only come with a
// statement that was cleared, or when it uses a local that neither the module
// nor the unit as it is declares; GRAFT_ESYNTAX when the VM refuses the text;
// GRAFT_ERUN when a statement raised, or inside a transaction; GRAFT_ENOMEM.
// `error` may be NULL.
GRAFT_API GraftStatus graft_engine_merge(GraftEngine *engine,
                                         const GraftUnit *unit,
                                         const GraftReport **report,
                                         GraftError *error);

// The slot, added when it is not there yet, so that a handle can be taken
// before the function exists. NULL when out of memory. Valid for the engine's
// life.
GRAFT_API GraftFn *graft_engine_fn(GraftEngine *engine, const char *name);

// The slot if it has a backing, else NULL.
GRAFT_API GraftFn *graft_engine_find(GraftEngine *engine, const char *name);

// All slots, in the order in which they were added: those too that have no
// backing (their kind is "none"). There are never fewer.
//
//   for (size_t i = 0; i < graft_engine_fn_count(engine); i++) {
//     GraftInfo info;
//     graft_fn_info(graft_engine_fn_at(engine, i), &info);
//     printf("%s: %s\n", info.name, info.kind);
//   }
GRAFT_API size_t graft_engine_fn_count(const GraftEngine *engine);

// NULL when `index` is out of range.
GRAFT_API GraftFn *graft_engine_fn_at(const GraftEngine *engine, size_t index);

// Who still has code of a function that another version has superseded.
typedef struct GraftOldCode {
  int running;  // calls, suspended ones too
  int closures; // that are held
} GraftOldCode;

// Counts that by a walk over all that is alive, as long as a sweep takes; a
// name that nothing is known of has none. GRAFT_ERUN when the lua_State was
// closed, GRAFT_ENOMEM.
GRAFT_API GraftStatus graft_engine_old_code(GraftEngine *engine,
                                            const char *name, GraftOldCode *old,
                                            GraftError *error);

// Writes what editors want to know into a folder, which is made: LuaCATS files
// (`---@meta`) for lua-language-server with the `graft` module, a file for each
// module of scripts and natives, and the C structs that natives use. Scripts
// below the roots are described whether or not they are loaded; none is run.
// With `keep` the files are written again at the safe points after changes,
// until the engine closes or another folder is kept; what fails then is told by
// an ERROR event. A file is replaced as a whole, and only when its contents
// differ; files there that Graft wrote and that nothing needs any more are
// removed, others are never touched. GRAFT_EARG for no folder, or one where
// scripts are looked for, unless its name begins with a dot; GRAFT_EIO when it
// cannot be written or holds another's file of such a name; GRAFT_ERUN inside a
// transaction; GRAFT_ENOMEM. `error` may be NULL.
GRAFT_API GraftStatus graft_engine_types(GraftEngine *engine,
                                         const char *folder, bool keep,
                                         GraftError *error);

// Makes another backing active: "native", "script", a version number, or
// "auto" for the highest layer. GRAFT_ENOTFOUND lists what there is,
// GRAFT_EARG says what can be given, GRAFT_ENOMEM.
GRAFT_API GraftStatus graft_engine_swap(GraftEngine *engine, const char *name,
                                        const char *backing, GraftError *error);

// ---------------------------------------------------------------------------
// Values, cleanups, and what is derived from functions
// ---------------------------------------------------------------------------
//
// A host keeps a table of prices that it had a function compute, and makes it
// anew when that function has new code:
//
//   static void compute_prices(void *context, GraftFn *fn) {
//     Prices *prices = context;
//     for (int i = 0; i < 3; i++) prices->of[i] = price_of(fn, i);
//   }
//
//   compute_prices(&prices, fn);
//   graft_fn_conform(fn, compute_prices, &prices, &error);

// Calls back after each transaction that left another version of the slot
// active, a native or a script, also by a swap, a rollback or a revert; and
// when the last one is gone (graft_fn_info says "none"). The callback may call
// functions, but takes no changes: it runs inside of a transaction, as
// listeners do. `callback` NULL ends those of this slot with this context, also
// inside of one. Host thread. GRAFT_ENOMEM.
GRAFT_API GraftStatus graft_fn_conform(GraftFn *fn,
                                       void (*callback)(void *context,
                                                        GraftFn *fn),
                                       void *context, GraftError *error);

// For a native that a top-level statement of a script calls, such as one that
// puts something on a list: calls back once, before the statement runs again or
// when it is removed, to undo that, as graft.defer does in Lua. It is not
// called when the engine closes. GRAFT_ERUN when no top-level statement is
// running, GRAFT_ENOMEM; then it is never called.
//
//   static void add_item(const char *name) {
//     items++;
//     graft_engine_defer(engine, remove_item, NULL, NULL);
//   }
GRAFT_API GraftStatus graft_engine_defer(GraftEngine *engine,
                                         void (*callback)(void *context),
                                         void *context, GraftError *error);

// Gives a value what the source gives it, whatever the program made of it
// since. `name` is the module with what it shows, "ai.goblin.hp", or, after a
// colon, with a local variable of its own, "ai.goblin:count". Tables stay the
// same tables. GRAFT_ENOTFOUND for what no loaded script has, GRAFT_ERUN for
// what cannot be computed again, such as the result of a call, GRAFT_ENOMEM.
GRAFT_API GraftStatus graft_engine_reset(GraftEngine *engine, const char *name,
                                         GraftError *error);

// ---------------------------------------------------------------------------
// State: arrays of natives that outlive their code
// ---------------------------------------------------------------------------
//
// Variables of natives keep their values by themselves. What natives would take
// from malloc() can be state as well: an array that the engine knows by name,
// type and count. It is migrated when the type's layout changes, put back when
// new code crashes, and pointers to it in registered state follow when it
// moves. In a native of the engine, which knows it as `graft_engine`:
//
//   #include <graft.h>
//   typedef struct Body {
//     double x, y;
//     int hp;
//   } Body;
//   static Body *bodies;
//
//   void physics_init(int count) {
//     bodies = GRAFT_STATE(graft_engine, "bodies", Body, count);
//   }

// In natives that an engine has compiled: the engine. Undefined elsewhere.
extern GraftEngine *const graft_engine;

// What to make. `type` is a C type of the natives: "Body", "struct Body",
// "double".
typedef struct GraftStateDesc {
  const char *name;
  const char *type;
  size_t element_size; // as the caller has it; 0: not checked
  size_t count;
  const char *file; // of the caller, to tell types of one name; or NULL
} GraftStateDesc;

// The array, zeroes at first; the one that is there when name, type and count
// are the same. Valid until it is freed, resized, or its type changes: keep it
// in a variable of natives, which follows. NULL: GRAFT_EARG (no name, another
// type or count is there, the size does not fit), GRAFT_ENOTFOUND (no loaded
// native has such a type), GRAFT_ENOMEM. Any thread; not during a call that
// another thread makes of these. `error` may be NULL.
GRAFT_API void *graft_state_new(GraftEngine *engine, const GraftStateDesc *desc,
                                GraftError *error);

#define GRAFT_STATE(engine, name, type, count)                                 \
  ((type *)graft_state_new((engine),                                           \
                           &(GraftStateDesc){(name), #type, sizeof(type),      \
                                             (size_t)(count), __FILE__},       \
                           NULL))

// The array of this name, or NULL; `count` may be NULL. Any thread.
GRAFT_API void *graft_state_find(GraftEngine *engine, const char *name,
                                 size_t *count);

// Another count: new elements are zero. The array may move. NULL:
// GRAFT_ENOTFOUND, GRAFT_ENOMEM, and then it is as it was.
GRAFT_API void *graft_state_resize(GraftEngine *engine, const char *name,
                                   size_t count, GraftError *error);

// False when there is none. Nobody may use it any more.
GRAFT_API bool graft_state_free(GraftEngine *engine, const char *name);

#ifdef __cplusplus
}
#endif

#endif
