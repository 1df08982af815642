// SPDX-License-Identifier: MIT

#include "native/cache_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/hash.h"

enum {
  FOLDER_LIMIT = 128 << 20,
  MEMORY_LIMIT = 32 << 20,
  PRUNE_EVERY = 8 << 20, // bytes written between looks at the folder's size
  STALE_SECONDS = 3600,  // of what a program that was killed left half written
};

// A block in memory.
typedef struct StoreBlock {
  uint64_t number;
  char *bytes;
  size_t size;
} StoreBlock;

struct CacheStore {
  const GraftAllocator *allocator;
  char *folder; // NULL: in memory alone
  bool checked; // `folder` is there, and is ours
  size_t written;
  ARRAY(StoreBlock) blocks;
  size_t used; // by `blocks`
};

// --- Memory ------------------------------------------------------------------

static void clear_memory(CacheStore *self) {
  for (size_t i = 0; i < self->blocks.count; i++) {
    memory_free(self->allocator, self->blocks.items[i].bytes);
  }
  self->blocks.count = 0;
  self->used = 0;
}

static StoreBlock *find_block(CacheStore *self, uint64_t number) {
  for (size_t i = 0; i < self->blocks.count; i++) {
    if (self->blocks.items[i].number == number) return &self->blocks.items[i];
  }
  return NULL;
}

static void put_memory(CacheStore *self, uint64_t number, const char *bytes,
                       size_t size) {
  if (size > MEMORY_LIMIT) return;
  if (self->used + size > MEMORY_LIMIT) clear_memory(self);
  char *copy = memory_copy_string(self->allocator, bytes, size);
  if (copy == NULL) return;
  StoreBlock *block = find_block(self, number);
  if (block != NULL) {
    self->used -= block->size;
    memory_free(self->allocator, block->bytes);
  } else {
    block = ARRAY_PUSH(self->allocator, &self->blocks);
  }
  if (block == NULL) {
    memory_free(self->allocator, copy);
    return;
  }
  *block = (StoreBlock){number, copy, size};
  self->used += size;
}

// --- The folder --------------------------------------------------------------

// What a file starts with; the bytes follow.
typedef struct FileHead {
  char magic[8];
  uint64_t number;
  uint64_t size;
  uint64_t hash; // of the bytes
} FileHead;

static const char magic[8] = "graft 1";

static char *copy_text(const GraftAllocator *allocator, const char *text) {
  return memory_copy_string(allocator, text, strlen(text));
}

// The folder that the user's environment names, or NULL.
static char *usual_folder(const GraftAllocator *allocator) {
  const char *cache = getenv("XDG_CACHE_HOME");
  const char *home = getenv("HOME");
  Buffer path;
  buffer_init(&path, allocator);
  if (cache != NULL && *cache == '/') { // as the specification has it
    buffer_format(&path, "%s/graft", cache);
  } else if (home != NULL && *home == '/') {
    buffer_format(&path, "%s/.cache/graft", home);
  }
  return path.text;
}

CacheStore *cache_store_new(const GraftAllocator *allocator,
                            const char *folder) {
  CacheStore *self = memory_new(allocator, sizeof *self);
  if (self == NULL) return NULL;
  self->allocator = allocator;
  if (folder == NULL) {
    self->folder = usual_folder(allocator);
  } else if (*folder != '\0') {
    self->folder = copy_text(allocator, folder);
  }
  return self;
}

void cache_store_free(CacheStore *self) {
  if (self == NULL) return;
  clear_memory(self);
  memory_free(self->allocator, self->blocks.items);
  memory_free(self->allocator, self->folder);
  memory_free(self->allocator, self);
}

static void give_up_folder(CacheStore *self) {
  memory_free(self->allocator, self->folder);
  self->folder = NULL;
}

// Creates the folder and those above it. Those that are there already are
// no matter; what could not be created shows when the folder is looked at.
static void make_folders(char *path) {
  for (char *slash = strchr(path + 1, '/'); slash != NULL;
       slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    mkdir(path, 0700);
    *slash = '/';
  }
  mkdir(path, 0700);
}

