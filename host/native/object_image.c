// SPDX-License-Identifier: MIT
//
// Copies of an object for readers of debug information, which do not apply
// relocations: sections have addresses, and the debug sections are relocated.

#include <elf.h>
#include <string.h>

#include "base/error.h"
#include "native/object_inner.h"

// S of a relocation of a debug section.
static uint64_t symbol_address(const ObjectFile *self,
                               const uint64_t *addresses, uint32_t index) {
  if (index >= self->symbol_count) return 0;
  const ObjectSymbol *symbol = &self->symbols[index];
  // Debug sections refer to each other by offsets.
  uint64_t base = symbol->section != 0 ? addresses[symbol->section] : 0;
  return base + symbol->value;
}

static GraftStatus relocate_section(const ObjectFile *self,
                                    const ObjectSection *section,
                                    const uint64_t *addresses,
                                    unsigned char *bytes, GraftError *error) {
  for (size_t i = 0; i < section->relocation_count; i++) {
    const ObjectRelocation *relocation = &section->relocations[i];
    RelocationType type = object_relocation_type(self, section, relocation);
    if (type.use == USE_NONE) continue;
    bool word = type.field == FIELD_WORD64 || type.field == FIELD_WORD32;
    if (type.name == NULL || !word || type.basis != BASIS_ABSOLUTE) {
      return object_refuse(self, error, "%s has a relocation of type %u",
                           section->name, relocation->type);
    }
    uint64_t value = symbol_address(self, addresses, relocation->symbol) +
                     (uint64_t)relocation->addend;
    memcpy(bytes + relocation->offset, &value, (size_t)relocation_size(&type));
  }
  return GRAFT_OK;
}

static void set_header(const ObjectFile *self, unsigned char *image,
                       size_t index, uint64_t address) {
  const ObjectSection *section = &self->sections[index];
  Elf64_Shdr header;
  memcpy(&header, image + section->header, sizeof header);
  header.sh_addr = address;
  if (section->type == SHT_RELA && header.sh_info < self->section_count &&
      self->sections[header.sh_info].debug) {
    header.sh_type = SHT_NULL; // done already
    header.sh_size = 0;
  }
  memcpy(image + section->header, &header, sizeof header);
}

static GraftStatus fill_image(const ObjectFile *self, const uint64_t *addresses,
                              unsigned char *image, GraftError *error) {
  for (size_t i = 1; i < self->section_count; i++) {
    const ObjectSection *section = &self->sections[i];
    set_header(self, image, i, addresses[i]);
    if (!section->debug || section->bytes == NULL) continue;
    unsigned char *bytes = image + (section->bytes - self->bytes);
    GraftStatus status =
        relocate_section(self, section, addresses, bytes, error);
    if (status < 0) return status;
  }
  return GRAFT_OK;
}

GraftStatus object_image(const ObjectFile *self, const uint64_t *addresses,
                         ObjectImage *image, GraftError *error) {
  *image = (ObjectImage){.size = self->size};
  image->bytes = memory_resize(self->allocator, NULL, self->size);
  if (image->bytes == NULL) return error_memory(error);
  memcpy(image->bytes, self->bytes, self->size);
  GraftStatus status = fill_image(self, addresses, image->bytes, error);
  if (status < 0) object_image_clear(self, image);
  return status;
}

GraftStatus object_debug_image(const ObjectFile *self, ObjectImage *image,
                               GraftError *error) {
  uint64_t *addresses =
      memory_new(self->allocator, self->section_count * sizeof *addresses);
  if (addresses == NULL) return error_memory(error);
  for (size_t i = 0; i < self->section_count; i++) {
    addresses[i] = self->sections[i].address;
  }
  GraftStatus status = object_image(self, addresses, image, error);
  memory_free(self->allocator, addresses);
  return status;
}

void object_image_clear(const ObjectFile *self, ObjectImage *image) {
  memory_free(self->allocator, image->bytes);
  *image = (ObjectImage){0};
}

bool object_has_debug(const ObjectFile *self) {
  for (size_t i = 1; i < self->section_count; i++) {
    if (strcmp(self->sections[i].name, ".debug_info") == 0) return true;
  }
  return false;
}
