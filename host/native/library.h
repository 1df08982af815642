// SPDX-License-Identifier: MIT
//
// Library: a built shared object, opened, with a list of the functions that
// R2 makes natives of it, read from its DWARF: `physics_step` in `physics.c`
// is `physics.step`; what does not start with the file's stem is not listed.
// Functions whose type Lua cannot use are listed with the reason. Traded
// away: objects without debug information, and functions that the object does
// not export (hidden visibility).

#ifndef GRAFT_NATIVE_LIBRARY_H
#define GRAFT_NATIVE_LIBRARY_H

#include "base/array.h"
#include "base/memory.h"
#include "registry/signature.h"
#include "state/type.h"

typedef struct Library Library;

typedef struct LibraryEntry {
  const char *name;     // "physics.step"
  const char *symbol;   // "physics_step"
  GraftNative code;     // in the opened object
  Signature *signature; // or NULL, and then
  const char *why_not;  // "parameter 1 is union Body by value"
  const Type *type;     // KIND_FUNCTION, in library_types
  const char *file;     // as the compiler was given it, made absolute
  int line;
} LibraryEntry;

// Opens, reads, lists, in order of compile unit and line. GRAFT_EIO (missing,
// no ELF, not loadable), GRAFT_ENOTFOUND (no debug information: "compile with
// -g"), GRAFT_ENOMEM; each with a message that names the path. Any thread.
GraftStatus library_open(const GraftAllocator *allocator, const char *path,
                         Library **library, GraftError *error);

// Unloads the object: nobody may be in its code, and no slot may point to it.
// NULL-safe.
void library_close(Library *self);

const char *library_path(const Library *self);
size_t library_count(const Library *self);

// Borrowed until library_close; index < library_count.
const LibraryEntry *library_entry(const Library *self, size_t index);

// The types of the object; borrowed.
TypeSet *library_types(const Library *self);

typedef ARRAY(char *) LibraryPaths;

// The objects that `--natives PATH` names: the `*.so` files of a folder, by
// name, or PATH itself when it is a file. GRAFT_EIO or GRAFT_ENOMEM, and then
// the list is empty. Clear with library_paths_clear.
GraftStatus library_find(const GraftAllocator *allocator, const char *path,
                         LibraryPaths *paths, GraftError *error);
void library_paths_clear(const GraftAllocator *allocator, LibraryPaths *paths);

#endif
