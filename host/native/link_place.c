// SPDX-License-Identifier: MIT
//
// Where everything of an object goes: counts the words of the table and the
// stubs, asks the host for the storage of variables, and lays out the block.

#include <string.h>

#include "base/error.h"
#include "native/link_inner.h"

// --- Slots -------------------------------------------------------------------

static void take_words(Link *self, uint32_t *slot, uint32_t count) {
  if (*slot != 0) return;
  *slot = (uint32_t)self->table_count + 1;
  self->table_count += count;
}

// A call that leaves the object may be too far for its field.
static void count_call(Link *self, const ObjectSection *section,
                       const ObjectRelocation *relocation) {
  ObjectTarget target = object_target(self->object, section, relocation);
  if (link_is_direct(self, &target)) return;
  SymbolSlots *slots = &self->slots[relocation->symbol];
  take_words(self, &slots->address, 1);
  if (slots->stub == 0) slots->stub = (uint32_t)++self->stub_count;
}

static void count_slots(Link *self, const ObjectSection *section,
                        const ObjectRelocation *relocation) {
  RelocationType type =
      object_relocation_type(self->object, section, relocation);
  SymbolSlots *slots = &self->slots[relocation->symbol];
  switch (type.use) {
  case USE_TABLE:
    take_words(self, &slots->address, 1);
    break;
  case USE_LOCAL_PAIR:
    take_words(self, &slots->pair, 2);
    break;
  case USE_LOCAL_MODULE:
    take_words(self, &self->module, 2);
    break;
  case USE_LOCAL_DESCRIPTOR:
    take_words(self, &slots->descriptor, 4);
    break;
  case USE_CALL:
    count_call(self, section, relocation);
    break;
  default:
    break;
  }
}

static void count_all_slots(Link *self) {
  const ObjectFile *object = self->object;
  for (size_t i = 1; i < object->section_count; i++) {
    const ObjectSection *section = &object->sections[i];
    if (section->kind == SECTION_OTHER) continue;
    for (size_t k = 0; k < section->relocation_count; k++) {
      count_slots(self, section, &section->relocations[k]);
    }
  }
}

// --- Variables ---------------------------------------------------------------

static bool has_relocations(const Link *self, const ObjectData *data) {
  const ObjectSection *section = &self->object->sections[data->section];
  return object_relocations(section, data->offset, data->offset + data->size)
             .count > 0;
}

// What nobody writes and nothing fills in is as good as a string literal.
static GraftStatus keep_as_literal(Link *self, const ObjectData *data,
                                   LinkData *place, GraftError *error) {
  place->kept = false;
  // The pool only hands out what it never writes again.
  place->address = (void *)(uintptr_t)literal_add(
      self->desc.literals, data->image, data->size, data->align);
  return place->address != NULL ? GRAFT_OK : error_memory(error);
}

static GraftStatus ask_storage(Link *self, size_t index, GraftError *error) {
  const ObjectData *data = &self->object->data[index];
  LinkData *place = &self->data[index];
  const LinkHost *host = self->desc.host;
  LinkStorage storage = {0};
  if ((!data->labels || data->thread_local_) &&
      !host->storage(host->context, self->object, index, &storage)) {
    return error_memory(error);
  }
  place->local = storage.local;
  place->address = storage.address;
  if (data->thread_local_) return GRAFT_OK;
  place->kept = storage.address == NULL;
  if (place->kept && !data->writable && data->image != NULL &&
      !has_relocations(self, data)) {
    return keep_as_literal(self, data, place, error);
  }
  return GRAFT_OK;
}

static GraftStatus ask_all_storage(Link *self, GraftError *error) {
  const ObjectFile *object = self->object;
  for (size_t i = 0; i < object->data_count; i++) {
    if (object->data[i].thread_local_ && self->desc.tls == NULL) {
      return object_refuse(object, error,
                           "%s is a thread-local variable, and there are none",
                           object->data[i].symbol);
    }
    GraftStatus status = ask_storage(self, i, error);
    if (status < 0) return status;
  }
  return GRAFT_OK;
}

// --- Layout ------------------------------------------------------------------

// Bytes of the parts so far.
typedef struct Layout {
  uint64_t size[PART_COUNT];
} Layout;

