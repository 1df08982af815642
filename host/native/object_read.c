// SPDX-License-Identifier: MIT

//
// The tables of an object file, checked: sections, symbols, relocations.

#include <assert.h>
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "native/object_inner.h"

enum { OBJECT_LIMIT = 512 << 20, ALIGN_LIMIT = 4096 };

// What the reading of the file's tables hands on.
typedef struct Tables {
  Elf64_Ehdr header;
  const unsigned char *sections; // their headers, not aligned
  const char *names;             // of sections, terminated
  size_t names_size;
  const unsigned char *symbols; // may be NULL: none
  const char *strings;          // of symbols, terminated
  size_t strings_size;
  const unsigned char *wide_sections; // 32-bit indexes of symbols, or NULL
} Tables;

// --- The file ----------------------------------------------------------------

// `count` items of `size` bytes at `offset`, or NULL when the file has not so
// many.
static const unsigned char *bytes_at(const ObjectFile *self, uint64_t offset,
                                     uint64_t count, uint64_t size) {
  if (offset > self->size) return NULL;
  if (size != 0 && count > (self->size - offset) / size) return NULL;
  return self->bytes + offset;
}

static GraftStatus cut_short(const ObjectFile *self, GraftError *error) {
  return object_refuse(self, error,
                       "the object is cut short or damaged: its tables lie "
                       "outside of its %zu bytes",
                       self->size);
}

// Says what else it is, since the cause is mostly a wrong flag.
static GraftStatus check_kind(const ObjectFile *self, const Elf64_Ehdr *header,
                              GraftError *error) {
  if (header->e_ident[EI_CLASS] != ELFCLASS64 ||
      header->e_ident[EI_DATA] != ELFDATA2LSB) {
    return object_refuse(self, error,
                         "the object is not for a 64-bit "
                         "little-endian processor");
  }
  if (header->e_type == ET_DYN || header->e_type == ET_EXEC) {
    return object_refuse(self, error,
                         "it is linked already, and a relocatable object is "
                         "wanted: compile with -c");
  }
  if (header->e_type != ET_REL) {
    return object_refuse(self, error, "it is no relocatable object");
  }
  if (header->e_machine != EM_X86_64 && header->e_machine != EM_AARCH64) {
    return object_refuse(self, error,
                         "the object is for another processor (ELF machine "
                         "%u) than x86-64 or aarch64",
                         header->e_machine);
  }
  return GRAFT_OK;
}

static GraftStatus read_header(ObjectFile *self, Tables *tables,
                               GraftError *error) {
  Elf64_Ehdr *header = &tables->header;
  if (self->size >= 2 && memcmp(self->bytes, "BC", 2) == 0) {
    return object_refuse(self, error,
                         "it is LLVM bitcode, not an object: "
                         "compile without -flto");
  }
  if (self->size < sizeof *header ||
      memcmp(self->bytes, ELFMAG, SELFMAG) != 0) {
    return object_refuse(self, error, "it is no ELF object");
  }
  memcpy(header, self->bytes, sizeof *header);
  GraftStatus status = check_kind(self, header, error);
  if (status < 0) return status;
  self->machine =
      header->e_machine == EM_X86_64 ? OBJECT_X86_64 : OBJECT_AARCH64;
  return GRAFT_OK;
}

// --- Sections ----------------------------------------------------------------

static Elf64_Shdr section_header(const Tables *tables, size_t index) {
  Elf64_Shdr header;
  memcpy(&header, tables->sections + index * sizeof header, sizeof header);
  return header;
}

// A table of strings that ends with a terminator, or NULL.
static const char *string_table(const ObjectFile *self, const Tables *tables,
                                size_t index, size_t *size) {
  if (index >= self->section_count) return NULL;
  Elf64_Shdr header = section_header(tables, index);
  if (header.sh_type != SHT_STRTAB || header.sh_size == 0) return NULL;
  const unsigned char *bytes =
      bytes_at(self, header.sh_offset, header.sh_size, 1);
  if (bytes == NULL || bytes[header.sh_size - 1] != '\0') return NULL;
  *size = header.sh_size;
  return (const char *)bytes;
}

