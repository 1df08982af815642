// SPDX-License-Identifier: MIT

#include "native/lines.h"

#include <elfutils/libdw.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/error.h"

typedef struct LineRow {
  uint64_t address;
  const char *file; // NULL: code behind it has no line
  int line;
} LineRow;

struct LineTable {
  const GraftAllocator *allocator;
  Arena arena;         // texts
  ARRAY(LineRow) rows; // by address
};

// libdw hands out one text for each file of a unit, and files are few.
typedef struct FileCopy {
  const char *from, *copy;
} FileCopy;

typedef struct Files {
  ARRAY(FileCopy) list; // of one unit
} Files;

// NULL when out of memory.
static const char *copy_file(LineTable *self, Files *files, const char *file) {
  for (size_t i = files->list.count; i-- > 0;) {
    if (files->list.items[i].from == file) return files->list.items[i].copy;
  }
  FileCopy *known = ARRAY_PUSH(self->allocator, &files->list);
  if (known == NULL) return NULL;
  *known =
      (FileCopy){file, arena_copy_string(&self->arena, file, strlen(file))};
  return known->copy;
}

// False when out of memory.
static bool add_row(LineTable *self, Dwarf_Line *line, Files *files) {
  Dwarf_Addr address;
  int number = 0;
  bool end = false;
  if (dwarf_lineaddr(line, &address) != 0) return true;
  dwarf_lineendsequence(line, &end);
  dwarf_lineno(line, &number);
  const char *file = end ? NULL : dwarf_linesrc(line, NULL, NULL);
  if (file != NULL) {
    file = copy_file(self, files, file);
    if (file == NULL) return false;
  }
  LineRow *row = ARRAY_PUSH(self->allocator, &self->rows);
  if (row == NULL) return false;
  *row = (LineRow){address, file, file != NULL ? number : 0};
  return true;
}

static bool read_unit(LineTable *self, Dwarf_Die *unit) {
  Dwarf_Lines *lines;
  size_t count;
  if (dwarf_getsrclines(unit, &lines, &count) != 0) return true; // none
  Files files = {0};
  bool added = true;
  for (size_t i = 0; i < count && added; i++) {
    added = add_row(self, dwarf_onesrcline(lines, i), &files);
  }
  memory_free(self->allocator, files.list.items);
  return added;
}

// Ends of sequences come before what starts at the same address, so that the
// search, which takes the last row, finds the latter.
static int compare_rows(const void *a, const void *b) {
  const LineRow *x = a, *y = b;
  if (x->address != y->address) return x->address < y->address ? -1 : 1;
  return (x->file != NULL) - (y->file != NULL);
}

// Several rows of one address are the steps of one place; libdw has them in
// order, and the last is what the code there belongs to.
static void sort_rows(LineTable *self) {
  for (size_t i = 1; i < self->rows.count; i++) {
    if (compare_rows(&self->rows.items[i - 1], &self->rows.items[i]) > 0) {
      qsort(self->rows.items, self->rows.count, sizeof *self->rows.items,
            compare_rows);
      return;
    }
  }
}

static GraftStatus read_units(LineTable *self, Dwarf *dwarf,
                              GraftError *error) {
  Dwarf_CU *unit = NULL;
  int state;
  for (;;) {
    Dwarf_Die die;
    state = dwarf_get_units(dwarf, unit, &unit, NULL, NULL, &die, NULL);
    if (state != 0) break;
    if (!read_unit(self, &die)) return error_memory(error);
  }
  if (state < 0) {
    return error_set(error, GRAFT_EIO, "bad debug information: %s",
                     dwarf_errmsg(-1));
  }
  sort_rows(self);
  return GRAFT_OK;
}

GraftStatus lines_read(const GraftAllocator *allocator,
                       const ObjectImage *image, LineTable **lines,
                       GraftError *error) {
  *lines = NULL;
  elf_version(EV_CURRENT);
  Elf *elf = elf_memory(image->bytes, image->size);
  Dwarf *dwarf = elf != NULL ? dwarf_begin_elf(elf, DWARF_C_READ, NULL) : NULL;
  if (dwarf == NULL) {
    if (elf != NULL) elf_end(elf);
    return error_set(error, GRAFT_EIO, "bad debug information: %s",
                     dwarf_errmsg(-1));
  }
  LineTable *self = memory_new(allocator, sizeof *self);
  GraftStatus status;
  if (self == NULL) {
    status = error_memory(error);
  } else {
    self->allocator = allocator;
    arena_init(&self->arena, allocator);
    status = read_units(self, dwarf, error);
  }
  dwarf_end(dwarf);
  elf_end(elf);
  if (status < 0) {
    lines_free(self);
  } else {
    *lines = self;
  }
  return status;
}

void lines_free(LineTable *self) {
  if (self == NULL) return;
  arena_clear(&self->arena);
  memory_free(self->allocator, self->rows.items);
  memory_free(self->allocator, self);
}

bool lines_find(const LineTable *self, uint64_t address, const char **file,
                int *line) {
  size_t low = 0, high = self->rows.count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (self->rows.items[middle].address <= address) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  if (low == 0) return false;
  const LineRow *row = &self->rows.items[low - 1];
  if (row->file == NULL || row->line == 0) return false;
  *file = row->file;
  *line = row->line;
  return true;
}
