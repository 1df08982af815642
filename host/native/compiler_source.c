// SPDX-License-Identifier: MIT
//
// A source as clang is given it: in a file in memory, between two pragmas that
// make it leave variables as they are written. By itself clang splits a static
// struct into its members, narrows a static that has two values only, and
// takes a static that no function writes for a constant, though an older
// version of the file may have written it. gcc has flags against that.
// Messages and debug information name the file itself.

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "native/compiler_inner.h"

// An annotation is all that these pragmas may add. It changes nothing by
// itself, but it is a use of the variable that clang does not see through.
static const char start_text[] =
    "#pragma clang attribute push(__attribute__((annotate(\"graft\"))), "
    "apply_to = variable(is_global))\n";
static const char end_text[] = "\n#pragma clang attribute pop\n";

// Adds all of a file. False when it cannot be read.
static bool add_file(const Compiler *self, const char *path, Buffer *text) {
  Buffer name;
  buffer_init(&name, self->allocator);
  if (path[0] != '/') buffer_format(&name, "%s/", self->directory);
  buffer_add_text(&name, path);
  FILE *file = name.failed ? NULL : fopen(buffer_text(&name), "rbe");
  buffer_clear(&name);
  if (file == NULL) return false;
  char block[4096];
  bool first = true;
  for (size_t size; (size = fread(block, 1, sizeof block, file)) > 0;) {
    // A mark of UTF-8 may only stand at the start.
    size_t skip =
        first && size >= 3 && memcmp(block, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    buffer_add(text, block + skip, size - skip);
    first = false;
  }
  bool read = ferror(file) == 0;
  fclose(file);
  return read;
}

static void add_quoted(Buffer *text, const char *path) {
  for (; *path != '\0'; path++) {
    if (*path == '"' || *path == '\\') buffer_add(text, "\\", 1);
    buffer_add(text, path, 1);
  }
}

static GraftStatus write_source(const Buffer *text, ProcessFile *source,
                                GraftError *error) {
  if (text->failed) return error_memory(error);
  GraftStatus status = process_file_open(source, COMPILER_SOURCE, error);
  if (status < 0) return status;
  return process_file_write(source, text->text, text->size, error);
}

GraftStatus compiler_wrap(const Compiler *self, const CompilerRun *run,
                          ProcessFile *source, GraftError *error) {
  source->descriptor = -1;
  if (self->kind != COMPILER_CLANG || strchr(run->path, '\n') != NULL) {
    return GRAFT_OK;
  }
  Buffer text;
  buffer_init(&text, self->allocator);
  buffer_add_text(&text, start_text);
  buffer_add_text(&text, "#line 1 \"");
  add_quoted(&text, run->path);
  buffer_add_text(&text, "\"\n");
  GraftStatus status = GRAFT_OK;
  if (add_file(self, run->path, &text)) { // else let clang say what is wrong
    buffer_add_text(&text, end_text);
    status = write_source(&text, source, error);
  }
  buffer_clear(&text);
  return status;
}

// The folder of the source is searched first by `#include "…"`, as if the
// source were in it.
static bool add_folder(Flags *arguments, Buffer *text, const char *path) {
  const char *slash = strrchr(path, '/');
  text->size = 0;
  buffer_add(text, path, slash != NULL ? (size_t)(slash - path) : 0);
  const char *folder = slash == path   ? "/"
                       : slash != NULL ? buffer_text(text)
                                       : ".";
  return !text->failed && flags_add(arguments, "-iquote") &&
         flags_add(arguments, folder);
}

bool compiler_add_folder(const Compiler *self, const CompilerRun *run,
                         Flags *arguments) {
  Buffer text;
  buffer_init(&text, self->allocator);
  bool added = add_folder(arguments, &text, run->path);
  buffer_clear(&text);
  return added;
}

// The name that the debug information has for the unit is absolute, or else
// clang would put it into the folder of the file in memory.
bool compiler_add_wrapped(const Compiler *self, const CompilerRun *run,
                          const ProcessFile *source, Flags *arguments) {
  Buffer name;
  buffer_init(&name, self->allocator);
  if (run->path[0] != '/') buffer_format(&name, "%s/", self->directory);
  buffer_add_text(&name, run->path);
  const char *const words[] = {
      "-Xclang", "-main-file-name", "-Xclang", buffer_text(&name), "-x",
      "c",       source->path};
  bool added = !name.failed;
  for (size_t i = 0; i < sizeof words / sizeof *words && added; i++) {
    added = flags_add(arguments, words[i]);
  }
  buffer_clear(&name);
  return added;
}