static bool starts_with(const char *text, const char *start) {
  return strncmp(text, start, strlen(start)) == 0;
}

static SectionKind kind_of(const Elf64_Shdr *header, const char *name) {
  if (!(header->sh_flags & SHF_ALLOC)) return SECTION_OTHER;
  bool merged = (header->sh_flags & SHF_MERGE) != 0 &&
                (header->sh_flags & SHF_STRINGS) != 0;
  switch (header->sh_type) {
  case SHT_INIT_ARRAY:
    return SECTION_CONSTRUCT;
  case SHT_FINI_ARRAY:
    return SECTION_DESTRUCT;
  case SHT_NOTE:
  case SHT_GROUP:
  case SHT_PREINIT_ARRAY:
    return SECTION_OTHER;
  default:
    break;
  }
  if (strcmp(name, ".eh_frame") == 0) return SECTION_UNWIND;
  if (header->sh_flags & SHF_EXECINSTR) return SECTION_CODE;
  if (merged && !(header->sh_flags & SHF_WRITE)) return SECTION_LITERALS;
  return SECTION_DATA;
}

static GraftStatus check_section(ObjectFile *self, const Elf64_Shdr *header,
                                 ObjectSection *section, GraftError *error) {
  bool loaded = section->kind != SECTION_OTHER;
  if (strcmp(section->name, ".note.GNU-stack") == 0 &&
      (header->sh_flags & SHF_EXECINSTR)) {
    return object_refuse(self, error,
                         "it wants an executable stack: natives cannot take "
                         "the address of a nested function that uses variables "
                         "around it");
  }
  if (header->sh_flags & SHF_COMPRESSED) {
    return object_refuse(self, error, "%s is compressed: compile with -gz=none",
                         section->name);
  }
  if (loaded && (header->sh_addralign & (header->sh_addralign - 1)) != 0) {
    return cut_short(self, error);
  }
  if (loaded && header->sh_addralign > ALIGN_LIMIT) {
    return object_refuse(self, error,
                         "%s is to be aligned to %llu bytes; natives may ask "
                         "for 4096 at most",
                         section->name,
                         (unsigned long long)header->sh_addralign);
  }
  if (loaded && header->sh_size > OBJECT_LIMIT) {
    return object_refuse(self, error, "%s has more than 512 MB", section->name);
  }
  if (section->kind == SECTION_LITERALS && header->sh_entsize != 1 &&
      header->sh_entsize != 2 && header->sh_entsize != 4) {
    section->kind = SECTION_DATA; // merging is only an offer
  }
  return GRAFT_OK;
}

static GraftStatus read_section(ObjectFile *self, const Tables *tables,
                                size_t index, GraftError *error) {
  Elf64_Shdr header = section_header(tables, index);
  ObjectSection *section = &self->sections[index];
  if (header.sh_name >= tables->names_size) return cut_short(self, error);
  section->name = tables->names + header.sh_name;
  section->type = header.sh_type;
  section->kind = kind_of(&header, section->name);
  section->debug =
      section->kind == SECTION_OTHER && starts_with(section->name, ".debug_");
  section->writable = (header.sh_flags & SHF_WRITE) != 0;
  section->thread_local_ = (header.sh_flags & SHF_TLS) != 0;
  section->size = header.sh_size;
  section->align = header.sh_addralign > 0 ? header.sh_addralign : 1;
  section->entry_size = header.sh_flags & SHF_MERGE ? header.sh_entsize : 0;
  section->header = tables->header.e_shoff + index * sizeof header;
  if (header.sh_type != SHT_NOBITS && header.sh_type != SHT_NULL) {
    section->bytes = bytes_at(self, header.sh_offset, header.sh_size, 1);
    if (section->bytes == NULL) return cut_short(self, error);
  } else if (section->kind != SECTION_DATA) {
    section->size = 0; // code without bytes is none
  }
  return check_section(self, &header, section, error);
}

