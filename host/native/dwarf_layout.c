// SPDX-License-Identifier: MIT

#include "native/dwarf_layout.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "native/dwarf_layout_type.h"

typedef struct Reader {
  TypeReader types;
  Layout *layout;
} Reader;

// --- Places ------------------------------------------------------------------

typedef enum PlaceKind {
  PLACE_NONE,
  PLACE_ADDRESS,
  PLACE_THREAD,
  PLACE_SPLIT
} PlaceKind;

// The address that an operation pushes, which may stand in a table.
static bool take_address(Dwarf_Attribute *attribute, Dwarf_Op *operation,
                         uint64_t *address) {
  if (operation->atom == DW_OP_addr) {
    *address = operation->number;
    return true;
  }
  if (operation->atom != DW_OP_addrx &&
      operation->atom != DW_OP_GNU_addr_index) {
    return false;
  }
  Dwarf_Attribute result;
  Dwarf_Addr found;
  if (dwarf_getlocation_attr(attribute, operation, &result) != 0 ||
      dwarf_formaddr(&result, &found) != 0) {
    return false;
  }
  *address = found;
  return true;
}

static bool is_thread_operation(const Dwarf_Op *operation) {
  return operation->atom == DW_OP_form_tls_address ||
         operation->atom == DW_OP_GNU_push_tls_address;
}

static PlaceKind place_of(Dwarf_Die *die, uint64_t *address) {
  Dwarf_Attribute attribute;
  Dwarf_Op *operations;
  size_t count;
  if (dwarf_attr_integrate(die, DW_AT_location, &attribute) == NULL ||
      dwarf_getlocation(&attribute, &operations, &count) != 0 || count == 0) {
    return PLACE_NONE;
  }
  if (is_thread_operation(&operations[count - 1])) return PLACE_THREAD;
  bool is_address = false;
  for (size_t i = 0; i < count; i++) {
    is_address |= take_address(&attribute, &operations[i], address);
  }
  if (!is_address) return PLACE_NONE;
  return count == 1 ? PLACE_ADDRESS : PLACE_SPLIT;
}

// clang 14 puts the statics of an inlined function into a nameless one; their
// symbols tell which it is.
static const char *const nameless = "?";

// --- Variables ---------------------------------------------------------------

// Whether the same variable came before, through another copy of its function.
static bool is_known(const Layout *layout, uint64_t address, const char *name) {
  for (size_t i = 0; i < layout->variables.count; i++) {
    const LayoutVariable *known = &layout->variables.items[i];
    if (known->has_address && known->address == address &&
        strcmp(known->name, name) == 0) {
      return true;
    }
  }
  return false;
}

static void read_variable(Reader *self, Dwarf_Die *die, const char *function) {
  if (die_flag(die, DW_AT_declaration)) return;
  uint64_t address = 0;
  PlaceKind place = place_of(die, &address);
  bool is_on_stack = *function != '\0' && place == PLACE_NONE &&
                     dwarf_hasattr_integrate(die, DW_AT_location);
  if (is_on_stack) return;
  const char *name = type_reader_text(&self->types, die, DW_AT_name);
  if (*name == '\0' ||
      (place == PLACE_ADDRESS && is_known(self->layout, address, name))) {
    return;
  }
  LayoutVariable *variable =
      ARRAY_PUSH(self->types.allocator, &self->layout->variables);
  if (variable == NULL) {
    self->types.failed = true;
    return;
  }
  *variable = (LayoutVariable){
      .name = name,
      .function = function,
      .file = type_reader_file(&self->types, die),
      .address = address,
      .has_address = place == PLACE_ADDRESS,
      .is_split = place == PLACE_SPLIT,
      .is_external = die_flag(die, DW_AT_external),
      .is_thread_local = place == PLACE_THREAD,
  };
  dwarf_decl_line(die, &variable->line);
  variable->type = type_reader_type_of(&self->types, die, &variable->is_const);
}

