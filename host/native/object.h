// SPDX-License-Identifier: MIT
//
// Object: a relocatable ELF file as the compiler wrote it, read and checked in
// memory, with what the engine wants to know of it: its functions with hashes
// of their code, its variables with their first contents, and who refers to
// whom. x86-64 and aarch64; gcc, clang and tcc. No address is known yet;
// link.h places it. Immutable once read, so any thread may look at it.
//
// Bad input (cut short, another processor, random bytes) is refused with a
// message; every offset is checked before it is followed. Traded away:
// compressed debug sections (-gz), split DWARF, LTO objects, ifuncs, COMMON
// symbols (-fcommon), and objects of more than 512 MB.
//
// What is read here tells the truth when the compiler was given (compiler.c):
// -c -fPIC -ffunction-sections -fdata-sections -fno-common -fno-lto -gz=none;
// gcc also -fsemantic-interposition -fno-ipa-icf -fno-ipa-ra, -fmerge-constants
// (at -O0 string literals are not apart without it) and
// -fno-ipa-reference-addressable (without it, a static that no function of the
// file writes becomes a constant in the code, and a value that an older version
// gave it is lost); on aarch64 also -fno-section-anchors -mno-outline-atomics.
// clang also -fsemantic-interposition, and -mno-global-merge on aarch64;
// against such constants, and against splitting a static struct into variables
// ("state.0"), it has no flag: see compiler_source.c.

#ifndef GRAFT_NATIVE_OBJECT_H
#define GRAFT_NATIVE_OBJECT_H

#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"

typedef enum ObjectMachine {
  OBJECT_X86_64,
  OBJECT_AARCH64,
} ObjectMachine;

// What a function's code, or a variable's first contents, refer to: one for
// each target, however often.
typedef struct ObjectReference {
  const char *name; // the target's name in the source, see ObjectFunction
  int function;     // index of the function in this object, or -1
  int data;         // index of the variable in this object, or -1; both -1:
                    // an undefined symbol
  bool called;      // by a direct call or jump
  bool address;     // its address is taken; always so from contents
  uint64_t offset;  // of the first place, within the function or contents
} ObjectReference;

typedef struct ObjectReferences {
  const ObjectReference *items;
  size_t count;
} ObjectReferences;

typedef struct ObjectFunction {
  const char *symbol; // "physics_step", "help.isra.0", "physics_step.cold"
  const char *name;   // as in the source: "physics_step", "help"
  bool global;        // not static
  bool part;          // a piece or a special copy that the compiler made of
                      // `name`: .cold, .part, .isra, .constprop
  uint32_t section;   // for link.c
  uint64_t offset;    // in the section
  uint64_t size;
  uint64_t address; // in the debug image of fake addresses
  // Of the code, whatever its place: targets count by name, literals and
  // anonymous constants by content, and a jump table by its destinations.
  // All functions of one `name` have one hash, made of all their code: a
  // change in any piece of it is a change of the function.
  uint64_t hash;
  ObjectReferences references;
} ObjectFunction;

typedef struct ObjectData {
  const char *symbol; // "speed", "counter.0", clang's "step.counter"
  const char *name;   // without a number behind it: "counter"
  bool global;        // not static
  bool writable;      // not const
  bool zero;          // starts as zeroes, `image` is NULL
  bool thread_local_; // one for each thread
  bool labels;        // holds addresses within functions (computed goto), or
                      // of pieces of code: it belongs to this object's code,
                      // and cannot be shared with another version
  uint32_t section;   // for link.c
  uint64_t offset;    // in the section
  uint64_t size;
  uint64_t align;
  const void *image; // before relocation; borrowed from the object
  uint64_t address;  // in the debug image of fake addresses: how a DWARF
                     // variable's DW_OP_addr finds it (thread-locals too)
  ObjectReferences references;
} ObjectData;

// An undefined symbol, and who needs it first.
typedef struct ObjectUndefined {
  const char *name;
  bool called; // somewhere by a direct call: a function
  bool weak;   // may stay undefined: its address is NULL then
  bool thread_local_;
  int function;    // index of the first function that refers to it, or -1
  uint64_t offset; // in it
} ObjectUndefined;

typedef struct ObjectFile ObjectFile;

// Reads and checks `size` bytes, which are copied. `path` is for messages.
// GRAFT_EIO (not an object that can be used: the message says why),
// GRAFT_ENOMEM. Any thread.
GraftStatus object_read(const GraftAllocator *allocator, const char *path,
                        const void *bytes, size_t size, ObjectFile **object,
                        GraftError *error);
void object_free(ObjectFile *self); // NULL-safe

const char *object_path(const ObjectFile *self);
ObjectMachine object_machine(const ObjectFile *self);

// Borrowed until object_free, in order of their symbols in the file.
size_t object_function_count(const ObjectFile *self);
const ObjectFunction *object_function(const ObjectFile *self, size_t index);
size_t object_data_count(const ObjectFile *self);
const ObjectData *object_data(const ObjectFile *self, size_t index);
size_t object_undefined_count(const ObjectFile *self);
const ObjectUndefined *object_undefined(const ObjectFile *self, size_t index);

// By symbol; -1 when there is none.
int object_find_function(const ObjectFile *self, const char *symbol);
int object_find_data(const ObjectFile *self, const char *symbol);

// --- Debug information -------------------------------------------------------

// A copy of the file in which the sections have addresses and the debug
// sections are relocated, so that libdw and gdb can read it as it is.
typedef struct ObjectImage {
  void *bytes; // elf_memory(bytes, size) and dwarf_begin_elf read it
  size_t size;
} ObjectImage;

// False: the object was compiled without -g (or with tcc, which writes none).
bool object_has_debug(const ObjectFile *self);

// With the fake addresses that ObjectFunction and ObjectData name: each is
// distinct, none is real. GRAFT_EIO (bad relocations), GRAFT_ENOMEM. Any
// thread. Clear with object_image_clear.
GraftStatus object_debug_image(const ObjectFile *self, ObjectImage *image,
                               GraftError *error);
void object_image_clear(const ObjectFile *self, ObjectImage *image);

#endif
