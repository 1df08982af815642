// SPDX-License-Identifier: MIT
//
// What object*.c and link*.c share: an object's sections, symbols and
// relocations, checked, and what a relocation's target is.
//
// Checked means: names are terminated; a section's bytes lie within the file;
// a relocation's symbol exists and its place, with the 8 bytes at most that it
// changes, lies within its section; a symbol that is defined lies within its
// section or at its end.

#ifndef GRAFT_NATIVE_OBJECT_INNER_H
#define GRAFT_NATIVE_OBJECT_INNER_H

#include "base/map.h"
#include "native/object.h"
#include "native/relocation.h"

// What a section holds, which decides where it goes.
typedef enum SectionKind {
  SECTION_OTHER,     // not loaded: debug information, notes
  SECTION_CODE,      // to code pages
  SECTION_DATA,      // variables, and maybe constants that have no name
  SECTION_LITERALS,  // strings that compilers let the linker merge
  SECTION_UNWIND,    // .eh_frame
  SECTION_CONSTRUCT, // .init_array, .ctors
  SECTION_DESTRUCT,  // .fini_array, .dtors
} SectionKind;

typedef struct ObjectRelocation {
  uint64_t offset; // in the section
  uint32_t type;
  uint32_t symbol;
  int64_t addend;
} ObjectRelocation;

typedef struct ObjectSection {
  const char *name;
  SectionKind kind;
  bool writable;
  bool thread_local_;
  bool debug;   // .debug_*
  bool unnamed; // data: something in it is referred to that is no variable
  uint32_t type;
  uint64_t size;
  uint64_t align;                      // a power of two
  uint64_t entry_size;                 // of constants that may be merged, or 0
  const unsigned char *bytes;          // NULL: zeroes
  uint64_t header;                     // its place in the file
  uint64_t address;                    // fake
  const ObjectRelocation *relocations; // by offset
  size_t relocation_count;
  const uint32_t *items; // functions, or variables, by offset
  size_t item_count;
} ObjectSection;

typedef struct ObjectSymbol {
  const char *name; // "" for none
  uint64_t value;
  uint64_t size;
  uint32_t section; // 0: undefined or absolute
  unsigned char type;
  unsigned char bind;
  bool undefined;
  int32_t item; // function, variable or undefined, whichever it is; or -1
} ObjectSymbol;

// A piece of a section without a name that something refers to.
typedef struct ObjectPiece {
  uint32_t section;
  uint64_t offset;
  uint64_t size; // up to the next one, or as long as a literal or constant is
  uint64_t hash; // of its contents; 0: not known yet
} ObjectPiece;

typedef enum TargetKind {
  TARGET_NULL,      // nothing, or an absolute symbol: the addend is the value
  TARGET_UNDEFINED, // index is of ObjectUndefined
  TARGET_FUNCTION,  // index is of ObjectFunction, meant is its start
  TARGET_DATA,      // index is of ObjectData
  TARGET_CODE,      // index is of the section, at `offset`: within a function
  TARGET_PIECE,     // index is of the section, at `offset`
  TARGET_LOCALS,    // all thread-locals: the module base of the local-dynamic
                    // model
} TargetKind;

// Value is the address of what `kind`, `index` and `offset` say, + addend.
typedef struct ObjectTarget {
  TargetKind kind;
  uint32_t index;
  uint64_t offset;
  int64_t addend;
} ObjectTarget;

struct ObjectFile {
  const GraftAllocator *allocator;
  char *path;
  unsigned char *bytes; // the file
  size_t size;
  Arena arena; // holds all below
  ObjectMachine machine;
  bool tcc; // literals are variables named L.1
  ObjectSection *sections;
  size_t section_count;
  ObjectSymbol *symbols;
  size_t symbol_count;
  ObjectFunction *functions;
  size_t function_count;
  ObjectData *data;
  size_t data_count;
  ObjectUndefined *undefined;
  size_t undefined_count;
  ObjectPiece *pieces; // by section, then offset
  size_t piece_count;
  Map function_map, data_map; // symbol → ObjectFunction, ObjectData
};

// object_read.c: the file's tables: sections, symbols, relocations.
GraftStatus object_read_tables(ObjectFile *self, GraftError *error);
// object_list.c: functions, variables, undefined symbols.
GraftStatus object_list(ObjectFile *self, GraftError *error);
// object_piece.c: pieces without names.
GraftStatus object_list_pieces(ObjectFile *self, GraftError *error);
// object_refer.c: who refers to whom.
GraftStatus object_refer(ObjectFile *self, GraftError *error);
// object_hash.c
GraftStatus object_hash(ObjectFile *self, GraftError *error);

// What a relocation of a section means. It is one that passed object_read.
ObjectTarget object_target(const ObjectFile *self, const ObjectSection *section,
                           const ObjectRelocation *relocation);

// A symbol itself, for an entry of the table of addresses. Pieces that only
// such an entry names are in the list of pieces too.
ObjectTarget object_symbol_target(const ObjectFile *self, uint32_t index);

// The piece that starts there; one exists for every TARGET_PIECE.
ObjectPiece *object_piece(const ObjectFile *self, uint32_t section,
                          uint64_t offset);

// The relocations of a section from `start` up to `end`.
typedef struct RelocationRange {
  const ObjectRelocation *items;
  size_t count;
} RelocationRange;
RelocationRange object_relocations(const ObjectSection *section, uint64_t start,
                                   uint64_t end);

// "help" of "help.isra.0.cold".
const char *object_plain_name(Arena *arena, const char *symbol);

// With given addresses of sections, by index, and of symbols that are not
// defined (zero).
GraftStatus object_image(const ObjectFile *self, const uint64_t *addresses,
                         ObjectImage *image, GraftError *error);

// GRAFT_EIO with the object's path before the message.
GraftStatus object_refuse(const ObjectFile *self, GraftError *error,
                          const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// As the object's processor has it; a call or jump that has the type of any
// relative address, as gas writes it, is told by its instruction.
RelocationType object_relocation_type(const ObjectFile *self,
                                      const ObjectSection *section,
                                      const ObjectRelocation *relocation);

#endif
