// SPDX-License-Identifier: MIT
//
// Compiler, inside: for compiler.c, compiler_probe.c and compiler_run.c alone.

#ifndef GRAFT_NATIVE_COMPILER_INNER_H
#define GRAFT_NATIVE_COMPILER_INNER_H

#include <pthread.h>

#include "native/compiler.h"

struct Compiler {
  const GraftAllocator *allocator;
  Flags command;     // the words of CC; none: looked for
  Flags environment; // as of `environ` when the compiler was made, NULL ends
  char *cflags;
  char *directory;
  bool colours;
  int time_limit_ms;

  // What the probe finds out, written once under the lock and read only after
  // a probe that succeeded.
  pthread_mutex_t lock;
  bool known;
  CompilerKind kind;
  int version;   // the number in front: 12; 0: not known
  char *program; // the path of the first word, absolute
  uint64_t identity;
  Flags system; // folders with the system's headers, ending in a slash
};

// What the files that a run opens are numbered.
enum { COMPILER_OBJECT = 3, COMPILER_RULE, COMPILER_SOURCE };

// compiler_source.c: the source as the compiler is to have it, in `source`,
// which is closed in any case where it is the file as it is.
GraftStatus compiler_wrap(const Compiler *self, const CompilerRun *run,
                          ProcessFile *source, GraftError *error);
// The arguments that stand before the user's, and in the place of the path.
// False when out of memory.
bool compiler_add_folder(const Compiler *self, const CompilerRun *run,
                         Flags *arguments);
bool compiler_add_wrapped(const Compiler *self, const CompilerRun *run,
                          const ProcessFile *source, Flags *arguments);

// The value of a variable in the copy of the environment, or NULL.
const char *compiler_variable(const Compiler *self, const char *name);

// The first line of `text` that is not blank, without colours, in `line`.
void compiler_first_line(const char *text, char *line, size_t size);

// Reads what a makefile rule lists behind "graft:" into `headers`, absolute,
// but for the first, which is the source itself. False when out of memory.
bool compiler_read_rule(const Compiler *self, const char *rule,
                        CompilerOutput *output);

// The first error in what a compiler wrote: place and message.
void compiler_read_error(const char *text, GraftError *error);

#endif
