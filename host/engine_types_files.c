// SPDX-License-Identifier: MIT

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/hash.h"
#include "engine_types.h"
#include "watch/watch_ignore.h"

enum { FOLDER_DEPTH = 32 };

// ---------------------------------------------------------------------------
// Paths
// ---------------------------------------------------------------------------

static bool join_path(char path[PATH_MAX], const char *folder,
                      const char *name) {
  bool here = *folder == '\0';
  int size = snprintf(path, PATH_MAX, "%s%s%s", folder, here ? "" : "/", name);
  return size < PATH_MAX;
}

// An absolute path, whose last parts need not be there. False: too long.
static bool resolve(const char *path, char resolved[PATH_MAX]) {
  char start[PATH_MAX];
  if (!join_path(start, "", *path != '\0' ? path : ".")) return false;
  if (realpath(start, resolved) != NULL) return true;
  char *slash = strrchr(start, '/');
  char name[PATH_MAX];
  snprintf(name, sizeof name, "%s", slash != NULL ? slash + 1 : start);
  if (slash == NULL) {
    snprintf(start, sizeof start, ".");
  } else {
    slash[slash == start ? 1 : 0] = '\0';
  }
  char above[PATH_MAX];
  if (strcmp(start, path) == 0 || !resolve(start, above)) return false;
  return join_path(resolved, strcmp(above, "/") == 0 ? "" : above, name);
}

// Whether a dot file is on the way from a root to what is below it; the
// watcher and `require` leave these alone.
static bool is_hidden_below(const char *below) {
  return strstr(below, "/.") != NULL;
}

GraftStatus types_check_folder(const Types *self, GraftError *error) {
  char folder[PATH_MAX];
  if (!resolve(self->folder, folder)) {
    return error_set(error, GRAFT_EIO, "the path is too long: %.200s",
                     self->folder);
  }
  const GraftEngine *engine = self->engine;
  for (size_t i = 0; i < engine->roots.count; i++) {
    const char *path = engine->roots.items[i].path;
    char root[PATH_MAX];
    if (!resolve(path, root)) continue;
    size_t size = strcmp(root, "/") == 0 ? 0 : strlen(root);
    bool below = strncmp(folder, root, size) == 0 &&
                 (folder[size] == '/' || folder[size] == '\0');
    if (!below || is_hidden_below(folder + size)) continue;
    return error_set(error, GRAFT_EARG,
                     "types cannot be written to %s: scripts are looked for in "
                     "%s. Name a folder outside, or one that begins with a "
                     "dot, such as %s%s.graft",
                     self->folder, *path != '\0' ? path : ".", path,
                     *path != '\0' ? "/" : "");
  }
  return GRAFT_OK;
}

// "ai/goblin.lua"; nothing in a name leads out of the folder.
void types_path_of(const char *module, size_t size, Buffer *path) {
  for (size_t i = 0; i < size; i++) {
    buffer_add(path, module[i] == '.' ? "/" : module + i, 1);
  }
  buffer_add_text(path, ".lua");
}

// ---------------------------------------------------------------------------
// Files
// ---------------------------------------------------------------------------

static void file_free(const Types *self, TypesFile *file) {
  if (file != NULL) memory_free(self->allocator, file->path);
  memory_free(self->allocator, file);
}

static TypesFile *add_file(Types *self, const char *path) {
  TypesFile *file = map_find(&self->by_path, path);
  if (file != NULL) return file;
  file = memory_new(self->allocator, sizeof *file);
  if (file == NULL) return NULL;
  file->path = memory_copy_string(self->allocator, path, strlen(path));
  TypesFile **place = NULL;
  if (file->path != NULL) place = ARRAY_PUSH(self->allocator, &self->files);
  if (place != NULL && map_set(&self->by_path, file->path, file)) {
    *place = file;
    return file;
  }
  if (place != NULL) self->files.count--;
  file_free(self, file);
  return NULL;
}

void types_clear_files(Types *self) {
  for (size_t i = 0; i < self->files.count; i++) {
    file_free(self, self->files.items[i]);
  }
  memory_free(self->allocator, self->files.items);
  map_clear(&self->by_path);
  for (size_t i = 0; i < self->scripts.count; i++) {
    TypesScript *script = &self->scripts.items[i];
    memory_free(self->allocator, script->path);
    memory_free(self->allocator, script->module);
    unit_release(script->unit);
  }
  memory_free(self->allocator, self->scripts.items);
}

