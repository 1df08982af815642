// SPDX-License-Identifier: MIT

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "state/storage_inner.h"

// --- Applying ----------------------------------------------------------------

static bool is_declared(const StorageChange *self,
                        const StorageObject *object) {
  if (change_entry(self, object) != NULL) return true;
  for (size_t i = 0; i < self->mentioned.count; i++) {
    if (self->mentioned.items[i] == object) return true;
  }
  return false;
}

static GraftStatus list_removed(StorageChange *self, GraftError *error) {
  const Storage *storage = self->storage;
  for (size_t i = 0; i < storage->objects.count; i++) {
    StorageObject *object = storage->objects.items[i];
    if (object->is_heap || object->state.is_removed ||
        change_unit(self, object->file) == NULL || is_declared(self, object)) {
      continue;
    }
    StorageObject **place = ARRAY_PUSH(self->allocator, &self->removed);
    if (place == NULL) return error_memory(error);
    *place = object;
  }
  return GRAFT_OK;
}

static int compare_places(const void *a, const void *b) {
  const MovedPlace *x = a, *y = b;
  return (x->address > y->address) - (x->address < y->address);
}

static GraftStatus list_moved(StorageChange *self, GraftError *error) {
  for (size_t i = 0; i < self->entries.count; i++) {
    const ChangeEntry *entry = &self->entries.items[i];
    const ObjectState *old = &entry->object->state;
    if (!entry->moves || entry->is_new) continue;
    MovedPlace *place = ARRAY_PUSH(self->allocator, &self->moved);
    if (place == NULL) return error_memory(error);
    *place = (MovedPlace){old->block.address, old->size, entry};
  }
  if (self->moved.count > 1) {
    qsort(self->moved.items, self->moved.count, sizeof *self->moved.items,
          compare_places);
  }
  return GRAFT_OK;
}

// Room for all that `exchange` lists, since that cannot fail.
static bool reserve(StorageChange *self) {
  Storage *storage = self->storage;
  return storage_reserve(storage, self->entries.count) &&
         array_reserve(storage->allocator, (void **)&storage->units.items,
                       &storage->units.capacity,
                       storage->units.count + self->units.count,
                       sizeof *storage->units.items);
}

static void fill_block(const ChangeEntry *entry) {
  if (entry->next.base == NULL) return;
  memcpy(entry->next.block.address, entry->next.base, entry->next.size);
}

// What was is migrated over what the initialiser gives.
static void fill(StorageChange *self) {
  for (size_t i = 0; i < self->entries.count; i++) {
    ChangeEntry *entry = &self->entries.items[i];
    if (!entry->moves) continue;
    fill_block(entry);
    if (entry->plan == NULL) continue;
    const ObjectState *old = &entry->object->state;
    migrate_run(entry->plan, old->block.address, entry->next.block.address,
                old->count < entry->next.count ? old->count : entry->next.count,
                &entry->lost);
  }
}

static void exchange_states(StorageChange *self) {
  for (size_t i = 0; i < self->entries.count; i++) {
    ChangeEntry *entry = &self->entries.items[i];
    ObjectState old = entry->object->state;
    entry->object->state = entry->next;
    entry->next = old;
  }
}

static StorageUnit *find_unit(Storage *storage, const char *file) {
  return (StorageUnit *)(uintptr_t)storage_unit(storage, file);
}

// Twice is back: a unit that comes takes the place at the end, one that goes
// leaves its place empty until then.
static void exchange_units(StorageChange *self) {
  Storage *storage = self->storage;
  for (size_t i = 0; i < self->units.count; i++) {
    ChangeUnit *unit = &self->units.items[i];
    StorageUnit *place = find_unit(storage, unit->file);
    TypeSet *old = place != NULL ? place->types : NULL;
    if (place == NULL && unit->types != NULL) {
      storage->units.items[storage->units.count++] =
          (StorageUnit){unit->file, unit->types};
    } else if (place != NULL && unit->types != NULL) {
      place->types = unit->types;
    } else if (place != NULL) {
      // The name goes with whoever frees the unit.
      char *file = place->file;
      *place = storage->units.items[--storage->units.count];
      if (file != unit->file) {
        memory_free(self->allocator, unit->file);
        unit->file = file;
      }
    }
    unit->types = old;
  }
}

