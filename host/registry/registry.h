// SPDX-License-Identifier: MIT
//
// Registry: named slots that live as long as it does and never move. It knows
// no VM: scripts are numbers that the ScriptHost understands. A registry
// belongs to the thread that made it; every function here and in slot.h must
// be called there, except where it says "any thread". Traded away: slots are
// never freed one by one, so a program that invents names for ever grows for
// ever.

#ifndef GRAFT_REGISTRY_REGISTRY_H
#define GRAFT_REGISTRY_REGISTRY_H

#include <pthread.h>

#include "base/array.h"
#include "base/map.h"
#include "registry/signature.h"

typedef struct Registry Registry;
typedef struct Backing Backing;

// What only the VM can do. `script` is Backing.script.
typedef struct ScriptHost {
  // Calls a script backing, or a Lua C function (BACKING_LUA_C), protected.
  // Fills call->results up to result_capacity and sets result_count. Strings
  // in results stay valid until the next call. Host thread only.
  GraftStatus (*call)(void *context, GraftFn *fn, const Backing *backing,
                      GraftCall *call, GraftError *error);
  // The last reference to a script is gone: it left every layer, the history
  // and every snapshot. Not called for natives.
  void (*release)(void *context, uint64_t script);
  void *context;
} ScriptHost;

// What natives are loaded by. `owner` is Backing.owner.
typedef struct NativeHost {
  // The last reference to a native of this owner is gone, as above. Called
  // once for each backing that was set with it.
  void (*release)(void *context, void *owner);
  // What callers of a native with an owner jump to instead of its code, such
  // as a guard; NULL: its code. May be NULL.
  GraftNative (*target)(void *context, const GraftFn *fn,
                        const Backing *backing);
  void *context;
} NativeHost;

typedef struct RegistryDesc {
  const GraftAllocator *allocator; // NULL: memory_default; outlives it
  ScriptHost script;               // `call` NULL: calls of scripts fail
  NativeHost natives;
  void *context; // of the two below
  // The active backing has changed, and with it every cell. NULL stands for
  // none. Both are alive until it returns. May be NULL.
  void (*on_switch)(void *context, GraftFn *fn, const Backing *old_backing,
                    const Backing *new_backing);
  // A call through a typed pointer failed, and the caller got zero, since C
  // has no way to tell it. May be called on any thread. May be NULL.
  void (*on_error)(void *context, GraftFn *fn, const GraftError *error);
} RegistryDesc;

// Open to slot.c, fn.c and native/entry.c.
struct Registry {
  RegistryDesc desc;
  pthread_t host;
  // Held while a slot's state changes, and while another thread reads it.
  pthread_mutex_t lock;
  Map by_name;
  ARRAY(GraftFn *) slots;
  Map by_text;
  ARRAY(Signature *) signatures;
  // Where native/entry.c puts entries from now on; NULL: anywhere.
  struct NativeRegion *region;
  // Typed entry points, made by native/entry.c when first asked for.
  void *entries;
  void (*entries_free)(Registry *self);
};

// NULL when out of memory.
Registry *registry_new(const RegistryDesc *desc);

// Releases all scripts, and frees slots, cells and entry points. NULL-safe.
void registry_free(Registry *self);

// Whether this is the host thread. Any thread.
static inline bool registry_is_host(const Registry *self) {
  return pthread_equal(self->host, pthread_self()) != 0;
}

// The slot, or NULL. Finds slots without backings too (see slot_active).
GraftFn *registry_find(const Registry *self, const char *name);

// The slot, added without backings when it is not there. NULL when out of
// memory.
GraftFn *registry_add(Registry *self, const char *name);

// Slots in the order they were added; index < registry_count.
size_t registry_count(const Registry *self);
GraftFn *registry_at(const Registry *self, size_t index);

// The registry's own copy of a signature, which lives as long as it does; the
// same pointer for equal signatures. NULL when out of memory.
const Signature *registry_signature(Registry *self, const Signature *like);

#endif
