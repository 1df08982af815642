// SPDX-License-Identifier: MIT

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "native/link_inner.h"
#include "native/unwind.h"

// --- Making ------------------------------------------------------------------

static bool make_lists(Link *self) {
  const ObjectFile *object = self->object;
  Arena *arena = &self->arena;
  self->slots =
      arena_new(arena, (object->symbol_count + 1) * sizeof *self->slots);
  self->sections =
      arena_new(arena, object->section_count * sizeof *self->sections);
  self->data = arena_new(arena, object->data_count * sizeof *self->data);
  self->entries =
      arena_new(arena, object->function_count * sizeof *self->entries);
  self->externals =
      arena_new(arena, object->undefined_count * sizeof *self->externals);
  self->literals =
      arena_new(arena, object->piece_count * sizeof *self->literals);
  return self->slots != NULL && self->sections != NULL && self->data != NULL &&
         self->entries != NULL && self->externals != NULL &&
         self->literals != NULL;
}

static GraftStatus check_machine(const Link *self, GraftError *error) {
#if defined(__x86_64__)
  static const ObjectMachine ours = OBJECT_X86_64;
#elif defined(__aarch64__)
  static const ObjectMachine ours = OBJECT_AARCH64;
#else
  static const int ours = -1;
#endif
  if (self->desc.foreign || object_machine(self->object) == ours) {
    return GRAFT_OK;
  }
  return object_refuse(self->object, error,
                       "the object is for another processor than this program");
}

// Places by address, for link_find. The sections were placed in their order,
// and their functions are sorted.
static bool sort_functions(Link *self) {
  const ObjectFile *object = self->object;
  uint32_t *list =
      arena_new(&self->arena, object->function_count * sizeof *list);
  if (list == NULL) return false;
  size_t count = 0;
  for (size_t i = 1; i < object->section_count; i++) {
    const ObjectSection *section = &object->sections[i];
    if (section->kind != SECTION_CODE) continue;
    for (size_t k = 0; k < section->item_count; k++) {
      list[count++] = section->items[k];
    }
  }
  self->functions = list;
  self->function_count = count;
  return true;
}

static GraftStatus make(Link *self, GraftError *error) {
  GraftStatus status = check_machine(self, error);
  if (status < 0) return status;
  if (!make_lists(self)) return error_memory(error);
  status = link_place(self, error);
  if (status == GRAFT_OK) status = link_relocate(self, error);
  if (status < 0) return status;
  if (!sort_functions(self)) return error_memory(error);
  return GRAFT_OK;
}

GraftStatus link_new(const LinkDesc *desc, Link **link, GraftError *error) {
  *link = NULL;
  Link *self = memory_new(desc->allocator, sizeof *self);
  if (self == NULL) return error_memory(error);
  self->desc = *desc;
  self->allocator = desc->allocator;
  self->object = desc->object;
  arena_init(&self->arena, desc->allocator);
  GraftStatus status = make(self, error);
  literal_pool_seal(desc->literals);
  if (status < 0) {
    self->unwind = NULL; // not registered yet
    link_free(self);
    return status;
  }
  if (self->unwind != NULL && !desc->foreign) unwind_add(self->unwind);
  if (!desc->foreign) link_show_debugger(self, true);
  *link = self;
  return GRAFT_OK;
}

void link_free(Link *self) {
  if (self == NULL) return;
  link_show_debugger(self, false);
  if (self->unwind != NULL && !self->desc.foreign) unwind_remove(self->unwind);
  region_give(self->desc.region, self->block, self->block_size);
  arena_clear(&self->arena);
  memory_free(self->allocator, self);
}

// --- Asking ------------------------------------------------------------------

void *link_function(const Link *self, size_t index) {
  return link_code_of(self, index);
}

const void *link_contents(const Link *self, size_t index) {
  return self->data[index].bytes;
}

void *link_storage(const Link *self, size_t index) {
  return self->data[index].address;
}

LinkRange link_code(const Link *self) {
  const char *start = self->part[PART_CODE];
  return (LinkRange){start, start + self->part_size[PART_CODE]};
}

// The last function that starts at or before `address`, or NULL.
static const ObjectFunction *function_before(const Link *self,
                                             const char *address) {
  size_t low = 0, high = self->function_count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (link_code_of(self, self->functions[middle]) <= address) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  if (low == 0) return NULL;
  return &self->object->functions[self->functions[low - 1]];
}

bool link_find(const Link *self, const void *address, LinkPlace *place) {
  *place = (LinkPlace){0};
  LinkRange range = link_code(self);
  const char *at = address;
  if (at < range.start || at >= range.end) return false;
  const ObjectFunction *function = function_before(self, at);
  if (function == NULL) return true;
  const char *start = self->sections[function->section] + function->offset;
  uint64_t offset = (uint64_t)(at - start);
  if (offset >= function->size) return true;
  place->function = function;
  place->offset = offset;
  if (self->desc.lines != NULL) {
    lines_find(self->desc.lines, function->address + offset, &place->file,
               &place->line);
  }
  return true;
}

void link_redirect(Link *self, const void *from, size_t size, void *to) {
  uint64_t start = (uintptr_t)from;
  for (size_t i = 0; i < self->object->symbol_count; i++) {
    uint32_t slot = self->slots[i].address;
    if (slot == 0) continue;
    uint64_t *word = &self->table[slot - 1];
    if (*word - start >= size && *word != start) continue;
    // Other threads may read it at any time.
    __atomic_store_n(word, (uintptr_t)to + (*word - start), __ATOMIC_RELEASE);
  }
}

void link_construct(Link *self) {
  for (size_t i = 0; i < self->constructor_count; i++) {
    self->constructors[i]();
  }
}

void link_destruct(Link *self) {
  for (size_t i = self->destructor_count; i-- > 0;) self->destructors[i]();
}

// --- Debuggers ---------------------------------------------------------------

// Where a section's symbols are; of variables, where the first one is.
static uint64_t debug_address(const Link *self, size_t index) {
  const ObjectSection *section = &self->object->sections[index];
  if (self->sections[index] != NULL) return (uintptr_t)self->sections[index];
  if (section->kind != SECTION_DATA || section->item_count == 0) return 0;
  const ObjectData *data = &self->object->data[section->items[0]];
  const LinkData *place = &self->data[section->items[0]];
  if (data->thread_local_) return place->local - data->offset;
  return (uintptr_t)place->address - data->offset;
}

static bool make_image(Link *self) {
  const ObjectFile *object = self->object;
  uint64_t *addresses =
      memory_new(self->allocator, object->section_count * sizeof *addresses);
  if (addresses == NULL) return false;
  for (size_t i = 1; i < object->section_count; i++) {
    addresses[i] = debug_address(self, i);
  }
  GraftError error;
  GraftStatus status = object_image(object, addresses, &self->image, &error);
  memory_free(self->allocator, addresses);
  return status == GRAFT_OK;
}

// Without memory, or with damaged debug information, debuggers see nothing.
void link_show_debugger(Link *self, bool shown) {
  if (!shown) {
    debugger_remove(self->allocator, self->debugger);
    self->debugger = NULL;
    object_image_clear(self->object, &self->image);
    return;
  }
  if (self->debugger != NULL || !object_has_debug(self->object)) return;
  if (!make_image(self)) return;
  self->debugger =
      debugger_add(self->allocator, self->image.bytes, self->image.size);
}
