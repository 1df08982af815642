// SPDX-License-Identifier: MIT
//
// Reading what a compiler wrote: messages, and the rule for make that lists
// the headers.

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "native/compiler_inner.h"

// --- Messages ----------------------------------------------------------------

// Copies one line without the terminal's colours; gives the next line, or
// NULL after the last one.
static const char *copy_line(const char *text, char *line, size_t size) {
  size_t used = 0;
  while (*text != '\0' && *text != '\n') {
    if (text[0] == '\033' && text[1] == '[') {
      text += 2;
      while (*text != '\0' && !isalpha((unsigned char)*text)) text++;
      if (*text != '\0') text++;
      continue;
    }
    if (used + 1 < size) line[used++] = *text;
    text++;
  }
  line[used] = '\0';
  return *text == '\n' ? text + 1 : NULL;
}

void compiler_first_line(const char *text, char *line, size_t size) {
  do {
    text = copy_line(text, line, size);
  } while (text != NULL && line[strspn(line, " \t")] == '\0');
}

// Takes ":12" or ":12:5" off the end of `place`.
static void take_numbers(char *place, int *line, int *column) {
  int numbers[2] = {0};
  int count = 0;
  while (count < 2) {
    char *colon = strrchr(place, ':');
    if (colon == NULL || !isdigit((unsigned char)colon[1])) break;
    char *end;
    long number = strtol(colon + 1, &end, 10);
    if (*end != '\0') break;
    numbers[count++] = (int)number;
    *colon = '\0';
  }
  *line = count == 2 ? numbers[1] : numbers[0];
  *column = count == 2 ? numbers[0] : 0;
}

// "natives/a.c:12:5: error: expected ';'" is what gcc, clang and tcc write.
static bool read_error_line(char *line, GraftError *error) {
  static const char *const marks[] = {": error: ", ": fatal error: "};
  for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
    char *mark = strstr(line, marks[i]);
    if (mark == NULL) continue;
    const char *message = mark + strlen(marks[i]);
    *mark = '\0';
    int row, column;
    take_numbers(line, &row, &column);
    if (row == 0) continue; // the compiler itself: "cc1: error: …"
    error_set(error, GRAFT_ESYNTAX, "%s", message);
    error_at(error, line, row, column);
    return true;
  }
  return false;
}

void compiler_read_error(const char *text, GraftError *error) {
  char line[1024];
  if (error == NULL) return;
  const char *next = text;
  do {
    next = copy_line(next, line, sizeof line);
    if (read_error_line(line, error)) return;
  } while (next != NULL);
  compiler_first_line(text, line, sizeof line);
  if (*line != '\0') error_set(error, GRAFT_ESYNTAX, "%s", line);
}

// --- The list of headers -----------------------------------------------------

// Reads one name of the rule into `name`, as make would: "\ " is a blank,
// "$$" a dollar, "\#" a number sign; a backslash at the end of a line goes.
static const char *read_name(const char *text, Buffer *name) {
  name->size = 0;
  for (;;) {
    if (text[0] == '\\' && text[1] == '\n') {
      if (name->size > 0) return text;
      text += 2;
    } else if (text[0] == '\\' && (text[1] == ' ' || text[1] == '#')) {
      buffer_add(name, text + 1, 1);
      text += 2;
    } else if (text[0] == '$' && text[1] == '$') {
      buffer_add(name, text, 1);
      text += 2;
    } else if (*text == '\0' || isspace((unsigned char)*text)) {
      if (name->size > 0 || *text == '\0' || *text == '\n') return text;
      text++;
    } else {
      buffer_add(name, text, 1);
      text++;
    }
  }
}

// An absolute name without "." and ".." between slashes, as far as that can be
// told from the text; "a/../b" is "b", which links may make untrue, but then
// both name the same for whoever compares them.
static void make_absolute(const Compiler *self, Buffer *path,
                          const char *name) {
  path->size = 0;
  if (*name != '/') buffer_add_text(path, self->directory);
  while (*name != '\0') {
    size_t size = strcspn(name, "/");
    if (size == 2 && strncmp(name, "..", 2) == 0) {
      while (path->size > 0 && path->text[--path->size] != '/') {
      }
    } else if (size > 0 && !(size == 1 && *name == '.')) {
      buffer_add_text(path, "/");
      buffer_add(path, name, size);
    }
    name += size + (name[size] == '/');
  }
  buffer_add(path, "", 0);
}

static bool add_header(const Compiler *self, Buffer *path, const char *name,
                       CompilerOutput *output) {
  make_absolute(self, path, name);
  char *copy = path->failed ? NULL
                            : memory_copy_string(self->allocator,
                                                 buffer_text(path), path->size);
  char **place =
      copy != NULL ? ARRAY_PUSH(self->allocator, &output->headers) : NULL;
  if (place == NULL) {
    memory_free(self->allocator, copy);
    return false;
  }
  *place = copy;
  return true;
}

bool compiler_read_rule(const Compiler *self, const char *rule,
                        CompilerOutput *output) {
  const char *next = strchr(rule, ':');
  if (next == NULL) return true; // no headers known
  Buffer name, path;
  buffer_init(&name, self->allocator);
  buffer_init(&path, self->allocator);
  bool fine = true;
  next++;
  for (bool source = true; fine; source = false) {
    next = read_name(next, &name);
    if (name.size == 0) break;
    fine = !name.failed &&
           (source || add_header(self, &path, buffer_text(&name), output));
  }
  buffer_clear(&name);
  buffer_clear(&path);
  return fine;
}
