// SPDX-License-Identifier: MIT
//
// What a change overwrites in place, and what it reports.

#include <string.h>

#include "state/storage_inner.h"

// --- Journal -----------------------------------------------------------------

bool change_overwrite(StorageChange *self, void *address, const void *bytes,
                      size_t size) {
  Journal *journal = &self->journal;
  if (!array_reserve(self->allocator, (void **)&journal->bytes.items,
                     &journal->bytes.capacity, journal->bytes.count + size,
                     1)) {
    return false;
  }
  JournalEntry *entry = ARRAY_PUSH(self->allocator, &journal->entries);
  if (entry == NULL) return false;
  *entry = (JournalEntry){address, size, journal->bytes.count};
  memcpy(journal->bytes.items + journal->bytes.count, address, size);
  journal->bytes.count += size;
  memcpy(address, bytes, size);
  return true;
}

// The last first: a place may have been written twice.
void change_restore(StorageChange *self) {
  Journal *journal = &self->journal;
  while (journal->entries.count > 0) {
    const JournalEntry *entry =
        &journal->entries.items[--journal->entries.count];
    memcpy(entry->address, journal->bytes.items + entry->kept, entry->size);
  }
  journal->bytes.count = 0;
}

// --- Report ------------------------------------------------------------------

void storage_report_init(StorageReport *self, const GraftAllocator *allocator) {
  *self = (StorageReport){0};
  arena_init(&self->arena, allocator);
}

void storage_report_clear(StorageReport *self) {
  memory_free(self->arena.allocator, self->events.items);
  arena_clear(&self->arena);
  storage_report_init(self, self->arena.allocator);
}

static const char *copy(StorageReport *self, const char *text) {
  return arena_copy_string(&self->arena, text, strlen(text));
}

StorageEvent *storage_report_add(StorageReport *self, StorageEventKind kind,
                                 const StorageObject *object, const char *name,
                                 const char *message) {
  StorageEvent event = {
      .kind = kind,
      .file = copy(self, object->file),
      .function = copy(self, object->function),
      .name = copy(self, name),
      .line = object->state.line,
      .count = 1,
      .message = copy(self, message),
  };
  if (event.file == NULL || event.function == NULL || event.name == NULL ||
      event.message == NULL) {
    return NULL;
  }
  StorageEvent *place = ARRAY_PUSH(self->arena.allocator, &self->events);
  if (place != NULL) *place = event;
  return place;
}
