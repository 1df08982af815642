// SPDX-License-Identifier: MIT
//
// Tier: the fast first compiler. libtcc compiles a text in this process to an
// ELF object in memory, in a few milliseconds, without optimising. It is for
// edits that leave declarations and types as they were (source.h), until the
// optimised build of the same text is there. Whatever it does not like,
// warnings too, is left to the user's compiler, which will say what is to be
// said.
//
// tcc is not as exact as the others. It is not asked where it is known to take
// a text, or a flag, otherwise than they do: data laid out by attributes or
// pragmas, vectors, long double, assembler, conditions on the compiler, and
// functions that Lua's errors may pass through, since it gives no unwind tables
// (tier_doubt.c). A caller that knows more adds `checks`. Traded away: debug
// information, which tcc 0.9.27 cannot give as DWARF, and the rare header of
// the system that lays data out by the compiler that reads it.
//
// What its objects look like, for object.h: one .text, .data and .bss for all;
// constants are in .data, too; a static variable in a function has its plain
// name, so that two functions may have one each, and belongs to the function
// that refers to it; literals are local symbols L.1, L.2, …

#ifndef GRAFT_NATIVE_TIER_H
#define GRAFT_NATIVE_TIER_H

#include "native/flags.h"

// Whether this build has libtcc.
bool tier_available(void);

typedef struct TierDesc {
  const GraftAllocator *allocator;
  const char *path;      // of the file, for __FILE__ and #include "…"
  const char *text;      // terminated
  const char *checks;    // C text that is compiled behind it, such as
                         // _Static_asserts about layouts; may be NULL
  const Flags *flags;    // the user's; those of preprocessing are followed
  const char *directory; // absolute; that relative paths count from
} TierDesc;

// The caller frees `*object`. GRAFT_ENOTFOUND: tcc is not there, or is not to
// be asked, or will not do; the message says why. GRAFT_ENOMEM, GRAFT_EIO. Any
// thread; one at a time gets in.
GraftStatus tier_compile(const TierDesc *desc, char **object, size_t *size,
                         GraftError *error);

// Whether tcc can be trusted with this text, of a source file or a header.
// GRAFT_ENOTFOUND: no, and why. Any thread.
GraftStatus tier_trust_text(const char *text, size_t size, GraftError *error);

// The same for a flag.
GraftStatus tier_trust_flag(const char *flag, GraftError *error);

#endif
