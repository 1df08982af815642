// SPDX-License-Identifier: MIT

#include "project.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

void text_make(Buffer *buffer, const TextDesc *desc) {
  buffer_add_repeated(buffer, '\n', (size_t)desc->blank_lines);
  buffer_add_text(buffer, "local M = {}\nlocal counter, limit = 0, 1000\n\n");
  for (int i = 0; i < desc->functions; i++) {
    bool edited = i == desc->edited || desc->edited == TEXT_EDIT_ALL;
    buffer_format(buffer,
                  "-- What number %d of the functions here does.\n"
                  "function M.f%d(first, count)\n"
                  "  local total = first + %d\n"
                  "  for i = 1, count do total = total + counter * i end\n"
                  "  if total > limit then return limit, \"too much\" end\n"
                  "  return total\n"
                  "end\n\n",
                  i + 1, i + 1, edited ? 1000 + desc->variant : 7);
  }
  buffer_add_text(buffer, "return M\n");
  if (buffer->failed) bench_fail("out of memory");
}

Project *project_new(void) {
  return project_new_with(&(GraftEngineDesc){0});
}

Project *project_new_with(const GraftEngineDesc *desc) {
  Project *self = memory_new(&memory_default, sizeof *self);
  if (self == NULL) bench_fail("out of memory");
  const char *parent = getenv("TMPDIR");
  if (parent == NULL || strlen(parent) > 30) parent = "/tmp";
  snprintf(self->folder, sizeof self->folder, "%s/graft-bench-XXXXXX", parent);
  GraftError error;
  if (mkdtemp(self->folder) == NULL) {
    bench_fail("cannot make %s", self->folder);
  }
  if (graft_engine_open(desc, &self->engine, &error) < 0) {
    bench_fail("%s", error.message);
  }
  self->L = graft_engine_state(self->engine);
  return self;
}

static void remove_folder(const Project *self) {
  DIR *folder = opendir(self->folder);
  if (folder == NULL) return;
  char path[400];
  for (struct dirent *entry = readdir(folder); entry != NULL;
       entry = readdir(folder)) {
    snprintf(path, sizeof path, "%s/%s", self->folder, entry->d_name);
    if (entry->d_name[0] != '.') unlink(path);
  }
  closedir(folder);
  rmdir(self->folder);
}

void project_free(Project *self) {
  if (self == NULL) return;
  graft_engine_close(self->engine);
  remove_folder(self);
  memory_free(&memory_default, self);
}

void project_path(const Project *self, const char *name, char path[128]) {
  snprintf(path, 128, "%s/%s", self->folder, name);
}

void project_write(const Project *self, const char *name, const char *text) {
  char path[128];
  project_path(self, name, path);
  FILE *file = fopen(path, "wb");
  if (file == NULL) bench_fail("cannot write %s", path);
  size_t size = strlen(text);
  bool written = fwrite(text, 1, size, file) == size;
  if (fclose(file) != 0 || !written) bench_fail("cannot write %s", path);
}

static void check(GraftStatus status, const GraftError *error) {
  if (status < 0) {
    bench_fail("%s:%d: %s", error->file, error->line, error->message);
  }
}

void project_open(Project *self, bool watched) {
  GraftError error;
  self->watched = watched;
  check(watched ? graft_engine_watch(self->engine, self->folder, &error)
                : graft_engine_add_root(self->engine, self->folder, &error),
        &error);
}

void project_require(Project *self, const char *module) {
  GraftError error;
  check(graft_engine_require(self->engine, module, &error), &error);
}

void project_run_text(Project *self, const char *text) {
  GraftError error;
  check(graft_engine_run_text(self->engine, text, "=bench", &error), &error);
}

static void check_report(const GraftReport *report, const char *path) {
  if (report == NULL) bench_fail("%s: nothing to patch", path);
  if (!graft_report_ok(report)) {
    bench_fail("%s: %s", path, graft_report_event(report, 0)->message);
  }
}

void project_reload(Project *self, const char *name) {
  char path[128];
  project_path(self, name, path);
  const GraftReport *report = NULL;
  graft_engine_reload(self->engine, path, &report);
  check_report(report, path);
}

void project_wait(Project *self) {
  if (!graft_engine_wait(self->engine, 10000)) bench_fail("no change was seen");
}

void project_update(Project *self) {
  const GraftReport *report = NULL;
  graft_engine_update(self->engine, &report);
  check_report(report, self->folder);
}