static void set_removed(StorageChange *self, bool is_removed) {
  for (size_t i = 0; i < self->removed.count; i++) {
    self->removed.items[i]->state.is_removed = is_removed;
  }
}

static void list_new(StorageChange *self) {
  for (size_t i = 0; i < self->entries.count; i++) {
    const ChangeEntry *entry = &self->entries.items[i];
    if (entry->is_new) storage_list(self->storage, entry->object);
  }
}

static void exchange(StorageChange *self) {
  set_removed(self, true);
  exchange_states(self);
  list_new(self);
  exchange_units(self);
  storage_sort_places(self->storage);
  self->is_applied = true;
}

// --- Initialisers ------------------------------------------------------------

// What the old initialiser would be as a new one: `*owned` is to be freed.
static bool old_base(StorageChange *self, const ChangeEntry *entry,
                     const unsigned char **base, unsigned char **owned) {
  const ObjectState *old = &entry->next, *now = &entry->object->state;
  *owned = NULL;
  *base = old->base;
  if (entry->plan == NULL) return true;
  *owned = memory_new(self->allocator, now->size);
  unsigned char *from = old->base;
  if (from == NULL) from = memory_new(self->allocator, old->size);
  bool done = *owned != NULL && from != NULL;
  if (done) {
    size_t lost = 0;
    if (now->base != NULL) memcpy(*owned, now->base, now->size);
    migrate_run(entry->plan, from, *owned, 1, &lost);
  }
  if (from != old->base) memory_free(self->allocator, from);
  *base = *owned;
  return done;
}

static bool merge_typed(StorageChange *self, const ChangeEntry *entry,
                        StorageReport *report) {
  const ObjectState *old = &entry->next, *now = &entry->object->state;
  if (old->base == NULL && now->base == NULL) return true;
  const unsigned char *base;
  unsigned char *owned;
  bool done =
      change_follow(self, entry) && old_base(self, entry, &base, &owned);
  if (!done) return false;
  MergeDesc desc = {
      .change = entry->moves ? NULL : self,
      .report = report,
      .object = entry->object,
      .line = now->line,
      .type = now->type,
      .base = base,
      .next = now->base,
      .live = now->block.address,
  };
  done = merge_values(self->allocator, &desc);
  memory_free(self->allocator, owned);
  return done;
}

// All or none of bytes that nothing is known of.
static bool merge_bytes(StorageChange *self, const ChangeEntry *entry,
                        bool is_forced) {
  const ObjectState *old = &entry->next, *now = &entry->object->state;
  unsigned char *zero = memory_new(self->allocator, now->size);
  if (zero == NULL) return false;
  const unsigned char *base = old->base != NULL ? old->base : zero;
  const unsigned char *next = now->base != NULL ? now->base : zero;
  unsigned char *live = now->block.address;
  bool takes = is_forced || memcmp(live, base, now->size) == 0;
  bool done = !takes || memcmp(live, next, now->size) == 0 ||
              change_overwrite(self, live, next, now->size);
  memory_free(self->allocator, zero);
  return done;
}

static bool report_reset(const ChangeEntry *entry, StorageReport *report) {
  return storage_report_add(report, STORAGE_RESET, entry->object,
                            entry->object->name,
                            "its type is not known; it starts anew") != NULL;
}

static bool merge_entry(StorageChange *self, const ChangeEntry *entry,
                        StorageReport *report) {
  const ObjectState *now = &entry->object->state;
  if (entry->is_new || entry->object->is_heap) return true;
  if (now->is_const) return entry->moves || merge_bytes(self, entry, true);
  if (entry->moves && entry->plan == NULL) {
    return report_reset(entry, report);
  }
  if (now->type == NULL) return merge_bytes(self, entry, false);
  return merge_typed(self, entry, report);
}

static GraftStatus merge_entries(StorageChange *self, StorageReport *report,
                                 GraftError *error) {
  for (size_t i = 0; i < self->entries.count; i++) {
    if (!merge_entry(self, &self->entries.items[i], report)) {
      return error_memory(error);
    }
  }
  return GRAFT_OK;
}

