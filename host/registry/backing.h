// SPDX-License-Identifier: MIT
//
// Backing: one implementation of a slot, a native or a script, with what is
// known of its origin. Immutable and counted: a layer, the history, a pin and
// a snapshot hold one each.

#ifndef GRAFT_REGISTRY_BACKING_H
#define GRAFT_REGISTRY_BACKING_H

#include <assert.h>

#include "registry/registry.h"

// The highest layer present is active. Mods are LAYER_MOD + load order.
typedef enum Layer {
  LAYER_BUILTIN,
  LAYER_NATIVE,
  LAYER_SCRIPT,
  LAYER_MOD,
} Layer;

typedef enum BackingKind {
  BACKING_NATIVE,
  BACKING_LUA_C, // a native that only the VM can call: int (lua_State *)
  BACKING_SCRIPT,
} BackingKind;

struct Backing {
  BackingKind kind;
  int layer; // Layer
  uint32_t version;
  uint32_t count;             // references; host thread only
  GraftNative code;           // natives
  void *owner;                // what `code` is part of; NULL: lives for ever
  const Signature *signature; // natives; NULL when `why_not` is set
  const char *why_not;        // why a native cannot be called by values
  uint64_t script;            // scripts
  const char *file;           // or NULL
  int line;                   // from 1, 0 where there is none
  const char *source;         // text of the function, or NULL
  size_t source_size;
};

// A backing to be. Strings are copied, the signature too.
typedef struct BackingDesc {
  int layer;        // Layer
  BackingKind kind; // BACKING_LUA_C follows from the signature
  GraftNative code;
  void *owner; // natives, see NativeHost; or NULL
  const Signature *signature;
  const char *why_not; // natives without a signature
  uint64_t script;
  const char *file;
  int line;
  const char *source; // may be NULL
  size_t source_size;
  // The code did not change, only where it stands: no new version, and the
  // history's entry is replaced. The layer must be there.
  bool keep_version;
} BackingDesc;

// A backing with one reference, or NULL when out of memory (desc->script is
// the caller's then). `version` is 0.
Backing *backing_new(Registry *registry, const BackingDesc *desc);

// Frees a backing that never got into a slot; its script stays the caller's.
void backing_discard(Registry *registry, Backing *self);

// "native", "script" or "none", the word of reports.
const char *backing_kind_text(const Backing *self);
// "built-in", "native", "script", "mod 1", ...; `buffer` holds the latter.
const char *layer_text(int layer, char buffer[24]);

// Frees a backing that nobody holds any more.
void backing_free(Registry *registry, Backing *self);

// Keeps a backing beyond the slot's changes; host thread only. NULL-safe. In
// the header because every call of a script does both.
static inline const Backing *backing_retain(const Backing *self) {
  if (self != NULL) ((Backing *)self)->count++;
  return self;
}

static inline void backing_release(Registry *registry, const Backing *self) {
  if (self == NULL) return;
  Backing *backing = (Backing *)self;
  assert(backing->count > 0);
  if (--backing->count == 0) backing_free(registry, backing);
}

#endif