static GraftStatus read_sections(ObjectFile *self, Tables *tables,
                                 GraftError *error) {
  const Elf64_Ehdr *header = &tables->header;
  tables->sections = bytes_at(self, header->e_shoff, 1, sizeof(Elf64_Shdr));
  if (header->e_shoff == 0 || tables->sections == NULL ||
      header->e_shentsize != sizeof(Elf64_Shdr)) {
    return cut_short(self, error);
  }
  // What does not fit into the header stands in the first section.
  Elf64_Shdr first = section_header(tables, 0);
  uint64_t count = header->e_shnum != 0 ? header->e_shnum : first.sh_size;
  size_t names =
      header->e_shstrndx != SHN_XINDEX ? header->e_shstrndx : first.sh_link;
  if (bytes_at(self, header->e_shoff, count, sizeof first) == NULL ||
      count == 0) {
    return cut_short(self, error);
  }
  self->section_count = count;
  self->sections = arena_new(&self->arena, count * sizeof *self->sections);
  if (self->sections == NULL) return error_memory(error);
  tables->names = string_table(self, tables, names, &tables->names_size);
  if (tables->names == NULL) return cut_short(self, error);
  self->sections[0].name = "";
  for (size_t i = 1; i < count; i++) {
    GraftStatus status = read_section(self, tables, i, error);
    if (status < 0) return status;
  }
  return GRAFT_OK;
}

// --- Symbols -----------------------------------------------------------------

// The section of a symbol; GRAFT_EIO for those that cannot be.
static GraftStatus place_symbol(const ObjectFile *self, const Tables *tables,
                                size_t index, ObjectSymbol *symbol,
                                GraftError *error) {
  Elf64_Sym raw;
  memcpy(&raw, tables->symbols + index * sizeof raw, sizeof raw);
  uint32_t section = raw.st_shndx;
  switch (section) {
  case SHN_UNDEF:
    symbol->undefined = symbol->name[0] != '\0';
    return GRAFT_OK;
  case SHN_ABS:
    return GRAFT_OK;
  case SHN_COMMON:
    if (strcmp(symbol->name, "__gnu_lto_slim") == 0) {
      return object_refuse(self, error,
                           "it has no code yet: compile without "
                           "-flto");
    }
    return object_refuse(self, error,
                         "%s is a COMMON symbol: compile with -fno-common",
                         symbol->name);
  case SHN_XINDEX:
    if (tables->wide_sections == NULL) return cut_short(self, error);
    memcpy(&section, tables->wide_sections + index * sizeof section,
           sizeof section);
    break;
  default:
    break;
  }
  if (section >= self->section_count) return cut_short(self, error);
  symbol->section = section;
  return GRAFT_OK;
}

static GraftStatus check_symbol(const ObjectFile *self, ObjectSymbol *symbol,
                                GraftError *error) {
  if (symbol->type == STT_GNU_IFUNC) {
    return object_refuse(self, error,
                         "%s is an ifunc: natives cannot have target_clones "
                         "and ifunc attributes",
                         symbol->name);
  }
  const ObjectSection *section = &self->sections[symbol->section];
  if (symbol->section == 0 || section->kind == SECTION_OTHER) return GRAFT_OK;
  if (symbol->value > section->size ||
      symbol->size > section->size - symbol->value) {
    return cut_short(self, error);
  }
  return GRAFT_OK;
}

