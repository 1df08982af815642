// SPDX-License-Identifier: MIT
//
// What the engine knows of C types, for views (vm/view.h).

#include <string.h>

#include "engine_native.h"

static const Type *better(const Type *a, const Type *b) {
  return a == NULL || (a->is_incomplete && b != NULL) ? b : a;
}

static const Type *find_type(void *context, const char *name, TypeSet **types) {
  GraftEngine *self = context;
  const Type *found = natives_find_type(self->natives, name, types);
  for (size_t i = 0; i < self->libraries.count; i++) {
    TypeSet *set = library_types(self->libraries.items[i]);
    const Type *type = set != NULL ? type_set_find(set, name) : NULL;
    if (type == NULL || better(found, type) != type) continue;
    found = type;
    *types = set;
  }
  return found;
}

static size_t find_extent(void *context, const void *address, size_t size,
                          size_t *before) {
  const GraftEngine *self = context;
  return natives_find_extent(self->natives, address, size, before);
}

// Of a host's own natives nothing is known: they may call Lua. A built object's
// calls go straight to its code.
static GraftNative find_entry(void *context, GraftFn *fn,
                              const Backing *backing) {
  (void)context;
  if (backing->layer != LAYER_NATIVE || backing->signature == NULL) return NULL;
  if (fn->cell == NULL && entry_open(fn, backing->signature, NULL) < 0) {
    return NULL;
  }
  return fn->typed == backing->signature ? fn->entry : NULL;
}

static bool is_method(const GraftFn *fn, const char *pointer_type,
                      const char *name) {
  const char *last = strrchr(fn->name, '.');
  const Signature *signature = slot_signature(fn);
  return last != NULL && strcmp(last + 1, name) == 0 && signature != NULL &&
         !signature->lua && signature->param_count > 0 &&
         signature->params[0] == TYPE_POINTER &&
         strcmp(signature->param_names[0], pointer_type) == 0;
}

static GraftFn *find_method(void *context, const char *pointer_type,
                            const char *name) {
  GraftEngine *self = context;
  for (size_t i = 0; i < self->native_slots.count; i++) {
    GraftFn *fn = self->native_slots.items[i];
    if (fn->active != NULL && is_method(fn, pointer_type, name)) return fn;
  }
  return NULL;
}

void engine_init_views(GraftEngine *self) {
  self->view_hooks = (ViewHooks){.find = find_type,
                                 .entry = find_entry,
                                 .extent = find_extent,
                                 .method = find_method,
                                 .context = self};
}
