// SPDX-License-Identifier: MIT
//
// Addresses of targets: asks the host of the link, each question once.

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "native/link_inner.h"

// --- Messages ----------------------------------------------------------------

// The function around a place in code, or NULL.
static const ObjectFunction *function_at(const Link *self, LinkAsker asker) {
  const ObjectSection *section = asker.section;
  if (section == NULL || section->kind != SECTION_CODE) return NULL;
  for (size_t i = 0; i < section->item_count; i++) {
    const ObjectFunction *function =
        &self->object->functions[section->items[i]];
    if (asker.offset >= function->offset &&
        asker.offset - function->offset < function->size) {
      return function;
    }
  }
  return NULL;
}

GraftStatus link_refuse(const Link *self, LinkAsker asker, GraftStatus status,
                        GraftError *error, const char *format, ...) {
  char text[512];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  const ObjectFunction *function = function_at(self, asker);
  const char *file = NULL;
  int line = 0;
  if (function != NULL && self->desc.lines != NULL) {
    uint64_t address = function->address + (asker.offset - function->offset);
    lines_find(self->desc.lines, address, &file, &line);
  }
  if (function != NULL) {
    error_set(error, status, "%s: %s, in %s", object_path(self->object), text,
              function->name);
  } else {
    error_set(error, status, "%s: %s", object_path(self->object), text);
  }
  if (file != NULL) error_at(error, file, line, 0);
  return status;
}

const char *link_target_name(const Link *self, const ObjectTarget *target) {
  const ObjectFile *object = self->object;
  switch (target->kind) {
  case TARGET_UNDEFINED:
    return object->undefined[target->index].name;
  case TARGET_FUNCTION:
    return object->functions[target->index].name;
  case TARGET_DATA:
    return object->data[target->index].name;
  case TARGET_CODE:
  case TARGET_PIECE:
    return object->sections[target->index].name;
  case TARGET_LOCALS:
    return "its thread-local variables";
  case TARGET_NULL:
    break;
  }
  return "a fixed address";
}

// --- Functions ---------------------------------------------------------------

bool link_is_direct(const Link *self, const ObjectTarget *target) {
  if (target->kind == TARGET_FUNCTION) {
    return !self->object->functions[target->index].global;
  }
  return target->kind == TARGET_CODE;
}

char *link_code_of(const Link *self, size_t function) {
  const ObjectFunction *found = &self->object->functions[function];
  return self->sections[found->section] + found->offset;
}

static GraftStatus resolve_function(Link *self, const ObjectTarget *target,
                                    bool call, uint64_t *address,
                                    GraftError *error) {
  if (call && link_is_direct(self, target)) {
    *address = (uintptr_t)link_code_of(self, target->index);
    return GRAFT_OK;
  }
  void **entry = &self->entries[target->index];
  const LinkHost *host = self->desc.host;
  if (*entry == NULL) {
    *entry = host->entry(host->context, self->object, target->index);
    if (*entry == NULL) return error_memory(error);
  }
  *address = (uintptr_t)*entry;
  return GRAFT_OK;
}

// --- What the object does not define -----------------------------------------

// The process; and libm, which the host may have done without.
static void *find_in_process(const char *name) {
  void *address = dlsym(RTLD_DEFAULT, name);
  if (address != NULL) return address;
  void *math = dlopen("libm.so.6", RTLD_NOW | RTLD_LOCAL);
  return math != NULL ? dlsym(math, name) : NULL; // and stays open
}

static void *find_external(const Link *self, const ObjectUndefined *undefined) {
  const LinkHost *host = self->desc.host;
  if (strcmp(undefined->name, "__tls_get_addr") == 0) {
    return (void *)(uintptr_t)tls_address;
  }
  void *address = NULL;
  if (host->external != NULL) {
    address = host->external(host->context, undefined);
  }
  return address != NULL ? address : find_in_process(undefined->name);
}

