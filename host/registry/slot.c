// SPDX-License-Identifier: MIT

#include "registry/slot.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

struct SlotSnapshot {
  GraftFn *fn;
  SlotState state;
};

// Long enough for what an error message can hold.
typedef struct Listing {
  char text[512];
  size_t size;
} Listing;

static const GraftAllocator *allocator_of(const GraftFn *self) {
  return self->registry->desc.allocator;
}

// --- State -----------------------------------------------------------------

static void state_clear(Registry *registry, SlotState *self) {
  for (size_t i = 0; i < self->layer_count; i++) {
    backing_release(registry, self->layers[i]);
  }
  for (int i = 0; i < self->history_count; i++) {
    backing_release(registry, self->history[i]);
  }
  backing_release(registry, self->pinned);
  memory_free(registry->desc.allocator, self->layers);
  memory_free(registry->desc.allocator, self->removed);
  *self = (SlotState){0};
}

static void state_retain(const SlotState *self) {
  for (size_t i = 0; i < self->layer_count; i++) {
    backing_retain(self->layers[i]);
  }
  for (int i = 0; i < self->history_count; i++) {
    backing_retain(self->history[i]);
  }
  backing_retain(self->pinned);
}

// A copy with room for one more layer, so that what follows cannot fail.
// False when out of memory.
static bool state_copy(const GraftAllocator *allocator, const SlotState *from,
                       SlotState *to) {
  SlotState copy = *from;
  size_t size = (from->layer_count + 1) * sizeof *copy.layers;
  copy.layers = memory_new(allocator, size);
  if (from->removed != NULL) {
    copy.removed =
        memory_copy_string(allocator, from->removed, strlen(from->removed));
  }
  if (copy.layers == NULL || (from->removed != NULL && copy.removed == NULL)) {
    memory_free(allocator, copy.layers);
    memory_free(allocator, copy.removed);
    return false;
  }
  if (from->layer_count > 0) {
    memcpy(copy.layers, from->layers, from->layer_count * sizeof *copy.layers);
  }
  state_retain(&copy);
  *to = copy;
  return true;
}

// Where a layer is or would be.
static size_t layer_index(const SlotState *self, int layer) {
  size_t index = 0;
  while (index < self->layer_count && self->layers[index]->layer < layer) {
    index++;
  }
  return index;
}

static bool has_layer(const SlotState *self, int layer) {
  size_t index = layer_index(self, layer);
  return index < self->layer_count && self->layers[index]->layer == layer;
}

// Takes over one reference. There is room.
static void put_layer(Registry *registry, SlotState *self, Backing *backing) {
  size_t index = layer_index(self, backing->layer);
  if (has_layer(self, backing->layer)) {
    backing_release(registry, self->layers[index]);
  } else {
    memmove(&self->layers[index + 1], &self->layers[index],
            (self->layer_count - index) * sizeof *self->layers);
    self->layer_count++;
  }
  self->layers[index] = backing;
  memory_free(registry->desc.allocator, self->removed);
  self->removed = NULL;
}

static void take_layer(Registry *registry, SlotState *self, int layer) {
  size_t index = layer_index(self, layer);
  backing_release(registry, self->layers[index]);
  self->layer_count--;
  for (; index < self->layer_count; index++) {
    self->layers[index] = self->layers[index + 1];
  }
}

static void put_history(Registry *registry, SlotState *self, Backing *backing) {
  for (int i = 0; i < self->history_count; i++) {
    if (self->history[i]->version != backing->version) continue;
    backing_retain(backing);
    backing_release(registry, self->history[i]);
    self->history[i] = backing;
    return;
  }
  // An old version that only moved does not come back into the history.
  if (backing->version != self->version) return;
  if (self->history_count == SLOT_HISTORY) {
    backing_release(registry, self->history[0]);
    self->history_count--;
    memmove(self->history, self->history + 1,
            (size_t)self->history_count * sizeof *self->history);
  }
  backing_retain(backing);
  self->history[self->history_count++] = backing;
}

static void put_pinned(Registry *registry, SlotState *self,
                       const Backing *pinned) {
  backing_retain(pinned);
  backing_release(registry, self->pinned);
  self->pinned = (Backing *)pinned;
}

static bool is_script(const Backing *self) {
  return self->kind == BACKING_SCRIPT;
}

// The highest backing of a kind, or NULL.
static const Backing *highest(const SlotState *self, bool script) {
  for (size_t i = self->layer_count; i-- > 0;) {
    if (is_script(self->layers[i]) == script) return self->layers[i];
  }
  return NULL;
}

