// SPDX-License-Identifier: MIT

#include "native/library.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "native/dwarf_layout.h"
#include "native/signature_type.h"

struct Library {
  const GraftAllocator *allocator;
  char *path;
  void *handle;
  Layout layout; // holds most texts of the entries
  Arena arena;   // the others
  ARRAY(LibraryEntry) entries;
};

// --- Names (R2) --------------------------------------------------------------

typedef struct Stem {
  const char *start;
  size_t size;
} Stem;

// "physics" of "natives/physics.c".
static Stem stem_of(const char *path) {
  const char *slash = strrchr(path, '/');
  Stem stem = {.start = slash != NULL ? slash + 1 : path};
  const char *dot = strchr(stem.start, '.');
  stem.size = dot != NULL ? (size_t)(dot - stem.start) : strlen(stem.start);
  return stem;
}

// Whether `physics_step` is one of physics.c's.
static bool has_stem(const char *symbol, Stem stem) {
  return stem.size > 0 && strncmp(symbol, stem.start, stem.size) == 0 &&
         symbol[stem.size] == '_' && symbol[stem.size + 1] != '\0';
}

// "physics.step", in the arena, or NULL.
static char *registry_name(Arena *arena, const char *symbol, Stem stem) {
  char *name = arena_copy_string(arena, symbol, strlen(symbol));
  if (name != NULL) name[stem.size] = '.';
  return name;
}

// --- Opening -----------------------------------------------------------------

// The signature, or why there is none. False when out of memory.
static bool set_signature(Library *self, LibraryEntry *entry,
                          const Type *type) {
  char why_not[SIGNATURE_WHY_NOT];
  entry->signature = signature_of_type(self->allocator, type, why_not);
  if (entry->signature != NULL) return true;
  entry->why_not = arena_copy_string(&self->arena, why_not, strlen(why_not));
  return entry->why_not != NULL && strcmp(why_not, "out of memory") != 0;
}

// A compiler may have made several of one function.
static bool is_listed(const Library *self, const char *symbol) {
  for (size_t i = 0; i < self->entries.count; i++) {
    if (strcmp(self->entries.items[i].symbol, symbol) == 0) return true;
  }
  return false;
}

// False when out of memory.
static bool add_entry(Library *self, const LayoutFunction *function) {
  Stem stem = stem_of(function->unit);
  if (!function->is_external || !has_stem(function->name, stem) ||
      is_listed(self, function->name)) {
    return true;
  }
  void *address = dlsym(self->handle, function->name);
  if (address == NULL) return true; // hidden: a part, not a native
  LibraryEntry *entry = ARRAY_PUSH(self->allocator, &self->entries);
  if (entry == NULL) return false;
  *entry = (LibraryEntry){
      .name = registry_name(&self->arena, function->name, stem),
      .symbol = function->name,
      .code = (GraftNative)(uintptr_t)address,
      .type = function->type,
      .file = function->file,
      .line = function->line,
  };
  return entry->name != NULL && set_signature(self, entry, function->type);
}

static GraftStatus list_entries(Library *self, GraftError *error) {
  for (size_t i = 0; i < self->layout.functions.count; i++) {
    if (!add_entry(self, &self->layout.functions.items[i])) {
      return error_memory(error);
    }
  }
  return GRAFT_OK;
}

static GraftStatus read_layout(Library *self, int descriptor,
                               GraftError *error) {
  struct stat state;
  void *image = MAP_FAILED;
  if (fstat(descriptor, &state) == 0 && state.st_size > 0) {
    image = mmap(NULL, (size_t)state.st_size, PROT_READ, MAP_PRIVATE,
                 descriptor, 0);
  }
  if (image == MAP_FAILED) {
    return error_set(error, GRAFT_EIO, "cannot read %s: %s", self->path,
                     strerror(errno));
  }
  GraftStatus status =
      layout_read(self->allocator, image, (size_t)state.st_size, self->path,
                  &self->layout, error);
  munmap(image, (size_t)state.st_size);
  return status;
}

// Checks that the file is there and an ELF file, before the loader sees it,
// whose messages are hard to read.
static GraftStatus open_file(const char *path, int *descriptor,
                             GraftError *error) {
  *descriptor = open(path, O_RDONLY | O_CLOEXEC);
  if (*descriptor < 0) {
    return error_set(error, GRAFT_EIO, "cannot open %s: %s", path,
                     strerror(errno));
  }
  char magic[4];
  if (pread(*descriptor, magic, sizeof magic, 0) != sizeof magic ||
      memcmp(magic, "\177ELF", sizeof magic) != 0) {
    return error_set(error, GRAFT_EIO, "%s is not a shared object", path);
  }
  return GRAFT_OK;
}