static GraftStatus resolve_undefined(Link *self, const ObjectTarget *target,
                                     LinkAsker asker, uint64_t *address,
                                     GraftError *error) {
  const ObjectUndefined *undefined = &self->object->undefined[target->index];
  LinkExternal *external = &self->externals[target->index];
  if (!external->known) {
    if (undefined->thread_local_) {
      return link_refuse(self, asker, GRAFT_EIO, error,
                         "%s is thread-local, and used as if it were not",
                         undefined->name);
    }
    external->address = (uintptr_t)find_external(self, undefined);
    if (external->address == 0 && strcmp(undefined->name, "atexit") == 0) {
      return link_refuse(self, asker, GRAFT_ENOTFOUND, error,
                         "natives have no atexit, since they may go before the "
                         "program does: write __attribute__((destructor))");
    }
    if (external->address == 0 && !undefined->weak) {
      return link_refuse(self, asker, GRAFT_ENOTFOUND, error,
                         "nobody defines %s", undefined->name);
    }
    external->known = true;
  }
  *address = external->address;
  return GRAFT_OK;
}

// --- The rest ----------------------------------------------------------------

// tcc puts string literals among variables.
static bool is_text(const Link *self, const ObjectSection *section,
                    const ObjectPiece *piece) {
  if (section->kind == SECTION_LITERALS) return true;
  if (!self->object->tcc || section->bytes == NULL || piece->size == 0) {
    return false;
  }
  const unsigned char *bytes = section->bytes + piece->offset;
  return memchr(bytes, '\0', piece->size) == bytes + piece->size - 1;
}

static GraftStatus resolve_piece(Link *self, const ObjectTarget *target,
                                 LinkAsker asker, uint64_t *address,
                                 GraftError *error) {
  const ObjectFile *object = self->object;
  const ObjectSection *section = &object->sections[target->index];
  if (section->thread_local_) {
    return link_refuse(self, asker, GRAFT_EIO, error,
                       "%s is thread-local, and used as if it were not",
                       section->name);
  }
  const ObjectPiece *piece =
      object_piece(object, target->index, target->offset);
  if (!is_text(self, section, piece)) {
    *address = (uintptr_t)self->sections[target->index] + target->offset;
    return GRAFT_OK;
  }
  const char **literal = &self->literals[piece - object->pieces];
  if (*literal == NULL) {
    uint64_t align = section->kind == SECTION_LITERALS ? section->align : 1;
    *literal = literal_add(self->desc.literals, section->bytes + piece->offset,
                           piece->size, align);
    if (*literal == NULL) return error_memory(error);
  }
  *address = (uintptr_t)*literal;
  return GRAFT_OK;
}

GraftStatus link_resolve(Link *self, const ObjectTarget *target, bool call,
                         LinkAsker asker, uint64_t *address,
                         GraftError *error) {
  switch (target->kind) {
  case TARGET_UNDEFINED:
    return resolve_undefined(self, target, asker, address, error);
  case TARGET_FUNCTION:
    return resolve_function(self, target, call, address, error);
  case TARGET_PIECE:
    return resolve_piece(self, target, asker, address, error);
  case TARGET_DATA:
    if (self->object->data[target->index].thread_local_) {
      return link_refuse(self, asker, GRAFT_EIO, error,
                         "%s is thread-local, and used as if it were not",
                         link_target_name(self, target));
    }
    *address = (uintptr_t)self->data[target->index].address;
    return GRAFT_OK;
  case TARGET_CODE:
    *address = (uintptr_t)self->sections[target->index] + target->offset;
    return GRAFT_OK;
  case TARGET_NULL:
  case TARGET_LOCALS:
    break;
  }
  *address = 0;
  return GRAFT_OK;
}

GraftStatus link_resolve_local(Link *self, const ObjectTarget *target,
                               LinkAsker asker, size_t *offset,
                               GraftError *error) {
  const LinkHost *host = self->desc.host;
  if (target->kind == TARGET_DATA &&
      self->object->data[target->index].thread_local_) {
    *offset = self->data[target->index].local;
    return GRAFT_OK;
  }
  if (target->kind != TARGET_UNDEFINED || self->desc.tls == NULL) {
    return link_refuse(self, asker, GRAFT_EIO, error,
                       "%s is used as a thread-local variable, and is none",
                       link_target_name(self, target));
  }
  const ObjectUndefined *undefined = &self->object->undefined[target->index];
  LinkExternal *external = &self->externals[target->index];
  if (!external->known_local) {
    if (host->external_local == NULL ||
        !host->external_local(host->context, undefined, &external->local)) {
      return link_refuse(self, asker, GRAFT_ENOTFOUND, error,
                         "no native defines the thread-local variable %s",
                         undefined->name);
    }
    external->known_local = true;
  }
  *offset = external->local;
  return GRAFT_OK;
}
