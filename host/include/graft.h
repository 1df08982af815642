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
//                         "double(double)");
//   graft_engine_watch(engine, "scripts", &error);
//   graft_engine_require(engine, "main", &error);
//   GraftFn *update = graft_engine_find(engine, "main.update");
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
  X(ETHREAD, -9, "wrong thread")

typedef enum GraftStatus {
#define GRAFT_STATUS_ENUM(code, value, message) GRAFT_##code = (value),
  GRAFT_STATUS_LIST(GRAFT_STATUS_ENUM)
#undef GRAFT_STATUS_ENUM
} GraftStatus;

// What went wrong, in the caller's memory. `file` and `message` are always
// terminated; `line` and `column` count from 1, 0 where there is none.
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
  GRAFT_INTEGER,
  GRAFT_NUMBER,
  GRAFT_STRING,
  GRAFT_POINTER,
  GRAFT_OTHER, // what has no C form, such as a table
} GraftType;

// A value on its way between C and a slot. Text is followed by a zero byte
// that `size` does not count. `type` of a pointer is its C name, such as
// "Body *", or NULL when it is not known.
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

// A dynamic call. All but `result_count` is set by the caller; results beyond
// `result_capacity` are dropped. Strings in results are valid until the next
// call on the same engine.
typedef struct GraftCall {
  const GraftValue *args;
  int arg_count;
  GraftValue *results;
  int result_capacity;
  int result_count;
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
// strings without a zero inside; pointers take nil for NULL). A script takes
// any. A result that is a uint64_t beyond INT64_MAX comes as a number, NULL
// as nil.
// Fails with GRAFT_EARG (count, type or range; the message names the function,
// the argument, what was expected and what it got), GRAFT_ERUN (the script
// raised), GRAFT_EREMOVED and GRAFT_ENOTFOUND (no backing),
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
// When the active backing is a script, its error, or a call from another
// thread, yields zero and is reported by the engine; so is a call when no
// backing is left. A string that a script returned is valid until it returns
// the next. The handle is valid for the engine's life; the call may be made
// on any thread. Host thread. NULL and GRAFT_ESIGNATURE when the text is
// wrong or the function's C type is another (both are named), GRAFT_ENOMEM,
// GRAFT_ETHREAD. The C type of a function that has no native is set by the
// first who asks.
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

#ifdef __cplusplus
}
#endif

#endif