static const Backing *choose_active(const SlotState *self) {
  const Backing *chosen = NULL;
  if (self->pin == GRAFT_PIN_VERSION) chosen = self->pinned;
  if (self->pin == GRAFT_PIN_NATIVE) chosen = highest(self, false);
  if (self->pin == GRAFT_PIN_SCRIPT) chosen = highest(self, true);
  if (chosen != NULL || self->layer_count == 0) return chosen;
  return self->layers[self->layer_count - 1];
}

// --- Switching -------------------------------------------------------------

bool slot_cell_fits(const GraftFn *self) {
  const Backing *active = self->active;
  if (active == NULL || active->kind == BACKING_SCRIPT) return false;
  // A Lua C function has no C type that could be another.
  if (active->kind == BACKING_LUA_C) return self->typed == NULL;
  return signature_equal(active->signature, self->typed);
}

// What callers jump to for the active native.
static GraftNative target_code(const GraftFn *self) {
  const Backing *active = self->active;
  if (active == NULL) return NULL;
  const NativeHost *natives = &self->registry->desc.natives;
  GraftNative target = NULL;
  if (active->owner != NULL && natives->target != NULL) {
    target = natives->target(natives->context, self, active);
  }
  return target != NULL ? target : active->code;
}

// The fallback of typed pointers finds out for itself what to do.
void slot_update_cell(GraftFn *self) {
  GraftNative code = target_code(self);
  atomic_store_explicit(&self->code, code, memory_order_relaxed);
  if (self->cell == NULL) return;
  atomic_store_explicit(self->cell,
                        slot_cell_fits(self) ? code : self->fallback,
                        memory_order_release);
}

// Makes `state` the slot's, switches, and lets go of what the old one held.
// Takes `state` over; cannot fail.
static void enter_state(GraftFn *self, SlotState *state) {
  SlotState old_state = self->state;
  const Backing *old_active = self->active;
  pthread_mutex_lock(&self->registry->lock);
  self->state = *state;
  self->active = choose_active(state);
  pthread_mutex_unlock(&self->registry->lock);
  const Backing *new_active = self->active;
  if (new_active != old_active) {
    slot_update_cell(self);
    const RegistryDesc *desc = &self->registry->desc;
    if (desc->on_switch != NULL) {
      desc->on_switch(desc->context, self, old_active, new_active);
    }
  }
  state_clear(self->registry, &old_state);
}

static GraftStatus check_host(const GraftFn *self, GraftError *error) {
  if (registry_is_host(self->registry)) return GRAFT_OK;
  return error_set(error, GRAFT_ETHREAD,
                   "%s can be changed on the engine's own thread only",
                   self->name);
}

// --- Life ------------------------------------------------------------------

GraftFn *slot_new(Registry *registry, const char *name) {
  const GraftAllocator *allocator = registry->desc.allocator;
  GraftFn *self = memory_new(allocator, sizeof *self);
  if (self == NULL) return NULL;
  self->name = memory_copy_string(allocator, name, strlen(name));
  if (self->name == NULL) {
    memory_free(allocator, self);
    return NULL;
  }
  self->registry = registry;
  return self;
}

void slot_free(GraftFn *self) {
  const GraftAllocator *allocator = allocator_of(self);
  state_clear(self->registry, &self->state);
  memory_free(allocator, self->result_text);
  memory_free(allocator, (void *)self->name);
  memory_free(allocator, self);
}

// --- Messages --------------------------------------------------------------

__attribute__((format(printf, 2, 3))) static void
list_add(Listing *self, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int size = vsnprintf(self->text + self->size, sizeof self->text - self->size,
                       format, arguments);
  va_end(arguments);
  self->size += size > 0 ? (size_t)size : 0;
  if (self->size >= sizeof self->text) self->size = sizeof self->text - 1;
}

// "native version 1 (built-in), script version 3 (mod 1)"
static const char *list_layers(const SlotState *state, Listing *list) {
  char buffer[24];
  *list = (Listing){.text = "nothing"};
  for (size_t i = 0; i < state->layer_count; i++) {
    const Backing *backing = state->layers[i];
    list_add(list, "%s%s version %u (%s)", i > 0 ? ", " : "",
             backing_kind_text(backing), (unsigned)backing->version,
             layer_text(backing->layer, buffer));
  }
  return list->text;
}