static void read_block(Reader *self, Dwarf_Die *block, const char *function) {
  Dwarf_Die child;
  int more = dwarf_child(block, &child);
  for (; more == 0; more = dwarf_siblingof(&child, &child)) {
    int tag = dwarf_tag(&child);
    if (tag == DW_TAG_variable) {
      read_variable(self, &child, function);
    } else if (tag == DW_TAG_lexical_block) {
      read_block(self, &child, function);
    }
  }
}

// --- Functions ---------------------------------------------------------------

// Where the parameters stand: an out-of-line copy leaves them to its origin.
static Dwarf_Die origin_of(Dwarf_Die *die) {
  Dwarf_Attribute attribute;
  Dwarf_Die origin = *die, next;
  for (int i = 0; i < 4; i++) {
    if (dwarf_attr(&origin, DW_AT_abstract_origin, &attribute) == NULL ||
        dwarf_formref_die(&attribute, &next) == NULL) {
      break;
    }
    origin = next;
  }
  return origin;
}

static bool entry_of(Dwarf_Die *die, Dwarf_Addr *address) {
  return dwarf_lowpc(die, address) == 0 || dwarf_entrypc(die, address) == 0;
}

// The symbol's, where that is another.
static const char *function_name(Reader *self, Dwarf_Die *die) {
  const char *name = type_reader_text(&self->types, die, DW_AT_linkage_name);
  return *name != '\0' ? name : type_reader_text(&self->types, die, DW_AT_name);
}

static void read_function(Reader *self, Dwarf_Die *die) {
  const char *name = function_name(self, die);
  read_block(self, die, *name != '\0' ? name : nameless);
  if (*name == '\0') return;
  Dwarf_Addr address;
  if (die_flag(die, DW_AT_declaration) || !entry_of(die, &address)) return;
  LayoutFunction *function =
      ARRAY_PUSH(self->types.allocator, &self->layout->functions);
  if (function == NULL) {
    self->types.failed = true;
    return;
  }
  Dwarf_Die origin = origin_of(die);
  *function = (LayoutFunction){
      .name = name,
      .unit = self->types.unit,
      .file = type_reader_file(&self->types, die),
      .type = type_reader_read(&self->types, &origin),
      .address = address,
      .is_external = die_flag(die, DW_AT_external),
  };
  dwarf_decl_line(die, &function->line);
}

// --- Units -------------------------------------------------------------------

static void read_child(Reader *self, Dwarf_Die *die) {
  switch (dwarf_tag(die)) {
  case DW_TAG_variable:
    read_variable(self, die, "");
    break;
  case DW_TAG_subprogram:
    read_function(self, die);
    break;
  case DW_TAG_structure_type:
  case DW_TAG_union_type:
  case DW_TAG_enumeration_type:
  case DW_TAG_typedef:
    type_reader_read(&self->types, die);
    break;
  default:
    break;
  }
}

static void read_unit(Reader *self, Dwarf_Die *unit) {
  self->types.unit = type_reader_text(&self->types, unit, DW_AT_name);
  self->types.directory = type_reader_text(&self->types, unit, DW_AT_comp_dir);
  if (self->layout->unit == NULL) {
    self->layout->unit = self->types.unit;
    self->layout->directory = self->types.directory;
  }
  Dwarf_Die child;
  int more = dwarf_child(unit, &child);
  for (; more == 0 && !self->types.failed;
       more = dwarf_siblingof(&child, &child)) {
    read_child(self, &child);
  }
}