static GraftStatus read_symbol(ObjectFile *self, const Tables *tables,
                               size_t index, GraftError *error) {
  Elf64_Sym raw;
  memcpy(&raw, tables->symbols + index * sizeof raw, sizeof raw);
  ObjectSymbol *symbol = &self->symbols[index];
  if (raw.st_name >= tables->strings_size) return cut_short(self, error);
  *symbol = (ObjectSymbol){
      .name = tables->strings + raw.st_name,
      .value = raw.st_value,
      .size = raw.st_size,
      .type = ELF64_ST_TYPE(raw.st_info),
      .bind = ELF64_ST_BIND(raw.st_info),
      .item = -1,
  };
  GraftStatus status = place_symbol(self, tables, index, symbol, error);
  return status < 0 ? status : check_symbol(self, symbol, error);
}

// The file's one table of symbols.
static GraftStatus find_symbols(ObjectFile *self, Tables *tables,
                                GraftError *error) {
  for (size_t i = 1; i < self->section_count; i++) {
    Elf64_Shdr header = section_header(tables, i);
    if (header.sh_type == SHT_SYMTAB && tables->symbols == NULL) {
      self->symbol_count = header.sh_size / sizeof(Elf64_Sym);
      tables->symbols = self->sections[i].bytes;
      tables->strings =
          string_table(self, tables, header.sh_link, &tables->strings_size);
      if (tables->strings == NULL) return cut_short(self, error);
    } else if (header.sh_type == SHT_SYMTAB_SHNDX) {
      tables->wide_sections = self->sections[i].bytes;
    }
  }
  if (tables->wide_sections == NULL) return GRAFT_OK;
  for (size_t i = 1; i < self->section_count; i++) {
    if (self->sections[i].type == SHT_SYMTAB_SHNDX &&
        self->sections[i].size / sizeof(uint32_t) < self->symbol_count) {
      return cut_short(self, error);
    }
  }
  return GRAFT_OK;
}

static GraftStatus read_symbols(ObjectFile *self, Tables *tables,
                                GraftError *error) {
  GraftStatus status = find_symbols(self, tables, error);
  if (status < 0 || self->symbol_count == 0) return status;
  assert(tables->symbols != NULL && tables->strings != NULL);
  self->symbols =
      arena_new(&self->arena, self->symbol_count * sizeof *self->symbols);
  if (self->symbols == NULL) return error_memory(error);
  for (size_t i = 0; i < self->symbol_count; i++) {
    status = read_symbol(self, tables, i, error);
    if (status < 0) return status;
  }
  return GRAFT_OK;
}

// --- Relocations -------------------------------------------------------------

static int compare_relocations(const void *a, const void *b) {
  const ObjectRelocation *x = a, *y = b;
  return x->offset < y->offset ? -1 : x->offset > y->offset;
}

// A call or jump: e8, e9, or 0f 80 to 0f 8f before the distance. The byte there
// of another instruction is one that says "relative to rip": 00...101 binary.
static bool is_branch(const ObjectSection *section, uint64_t offset) {
  if (section->kind != SECTION_CODE || offset == 0) return false;
  unsigned char code = section->bytes[offset - 1];
  if (code == 0xe8 || code == 0xe9) return true;
  return offset > 1 && (code & 0xf0) == 0x80 &&
         section->bytes[offset - 2] == 0x0f;
}

RelocationType object_relocation_type(const ObjectFile *self,
                                      const ObjectSection *section,
                                      const ObjectRelocation *relocation) {
  if (self->machine == OBJECT_AARCH64) {
    return relocation_aarch64(relocation->type);
  }
  RelocationType type = relocation_x86_64(relocation->type);
  if (relocation->type == R_X86_64_PC32 &&
      is_branch(section, relocation->offset)) {
    type.use = USE_CALL;
  } else if (relocation->type == R_X86_64_PLT32 &&
             section->kind != SECTION_CODE) {
    type.use = USE_ADDRESS;
  }
  return type;
}

