// SPDX-License-Identifier: MIT
//
// Flags: the words of a compiler's command line for one source file: those of
// CC and CFLAGS, then those of the `compile_flags.txt` beside the file or in a
// folder above it, up to the root of the natives (clang's format: one argument
// a line), then what Graft needs itself. Relative paths in compile_flags.txt
// count from the folder that it is in.
//
// Flags that only concern linking or where output goes are left out. Flags
// that cannot work in a running program (sanitizers, coverage, another
// processor) are refused with a message that says where they stand.
// Traded away: response files (@file), and paths in flags that flags.c does
// not know to take one.

#ifndef GRAFT_NATIVE_FLAGS_H
#define GRAFT_NATIVE_FLAGS_H

#include "base/array.h"

typedef struct Flags {
  Arena arena;
  ARRAY(char *) words;
  const char *file; // the compile_flags.txt that was read, or NULL
} Flags;

void flags_init(Flags *self, const GraftAllocator *allocator);
void flags_clear(Flags *self);

// Adds a word, copied. False when out of memory.
bool flags_add(Flags *self, const char *word);

// Adds the words of `text` as a shell splits them: blanks, quotes, backslash.
// GRAFT_EARG for a quote that is not closed; GRAFT_ENOMEM.
GraftStatus flags_split(Flags *self, const char *text, GraftError *error);

// Adds the user's flags in CFLAGS, checked. GRAFT_EARG, GRAFT_ENOMEM.
GraftStatus flags_add_user(Flags *self, const char *cflags, GraftError *error);

// Finds and adds the compile_flags.txt for the source file `path`, which is
// below the folder `root` (NULL: only its own folder counts). None is no error.
// GRAFT_EARG (a flag is refused, with file and line), GRAFT_EIO (unreadable),
// GRAFT_ENOMEM.
GraftStatus flags_add_file(Flags *self, const char *path, const char *root,
                           GraftError *error);

#endif
