// SPDX-License-Identifier: MIT
//
// Tier: the fast first compiler: libtcc compiles a text in this process to an
// ELF object in memory, in a few milliseconds, without optimising. It is for
// edits that leave declarations and types as they were (source.h), until the
// optimised build of the same text is there; whatever it does not like,
// warnings too, is left to the user's compiler, which will say what is to be
// said.
//
// tcc is not as exact as the others: it says no to a text that uses what it is
// known to take otherwise (TIER_DOUBTS in tier.c: attributes that lay out data,
// vectors, long double, complex, atomics, assembler, _Thread_local), and
// to flags that change how data is laid out. Traded away: debug information
// (tcc 0.9.27 has no DWARF).
//
// libtcc has global state: a lock lets one thread in at a time.

#ifndef GRAFT_NATIVE_TIER_H
#define GRAFT_NATIVE_TIER_H

#include "native/flags.h"

// Whether this build has libtcc.
bool tier_available(void);

typedef struct TierDesc {
  const GraftAllocator *allocator;
  const char *path;      // of the file, for __FILE__ and #include "…"
  const char *text;      // terminated
  const Flags *flags;    // the user's; those of preprocessing are followed
  const char *directory; // that relative paths count from; NULL: the present
} TierDesc;

// The caller frees `*object`. GRAFT_ENOTFOUND: no libtcc, or it will not do,
// the message says why; GRAFT_ENOMEM, GRAFT_EIO. Any thread.
GraftStatus tier_compile(const TierDesc *desc, char **object, size_t *size,
                         GraftError *error);

#endif
