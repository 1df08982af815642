// SPDX-License-Identifier: MIT
//
// Heap: persistent arrays that natives ask for by name (graft_state_new of
// graft.h). They are objects of the storage, with type and count, and so are
// migrated with all others. Types are found by name among those of the units
// that are loaded. Any thread; one at a time by a lock of the storage.

#ifndef GRAFT_STATE_HEAP_H
#define GRAFT_STATE_HEAP_H

#include "state/storage.h"

typedef struct HeapDesc {
  const char *name;
  const char *type;    // "Body", "struct Body", "double"
  size_t element_size; // as the caller's compiler has it; 0: not checked
  size_t count;
  const char *file; // of the caller, to tell types of one name; or NULL
} HeapDesc;

// The array's address, zeroes; the one that is there when name, type and count
// are the same. NULL: GRAFT_EARG (no name, another type or count is there, the
// size does not fit), GRAFT_ENOTFOUND (no such type), GRAFT_ENOMEM.
void *heap_new(Storage *storage, const HeapDesc *desc, GraftError *error);

// The array of this name, or NULL; `*count` may be NULL.
void *heap_find(const Storage *storage, const char *name, size_t *count);

// Another count: new elements are zero, and the array may move (the natives'
// own pointers into it follow in registered state). NULL: GRAFT_ENOTFOUND,
// GRAFT_ENOMEM, and then it is as it was.
void *heap_resize(Storage *storage, const char *name, size_t count,
                  GraftError *error);

// False when there is none.
bool heap_free(Storage *storage, const char *name);

#endif
