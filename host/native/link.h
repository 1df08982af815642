// SPDX-License-Identifier: MIT
//
// Link: an object placed in memory and relocated, ready to run. Its code lies
// in pages of its own in the region, with the constants that nobody can name
// (jump tables, literals of numbers) and with a table of addresses (GOT).
//
// - Direct calls of static functions go to the same object's code. Every other
//   mention of a function, by a call or by its address, means its entry, which
//   the host of the link provides: so it reaches the newest code for ever.
// - Variables lie where the host of the link says; their first contents are
//   handed out relocated, and nothing is written to them here.
// - String literals lie in a pool that outlives the objects (strings.h).
//
// Placing an object makes nothing visible: nobody calls its code until the
// host stores link_function() in a cell. Traded away: code models other than
// -fPIC's, thread-locals by the initial-exec model, ifuncs.

#ifndef GRAFT_NATIVE_LINK_H
#define GRAFT_NATIVE_LINK_H

#include "native/lines.h"
#include "native/literal.h"
#include "native/object.h"
#include "native/region.h"
#include "native/tls.h"

typedef struct Link Link;

// Where a variable lies.
typedef struct LinkStorage {
  void *address; // NULL: the link keeps it, for this object alone. One that is
                 // const and without relocations goes to the literals.
  size_t local;  // thread-locals: offset from tls_add, `address` is not used
} LinkStorage;

// What the owner of names answers. All are called from link_new, in the
// caller's thread. `index` is into the object's functions or data.
typedef struct LinkHost {
  void *context;

  // The entry of one of the object's functions: any global one that is
  // mentioned, static ones whose address is taken. NULL: out of memory.
  void *(*entry)(void *context, const ObjectFile *object, size_t index);

  // False: out of memory. Called once for each variable, in order, except for
  // those that ObjectData.labels binds to the object.
  bool (*storage)(void *context, const ObjectFile *object, size_t index,
                  LinkStorage *storage);

  // An undefined symbol: another file's function or variable, a slot's entry,
  // or NULL: then it is looked up in the process (libc, libm, what the host
  // program exports). May be NULL.
  void *(*external)(void *context, const ObjectUndefined *symbol);

  // An undefined thread-local: another file's. False: nobody has it. May be
  // NULL.
  bool (*external_local)(void *context, const ObjectUndefined *symbol,
                         size_t *offset);
} LinkHost;

typedef struct LinkDesc {
  const GraftAllocator *allocator;
  NativeRegion *region;
  LiteralPool *literals;
  Tls *tls; // may be NULL: thread-locals are refused then
  const LinkHost *host;
  const ObjectFile *object; // stays the caller's, must outlive the link
  const LineTable *lines;   // the same; may be NULL: link_find knows no lines
  bool foreign; // place it even if it is for another processor: for a look
} LinkDesc;

// Places, relocates, registers for unwinding (errors and backtraces pass
// through) and, if there is debug information, with debuggers. GRAFT_ENOTFOUND
// (an undefined symbol that nobody has: the message and the error's file and
// line name it and its user), GRAFT_EIO (a relocation that cannot be done, the
// region is full), GRAFT_ENOMEM; then nothing is left behind. One thread at a
// time for each region, any thread.
GraftStatus link_new(const LinkDesc *desc, Link **link, GraftError *error);

// Nobody may be in its code, nor call it, nor hold a pointer to what the link
// kept for it. NULL-safe.
void link_free(Link *self);

// The code of one of the object's functions, for a cell.
void *link_function(const Link *self, size_t index);

// A variable's first contents, relocated, ObjectData.size bytes; NULL for
// zeroes. Borrowed until link_free.
const void *link_contents(const Link *self, size_t index);

// Where a variable lies: as the host said, or where the link keeps it (its
// contents are in place). NULL for thread-locals.
void *link_storage(const Link *self, size_t index);

// The range of its code, for the question who is inside.
typedef struct LinkRange {
  const char *start, *end;
} LinkRange;
LinkRange link_code(const Link *self);

// A place in the code. Texts are borrowed from the object and the lines.
typedef struct LinkPlace {
  const ObjectFunction *function; // NULL: in a stub between functions
  uint64_t offset;                // in the function
  const char *file;               // NULL when not known
  int line;                       // 0 when not known
} LinkPlace;

// False when the address is not in this link's code. Safe in signal handlers.
// For a return address ask for the one before it.
bool link_find(const Link *self, const void *address, LinkPlace *place);

// A variable has moved from `from`, `size` bytes, to `to`: addresses of it, or
// within it, in the table of addresses follow. Only code that reaches it by
// the table follows: code of other files, and of the same file for variables
// that are not static. Code compiled against another layout of it must not run
// again.
void link_redirect(Link *self, const void *from, size_t size, void *to);

// Runs the object's constructors, or destructors. Nothing else does.
void link_construct(Link *self);
void link_destruct(Link *self);

// Debuggers see the newest version only, when older ones are hidden; a new
// link is shown. Changing it costs a moment in which a debugger looks.
void link_show_debugger(Link *self, bool shown);

#endif
