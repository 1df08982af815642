// SPDX-License-Identifier: MIT
//
// What link*.c share. A link's block in the region has three parts, each of
// whole pages: code with stubs (executable), constants with unwind tables
// (read-only), and the table of addresses with private variables (writable).

#ifndef GRAFT_NATIVE_LINK_INNER_H
#define GRAFT_NATIVE_LINK_INNER_H

#include "native/debugger.h"
#include "native/link.h"
#include "native/object_inner.h"

// What a symbol has in the table and among the stubs; counted from 1, 0 for
// none.
typedef struct SymbolSlots {
  uint32_t address;    // a word
  uint32_t pair;       // the first word of a TlsIndex
  uint32_t descriptor; // the first of two words and a TlsIndex
  uint32_t stub;
} SymbolSlots;

typedef struct LinkData {
  void *address;     // storage; NULL for thread-locals
  size_t local;      // thread-locals
  uint64_t place;    // private: where in its part, see link_place.c
  bool kept;         // private
  const void *bytes; // relocated contents, NULL for zeroes
} LinkData;

typedef struct LinkExternal {
  uint64_t address;
  size_t local;
  bool known, known_local;
} LinkExternal;

typedef enum LinkPart {
  PART_CODE,
  PART_CONSTANT,
  PART_WRITABLE,
  PART_COUNT,
} LinkPart;

struct Link {
  LinkDesc desc;
  const GraftAllocator *allocator;
  const ObjectFile *object;
  Arena arena; // for all lists below
  char *block; // in the region
  size_t block_size;
  size_t part_size[PART_COUNT]; // whole pages
  char *part[PART_COUNT];
  SymbolSlots *slots; // by symbol
  uint32_t module;    // slot of the TlsIndex of offset 0, or 0
  uint64_t *table;    // in PART_WRITABLE
  size_t table_count; // words
  char *stubs;        // in PART_CODE
  size_t stub_count;
  char **sections;           // by section: where it was placed, or NULL
  LinkData *data;            // by variable
  void **entries;            // by function: NULL until asked for
  LinkExternal *externals;   // by undefined symbol
  const char **literals;     // by piece
  const uint32_t *functions; // by address
  size_t function_count;
  const char *unwind; // registered, or NULL
  void (**constructors)(void);
  size_t constructor_count;
  void (**destructors)(void);
  size_t destructor_count;
  ObjectImage image; // what the debugger sees
  DebuggerEntry *debugger;
};

// link_place.c: counts slots, asks for storage, takes the block.
GraftStatus link_place(Link *self, GraftError *error);

// link_resolve.c: the address of a target, without its addend. `section` and
// `offset` say who asks, for messages.
typedef struct LinkAsker {
  const ObjectSection *section;
  uint64_t offset;
} LinkAsker;
GraftStatus link_resolve(Link *self, const ObjectTarget *target, bool call,
                         LinkAsker asker, uint64_t *address, GraftError *error);
GraftStatus link_resolve_local(Link *self, const ObjectTarget *target,
                               LinkAsker asker, size_t *offset,
                               GraftError *error);
// Whether a call of it goes straight to this object's code.
bool link_is_direct(const Link *self, const ObjectTarget *target);
// Sets the error's message with file, line and function of who asks.
GraftStatus link_refuse(const Link *self, LinkAsker asker, GraftStatus status,
                        GraftError *error, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
// "speed", "the constants of .rodata.step".
const char *link_target_name(const Link *self, const ObjectTarget *target);

// link_relocate.c: fills the block and the contents.
GraftStatus link_relocate(Link *self, GraftError *error);

// link_stub_*.c: bytes of a stub, and writing one at `stub` that jumps to where
// `slot` points. False when it is too far.
enum { LINK_STUB_SIZE = 16 };
bool link_stub_write(ObjectMachine machine, char *stub, const uint64_t *slot);

// The code of a function, whatever its entry.
char *link_code_of(const Link *self, size_t function);

#endif
