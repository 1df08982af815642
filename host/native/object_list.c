// SPDX-License-Identifier: MIT
//
// What an object defines and needs: functions, variables, undefined symbols,
// in the order of its symbols, and for each section what lies in it by place.

#include "native/object_inner.h"

#include <assert.h>
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

// --- Names -------------------------------------------------------------------

static bool is_number(const char *text, size_t size) {
  for (size_t i = 0; i < size; i++) {
    if (text[i] < '0' || text[i] > '9') return false;
  }
  return size > 0;
}

// What compilers put behind a dot.
static bool is_suffix(const char *text, size_t size) {
  static const char *const words[] = {"cold",      "part",       "isra",
                                      "constprop", "localalias", "lto_priv"};
  if (is_number(text, size)) return true;
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    if (strlen(words[i]) == size && memcmp(words[i], text, size) == 0) {
      return true;
    }
  }
  return false;
}

const char *object_plain_name(Arena *arena, const char *symbol) {
  size_t size = strlen(symbol), whole = size;
  for (size_t dot = size; dot-- > 1;) {
    if (symbol[dot] != '.') continue;
    if (!is_suffix(symbol + dot + 1, size - dot - 1)) break;
    size = dot;
  }
  return size == whole ? symbol : arena_copy_string(arena, symbol, size);
}

// --- What a symbol is --------------------------------------------------------

static bool is_global(const ObjectSymbol *symbol) {
  return symbol->bind != STB_LOCAL;
}

static bool is_function(const ObjectFile *self, const ObjectSymbol *symbol) {
  if (symbol->section == 0) return false;
  if (self->sections[symbol->section].kind != SECTION_CODE) return false;
  if (symbol->name[0] == '\0') return false;
  return symbol->type == STT_FUNC ||
         (symbol->type == STT_NOTYPE && is_global(symbol));
}

// aarch64's marks of what is code and what is data: $x, $d, $d.5.
static bool is_mark(const char *name) {
  return name[0] == '$' && (name[1] == 'd' || name[1] == 'x') &&
         (name[2] == '\0' || name[2] == '.');
}

// Names that only a compiler gives: .L.str, and tcc's L.1.
static bool is_anonymous(const ObjectFile *self, const char *name) {
  if (name[0] == '\0' || strncmp(name, ".L", 2) == 0) return true;
  if (is_mark(name)) return true;
  return self->tcc && strncmp(name, "L.", 2) == 0 &&
         is_number(name + 2, strlen(name + 2));
}

static bool is_data(const ObjectFile *self, const ObjectSymbol *symbol) {
  if (symbol->section == 0) return false;
  if (self->sections[symbol->section].kind != SECTION_DATA) return false;
  if (is_anonymous(self, symbol->name)) return false;
  return symbol->type == STT_OBJECT || symbol->type == STT_TLS ||
         (symbol->type == STT_NOTYPE && is_global(symbol));
}

// The linker gives these; _GLOBAL_OFFSET_TABLE_ is only named beside types of
// relocations that are refused.
static bool is_wanted(const ObjectSymbol *symbol) {
  return symbol->undefined &&
         strcmp(symbol->name, "_GLOBAL_OFFSET_TABLE_") != 0;
}

// --- Lists -------------------------------------------------------------------

static bool add_function(ObjectFile *self, ObjectSymbol *symbol) {
  symbol->item = (int32_t)self->function_count;
  ObjectFunction *function = &self->functions[self->function_count++];
  bool global = is_global(symbol);
  const char *name =
      global ? symbol->name : object_plain_name(&self->arena, symbol->name);
  if (name == NULL) return false;
  *function = (ObjectFunction){
      .symbol = symbol->name,
      .name = name,
      .global = global,
      .part = strcmp(name, symbol->name) != 0,
      .section = symbol->section,
      .offset = symbol->value,
      .size = symbol->size,
      .address = self->sections[symbol->section].address + symbol->value,
  };
  return map_set(&self->function_map, function->symbol, function);
}

static bool add_data(ObjectFile *self, ObjectSymbol *symbol) {
  const ObjectSection *section = &self->sections[symbol->section];
  symbol->item = (int32_t)self->data_count;
  ObjectData *data = &self->data[self->data_count++];
  bool global = is_global(symbol);
  const char *name =
      global ? symbol->name : object_plain_name(&self->arena, symbol->name);
  if (name == NULL) return false;
  *data = (ObjectData){
      .symbol = symbol->name,
      .name = name,
      .global = global,
      // Tables of pointers are const for C, though a loader writes them.
      .writable =
          section->writable && strncmp(section->name, ".data.rel.ro", 12) != 0,
      .zero = section->bytes == NULL,
      .thread_local_ = section->thread_local_,
      .section = symbol->section,
      .offset = symbol->value,
      .size = symbol->size,
      .align = section->align,
      .image = section->bytes != NULL ? section->bytes + symbol->value : NULL,
      .address = section->address + symbol->value,
  };
  return map_set(&self->data_map, data->symbol, data);
}

