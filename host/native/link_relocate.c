// SPDX-License-Identifier: MIT
//
// Fills a link's block: copies sections, applies relocations, and makes the
// relocated first contents of variables.

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "native/link_inner.h"

// --- The table ---------------------------------------------------------------

// A TlsIndex at a slot.
static void write_pair(Link *self, uint32_t slot, size_t offset) {
  self->table[slot - 1] = (uintptr_t)self->desc.tls;
  self->table[slot] = offset;
}

static GraftStatus fill_local(Link *self, const ObjectTarget *target,
                              const SymbolSlots *slots, LinkAsker asker,
                              GraftError *error) {
  size_t offset;
  GraftStatus status = link_resolve_local(self, target, asker, &offset, error);
  if (status < 0) return status;
  if (slots->pair != 0) write_pair(self, slots->pair, offset);
  if (slots->descriptor != 0) {
    uint64_t *words = &self->table[slots->descriptor - 1];
    write_pair(self, slots->descriptor + 2, offset);
    words[0] = (uintptr_t)tls_descriptor();
    words[1] = (uintptr_t)&words[2];
  }
  return GRAFT_OK;
}

// Fills what a relocation's symbol has in the table; again for each of them,
// which costs less than to remember.
static GraftStatus fill_slots(Link *self, const ObjectRelocation *relocation,
                              LinkAsker asker, GraftError *error) {
  SymbolSlots *slots = &self->slots[relocation->symbol];
  ObjectTarget target = object_symbol_target(self->object, relocation->symbol);
  if (slots->pair != 0 || slots->descriptor != 0) {
    GraftStatus status = fill_local(self, &target, slots, asker, error);
    if (status < 0) return status;
  }
  if (slots->address == 0) return GRAFT_OK;
  uint64_t address;
  GraftStatus status =
      link_resolve(self, &target, false, asker, &address, error);
  if (status < 0) return status;
  self->table[slots->address - 1] = address + (uint64_t)target.addend;
  return GRAFT_OK;
}

static uint64_t slot_address(const Link *self, uint32_t slot) {
  assert(slot != 0);
  return (uintptr_t)&self->table[slot - 1];
}

// --- One relocation ----------------------------------------------------------

// What a pass over the relocations of a section writes to: `bytes` is where
// offset `start` of the section is filled in, `place` where it will lie.
typedef struct Field {
  const ObjectSection *section;
  uint64_t start;
  char *bytes;
  uint64_t place;
} Field;

// One of them, in hand.
typedef struct Work {
  const ObjectRelocation *relocation;
  RelocationType type;
  ObjectTarget target; // with the addend
  LinkAsker asker;
  unsigned char *bytes; // of the field
  uint64_t place;
} Work;

static Work begin_work(const Link *self, const Field *at,
                       const ObjectRelocation *relocation) {
  uint64_t within = relocation->offset - at->start;
  return (Work){
      .relocation = relocation,
      .type = object_relocation_type(self->object, at->section, relocation),
      .target = object_target(self->object, at->section, relocation),
      .asker = {at->section, relocation->offset},
      .bytes = (unsigned char *)at->bytes + within,
      .place = at->place + within,
  };
}

static GraftStatus refuse_type(const Link *self, const Work *work,
                               GraftError *error) {
  const RelocationType *type = &work->type;
  if (type->name == NULL) {
    return link_refuse(self, work->asker, GRAFT_EIO, error,
                       "a relocation of the unknown type %u",
                       work->relocation->type);
  }
  return link_refuse(self, work->asker, GRAFT_EIO, error,
                     "a relocation %s to %s cannot be done%s%s", type->name,
                     link_target_name(self, &work->target),
                     type->hint != NULL ? ": " : "",
                     type->hint != NULL ? type->hint : "");
}

// Where the table has what the relocation wants, or 0 when it wants the
// target itself.
static uint64_t find_slot(const Link *self, const Work *work) {
  const SymbolSlots *slots = &self->slots[work->relocation->symbol];
  switch (work->type.use) {
  case USE_TABLE:
    return slot_address(self, slots->address);
  case USE_LOCAL_PAIR:
    return slot_address(self, slots->pair);
  case USE_LOCAL_DESCRIPTOR:
    return slot_address(self, slots->descriptor);
  default:
    return 0;
  }
}