static GraftStatus check_relocation(const ObjectFile *self,
                                    const ObjectSection *section,
                                    const ObjectRelocation *relocation,
                                    GraftError *error) {
  if (relocation->symbol >= self->symbol_count &&
      (relocation->symbol != 0 || self->symbol_count != 0)) {
    return cut_short(self, error);
  }
  // Of types that are not known too, so that nobody reads beyond the end.
  RelocationType type = self->machine == OBJECT_AARCH64
                            ? relocation_aarch64(relocation->type)
                            : relocation_x86_64(relocation->type);
  uint64_t size = (uint64_t)relocation_size(&type);
  if (type.use == USE_NONE) size = 0;
  if (relocation->offset > section->size ||
      size > section->size - relocation->offset) {
    return cut_short(self, error);
  }
  return GRAFT_OK;
}

static GraftStatus read_relocations(ObjectFile *self, const Elf64_Shdr *header,
                                    const unsigned char *bytes,
                                    GraftError *error) {
  ObjectSection *section = &self->sections[header->sh_info];
  size_t count = header->sh_size / sizeof(Elf64_Rela);
  if (count == 0) return GRAFT_OK;
  if (section->relocations != NULL || section->bytes == NULL) {
    return cut_short(self, error);
  }
  ObjectRelocation *list = arena_new(&self->arena, count * sizeof *list);
  if (list == NULL) return error_memory(error);
  bool sorted = true;
  for (size_t i = 0; i < count; i++) {
    Elf64_Rela raw;
    memcpy(&raw, bytes + i * sizeof raw, sizeof raw);
    list[i] =
        (ObjectRelocation){raw.r_offset, (uint32_t)ELF64_R_TYPE(raw.r_info),
                           (uint32_t)ELF64_R_SYM(raw.r_info), raw.r_addend};
    GraftStatus status = check_relocation(self, section, &list[i], error);
    if (status < 0) return status;
    if (i > 0 && list[i].offset < list[i - 1].offset) sorted = false;
  }
  if (!sorted) qsort(list, count, sizeof *list, compare_relocations);
  section->relocations = list;
  section->relocation_count = count;
  return GRAFT_OK;
}

static GraftStatus read_all_relocations(ObjectFile *self, const Tables *tables,
                                        GraftError *error) {
  for (size_t i = 1; i < self->section_count; i++) {
    Elf64_Shdr header = section_header(tables, i);
    if (header.sh_type != SHT_RELA && header.sh_type != SHT_REL) continue;
    if (header.sh_info >= self->section_count) return cut_short(self, error);
    const ObjectSection *section = &self->sections[header.sh_info];
    if (section->kind == SECTION_OTHER && !section->debug) continue;
    if (header.sh_type == SHT_REL) return cut_short(self, error);
    GraftStatus status =
        read_relocations(self, &header, self->sections[i].bytes, error);
    if (status < 0) return status;
  }
  return GRAFT_OK;
}

// --- All of it ---------------------------------------------------------------

// Distinct places for all sections, below 4 GiB, since some debug information
// has room for 32 bits only.
static GraftStatus place_sections(ObjectFile *self, GraftError *error) {
  uint64_t address = 0x10000;
  for (size_t i = 1; i < self->section_count; i++) {
    ObjectSection *section = &self->sections[i];
    if (section->kind == SECTION_OTHER) continue;
    address = (address + ALIGN_LIMIT) & ~(uint64_t)(ALIGN_LIMIT - 1);
    section->address = address;
    address += section->size + 1;
    if (address > UINT32_MAX) {
      return object_refuse(self, error, "it has more than 4 GB");
    }
  }
  return GRAFT_OK;
}

GraftStatus object_read_tables(ObjectFile *self, GraftError *error) {
  Tables tables = {0};
  GraftStatus status = read_header(self, &tables, error);
  if (status == GRAFT_OK) status = read_sections(self, &tables, error);
  if (status == GRAFT_OK) status = read_symbols(self, &tables, error);
  if (status == GRAFT_OK) status = read_all_relocations(self, &tables, error);
  return status == GRAFT_OK ? place_sections(self, error) : status;
}
