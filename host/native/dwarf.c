// SPDX-License-Identifier: MIT

#include "native/dwarf.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "native/dwarf_type.h"

// What read_unit and below share.
typedef struct Reader {
  const GraftAllocator *allocator;
  DwarfFunctions *functions;
  const char *unit;
  const char *directory;
} Reader;

static const char *copy(Reader *self, const char *text) {
  if (text == NULL) text = "";
  return arena_copy_string(&self->functions->arena, text, strlen(text));
}

// Text of a DIE's attribute, or NULL.
static const char *text_of(Dwarf_Die *die, unsigned name) {
  Dwarf_Attribute attribute;
  return dwarf_formstring(dwarf_attr_integrate(die, name, &attribute));
}

static bool flag_of(Dwarf_Die *die, unsigned name) {
  Dwarf_Attribute attribute;
  bool flag = false;
  return dwarf_attr_integrate(die, name, &attribute) != NULL &&
         dwarf_formflag(&attribute, &flag) == 0 && flag;
}

// An inlined copy and a declaration have none.
static bool has_code(Dwarf_Die *die) {
  return dwarf_hasattr(die, DW_AT_low_pc) || dwarf_hasattr(die, DW_AT_ranges);
}

// Where the parameters stand: an out-of-line copy of an inlined function
// leaves them to its origin, and may lack those that were optimised away.
static Dwarf_Die origin_of(Dwarf_Die *die) {
  Dwarf_Attribute attribute;
  Dwarf_Die origin = *die;
  for (int i = 0; i < 4; i++) {
    Dwarf_Die next;
    if (dwarf_attr(&origin, DW_AT_abstract_origin, &attribute) == NULL ||
        dwarf_formref_die(&attribute, &next) == NULL) {
      break;
    }
    origin = next;
  }
  return origin;
}

// "parameter 2 is struct Body by value"; index 0 is the result.
static bool set_why_not(Reader *self, DwarfFunction *function, int index,
                        const char *what) {
  if (function->why_not != NULL) return true;
  char *text = arena_new(&self->functions->arena, strlen(what) + 40);
  if (text == NULL) return false;
  if (index == 0) {
    sprintf(text, "its result is %s", what);
  } else {
    sprintf(text, "parameter %d is %s", index, what);
  }
  function->why_not = text;
  return true;
}

// Reads one type into `place`. False when out of memory.
static bool read_type(Reader *self, Dwarf_Die *die, int index,
                      DwarfFunction *function, SignatureType *place) {
  DwarfType type;
  if (!dwarf_type_read(&self->functions->arena, die, &type)) return false;
  *place = type.type;
  return type.why_not == NULL ||
         set_why_not(self, function, index, type.why_not);
}

static bool read_parameter(Reader *self, Dwarf_Die *die, SignatureDesc *desc,
                           DwarfFunction *function) {
  if (desc->param_count == SIGNATURE_PARAMS) {
    function->why_not = "it has more than 32 parameters";
    return true;
  }
  SignatureType *place = &desc->params[desc->param_count++];
  return read_type(self, die, desc->param_count, function, place);
}

// Fills `desc` or function->why_not. False when out of memory.
static bool read_parameters(Reader *self, Dwarf_Die *function_die,
                            SignatureDesc *desc, DwarfFunction *function) {
  Dwarf_Die child;
  int more = dwarf_child(function_die, &child);
  for (; more == 0; more = dwarf_siblingof(&child, &child)) {
    int tag = dwarf_tag(&child);
    if (tag == DW_TAG_formal_parameter) {
      if (!read_parameter(self, &child, desc, function)) return false;
    } else if (tag == DW_TAG_unspecified_parameters && desc->param_count > 0) {
      // Alone they are C's `f()`, which takes none.
      function->why_not = "it takes variable arguments";
    }
  }
  return true;
}

static bool read_signature(Reader *self, Dwarf_Die *die,
                           DwarfFunction *function) {
  SignatureDesc desc = {0};
  Dwarf_Die origin = origin_of(die);
  if (!read_type(self, &origin, 0, function, &desc.result) ||
      !read_parameters(self, &origin, &desc, function)) {
    return false;
  }
  if (function->why_not != NULL) return true;
  function->signature = signature_new(self->allocator, &desc);
  return function->signature != NULL;
}