static void add_undefined(ObjectFile *self, ObjectSymbol *symbol) {
  symbol->item = (int32_t)self->undefined_count;
  self->undefined[self->undefined_count++] = (ObjectUndefined){
      .name = symbol->name,
      .weak = symbol->bind == STB_WEAK,
      .thread_local_ = symbol->type == STT_TLS,
      .function = -1,
  };
}

static bool make_lists(ObjectFile *self) {
  size_t functions = 0, data = 0, undefined = 0;
  for (size_t i = 0; i < self->symbol_count; i++) {
    const ObjectSymbol *symbol = &self->symbols[i];
    if (is_wanted(symbol)) undefined++;
    if (is_function(self, symbol)) functions++;
    if (is_data(self, symbol)) data++;
  }
  self->functions =
      arena_new(&self->arena, functions * sizeof *self->functions);
  self->data = arena_new(&self->arena, data * sizeof *self->data);
  self->undefined =
      arena_new(&self->arena, undefined * sizeof *self->undefined);
  return self->functions != NULL && self->data != NULL &&
         self->undefined != NULL;
}

static GraftStatus fill_lists(ObjectFile *self, GraftError *error) {
  if (!make_lists(self)) return error_memory(error);
  for (size_t i = 0; i < self->symbol_count; i++) {
    ObjectSymbol *symbol = &self->symbols[i];
    if (is_wanted(symbol)) {
      add_undefined(self, symbol);
    } else if (is_function(self, symbol)) {
      if (!add_function(self, symbol)) return error_memory(error);
    } else if (is_data(self, symbol)) {
      if (!add_data(self, symbol)) return error_memory(error);
    }
  }
  return GRAFT_OK;
}

// --- By place ----------------------------------------------------------------

// An item to be sorted: those that count first at a place come first.
typedef struct Placed {
  uint32_t section;
  uint32_t index;
  uint64_t offset;
  bool global;
} Placed;

static int compare_placed(const void *a, const void *b) {
  const Placed *x = a, *y = b;
  if (x->section != y->section) return x->section < y->section ? -1 : 1;
  if (x->offset != y->offset) return x->offset < y->offset ? -1 : 1;
  if (x->global != y->global) return x->global ? -1 : 1;
  return x->index < y->index ? -1 : x->index > y->index;
}

static GraftStatus place(ObjectFile *self, Placed *list, size_t count,
                         GraftError *error) {
  if (count == 0) return GRAFT_OK;
  qsort(list, count, sizeof *list, compare_placed);
  uint32_t *items = arena_new(&self->arena, count * sizeof *items);
  if (items == NULL) return error_memory(error);
  for (size_t i = 0; i < count; i++) {
    ObjectSection *section = &self->sections[list[i].section];
    if (section->item_count++ == 0) section->items = &items[i];
    items[i] = list[i].index;
  }
  return GRAFT_OK;
}

static GraftStatus place_functions(ObjectFile *self, Placed *list,
                                   GraftError *error) {
  for (size_t i = 0; i < self->function_count; i++) {
    const ObjectFunction *function = &self->functions[i];
    list[i] = (Placed){function->section, (uint32_t)i, function->offset,
                       function->global};
  }
  return place(self, list, self->function_count, error);
}

static GraftStatus place_data(ObjectFile *self, Placed *list,
                              GraftError *error) {
  for (size_t i = 0; i < self->data_count; i++) {
    const ObjectData *data = &self->data[i];
    list[i] = (Placed){data->section, (uint32_t)i, data->offset, data->global};
  }
  return place(self, list, self->data_count, error);
}

// Assembly may leave out sizes: such a function ends where the next starts.
static void size_functions(ObjectFile *self) {
  for (size_t i = 1; i < self->section_count; i++) {
    const ObjectSection *section = &self->sections[i];
    if (section->kind != SECTION_CODE) continue;
    uint64_t end = section->size;
    for (size_t k = section->item_count; k-- > 0;) {
      ObjectFunction *function = &self->functions[section->items[k]];
      if (function->size == 0) function->size = end - function->offset;
      if (k > 0 &&
          self->functions[section->items[k - 1]].offset < function->offset) {
        end = function->offset;
      }
    }
  }
}

GraftStatus object_list(ObjectFile *self, GraftError *error) {
  GraftStatus status = fill_lists(self, error);
  if (status < 0) return status;
  size_t most = self->function_count > self->data_count ? self->function_count
                                                        : self->data_count;
  Placed *list = memory_new(self->allocator, most * sizeof *list);
  if (list == NULL) return error_memory(error);
  status = place_functions(self, list, error);
  if (status == GRAFT_OK) status = place_data(self, list, error);
  memory_free(self->allocator, list);
  if (status == GRAFT_OK) size_functions(self);
  return status;
}
