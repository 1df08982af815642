// SPDX-License-Identifier: MIT
//
// Slot (GraftFn to the public): a name, its backings in layers, the active
// one, versions and history. The struct is open to the VM layer, which reads
// `active` for each call; only slot.c and native/entry.c write to it.
//
// Backings are counted and immutable. A layer, the history, a pin and a
// snapshot hold one each, so undo is putting pointers back, which cannot fail.
// Versions are numbers of the slot, from 1, never used twice (but an undo
// takes them back): every slot_set makes one, whatever its layer.
//
// Threads: the host thread alone changes a slot and calls it without a lock.
// Other threads may call natives: graft_fn_call copies code and signature
// under the registry's lock there, and typed pointers load one atomic cell.

#ifndef GRAFT_REGISTRY_SLOT_H
#define GRAFT_REGISTRY_SLOT_H

#include <stdatomic.h>

#include "registry/backing.h"
#include "registry/registry.h"

enum { SLOT_HISTORY = 16 };

typedef struct SlotState {
  Backing **layers; // ascending by layer
  size_t layer_count;
  Backing *history[SLOT_HISTORY]; // ascending by version, the last few
  int history_count;
  GraftPin pin;
  Backing *pinned;  // for GRAFT_PIN_VERSION
  uint32_t version; // the last one given out
  char *removed;    // what removed the last backing, or NULL
} SlotState;

struct GraftFn {
  // The active backing or NULL. Host thread only.
  const Backing *active;
  // What callers on the host thread call while `active` is a native: its code,
  // or what stands in front of that (NativeHost). Any thread may load it,
  // relaxed.
  _Atomic(GraftNative) code;
  // Calls on the host thread, written there only (relaxed); natives called by
  // the VM layer are counted by it with slot_count_call. Calls by typed
  // pointers are not counted, since nothing stands between them and the code.
  _Atomic uint64_t calls;
  _Atomic uint64_t calls_elsewhere; // on other threads
  const char *name;
  Registry *registry;
  SlotState state;
  // Set by native/entry.c when the slot gets an entry.
  const Signature *typed;     // the C type that C callers rely on, or NULL
  bool held;                  // by typed handles of the host: it stays so
  _Atomic(GraftNative) *cell; // what typed pointers load, or NULL
  GraftNative entry;          // the plain pointer, or NULL
  GraftNative fallback;       // in the cell when no native fits
  void *native;               // of the engine that compiles its native, or NULL
  char *result_text;          // last string a script returned to C
};

// Puts what callers shall jump to into `code` and the cell: for
// native/entry.c, and when NativeHost.target has another answer.
void slot_update_cell(GraftFn *self);

// Whether C callers of the slot reach its active native's code, and not the
// fallback.
bool slot_cell_fits(const GraftFn *self);

// For the registry alone. NULL when out of memory.
GraftFn *slot_new(Registry *registry, const char *name);
void slot_free(GraftFn *self);

// Adds the layer's backing or replaces it, and switches if it is the highest
// or the pinned one. On success the slot owns desc->script; on failure
// (GRAFT_ENOMEM; GRAFT_ESIGNATURE when typed handles have another signature)
// the caller does, and nothing has changed.
GraftStatus slot_set(GraftFn *self, const BackingDesc *desc, GraftError *error);

// Takes the layer's backing away; it stays in the history. `what` is shown
// when a call finds nothing left, such as "deleted from ai/goblin.lua:12".
// GRAFT_ENOTFOUND when the layer has none; GRAFT_ENOMEM.
GraftStatus slot_remove(GraftFn *self, int layer, const char *what,
                        GraftError *error);

// Puts a version of the history back into its layer, under its old number.
// GRAFT_ENOTFOUND lists the versions that there are.
GraftStatus slot_reinstate(GraftFn *self, uint32_t version, GraftError *error);

// Pins to the highest native or script, to a version (for GRAFT_PIN_VERSION),
// or not at all. A pin to a kind outlives its backings: while there is none,
// the highest layer is active. GRAFT_ENOTFOUND lists what the slot has.
GraftStatus slot_pin(GraftFn *self, GraftPin pin, uint32_t version,
                     GraftError *error);

// The same by what a user types: "native", "script", "auto" or a number.
GraftStatus slot_pin_text(GraftFn *self, const char *text, GraftError *error);

// The backing of a layer, or the one with a version in layers, pin or
// history; or NULL. Borrowed until the slot changes.
const Backing *slot_find_layer(const GraftFn *self, int layer);
const Backing *slot_find_version(const GraftFn *self, uint32_t version);

// Entries of the history, oldest first; index < slot_history_count.
int slot_history_count(const GraftFn *self);
const Backing *slot_history(const GraftFn *self, int index);

// GRAFT_EREMOVED "ai.goblin.think was removed: deleted from ai/goblin.lua:12",
// or GRAFT_ENOTFOUND when there never was a backing. For slots without one.
GraftStatus slot_missing(const GraftFn *self, GraftError *error);

static inline void slot_count_call(GraftFn *self) {
  uint64_t calls = atomic_load_explicit(&self->calls, memory_order_relaxed);
  atomic_store_explicit(&self->calls, calls + 1, memory_order_relaxed);
}

// The highest native, active or not, or NULL.
const Backing *slot_highest_native(const GraftFn *self);

// The C type of the slot: that of its typed handles, else of its highest
// native, else NULL.
const Signature *slot_signature(const GraftFn *self);

// Calls the active backing, which is not BACKING_NATIVE, by the script host.
GraftStatus slot_call_script(GraftFn *self, GraftCall *call, GraftError *error);

// The active native, for threads other than the host's; fails as
// graft_fn_call does there.
GraftStatus slot_native_elsewhere(GraftFn *self, GraftNative *code,
                                  const Signature **signature,
                                  GraftError *error);

// Undo. A snapshot is the whole state of a slot: layers, history, version
// counter, pin, removal; typed handles and call counts are none of it. It
// keeps its backings alive. Either restore it, which frees it and cannot
// fail, or free it.
typedef struct SlotSnapshot SlotSnapshot;

// NULL when out of memory.
SlotSnapshot *slot_snapshot(GraftFn *self);
void slot_restore(SlotSnapshot *snapshot);
void slot_snapshot_free(SlotSnapshot *snapshot);

#endif