static const char *absolute_file(Reader *self, const char *file) {
  if (file == NULL || *file == '\0') file = self->unit;
  if (file[0] == '/' || self->directory[0] == '\0') return copy(self, file);
  size_t size = strlen(self->directory) + strlen(file) + 2;
  char *path = arena_new(&self->functions->arena, size);
  if (path != NULL) snprintf(path, size, "%s/%s", self->directory, file);
  return path;
}

static bool read_function(Reader *self, Dwarf_Die *die) {
  const char *linkage = text_of(die, DW_AT_linkage_name);
  const char *name = linkage != NULL ? linkage : text_of(die, DW_AT_name);
  if (name == NULL || !has_code(die) || !flag_of(die, DW_AT_external)) {
    return true;
  }
  DwarfFunction *function = ARRAY_PUSH(self->allocator, &self->functions->list);
  if (function == NULL) return false;
  function->symbol = copy(self, name);
  function->unit = self->unit;
  function->directory = self->directory;
  function->file = absolute_file(self, dwarf_decl_file(die));
  dwarf_decl_line(die, &function->line);
  return function->symbol != NULL && function->file != NULL &&
         read_signature(self, die, function);
}

static int compare_lines(const void *a, const void *b) {
  const DwarfFunction *x = a, *y = b;
  if (x->line != y->line) return x->line < y->line ? -1 : 1;
  return strcmp(x->symbol, y->symbol);
}

// Compilers write functions in orders of their own.
static void sort_by_line(DwarfFunctions *functions, size_t first) {
  size_t count = functions->list.count - first;
  if (count < 2) return;
  qsort(&functions->list.items[first], count, sizeof *functions->list.items,
        compare_lines);
}

static bool read_unit(Reader *self, Dwarf_Die *unit) {
  self->unit = copy(self, dwarf_diename(unit));
  self->directory = copy(self, text_of(unit, DW_AT_comp_dir));
  if (self->unit == NULL || self->directory == NULL) return false;
  size_t first = self->functions->list.count;
  Dwarf_Die child;
  int more = dwarf_child(unit, &child);
  for (; more == 0; more = dwarf_siblingof(&child, &child)) {
    if (dwarf_tag(&child) == DW_TAG_subprogram &&
        !read_function(self, &child)) {
      return false;
    }
  }
  sort_by_line(self->functions, first);
  return true;
}

static GraftStatus read_units(Reader *self, Dwarf *dwarf, const char *path,
                              GraftError *error) {
  Dwarf_CU *unit = NULL;
  int units = 0, state;
  for (;;) {
    Dwarf_Die die;
    uint8_t type;
    state = dwarf_get_units(dwarf, unit, &unit, NULL, &type, &die, NULL);
    if (state != 0) break;
    if (type != DW_UT_compile) continue;
    units++;
    if (!read_unit(self, &die)) return error_memory(error);
  }
  if (state < 0) {
    return error_set(error, GRAFT_EIO, "%s: bad debug information: %s", path,
                     dwarf_errmsg(-1));
  }
  if (units > 0) return GRAFT_OK;
  return error_set(error, GRAFT_ENOTFOUND,
                   "%s has no debug information, compile with -g", path);
}

GraftStatus dwarf_functions_read(const GraftAllocator *allocator,
                                 int descriptor, const char *path,
                                 DwarfFunctions *functions, GraftError *error) {
  *functions = (DwarfFunctions){0};
  arena_init(&functions->arena, allocator);
  Dwarf *dwarf = dwarf_begin(descriptor, DWARF_C_READ);
  if (dwarf == NULL) {
    return error_set(error, GRAFT_ENOTFOUND,
                     "%s has no debug information (%s), compile with -g", path,
                     dwarf_errmsg(-1));
  }
  Reader reader = {.allocator = allocator, .functions = functions};
  GraftStatus status = read_units(&reader, dwarf, path, error);
  dwarf_end(dwarf);
  if (status < 0) dwarf_functions_clear(functions);
  return status;
}

void dwarf_functions_clear(DwarfFunctions *self) {
  const GraftAllocator *allocator = self->arena.allocator;
  for (size_t i = 0; i < self->list.count; i++) {
    signature_free(allocator, self->list.items[i].signature);
  }
  memory_free(allocator, self->list.items);
  arena_clear(&self->arena);
  *self = (DwarfFunctions){.arena = self->arena};
}