// S + A.
static GraftStatus find_value(Link *self, const Work *work, uint64_t *value,
                              GraftError *error) {
  GraftStatus status = GRAFT_OK;
  size_t offset = 0;
  *value = find_slot(self, work);
  if (*value != 0) {
    *value += (uint64_t)work->relocation->addend;
    return fill_slots(self, work->relocation, work->asker, error);
  }
  if (work->type.use == USE_LOCAL_MODULE) {
    write_pair(self, self->module, 0);
    *value = slot_address(self, self->module);
  } else if (work->type.use == USE_LOCAL_OFFSET) {
    status =
        link_resolve_local(self, &work->target, work->asker, &offset, error);
    *value = offset;
  } else {
    bool call = work->type.use == USE_CALL;
    status = link_resolve(self, &work->target, call, work->asker, value, error);
  }
  *value += (uint64_t)work->target.addend;
  return status;
}

static bool write_value(const Link *self, const Work *work, uint64_t value) {
  uint64_t table = (uintptr_t)self->table;
  return relocation_write(
      &work->type, work->bytes,
      relocation_value(&work->type, value, work->place, table));
}

// The stub of the relocation's symbol, 0 when that does not lead to its
// target: a section's symbol may stand for several.
static uint32_t stub_of(const Link *self, const Work *work) {
  uint32_t symbol = work->relocation->symbol;
  ObjectTarget plain = object_symbol_target(self->object, symbol);
  const ObjectTarget *target = &work->target;
  bool same = plain.kind == target->kind && plain.index == target->index &&
              plain.offset == target->offset;
  return same && work->type.use == USE_CALL ? self->slots[symbol].stub : 0;
}

// A call that is too far goes by its stub. Sets `done`.
static GraftStatus write_stub(Link *self, const Work *work, bool *done,
                              GraftError *error) {
  *done = false;
  uint32_t number = stub_of(self, work);
  if (number == 0) return GRAFT_OK;
  GraftStatus status = fill_slots(self, work->relocation, work->asker, error);
  if (status < 0) return status;
  uint32_t slot = self->slots[work->relocation->symbol].address;
  char *stub = self->stubs + (size_t)(number - 1) * LINK_STUB_SIZE;
  *done =
      link_stub_write(object_machine(self->object), stub,
                      &self->table[slot - 1]) &&
      write_value(self, work, (uintptr_t)stub + (uint64_t)work->target.addend);
  return GRAFT_OK;
}

static GraftStatus relocate(Link *self, const Field *at,
                            const ObjectRelocation *relocation,
                            GraftError *error) {
  Work work = begin_work(self, at, relocation);
  if (work.type.use == USE_NONE) return GRAFT_OK;
  if (work.type.use == USE_REFUSED) return refuse_type(self, &work, error);
  uint64_t value;
  GraftStatus status = find_value(self, &work, &value, error);
  if (status < 0 || write_value(self, &work, value)) return status;
  bool done;
  status = write_stub(self, &work, &done, error);
  if (status < 0 || done) return status;
  return link_refuse(self, work.asker, GRAFT_EIO, error,
                     "%s is too far away for a relocation %s: compile with "
                     "-fPIC and without -fvisibility",
                     link_target_name(self, &work.target), work.type.name);
}

static GraftStatus relocate_range(Link *self, const Field *at,
                                  RelocationRange range, GraftError *error) {
  for (size_t i = 0; i < range.count; i++) {
    GraftStatus status = relocate(self, at, &range.items[i], error);
    if (status < 0) return status;
  }
  return GRAFT_OK;
}

// --- Sections ----------------------------------------------------------------

static GraftStatus fill_section(Link *self, size_t index, GraftError *error) {
  const ObjectSection *section = &self->object->sections[index];
  char *place = self->sections[index];
  if (place == NULL || section->bytes == NULL) return GRAFT_OK;
  memcpy(place, section->bytes, section->size);
  Field at = {section, 0, place, (uintptr_t)place};
  RelocationRange all = {section->relocations, section->relocation_count};
  return relocate_range(self, &at, all, error);
}

// --- Variables ---------------------------------------------------------------

static GraftStatus fill_data(Link *self, size_t index, GraftError *error) {
  const ObjectData *data = &self->object->data[index];
  const ObjectSection *section = &self->object->sections[data->section];
  LinkData *place = &self->data[index];
  RelocationRange range =
      object_relocations(section, data->offset, data->offset + data->size);
  place->bytes = data->image;
  if (range.count > 0) {
    char *bytes = arena_new(&self->arena, data->size);
    if (bytes == NULL) return error_memory(error);
    memcpy(bytes, data->image, data->size);
    Field at = {section, data->offset, bytes, (uintptr_t)place->address};
    GraftStatus status = relocate_range(self, &at, range, error);
    if (status < 0) return status;
    place->bytes = bytes;
  }
  if (place->kept && place->bytes != NULL) {
    memcpy(place->address, place->bytes, data->size);
  }
  return GRAFT_OK;
}