static GraftStatus read_units(Reader *self, Dwarf *dwarf, const char *name,
                              GraftError *error) {
  Dwarf_CU *unit = NULL;
  int state;
  for (;;) {
    Dwarf_Die die;
    uint8_t type;
    state = dwarf_get_units(dwarf, unit, &unit, NULL, &type, &die, NULL);
    if (state != 0) break;
    if (type != DW_UT_compile) continue;
    read_unit(self, &die);
    if (self->types.failed) return error_memory(error);
  }
  if (state < 0) {
    return error_set(error, GRAFT_EIO, "%s: bad debug information: %s", name,
                     dwarf_errmsg(-1));
  }
  if (self->layout->unit != NULL) return GRAFT_OK;
  return error_set(error, GRAFT_ENOTFOUND,
                   "%s has no debug information, compile with -g", name);
}

// --- Symbols -----------------------------------------------------------------

// The symbol table's section, or NULL.
static Elf_Scn *find_symbols(Elf *elf, GElf_Shdr *header) {
  Elf_Scn *section = NULL;
  while ((section = elf_nextscn(elf, section)) != NULL) {
    if (gelf_getshdr(section, header) != NULL &&
        header->sh_type == SHT_SYMTAB) {
      return section;
    }
  }
  return NULL;
}

// Where a symbol is in the image; a relocatable object counts from sections.
static uint64_t symbol_address(Elf *elf, const GElf_Sym *symbol) {
  GElf_Ehdr header;
  GElf_Shdr section;
  if (gelf_getehdr(elf, &header) == NULL || header.e_type != ET_REL ||
      gelf_getshdr(elf_getscn(elf, symbol->st_shndx), &section) == NULL) {
    return symbol->st_value;
  }
  return section.sh_addr + symbol->st_value;
}

// "twice.hits" is `hits` of `twice`.
static void name_function(Reader *self, LayoutVariable *variable,
                          const char *symbol) {
  size_t size = strlen(symbol), tail = strlen(variable->name) + 1;
  if (size <= tail || symbol[size - tail] != '.' ||
      strcmp(symbol + size - tail + 1, variable->name) != 0) {
    return;
  }
  char *name = type_set_allocate(self->types.set, size - tail + 1);
  if (name == NULL) {
    self->types.failed = true;
    return;
  }
  memcpy(name, symbol, size - tail);
  variable->function = name;
}

static void name_nameless(Reader *self, Elf *elf) {
  GElf_Shdr header;
  Elf_Scn *section = find_symbols(elf, &header);
  Elf_Data *data = section != NULL ? elf_getdata(section, NULL) : NULL;
  GElf_Sym symbol;
  for (int i = 0; data != NULL && gelf_getsym(data, i, &symbol) != NULL; i++) {
    if (GELF_ST_TYPE(symbol.st_info) != STT_OBJECT) continue;
    uint64_t address = symbol_address(elf, &symbol);
    const char *text = elf_strptr(elf, header.sh_link, symbol.st_name);
    for (size_t j = 0; j < self->layout->variables.count; j++) {
      LayoutVariable *variable = &self->layout->variables.items[j];
      if (variable->function == nameless && variable->has_address &&
          variable->address == address && text != NULL) {
        name_function(self, variable, text);
      }
    }
  }
}

// --- Order -------------------------------------------------------------------

static int compare_places(const char *file_a, int line_a, const char *file_b,
                          int line_b) {
  int files = strcmp(file_a, file_b);
  if (files != 0) return files;
  return (line_a > line_b) - (line_a < line_b);
}

static int compare_variables(const void *a, const void *b) {
  const LayoutVariable *x = a, *y = b;
  int places = compare_places(x->file, x->line, y->file, y->line);
  if (places != 0) return places;
  int names = strcmp(x->name, y->name);
  return names != 0 ? names
                    : (x->address > y->address) - (x->address < y->address);
}

static int compare_functions(const void *a, const void *b) {
  const LayoutFunction *x = a, *y = b;
  int places = compare_places(x->file, x->line, y->file, y->line);
  if (places != 0) return places;
  int names = strcmp(x->name, y->name);
  return names != 0 ? names
                    : (x->address > y->address) - (x->address < y->address);
}