// Whether there is a folder to use.
static bool has_folder(CacheStore *self) {
  if (self->folder == NULL) return false;
  if (self->checked) return true;
  make_folders(self->folder);
  struct stat state;
  if (stat(self->folder, &state) != 0 || !S_ISDIR(state.st_mode) ||
      state.st_uid != geteuid() || (state.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    give_up_folder(self);
    return false;
  }
  self->checked = true;
  return true;
}

// The path of a block's file, with `ending`. NULL when out of memory.
static char *block_path(const CacheStore *self, uint64_t number,
                        const char *ending) {
  Buffer path;
  buffer_init(&path, self->allocator);
  buffer_format(&path, "%s/%016" PRIx64 "%s", self->folder, number, ending);
  return path.text;
}

static char *read_file(const CacheStore *self, FILE *file, uint64_t number,
                       size_t *size) {
  FileHead head;
  if (fread(&head, sizeof head, 1, file) != 1 ||
      memcmp(head.magic, magic, sizeof magic) != 0 || head.number != number ||
      head.size > FOLDER_LIMIT) {
    return NULL;
  }
  char *bytes = memory_new(self->allocator, head.size + 1);
  if (bytes == NULL) return NULL;
  *size = head.size;
  if (fread(bytes, 1, head.size, file) == head.size &&
      hash_bytes(HASH_EMPTY, bytes, head.size) == head.hash) {
    return bytes;
  }
  memory_free(self->allocator, bytes);
  return NULL;
}

char *cache_store_get(CacheStore *self, uint64_t number, size_t *size) {
  const StoreBlock *block = find_block(self, number);
  if (block != NULL) {
    *size = block->size;
    return memory_copy_string(self->allocator, block->bytes, block->size);
  }
  if (!has_folder(self)) return NULL;
  char *path = block_path(self, number, "");
  FILE *file = path != NULL ? fopen(path, "re") : NULL;
  char *bytes = NULL;
  if (file != NULL) {
    bytes = read_file(self, file, number, size);
    futimens(fileno(file), NULL); // it is of use
    fclose(file);
  }
  memory_free(self->allocator, path);
  return bytes;
}

static bool write_file(const char *path, uint64_t number, const char *bytes,
                       size_t size) {
  int descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (descriptor < 0) return false;
  FileHead head = {.number = number,
                   .size = size,
                   .hash = hash_bytes(HASH_EMPTY, bytes, size)};
  memcpy(head.magic, magic, sizeof magic);
  FILE *file = fdopen(descriptor, "w");
  if (file == NULL) {
    close(descriptor);
    return false;
  }
  bool written = fwrite(&head, sizeof head, 1, file) == 1 &&
                 fwrite(bytes, 1, size, file) == size;
  return fclose(file) == 0 && written;
}

static bool put_folder(CacheStore *self, uint64_t number, const char *bytes,
                       size_t size) {
  char ending[32];
  snprintf(ending, sizeof ending, ".%ld.tmp", (long)getpid());
  char *path = block_path(self, number, "");
  char *beside = block_path(self, number, ending);
  bool done = false;
  if (path != NULL && beside != NULL) {
    done = write_file(beside, number, bytes, size) && rename(beside, path) == 0;
    if (!done) unlink(beside);
  }
  memory_free(self->allocator, path);
  memory_free(self->allocator, beside);
  return done;
}

// --- Its size ----------------------------------------------------------------

typedef struct StoreFile {
  char name[48];
  struct timespec used;
  off_t size;
} StoreFile;

typedef struct StoreFiles {
  ARRAY(StoreFile) list;
  uint64_t size;
} StoreFiles;

static int compare_use(const void *a, const void *b) {
  const struct timespec *x = &((const StoreFile *)a)->used;
  const struct timespec *y = &((const StoreFile *)b)->used;
  if (x->tv_sec != y->tv_sec) return x->tv_sec < y->tv_sec ? -1 : 1;
  return (x->tv_nsec > y->tv_nsec) - (x->tv_nsec < y->tv_nsec);
}

static bool is_half_written(const char *name, const struct stat *state) {
  size_t size = strlen(name);
  return size > 4 && strcmp(name + size - 4, ".tmp") == 0 &&
         time(NULL) - state->st_mtim.tv_sec > STALE_SECONDS;
}

// Lists our files, and removes what was never finished.
static void list_files(const CacheStore *self, DIR *folder, StoreFiles *files) {
  for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
    struct stat state;
    StoreFile file = {0};
    size_t size = strlen(entry->d_name);
    if (strspn(entry->d_name, "0123456789abcdef") != 16 ||
        size >= sizeof file.name ||
        fstatat(dirfd(folder), entry->d_name, &state, 0) != 0) {
      continue;
    }
    if (is_half_written(entry->d_name, &state)) {
      unlinkat(dirfd(folder), entry->d_name, 0);
      continue;
    }
    memcpy(file.name, entry->d_name, size + 1);
    file.used = state.st_mtim;
    file.size = state.st_size;
    StoreFile *place = ARRAY_PUSH(self->allocator, &files->list);
    if (place == NULL) return;
    *place = file;
    files->size += (uint64_t)file.size;
  }
}

// Beyond the limit, a quarter goes, so that this is seldom.
static void prune(CacheStore *self) {
  DIR *folder = opendir(self->folder);
  if (folder == NULL) return;
  StoreFiles files = {0};
  list_files(self, folder, &files);
  if (files.size > FOLDER_LIMIT) {
    qsort(files.list.items, files.list.count, sizeof *files.list.items,
          compare_use);
    for (size_t i = 0; i < files.list.count; i++) {
      if (files.size <= FOLDER_LIMIT / 4 * 3) break;
      unlinkat(dirfd(folder), files.list.items[i].name, 0);
      files.size -= (uint64_t)files.list.items[i].size;
    }
  }
  memory_free(self->allocator, files.list.items);
  closedir(folder);
}

void cache_store_put(CacheStore *self, uint64_t number, const char *bytes,
                     size_t size) {
  if (!has_folder(self) || !put_folder(self, number, bytes, size)) {
    put_memory(self, number, bytes, size);
    return;
  }
  if (self->written == 0 || self->written > PRUNE_EVERY) {
    prune(self);
    self->written = 0;
  }
  self->written += size;
}
