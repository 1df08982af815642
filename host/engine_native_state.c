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
  const Type *found = NULL;
  for (size_t i = 0; self != NULL && i < self->files.count; i++) {
    const NativeObject *object = self->files.items[i]->object;
    if (object == NULL || object->product->layout.types == NULL) continue;
    TypeSet *set = object->product->layout.types;
    const Type *type = type_set_find(set, name);
    if (type == NULL || (found != NULL && type->is_incomplete)) continue;
    if (found != NULL && !found->is_incomplete) continue;
    found = type;
    *types = set;
  }
  return found;
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