// "versions 1, 4, 5"
static const char *list_versions(const SlotState *state, Listing *list) {
  *list = (Listing){.text = "no versions"};
  uint32_t last = 0;
  for (size_t i = 0; i < state->layer_count; i++) {
    // Those that the history has dropped.
    uint32_t version = state->layers[i]->version;
    if (state->history_count > 0 && version >= state->history[0]->version) {
      continue;
    }
    list_add(list, "%s%u", last > 0 ? ", " : "versions ", (unsigned)version);
    last = version;
  }
  for (int i = 0; i < state->history_count; i++) {
    list_add(list, "%s%u", last > 0 ? ", " : "versions ",
             (unsigned)state->history[i]->version);
    last = state->history[i]->version;
  }
  return list->text;
}

GraftStatus slot_missing(const GraftFn *self, GraftError *error) {
  if (self->state.removed == NULL) {
    return error_set(error, GRAFT_ENOTFOUND, "%s is not defined anywhere",
                     self->name);
  }
  return error_set(error, GRAFT_EREMOVED, "%s was removed: %s", self->name,
                   self->state.removed);
}

static GraftStatus no_version(const GraftFn *self, uint32_t version,
                              GraftError *error) {
  Listing list;
  return error_set(error, GRAFT_ENOTFOUND, "%s has no version %u, it has %s",
                   self->name, (unsigned)version,
                   list_versions(&self->state, &list));
}

// A native may not take over typed handles of another C type (N3).
static GraftStatus check_typed(const GraftFn *self, BackingKind kind,
                               const Signature *signature, const char *why_not,
                               GraftError *error) {
  if (!self->held || kind == BACKING_SCRIPT) return GRAFT_OK;
  if (signature != NULL &&
      (signature->lua || signature_equal(signature, self->typed))) {
    return GRAFT_OK;
  }
  return error_set(error, GRAFT_ESIGNATURE,
                   "%s is now %s, but typed handles of it are in use as %s",
                   self->name, signature != NULL ? signature->text : why_not,
                   self->typed->text);
}

// --- Changes ---------------------------------------------------------------

GraftStatus slot_set(GraftFn *self, const BackingDesc *desc,
                     GraftError *error) {
  Registry *registry = self->registry;
  GraftStatus status = check_host(self, error);
  if (status == GRAFT_OK) {
    status =
        check_typed(self, desc->kind, desc->signature, desc->why_not, error);
  }
  if (status < 0) return status;
  const Backing *replaced = slot_find_layer(self, desc->layer);
  assert(!desc->keep_version || replaced != NULL);
  SlotState state;
  Backing *backing = backing_new(registry, desc);
  if (backing == NULL) return error_memory(error);
  if (!state_copy(registry->desc.allocator, &self->state, &state)) {
    backing_discard(registry, backing);
    return error_memory(error);
  }
  backing->version = desc->keep_version ? replaced->version : ++state.version;
  if (desc->keep_version && state.pinned == replaced) {
    put_pinned(registry, &state, backing);
  }
  put_history(registry, &state, backing);
  put_layer(registry, &state, backing);
  enter_state(self, &state);
  return GRAFT_OK;
}

GraftStatus slot_remove(GraftFn *self, int layer, const char *what,
                        GraftError *error) {
  Registry *registry = self->registry;
  GraftStatus status = check_host(self, error);
  if (status < 0) return status;
  if (!has_layer(&self->state, layer)) {
    Listing list;
    char buffer[24];
    return error_set(error, GRAFT_ENOTFOUND,
                     "%s has no backing in layer %s, it has %s", self->name,
                     layer_text(layer, buffer),
                     list_layers(&self->state, &list));
  }
  const GraftAllocator *allocator = allocator_of(self);
  SlotState state;
  char *removed = memory_copy_string(allocator, what, strlen(what));
  if (removed == NULL || !state_copy(allocator, &self->state, &state)) {
    memory_free(allocator, removed);
    return error_memory(error);
  }
  take_layer(registry, &state, layer);
  memory_free(allocator, state.removed);
  state.removed = removed;
  if (state.layer_count > 0) {
    memory_free(allocator, removed);
    state.removed = NULL;
  }
  enter_state(self, &state);
  return GRAFT_OK;
}

GraftStatus slot_reinstate(GraftFn *self, uint32_t version, GraftError *error) {
  GraftStatus status = check_host(self, error);
  if (status < 0) return status;
  const Backing *found = slot_find_version(self, version);
  if (found == NULL) return no_version(self, version, error);
  status =
      check_typed(self, found->kind, found->signature, found->why_not, error);
  if (status < 0) return status;
  SlotState state;
  if (!state_copy(allocator_of(self), &self->state, &state)) {
    return error_memory(error);
  }
  backing_retain(found);
  put_layer(self->registry, &state, (Backing *)found);
  enter_state(self, &state);
  return GRAFT_OK;
}