// dlopen looks in the system's folders for names without a slash.
static void *load(const GraftAllocator *allocator, const char *path) {
  if (strchr(path, '/') != NULL) return dlopen(path, RTLD_NOW | RTLD_LOCAL);
  size_t size = strlen(path) + 3;
  char *local = memory_new(allocator, size);
  if (local == NULL) return NULL;
  snprintf(local, size, "./%s", path);
  void *handle = dlopen(local, RTLD_NOW | RTLD_LOCAL);
  memory_free(allocator, local);
  return handle;
}

static GraftStatus open_library(Library *self, const char *path,
                                int *descriptor, GraftError *error) {
  self->path = memory_copy_string(self->allocator, path, strlen(path));
  if (self->path == NULL) return error_memory(error);
  GraftStatus status = open_file(path, descriptor, error);
  if (status < 0) return status;
  status = read_layout(self, *descriptor, error);
  if (status < 0) return status;
  self->handle = load(self->allocator, path);
  if (self->handle == NULL) {
    const char *message = dlerror();
    return error_set(error, GRAFT_EIO, "cannot load %s: %s", path,
                     message != NULL ? message : "out of memory");
  }
  return list_entries(self, error);
}

GraftStatus library_open(const GraftAllocator *allocator, const char *path,
                         Library **library, GraftError *error) {
  *library = NULL;
  Library *self = memory_new(allocator, sizeof *self);
  if (self == NULL) return error_memory(error);
  self->allocator = allocator;
  self->layout.allocator = allocator;
  arena_init(&self->arena, allocator);
  int descriptor = -1;
  GraftStatus status = open_library(self, path, &descriptor, error);
  if (descriptor >= 0) close(descriptor);
  if (status < 0) {
    library_close(self);
  } else {
    *library = self;
  }
  return status;
}

void library_close(Library *self) {
  if (self == NULL) return;
  if (self->handle != NULL) dlclose(self->handle);
  for (size_t i = 0; i < self->entries.count; i++) {
    signature_free(self->allocator, self->entries.items[i].signature);
  }
  layout_clear(&self->layout);
  arena_clear(&self->arena);
  memory_free(self->allocator, self->entries.items);
  memory_free(self->allocator, self->path);
  memory_free(self->allocator, self);
}

const char *library_path(const Library *self) {
  return self->path;
}

TypeSet *library_types(const Library *self) {
  return self->layout.types;
}

size_t library_count(const Library *self) {
  return self->entries.count;
}

const LibraryEntry *library_entry(const Library *self, size_t index) {
  return &self->entries.items[index];
}

// --- Finding -----------------------------------------------------------------

static bool is_object_name(const char *name) {
  size_t size = strlen(name);
  return name[0] != '.' && size > 3 && strcmp(name + size - 3, ".so") == 0;
}

static bool add_path(const GraftAllocator *allocator, const char *folder,
                     const char *name, LibraryPaths *paths) {
  size_t size = strlen(folder) + strlen(name) + 2;
  char *path = memory_new(allocator, size);
  if (path == NULL) return false;
  const char *slash = *name != '\0' ? "/" : "";
  snprintf(path, size, "%s%s%s", folder, slash, name);
  char **place = ARRAY_PUSH(allocator, paths);
  if (place == NULL) {
    memory_free(allocator, path);
    return false;
  }
  *place = path;
  return true;
}

static int compare_paths(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

static GraftStatus list_folder(const GraftAllocator *allocator,
                               const char *path, LibraryPaths *paths,
                               GraftError *error) {
  DIR *folder = opendir(path);
  if (folder == NULL) {
    return error_set(error, GRAFT_EIO, "cannot open %s: %s", path,
                     strerror(errno));
  }
  GraftStatus status = GRAFT_OK;
  for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
    if (is_object_name(entry->d_name) &&
        !add_path(allocator, path, entry->d_name, paths)) {
      status = error_memory(error);
      break;
    }
  }
  closedir(folder);
  if (paths->count > 0) {
    qsort(paths->items, paths->count, sizeof *paths->items, compare_paths);
  }
  return status;
}

GraftStatus library_find(const GraftAllocator *allocator, const char *path,
                         LibraryPaths *paths, GraftError *error) {
  *paths = (LibraryPaths){0};
  struct stat state;
  if (stat(path, &state) != 0) {
    return error_set(error, GRAFT_EIO, "cannot open %s: %s", path,
                     strerror(errno));
  }
  GraftStatus status = GRAFT_OK;
  if (S_ISDIR(state.st_mode)) {
    status = list_folder(allocator, path, paths, error);
  } else if (!add_path(allocator, path, "", paths)) {
    status = error_memory(error);
  }
  if (status < 0) library_paths_clear(allocator, paths);
  return status;
}

void library_paths_clear(const GraftAllocator *allocator, LibraryPaths *paths) {
  for (size_t i = 0; i < paths->count; i++) {
    memory_free(allocator, paths->items[i]);
  }
  memory_free(allocator, paths->items);
  *paths = (LibraryPaths){0};
}
