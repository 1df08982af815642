// SPDX-License-Identifier: MIT

#include "program.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static bool is_folder(const char *path) {
  struct stat info;
  return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static bool ends_with(const char *text, const char *end) {
  size_t size = strlen(text);
  size_t tail = strlen(end);
  return size > tail && strcmp(text + size - tail, end) == 0;
}

static void folder_of(const char *path, char *folder, size_t size) {
  const char *slash = strrchr(path, '/');
  if (slash == NULL) {
    snprintf(folder, size, ".");
  } else {
    int length = slash == path ? 1 : (int)(slash - path);
    snprintf(folder, size, "%.*s", length, path);
  }
}

static bool has_sources(const char *folder, int depth) {
  DIR *stream = opendir(folder);
  bool found = false;
  struct dirent *entry;
  while (stream != NULL && !found && (entry = readdir(stream)) != NULL) {
    char path[PATH_MAX];
    int size = snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
    if (entry->d_name[0] == '.' || size >= PATH_MAX) continue;
    found = ends_with(path, ".c") ||
            (depth < 32 && is_folder(path) && has_sources(path, depth + 1));
  }
  if (stream != NULL) closedir(stream);
  return found;
}

// As graft_engine_watch, without watching: C in a folder is natives too.
static GraftStatus add_root(const Program *self, const char *path,
                            GraftError *error) {
  GraftStatus status = graft_engine_add_root(self->engine, path, error);
  if (status < 0 || !is_folder(path) || !has_sources(path, 0)) return status;
  return graft_engine_natives(self->engine, path, error);
}

// What is watched: what was named, or else the script's folder.
static GraftStatus set_roots(const Program *self, GraftError *error) {
  GraftEngine *engine = self->engine;
  const Options *options = self->options;
  GraftStatus status = GRAFT_OK;
  for (int i = 0; i < options->watch_count && status == GRAFT_OK; i++) {
    status = options->no_watch
                 ? add_root(self, options->watch[i], error)
                 : graft_engine_watch(engine, options->watch[i], error);
  }
  if (options->watch_count > 0 || status < 0) return status;
  char folder[PATH_MAX] = ".";
  if (options->script != NULL) {
    folder_of(options->script, folder, sizeof folder);
  }
  if (options->no_watch || options->script == NULL) {
    return graft_engine_add_root(engine, folder, error);
  }
  return graft_engine_watch(engine, folder, error);
}

// C is watched as scripts are, which loads it; built objects are loaded.
static GraftStatus add_natives(const Program *self, const char *path,
                               GraftError *error) {
  bool sources = is_folder(path) || ends_with(path, ".c");
  GraftStatus status = GRAFT_OK;
  if (sources && !self->options->no_watch) {
    status = graft_engine_watch(self->engine, path, error);
  }
  if (status < 0) return status;
  return graft_engine_natives(self->engine, path, error);
}

// natives/ beside the first watched folder.
static GraftStatus add_default_natives(const Program *self, GraftError *error) {
  char first[PATH_MAX];
  snprintf(first, sizeof first, "%s", self->options->watch[0]);
  size_t size = strlen(first);
  while (size > 1 && first[size - 1] == '/') first[--size] = '\0';
  char folder[PATH_MAX];
  folder_of(first, folder, sizeof folder);
  char natives[PATH_MAX + 16];
  bool here = strcmp(folder, ".") == 0;
  snprintf(natives, sizeof natives, "%s%snatives", here ? "" : folder,
           here ? "" : "/");
  if (!is_folder(natives)) return GRAFT_OK;
  return add_natives(self, natives, error);
}

static GraftStatus set_natives(const Program *self, GraftError *error) {
  const Options *options = self->options;
  for (int i = 0; i < options->native_count; i++) {
    GraftStatus status = add_natives(self, options->natives[i], error);
    if (status < 0) return status;
  }
  if (options->native_count > 0 || options->watch_count == 0) return GRAFT_OK;
  return add_default_natives(self, error);
}

GraftStatus program_set_up(Program *self, GraftError *error) {
  GraftStatus status = set_natives(self, error);
  return status < 0 ? status : set_roots(self, error);
}

// ---------------------------------------------------------------------------
// Running
// ---------------------------------------------------------------------------

// The file to run for what was named to be watched: the file itself, or
// main.lua of the folder, or of the folder that a glob begins with.
static void main_of(const char *watched, char *path, size_t size) {
  struct stat info;
  size_t length = strlen(watched);
  if (stat(watched, &info) == 0 && !S_ISDIR(info.st_mode)) {
    snprintf(path, size, "%s", watched);
    return;
  }
  size_t literal = strcspn(watched, "*?[");
  bool is_glob = literal < length && !is_folder(watched);
  bool is_lua = length > 4 && strcmp(watched + length - 4, ".lua") == 0;
  if (is_glob) {
    while (literal > 0 && watched[literal - 1] != '/') literal--;
    snprintf(path, size, "%.*smain.lua", (int)literal, watched);
  } else if (is_lua) {
    snprintf(path, size, "%s", watched); // that it is missing is to be told
  } else {
    snprintf(path, size, "%s%smain.lua", watched,
             watched[length - 1] == '/' ? "" : "/");
  }
}

GraftStatus program_run(Program *self, GraftError *error) {
  const Options *options = self->options;
  char *module = self->module;
  size_t size = sizeof self->module;
  snprintf(module, size, "main");
  char path[PATH_MAX + 16];
  if (options->module != NULL) {
    snprintf(module, size, "%s", options->module);
    module[strcspn(module, ":")] = '\0';
    return graft_engine_require(self->engine, module, error);
  }
  if (options->script != NULL) {
    snprintf(path, sizeof path, "%s", options->script);
  } else if (options->watch_count == 0) {
    return GRAFT_OK;
  } else {
    main_of(options->watch[0], path, sizeof path);
  }
  const char *slash = strrchr(path, '/');
  snprintf(module, size, "%.*s", (int)size - 1,
           slash != NULL ? slash + 1 : path);
  char *dot = strrchr(module, '.');
  if (dot != NULL && strcmp(dot, ".lua") == 0) *dot = '\0';
  return graft_engine_run(self->engine, path, options->arg_count, options->args,
                          error);
}

GraftFn *program_find(const Program *self, const char *name) {
  char full[512];
  snprintf(full, sizeof full, "%s.%s", self->module, name);
  return graft_engine_find(self->engine, full);
}

GraftStatus program_call(const Program *self, const char *name,
                         const double *number, GraftError *error) {
  GraftFn *fn = program_find(self, name);
  if (fn == NULL) return GRAFT_OK;
  GraftValue value = {.type = GRAFT_NUMBER};
  if (number != NULL) value.as.number = *number;
  return graft_fn_call(
      fn, &(GraftCall){.args = &value, .arg_count = number != NULL ? 1 : 0},
      error);
}