// Whether a file is there, and whether Graft has written it.
static bool is_ours(const char *path, bool *exists) {
  FILE *stream = fopen(path, "rb");
  *exists = stream != NULL || errno == EACCES;
  if (stream == NULL) return false;
  char first[512] = "";
  char second[sizeof TYPES_MARK] = "";
  bool found = fgets(first, sizeof first, stream) != NULL &&
               fgets(second, sizeof second, stream) != NULL &&
               strncmp(first, "---@meta", 8) == 0 &&
               strcmp(second, TYPES_MARK) == 0;
  fclose(stream);
  return found;
}

static bool is_lua(const char *name) {
  size_t size = strlen(name);
  return size > 4 && strcmp(name + size - 4, ".lua") == 0;
}

// Calls `visit` for the Lua files below a folder. What cannot be opened is
// passed over. False when out of memory.
typedef struct Walk {
  Types *types;
  bool (*visit)(Types *self, const char *path, const char *below);
  const char *top; // the folder
} Walk;

static bool walk(Walk *self, const char *below, int depth) {
  char folder[PATH_MAX];
  const char *top = *self->top != '\0' ? self->top : ".";
  if (*below == '\0') {
    snprintf(folder, sizeof folder, "%s", top);
  } else if (!join_path(folder, self->top, below)) {
    return true;
  }
  DIR *stream = opendir(folder);
  bool done = true;
  struct dirent *entry;
  while (stream != NULL && done && (entry = readdir(stream)) != NULL) {
    char inner[PATH_MAX];
    char path[PATH_MAX];
    struct stat info;
    if (ignore_name(entry->d_name) || !join_path(inner, below, entry->d_name) ||
        !join_path(path, self->top, inner) || lstat(path, &info) != 0) {
      continue;
    }
    if (S_ISDIR(info.st_mode) && depth < FOLDER_DEPTH) {
      done = walk(self, inner, depth + 1);
    } else if (is_lua(inner) && stat(path, &info) == 0 &&
               S_ISREG(info.st_mode)) {
      done = self->visit(self->types, path, inner);
    }
  }
  if (stream != NULL) closedir(stream);
  return done;
}

static bool note_ours(Types *self, const char *path, const char *below) {
  bool exists;
  return !is_ours(path, &exists) || add_file(self, below) != NULL;
}

GraftStatus types_scan_folder(Types *self, GraftError *error) {
  Walk all = {.types = self, .visit = note_ours, .top = self->folder};
  return walk(&all, "", 0) ? GRAFT_OK : error_memory(error);
}

void types_keep_file(Types *self, const char *path) {
  TypesFile *file = map_find(&self->by_path, path);
  if (file != NULL) file->needed = true;
}

static GraftStatus fail(const char *what, const char *path, GraftError *error) {
  return error_set(error, GRAFT_EIO, "cannot %s %s: %s", what, path,
                   strerror(errno));
}

// The folders above a file.
static GraftStatus make_folders(char *path, GraftError *error) {
  for (char *slash = strchr(path + 1, '/'); slash != NULL;
       slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    bool made = mkdir(path, 0777) == 0 || errno == EEXIST;
    GraftStatus status = made ? GRAFT_OK : fail("make the folder", path, error);
    *slash = '/';
    if (status < 0) return status;
  }
  return GRAFT_OK;
}

static bool has_contents(const char *path, const Buffer *text) {
  FILE *stream = fopen(path, "rb");
  if (stream == NULL) return false;
  size_t at = 0;
  char block[4096];
  size_t size;
  bool same = true;
  while (same && (size = fread(block, 1, sizeof block, stream)) > 0) {
    same = size <= text->size - at && memcmp(block, text->text + at, size) == 0;
    at += size;
  }
  fclose(stream);
  return same && at == text->size;
}

// An editor never sees half of it. The name begins with a dot, so that nobody
// takes the new file for more than it is.
static GraftStatus replace_file(char *path, const Buffer *text,
                                GraftError *error) {
  char fresh[PATH_MAX + 32];
  char *slash = strrchr(path, '/');
  snprintf(fresh, sizeof fresh, "%.*s/.%s.%d", (int)(slash - path), path,
           slash + 1, (int)getpid());
  FILE *stream = fopen(fresh, "wb");
  if (stream == NULL) return fail("write", path, error);
  bool done = fwrite(text->text, 1, text->size, stream) == text->size;
  done &= fclose(stream) == 0;
  if (done && rename(fresh, path) == 0) return GRAFT_OK;
  GraftStatus status = fail("write", path, error);
  unlink(fresh);
  return status;
}