static uint64_t lay(Layout *layout, LinkPart part, uint64_t size,
                    uint64_t align) {
  uint64_t start = (layout->size[part] + align - 1) & ~(align - 1);
  layout->size[part] = start + size;
  return start;
}

static LinkPart part_of(bool writable) {
  return writable ? PART_WRITABLE : PART_CONSTANT;
}

// Unwind tables follow each other without a gap, which would end them.
static LinkPart section_part(const ObjectSection *section, uint64_t *align) {
  *align = section->align;
  switch (section->kind) {
  case SECTION_CODE:
    return PART_CODE;
  case SECTION_UNWIND:
    *align = 1;
    return PART_CONSTANT;
  case SECTION_DATA:
    if (section->unnamed && !section->thread_local_) {
      return part_of(section->writable &&
                     strncmp(section->name, ".data.rel.ro", 12) != 0);
    }
    return PART_COUNT;
  default:
    return PART_COUNT;
  }
}

// The place within its part is kept in `sections` until the block is there.
static void lay_sections(Link *self, Layout *layout, bool unwind) {
  const ObjectFile *object = self->object;
  for (size_t i = 1; i < object->section_count; i++) {
    const ObjectSection *section = &object->sections[i];
    if ((section->kind == SECTION_UNWIND) != unwind) continue;
    uint64_t align;
    LinkPart part = section_part(section, &align);
    if (part == PART_COUNT) continue;
    uint64_t start = lay(layout, part, section->size, align);
    self->sections[i] = (char *)(uintptr_t)start;
  }
}

static void lay_data(Link *self, Layout *layout) {
  for (size_t i = 0; i < self->object->data_count; i++) {
    const ObjectData *data = &self->object->data[i];
    if (!self->data[i].kept) continue;
    self->data[i].place =
        lay(layout, part_of(data->writable), data->size, data->align);
  }
}

static GraftStatus take_block(Link *self, const Layout *layout,
                              GraftError *error) {
  uint64_t page = region_page_size(self->desc.region), all = 0;
  for (int i = 0; i < PART_COUNT; i++) {
    uint64_t size = (layout->size[i] + page - 1) / page * page;
    self->part_size[i] = size;
    all += size;
  }
  self->block_size = all;
  self->block = region_take(self->desc.region, all);
  if (self->block == NULL) {
    return object_refuse(self->object, error,
                         "no room for %llu KB of code and constants",
                         (unsigned long long)(all >> 10));
  }
  char *at = self->block;
  for (int i = 0; i < PART_COUNT; i++) {
    self->part[i] = at;
    at += self->part_size[i];
  }
  return GRAFT_OK;
}

static void settle_places(Link *self) {
  const ObjectFile *object = self->object;
  for (size_t i = 1; i < object->section_count; i++) {
    uint64_t align;
    LinkPart part = section_part(&object->sections[i], &align);
    if (part == PART_COUNT) continue;
    self->sections[i] = self->part[part] + (uintptr_t)self->sections[i];
  }
  for (size_t i = 0; i < object->data_count; i++) {
    LinkData *data = &self->data[i];
    if (!data->kept) continue;
    data->address = self->part[part_of(object->data[i].writable)] + data->place;
  }
}

GraftStatus link_place(Link *self, GraftError *error) {
  count_all_slots(self);
  GraftStatus status = ask_all_storage(self, error);
  if (status < 0) return status;
  Layout layout = {{0}};
  uint64_t unwind_end;
  lay_sections(self, &layout, true);
  unwind_end = layout.size[PART_CONSTANT];
  if (unwind_end > 0) lay(&layout, PART_CONSTANT, 4, 1); // ends the tables
  lay_sections(self, &layout, false);
  lay_data(self, &layout);
  uint64_t stubs = lay(&layout, PART_CODE, self->stub_count * LINK_STUB_SIZE,
                       LINK_STUB_SIZE);
  uint64_t table =
      lay(&layout, PART_WRITABLE, self->table_count * sizeof(uint64_t), 16);
  status = take_block(self, &layout, error);
  if (status < 0) return status;
  settle_places(self);
  self->stubs = self->part[PART_CODE] + stubs;
  self->table = (uint64_t *)(void *)(self->part[PART_WRITABLE] + table);
  if (unwind_end > 0) self->unwind = self->part[PART_CONSTANT];
  return GRAFT_OK;
}