static void run_custom(StorageChange *self) {
  for (size_t i = 0; i < self->entries.count; i++) {
    const ChangeEntry *entry = &self->entries.items[i];
    if (entry->plan == NULL) continue;
    const ObjectState *old = &entry->next, *now = &entry->object->state;
    migrate_run_custom(entry->plan, old->block.address, now->block.address,
                       now->count);
  }
}

// --- Reporting ---------------------------------------------------------------

static void write_migration(Buffer *text, const ObjectState *from,
                            const ObjectState *to) {
  type_write(text, to->type, "");
  if (from->type->size != to->type->size) {
    buffer_format(text, ", %zu → %zu bytes", from->type->size, to->type->size);
  }
  size_t size = text->size;
  buffer_add_text(text, ": ");
  size_t head = text->size;
  migrate_describe(from->type, to->type, text);
  if (text->size == head) {
    if (!text->failed) text->text[text->size = size] = '\0';
    buffer_add_text(text, ": reordered");
  }
}

static size_t element_count(const ObjectState *state) {
  return state->type->kind == KIND_ARRAY ? state->type->count : state->count;
}

static bool report_migration(const StorageChange *self,
                             const ChangeEntry *entry, StorageReport *report) {
  Buffer text;
  buffer_init(&text, self->allocator);
  write_migration(&text, &entry->next, &entry->object->state);
  StorageEvent *event =
      text.failed ? NULL
                  : storage_report_add(report, STORAGE_MIGRATE, entry->object,
                                       entry->object->name, buffer_text(&text));
  buffer_clear(&text);
  if (event == NULL) return false;
  event->count = element_count(&entry->object->state);
  event->lost = entry->lost;
  return true;
}

static GraftStatus report_all(StorageChange *self, StorageReport *report,
                              GraftError *error) {
  bool done = true;
  for (size_t i = 0; done && i < self->entries.count; i++) {
    const ChangeEntry *entry = &self->entries.items[i];
    if (entry->plan != NULL) done = report_migration(self, entry, report);
  }
  for (size_t i = 0; done && i < self->removed.count; i++) {
    const StorageObject *object = self->removed.items[i];
    done = storage_report_add(report, STORAGE_REMOVE, object, object->name,
                              "no longer declared") != NULL;
  }
  return done ? GRAFT_OK : error_memory(error);
}

static int compare_events(const void *a, const void *b) {
  const StorageEvent *x = a, *y = b;
  int files = strcmp(x->file, y->file);
  if (files != 0) return files;
  if (x->line != y->line) return x->line < y->line ? -1 : 1;
  int names = strcmp(x->name, y->name);
  return names != 0 ? names : (int)x->kind - (int)y->kind;
}

static GraftStatus prepare(StorageChange *self, GraftError *error) {
  GraftStatus status = change_declare_heaps(self, error);
  if (status == GRAFT_OK) status = list_removed(self, error);
  if (status == GRAFT_OK) status = list_moved(self, error);
  if (status == GRAFT_OK && !reserve(self)) status = error_memory(error);
  return status;
}

static GraftStatus run(StorageChange *self, StorageReport *report,
                       GraftError *error) {
  fill(self);
  exchange(self);
  GraftStatus status = merge_entries(self, report, error);
  if (status < 0) return status;
  run_custom(self);
  status = change_redirect(self, error);
  return status < 0 ? status : report_all(self, report, error);
}

GraftStatus storage_change_apply(StorageChange *self, StorageReport *report,
                                 GraftError *error) {
  storage_lock(self->storage);
  GraftStatus status = prepare(self, error);
  if (status == GRAFT_OK) status = run(self, report, error);
  storage_unlock(self->storage);
  if (status < 0) {
    storage_change_undo(self);
    storage_report_clear(report);
  } else if (report->events.count > 1) {
    qsort(report->events.items, report->events.count,
          sizeof *report->events.items, compare_events);
  }
  return status;
}

// --- Undoing -----------------------------------------------------------------

void storage_change_undo(StorageChange *self) {
  if (!self->is_applied) return;
  change_restore(self);
  set_removed(self, false);
  exchange_states(self);
  for (size_t i = 0; i < self->entries.count; i++) {
    const ChangeEntry *entry = &self->entries.items[i];
    if (entry->is_new) storage_unlist(self->storage, entry->object);
  }
  exchange_units(self);
  storage_sort_places(self->storage);
  self->is_applied = false;
}