GraftStatus types_write_file(Types *self, const char *path, const Buffer *text,
                             GraftError *error) {
  char full[PATH_MAX];
  TypesFile *file = map_find(&self->by_path, path);
  uint64_t hash = hash_bytes(0, text->text, text->size);
  bool exists = false;
  if (!join_path(full, self->folder, path)) {
    return error_set(error, GRAFT_EIO, "the path is too long: %.200s", path);
  }
  bool ours = is_ours(full, &exists);
  if (file != NULL && file->hash == hash && ours) {
    file->needed = true;
    return GRAFT_OK;
  }
  if (exists && !ours) {
    return error_set(error, GRAFT_EIO,
                     "%s is not Graft's: name another folder for the types",
                     full);
  }
  GraftStatus status = GRAFT_OK;
  if (!has_contents(full, text)) {
    status = make_folders(full, error);
    if (status == GRAFT_OK) status = replace_file(full, text, error);
  }
  if (status < 0) return status;
  file = add_file(self, path);
  if (file == NULL) return error_memory(error);
  file->hash = hash;
  file->needed = true;
  return GRAFT_OK;
}

// With the folders that are empty then, but for the one that was named.
static void remove_file(const Types *self, const char *path) {
  char full[PATH_MAX];
  bool exists;
  if (!join_path(full, self->folder, path) || !is_ours(full, &exists)) return;
  if (unlink(full) != 0) return;
  size_t least = strlen(self->folder);
  for (char *slash = strrchr(full, '/');
       slash != NULL && (size_t)(slash - full) > least;
       slash = strrchr(full, '/')) {
    *slash = '\0';
    if (rmdir(full) != 0) return;
  }
}

void types_remove_rest(Types *self) {
  size_t kept = 0;
  for (size_t i = 0; i < self->files.count; i++) {
    TypesFile *file = self->files.items[i];
    if (file->needed) {
      self->files.items[kept++] = file;
      continue;
    }
    remove_file(self, file->path);
    map_remove(&self->by_path, file->path);
    file_free(self, file);
  }
  self->files.count = kept;
}

// ---------------------------------------------------------------------------
// Scripts that nobody has loaded
// ---------------------------------------------------------------------------

static void reject(Types *self, const char *path, const GraftError *error) {
  if (self->keep) return; // who loads it is told
  engine_emit(self->engine, &(GraftEvent){.kind = GRAFT_EVENT_REJECT,
                                          .file = path,
                                          .line = error->line,
                                          .column = error->column,
                                          .message = error->message});
}

static bool read_script(Types *self, const char *path, const char *below) {
  (void)below;
  bool exists;
  if (is_ours(path, &exists)) return true;
  path = engine_plain_path(path);
  TypesScript *script = ARRAY_PUSH(self->allocator, &self->scripts);
  if (script == NULL) return false;
  *script = (TypesScript){
      .path = memory_copy_string(self->allocator, path, strlen(path)),
      .module = engine_module_of(self->engine, path)};
  if (script->path == NULL || script->module == NULL) return false;
  size_t size = 0;
  GraftError error = {.status = GRAFT_OK};
  char *text = engine_read_file(self->engine, path, &size, &error);
  GraftStatus status = error.status;
  if (text != NULL) {
    status = engine_compile_unit(self->engine,
                                 &(GraftUnitDesc){.source = text,
                                                  .size = size,
                                                  .module = script->module,
                                                  .file = path,
                                                  .allocator = self->allocator},
                                 &script->unit, &error);
  }
  if (status < 0) reject(self, path, &error);
  memory_free(self->allocator, text);
  return status != GRAFT_ENOMEM;
}

GraftStatus types_read_scripts(Types *self, GraftError *error) {
  const GraftEngine *engine = self->engine;
  for (size_t i = 0; i < engine->roots.count; i++) {
    Walk all = {.types = self,
                .visit = read_script,
                .top = engine->roots.items[i].path};
    if (!walk(&all, "", 0)) return error_memory(error);
  }
  return GRAFT_OK;
}
