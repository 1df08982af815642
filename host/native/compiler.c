// SPDX-License-Identifier: MIT

#include "native/compiler.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "native/compiler_inner.h"

enum { TIME_LIMIT_MS = 120000 };

const char *compiler_variable(const Compiler *self, const char *name) {
  size_t size = strlen(name);
  for (size_t i = 0; i < self->environment.words.count; i++) {
    const char *entry = self->environment.words.items[i];
    if (entry == NULL) break;
    if (strncmp(entry, name, size) == 0 && entry[size] == '=') {
      return entry + size + 1;
    }
  }
  return NULL;
}

// Other threads may change the environment while compilers start.
static bool copy_environment(Compiler *self) {
  for (char **entry = environ; entry != NULL && *entry != NULL; entry++) {
    if (!flags_add(&self->environment, *entry)) return false;
  }
  return ARRAY_PUSH(self->allocator, &self->environment.words) != NULL;
}

static GraftStatus set_directory(Compiler *self, const char *directory,
                                 GraftError *error) {
  char *present = directory == NULL ? getcwd(NULL, 0) : NULL;
  if (directory == NULL) directory = present;
  if (directory == NULL) {
    return error_set(error, GRAFT_EIO, "no working directory: %s",
                     strerror(errno));
  }
  self->directory =
      memory_copy_string(self->allocator, directory, strlen(directory));
  free(present);
  return self->directory != NULL ? GRAFT_OK : error_memory(error);
}

static bool is_blank(const char *text) {
  return text == NULL || text[strspn(text, " \t\n")] == '\0';
}

static GraftStatus set_up(Compiler *self, const CompilerDesc *desc,
                          GraftError *error) {
  if (!copy_environment(self)) return error_memory(error);
  const char *cc = desc->cc != NULL ? desc->cc : compiler_variable(self, "CC");
  const char *cflags =
      desc->cflags != NULL ? desc->cflags : compiler_variable(self, "CFLAGS");
  if (cflags == NULL) cflags = "-O2";
  self->cflags = memory_copy_string(self->allocator, cflags, strlen(cflags));
  if (self->cflags == NULL) return error_memory(error);
  GraftStatus status = set_directory(self, desc->directory, error);
  if (status < 0 || is_blank(cc)) return status;
  return flags_split(&self->command, cc, error);
}

GraftStatus compiler_new(const CompilerDesc *desc, Compiler **compiler,
                         GraftError *error) {
  const GraftAllocator *allocator =
      desc->allocator != NULL ? desc->allocator : &memory_default;
  *compiler = NULL;
  Compiler *self = memory_new(allocator, sizeof *self);
  if (self == NULL) return error_memory(error);
  self->allocator = allocator;
  self->colours = desc->colours;
  self->time_limit_ms =
      desc->time_limit_ms > 0 ? desc->time_limit_ms : TIME_LIMIT_MS;
  flags_init(&self->command, allocator);
  flags_init(&self->environment, allocator);
  flags_init(&self->system, allocator);
  pthread_mutex_init(&self->lock, NULL);
  GraftStatus status = set_up(self, desc, error);
  if (status < 0) {
    compiler_free(self);
  } else {
    *compiler = self;
  }
  return status;
}

void compiler_free(Compiler *self) {
  if (self == NULL) return;
  pthread_mutex_destroy(&self->lock);
  flags_clear(&self->command);
  flags_clear(&self->environment);
  flags_clear(&self->system);
  memory_free(self->allocator, self->cflags);
  memory_free(self->allocator, self->directory);
  memory_free(self->allocator, self->program);
  memory_free(self->allocator, self);
}

CompilerKind compiler_kind(const Compiler *self) {
  return self->kind;
}

const char *compiler_command(const Compiler *self) {
  return self->command.words.count > 0 ? self->command.words.items[0]
                                       : self->program;
}

const char *compiler_directory(const Compiler *self) {
  return self->directory;
}

bool compiler_is_system_header(const Compiler *self, const char *path) {
  for (size_t i = 0; i < self->system.words.count; i++) {
    const char *folder = self->system.words.items[i];
    if (strncmp(path, folder, strlen(folder)) == 0) return true;
  }
  return false;
}

GraftStatus compiler_flags(const Compiler *self, const char *path,
                           const char *root, Flags *flags, GraftError *error) {
  GraftStatus status = flags_add_user(flags, self->cflags, error);
  return status < 0 ? status : flags_add_file(flags, path, root, error);
}

void compiler_output_clear(CompilerOutput *self) {
  memory_free(self->allocator, self->object);
  memory_free(self->allocator, self->text);
  for (size_t i = 0; i < self->headers.count; i++) {
    memory_free(self->allocator, self->headers.items[i]);
  }
  memory_free(self->allocator, self->headers.items);
  *self = (CompilerOutput){.allocator = self->allocator};
}
