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

#include "base/array.h"
#include "native/process.h"

typedef struct Compiler Compiler;

typedef enum CompilerKind {
  COMPILER_OTHER,
  COMPILER_GCC,
  COMPILER_CLANG,
  COMPILER_TCC, // gives no DWARF
} CompilerKind;

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
// once, but one that was not found is looked for again. GRAFT_ENOTFOUND: no
// compiler, and the message says what to do; GRAFT_EARG: it does not work, or
// compiles for another processor. Any thread, several at a time.
GraftStatus compiler_probe(Compiler *self, GraftError *error);

// After a successful probe; borrowed for the compiler's life.
CompilerKind compiler_kind(const Compiler *self);
const char *compiler_command(const Compiler *self); // "gcc", as the user has it
uint64_t compiler_identity(const Compiler *self); // of program, version, target

// What one compilation gave. `output` is what the compiler wrote, errors or
// warnings, "" for nothing. Clear with compiler_output_clear.
typedef struct CompilerOutput {
  const GraftAllocator *allocator;
  char *object; // NULL after a failure
  size_t object_size;
  char *output;
  ARRAY(char *)
  headers;              // all that were included, as the compiler names them,
                        // made absolute; empty after a failure
  uint64_t nanoseconds; // that the compiler took
} CompilerOutput;

void compiler_output_clear(CompilerOutput *self);

typedef struct CompilerRun {
  const char *path;        // of the source file; read by the compiler
  const char *root;        // of the natives, for compile_flags.txt; may be NULL
  const ProcessStop *stop; // may be NULL
} CompilerRun;

// Compiles. `output` is set in any case. GRAFT_ESYNTAX: the compiler found
// errors, and they are in `output`; error->line and column are the first one's
// if they can be read from it. GRAFT_EIO: it was killed, crashed, or went
// beyond its time limit. GRAFT_ERUN: it was stopped. GRAFT_ENOTFOUND and
// GRAFT_EARG as of compiler_probe, GRAFT_EARG for flags that are refused too.
// Any thread, several at a time.
GraftStatus compiler_run(Compiler *self, const CompilerRun *run,
                         CompilerOutput *output, GraftError *error);

#endif
