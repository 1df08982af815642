// SPDX-License-Identifier: MIT
//
// Compiler: the user's C compiler: which it is, and one source file → one
// relocatable object in memory. CC names it (words are fine: "ccache gcc"),
// else it is the first of cc, gcc and clang on the PATH; CFLAGS (default -O2)
// and compile_flags.txt are followed (flags.h). The object and the list of
// headers go to memory, never to a folder. Traded away: compilers that want to
// write their output through a file of their own beside it.

#ifndef GRAFT_NATIVE_COMPILER_H
#define GRAFT_NATIVE_COMPILER_H

#include "native/flags.h"
#include "native/process.h"

typedef struct Compiler Compiler;

typedef enum CompilerKind {
  COMPILER_OTHER,
  COMPILER_GCC,
  COMPILER_CLANG,
  COMPILER_TCC, // gives no DWARF
} CompilerKind;

// ---------------------------------------------------------------------------
// The compiler
// ---------------------------------------------------------------------------

// Zero is the default everywhere. Texts are copied.
typedef struct CompilerDesc {
  const GraftAllocator *allocator;
  const char *cc;        // NULL: CC of the environment
  const char *cflags;    // NULL: CFLAGS of the environment
  const char *directory; // that relative paths count from; NULL: where this
                         // program is now
  bool colours;          // messages are for a terminal
  int time_limit_ms;     // of one run; 0: two minutes
} CompilerDesc;

// Runs nothing yet, but keeps a copy of the environment. GRAFT_ENOMEM,
// GRAFT_EIO (no working directory), GRAFT_EARG (quotes in CC).
GraftStatus compiler_new(const CompilerDesc *desc, Compiler **compiler,
                         GraftError *error);
void compiler_free(Compiler *self); // NULL-safe

// Looks for the compiler and asks it what it is, once; later calls answer at
// once, but one that was not found is looked for again. `stop` may be NULL.
// GRAFT_ENOTFOUND: no compiler, and the message says what to do; GRAFT_EARG: it
// does not work, was stopped, or compiles for another processor; GRAFT_EIO,
// GRAFT_ENOMEM. Any thread, several at a time.
GraftStatus compiler_probe(Compiler *self, const ProcessStop *stop,
                           GraftError *error);

// These are for after a successful probe. Borrowed for the compiler's life.
CompilerKind compiler_kind(const Compiler *self);
const char *compiler_command(const Compiler *self); // "gcc", as the user has it

// Whether the compiler itself found the header in a folder of the system.
bool compiler_is_system_header(const Compiler *self, const char *path);

// The folder that relative paths count from; any time.
const char *compiler_directory(const Compiler *self);

// ---------------------------------------------------------------------------
// Compiling
// ---------------------------------------------------------------------------

// Adds the user's flags for a source file to `flags`, which is initialised:
// CFLAGS or -O2, then compile_flags.txt, for which `root` of the natives
// (or NULL) is the last folder. Fails as of flags.h. Any thread.
GraftStatus compiler_flags(const Compiler *self, const char *path,
                           const char *root, Flags *flags, GraftError *error);

typedef struct CompilerRun {
  const char *path;        // of the source file; the compiler reads it
  const Flags *flags;      // of compiler_flags
  const ProcessStop *stop; // may be NULL
} CompilerRun;

// What one compilation gave. Clear with compiler_output_clear.
typedef struct CompilerOutput {
  const GraftAllocator *allocator;
  char *object; // NULL after a failure
  size_t object_size;
  char *text; // what the compiler wrote, errors or warnings; NULL for nothing
  ARRAY(char *)
  headers;              // all that were included, system's too, absolute;
                        // empty after a failure
  uint64_t nanoseconds; // that the compiler took
} CompilerOutput;

void compiler_output_clear(CompilerOutput *self);

// Compiles. `output` is set in any case. GRAFT_ESYNTAX: the compiler found
// errors, and they are in `output`; `error` is the first one, with its place.
// GRAFT_EIO: it was killed, crashed, or went beyond its time limit. GRAFT_ERUN:
// it was stopped. GRAFT_ENOTFOUND and GRAFT_EARG as of compiler_probe;
// GRAFT_ENOMEM. Any thread, several at a time.
GraftStatus compiler_run(Compiler *self, const CompilerRun *run,
                         CompilerOutput *output, GraftError *error);

// What the outcome depends on, but for headers: the compiler, its arguments,
// the path and this text. After a successful probe.
uint64_t compiler_key(const Compiler *self, const CompilerRun *run,
                      const char *text, size_t size);

#endif