// How many variables before this one have its function and name.
static int count_before(const Layout *layout, size_t index) {
  const LayoutVariable *variable = &layout->variables.items[index];
  int count = 0;
  for (size_t i = 0; i < index; i++) {
    const LayoutVariable *other = &layout->variables.items[i];
    // "f#2" is f's too.
    size_t size = strcspn(other->function, "#");
    count += strcmp(other->name, variable->name) == 0 &&
             strncmp(other->function, variable->function, size) == 0 &&
             variable->function[size] == '\0';
  }
  return count;
}

// Tells the variables of one name in several blocks of a function apart.
static bool number_blocks(Layout *layout) {
  for (size_t i = 0; i < layout->variables.count; i++) {
    LayoutVariable *variable = &layout->variables.items[i];
    if (*variable->function == '\0') continue;
    int before = count_before(layout, i);
    if (before == 0) continue;
    size_t size = strlen(variable->function) + 16;
    char *name = type_set_allocate(layout->types, size);
    if (name == NULL) return false;
    snprintf(name, size, "%s#%d", variable->function, before + 1);
    variable->function = name;
  }
  return true;
}

static GraftStatus finish(Layout *layout, GraftError *error) {
  if (layout->variables.count > 1) {
    qsort(layout->variables.items, layout->variables.count,
          sizeof *layout->variables.items, compare_variables);
  }
  if (layout->functions.count > 1) {
    qsort(layout->functions.items, layout->functions.count,
          sizeof *layout->functions.items, compare_functions);
  }
  return number_blocks(layout) ? GRAFT_OK : error_memory(error);
}

// --- Images ------------------------------------------------------------------

static GraftStatus read_elf(Reader *self, Elf *elf, const char *name,
                            GraftError *error) {
  Dwarf *dwarf = dwarf_begin_elf(elf, DWARF_C_READ, NULL);
  if (dwarf == NULL) {
    return error_set(error, GRAFT_ENOTFOUND,
                     "%s has no debug information (%s), compile with -g", name,
                     dwarf_errmsg(-1));
  }
  GraftStatus status = read_units(self, dwarf, name, error);
  dwarf_end(dwarf);
  if (status < 0) return status;
  type_reader_finish(&self->types);
  for (size_t i = 0; i < self->layout->variables.count; i++) {
    if (self->layout->variables.items[i].function != nameless) continue;
    name_nameless(self, elf);
    break;
  }
  if (self->types.failed) return error_memory(error);
  return finish(self->layout, error);
}

static GraftStatus read_image(Reader *self, const void *image, size_t size,
                              const char *name, GraftError *error) {
  elf_version(EV_CURRENT);
  // libelf asks for writable memory, and leaves it alone.
  Elf *elf = elf_memory((char *)(uintptr_t)image, size);
  if (elf == NULL || elf_kind(elf) != ELF_K_ELF) {
    elf_end(elf);
    return error_set(error, GRAFT_EIO, "%s is no object file", name);
  }
  GraftStatus status = read_elf(self, elf, name, error);
  elf_end(elf);
  return status;
}

GraftStatus layout_read(const GraftAllocator *allocator, const void *image,
                        size_t size, const char *name, Layout *layout,
                        GraftError *error) {
  *layout = (Layout){.allocator = allocator, .types = type_set_new(allocator)};
  if (layout->types == NULL) return error_memory(error);
  Reader reader = {.layout = layout};
  type_reader_init(&reader.types, layout->types, allocator);
  GraftStatus status = reader.types.failed
                           ? error_memory(error)
                           : read_image(&reader, image, size, name, error);
  type_reader_clear(&reader.types);
  if (status < 0) layout_clear(layout);
  return status;
}

void layout_clear(Layout *self) {
  memory_free(self->allocator, self->variables.items);
  memory_free(self->allocator, self->functions.items);
  type_set_release(self->types);
  *self = (Layout){.allocator = self->allocator};
}
