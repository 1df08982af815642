// SPDX-License-Identifier: MIT
//
// What others see of the state of natives: views of Lua, and persistent arrays
// (graft_state_new of graft.h).

#include <string.h>

#include "base/error.h"
#include "engine_native.h"
#include "state/heap.h"

const Type *natives_find_type(const Natives *self, const char *name,
                              TypeSet **types) {
  // The storage's, since they are those of a change as soon as it is applied.
  return self != NULL ? storage_find_type(self->storage, name, types) : NULL;
}

size_t natives_find_extent(const Natives *self, const void *address,
                           size_t size, size_t *before) {
  *before = 0;
  if (self == NULL || size == 0) return 0;
  size_t offset = 0;
  const StorageObject *object = storage_locate(self->storage, address, &offset);
  if (object == NULL) return 0;
  StorageInfo info;
  storage_object_info(object, &info);
  if (offset >= info.size) return 0;
  *before = offset / size;
  return (info.size - offset) / size;
}