static GraftStatus check_pin(const GraftFn *self, GraftPin pin,
                             const Backing *target, uint32_t version,
                             GraftError *error) {
  if (pin == GRAFT_PIN_AUTO || target != NULL) return GRAFT_OK;
  if (pin == GRAFT_PIN_VERSION) return no_version(self, version, error);
  Listing list;
  return error_set(error, GRAFT_ENOTFOUND, "%s has no %s backing, it has %s",
                   self->name, pin == GRAFT_PIN_NATIVE ? "native" : "script",
                   list_layers(&self->state, &list));
}

GraftStatus slot_pin(GraftFn *self, GraftPin pin, uint32_t version,
                     GraftError *error) {
  GraftStatus status = check_host(self, error);
  if (status < 0) return status;
  const Backing *target = pin == GRAFT_PIN_VERSION
                              ? slot_find_version(self, version)
                              : highest(&self->state, pin == GRAFT_PIN_SCRIPT);
  status = check_pin(self, pin, target, version, error);
  if (status < 0) return status;
  SlotState state;
  if (!state_copy(allocator_of(self), &self->state, &state)) {
    return error_memory(error);
  }
  state.pin = pin;
  put_pinned(self->registry, &state, pin == GRAFT_PIN_VERSION ? target : NULL);
  enter_state(self, &state);
  return GRAFT_OK;
}

GraftStatus slot_pin_text(GraftFn *self, const char *text, GraftError *error) {
  if (strcmp(text, "auto") == 0) {
    return slot_pin(self, GRAFT_PIN_AUTO, 0, error);
  }
  if (strcmp(text, "native") == 0) {
    return slot_pin(self, GRAFT_PIN_NATIVE, 0, error);
  }
  if (strcmp(text, "script") == 0) {
    return slot_pin(self, GRAFT_PIN_SCRIPT, 0, error);
  }
  char *end;
  unsigned long version = strtoul(text, &end, 10);
  if (*text < '0' || *text > '9' || *end != '\0' || version > UINT32_MAX) {
    return error_set(error, GRAFT_EARG,
                     "'%.100s' is not native, script, auto or a version", text);
  }
  return slot_pin(self, GRAFT_PIN_VERSION, (uint32_t)version, error);
}

// --- Looking ---------------------------------------------------------------

const Backing *slot_find_layer(const GraftFn *self, int layer) {
  if (!has_layer(&self->state, layer)) return NULL;
  return self->state.layers[layer_index(&self->state, layer)];
}

const Backing *slot_find_version(const GraftFn *self, uint32_t version) {
  const SlotState *state = &self->state;
  for (size_t i = 0; i < state->layer_count; i++) {
    if (state->layers[i]->version == version) return state->layers[i];
  }
  for (int i = 0; i < state->history_count; i++) {
    if (state->history[i]->version == version) return state->history[i];
  }
  const Backing *pinned = state->pinned;
  return pinned != NULL && pinned->version == version ? pinned : NULL;
}

int slot_history_count(const GraftFn *self) {
  return self->state.history_count;
}

const Backing *slot_history(const GraftFn *self, int index) {
  assert(index >= 0 && index < self->state.history_count);
  return self->state.history[index];
}

const Backing *slot_highest_native(const GraftFn *self) {
  return highest(&self->state, false);
}

const Signature *slot_signature(const GraftFn *self) {
  if (self->typed != NULL) return self->typed;
  const Backing *native = highest(&self->state, false);
  return native != NULL ? native->signature : NULL;
}

// --- Undo ------------------------------------------------------------------

SlotSnapshot *slot_snapshot(GraftFn *self) {
  const GraftAllocator *allocator = allocator_of(self);
  SlotSnapshot *snapshot = memory_new(allocator, sizeof *snapshot);
  if (snapshot == NULL) return NULL;
  snapshot->fn = self;
  if (!state_copy(allocator, &self->state, &snapshot->state)) {
    memory_free(allocator, snapshot);
    return NULL;
  }
  return snapshot;
}

void slot_restore(SlotSnapshot *snapshot) {
  GraftFn *fn = snapshot->fn;
  enter_state(fn, &snapshot->state);
  memory_free(allocator_of(fn), snapshot);
}

void slot_snapshot_free(SlotSnapshot *snapshot) {
  if (snapshot == NULL) return;
  state_clear(snapshot->fn->registry, &snapshot->state);
  memory_free(allocator_of(snapshot->fn), snapshot);
}
