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
#include "native/dwarf.h"
#include "native/dwarf_layout.h"

struct Library {
  const GraftAllocator *allocator;
  char *path;
  void *handle;
  DwarfFunctions functions; // holds the texts and signatures of the entries
  ARRAY(LibraryEntry) entries;
  TypeSet *types;
  bool has_read_types;
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

// False when out of memory.
static bool add_entry(Library *self, const DwarfFunction *function) {
  Stem stem = stem_of(function->unit);
  if (!has_stem(function->symbol, stem)) return true;
  void *address = dlsym(self->handle, function->symbol);
  if (address == NULL) return true; // hidden: a part, not a native
  LibraryEntry *entry = ARRAY_PUSH(self->allocator, &self->entries);
  if (entry == NULL) return false;
  *entry = (LibraryEntry){
      .name = registry_name(&self->functions.arena, function->symbol, stem),
      .symbol = function->symbol,
      .code = (GraftNative)(uintptr_t)address,
      .signature = function->signature,
      .why_not = function->why_not,
      .file = function->file,
      .line = function->line,
  };
  return entry->name != NULL;
}

static GraftStatus list_entries(Library *self, GraftError *error) {
  for (size_t i = 0; i < self->functions.list.count; i++) {
    if (!add_entry(self, &self->functions.list.items[i])) {
      return error_memory(error);
    }
  }
  return GRAFT_OK;
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
  status = dwarf_functions_read(self->allocator, *descriptor, path,
                                &self->functions, error);
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
  arena_init(&self->functions.arena, allocator);
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
  dwarf_functions_clear(&self->functions);
  type_set_release(self->types);
  memory_free(self->allocator, self->entries.items);
  memory_free(self->allocator, self->path);
  memory_free(self->allocator, self);
}

const char *library_path(const Library *self) {
  return self->path;
}

size_t library_count(const Library *self) {
  return self->entries.count;
}

const LibraryEntry *library_entry(const Library *self, size_t index) {
  return &self->entries.items[index];
}

// --- Types -------------------------------------------------------------------

static TypeSet *read_types(Library *self, const void *image, size_t size) {
  Layout layout;
  if (layout_read(self->allocator, image, size, self->path, &layout, NULL) <
      0) {
    return NULL;
  }
  TypeSet *types = type_set_retain(layout.types);
  layout_clear(&layout);
  return types;
}

TypeSet *library_types(Library *self) {
  if (self->has_read_types) return self->types;
  self->has_read_types = true;
  struct stat state;
  int descriptor = open(self->path, O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return NULL;
  if (fstat(descriptor, &state) == 0 && state.st_size > 0) {
    size_t size = (size_t)state.st_size;
    void *image = mmap(NULL, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (image != MAP_FAILED) {
      self->types = read_types(self, image, size);
      munmap(image, size);
    }
  }
  close(descriptor);
  return self->types;
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