// --- Constructors ------------------------------------------------------------

typedef void (*Initializer)(void);

typedef struct Ordered {
  const char *name; // of the section; ".init_array.00101" is before others
  size_t index;
} Ordered;

static int compare_ordered(const void *a, const void *b) {
  const Ordered *x = a, *y = b;
  bool numbered_x = strchr(x->name + 1, '.') != NULL;
  bool numbered_y = strchr(y->name + 1, '.') != NULL;
  if (numbered_x != numbered_y) return numbered_x ? -1 : 1;
  int order = numbered_x ? strcmp(x->name, y->name) : 0;
  if (order != 0) return order;
  return x->index < y->index ? -1 : x->index > y->index;
}

// The sections of a kind, in the order in which they run. NULL: no memory.
static Ordered *order_sections(Link *self, SectionKind kind, size_t *count) {
  const ObjectFile *object = self->object;
  Ordered *list = arena_new(&self->arena, object->section_count * sizeof *list);
  if (list == NULL) return NULL;
  *count = 0;
  for (size_t i = 1; i < object->section_count; i++) {
    if (object->sections[i].kind != kind) continue;
    list[(*count)++] = (Ordered){object->sections[i].name, i};
  }
  if (*count > 1) qsort(list, *count, sizeof *list, compare_ordered);
  return list;
}

// They are this object's own, whatever their entries hold.
static GraftStatus add_initializers(Link *self, size_t index, Initializer *list,
                                    size_t *count, GraftError *error) {
  const ObjectSection *section = &self->object->sections[index];
  for (size_t i = 0; i < section->relocation_count; i++) {
    const ObjectRelocation *relocation = &section->relocations[i];
    ObjectTarget target = object_target(self->object, section, relocation);
    LinkAsker asker = {section, relocation->offset};
    uint64_t address;
    if (target.kind == TARGET_FUNCTION) {
      address = (uintptr_t)link_code_of(self, target.index);
    } else {
      GraftStatus status =
          link_resolve(self, &target, true, asker, &address, error);
      if (status < 0) return status;
    }
    if (address != 0) list[(*count)++] = (Initializer)(uintptr_t)address;
  }
  return GRAFT_OK;
}

static GraftStatus list_initializers(Link *self, SectionKind kind,
                                     Initializer **list, size_t *count,
                                     GraftError *error) {
  size_t sections, all = 0;
  Ordered *ordered = order_sections(self, kind, &sections);
  if (ordered == NULL) return error_memory(error);
  for (size_t i = 0; i < sections; i++) {
    all += self->object->sections[ordered[i].index].relocation_count;
  }
  *count = 0;
  *list = arena_new(&self->arena, all * sizeof **list);
  if (*list == NULL) return error_memory(error);
  for (size_t i = 0; i < sections; i++) {
    GraftStatus status =
        add_initializers(self, ordered[i].index, *list, count, error);
    if (status < 0) return status;
  }
  return GRAFT_OK;
}

// --- All of it ---------------------------------------------------------------

static GraftStatus protect(Link *self, GraftError *error) {
  static const RegionAccess access[PART_COUNT] = {REGION_EXECUTE, REGION_READ,
                                                  REGION_WRITE};
  __builtin___clear_cache(self->part[PART_CODE],
                          self->part[PART_CODE] + self->part_size[PART_CODE]);
  for (int i = 0; i < PART_COUNT; i++) {
    if (self->part_size[i] == 0 || i == PART_WRITABLE) continue;
    if (!region_protect(self->desc.region, self->part[i], self->part_size[i],
                        access[i])) {
      return object_refuse(self->object, error,
                           "the system does not let code become executable");
    }
  }
  return GRAFT_OK;
}

GraftStatus link_relocate(Link *self, GraftError *error) {
  const ObjectFile *object = self->object;
  GraftStatus status = GRAFT_OK;
  for (size_t i = 1; i < object->section_count && status == GRAFT_OK; i++) {
    status = fill_section(self, i, error);
  }
  for (size_t i = 0; i < object->data_count && status == GRAFT_OK; i++) {
    status = fill_data(self, i, error);
  }
  if (status == GRAFT_OK) {
    status = list_initializers(self, SECTION_CONSTRUCT, &self->constructors,
                               &self->constructor_count, error);
  }
  if (status == GRAFT_OK) {
    status = list_initializers(self, SECTION_DESTRUCT, &self->destructors,
                               &self->destructor_count, error);
  }
  return status == GRAFT_OK ? protect(self, error) : status;
}
