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

#ifdef __cplusplus
}
#endif

#endif
