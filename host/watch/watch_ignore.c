// SPDX-License-Identifier: MIT

#include "watch/watch_ignore.h"

#include <string.h>

static bool ends_with(const char *text, const char *end) {
  size_t length = strlen(text), tail = strlen(end);
  return length >= tail && strcmp(text + length - tail, end) == 0;
}

bool ignore_name(const char *name) {
  // vim's swap files and emacs' locks are dot files. The empty "4913" with
  // which vim tests a folder needs no rule: it is gone before it is taken.
  if (name[0] == '.') return true;
  size_t length = strlen(name);
  if (length == 0 || name[length - 1] == '~') return true;
  if (name[0] == '#' && length > 1 && name[length - 1] == '#') return true;
  static const char *const ends[] = {
      ".swp", ".swo",    ".swx",         ".bak",
      ".tmp", ".crswap", "___jb_tmp___", "___jb_old___",
  };
  for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
    if (ends_with(name, ends[i])) return true;
  }
  return false;
}

const char *glob_find(const char *pattern) {
  return strpbrk(pattern, "*?[");
}

// Matches one character against "[a-z]" or "[!a-z]" and sets `*end` behind the
// set. A set that is not closed is a literal "[".
static bool match_set(const char *pattern, char character, const char **end) {
  const char *at = pattern + 1;
  bool inverted = *at == '!' || *at == '^';
  if (inverted) at++;
  bool found = false;
  for (const char *first = at; *at != ']' || at == first; at++) {
    if (*at == '\0') {
      *end = pattern + 1;
      return character == '[';
    }
    if (at[1] == '-' && at[2] != ']' && at[2] != '\0') {
      found = found || (at[0] <= character && character <= at[2]);
      at += 2;
    } else {
      found = found || *at == character;
    }
  }
  *end = at + 1;
  return found != inverted;
}

// One step of a glob that is not a star: where the pattern goes on, or NULL.
static const char *match_one(const char *pattern, char character) {
  if (character == '\0') return NULL;
  if (*pattern == '?') return character != '/' ? pattern + 1 : NULL;
  if (*pattern == '[' && character != '/') {
    const char *end = NULL;
    return match_set(pattern, character, &end) ? end : NULL;
  }
  return *pattern == character ? pattern + 1 : NULL;
}

bool glob_match(const char *pattern, const char *path) {
  // Where to go on when a later part does not match: behind the last "*" and
  // behind the last "**". The latter alone may cross a "/".
  const char *star = NULL, *star_at = NULL, *deep = NULL, *deep_at = NULL;
  for (;;) {
    if (pattern[0] == '*' && pattern[1] == '*') {
      pattern += 2;
      // "a/**/b" matches "a/b" too.
      if (*pattern == '/') pattern++;
      deep = pattern;
      deep_at = path;
      star = NULL;
      continue;
    }
    if (*pattern == '*') {
      star = ++pattern;
      star_at = path;
      continue;
    }
    if (*pattern == '\0' && *path == '\0') return true;
    const char *next = *pattern ? match_one(pattern, *path) : NULL;
    if (next != NULL) {
      pattern = next;
      path++;
    } else if (star != NULL && *star_at != '\0' && *star_at != '/') {
      pattern = star;
      path = ++star_at;
    } else if (deep != NULL && *deep_at != '\0') {
      // What follows "**/" begins a name; what follows "**" alone may not.
      do {
        deep_at++;
      } while (deep[-1] == '/' && *deep_at != '\0' && deep_at[-1] != '/');
      if (deep[-1] == '/' && *deep_at == '\0') return false;
      pattern = deep;
      path = deep_at;
      star = NULL;
    } else {
      return false;
    }
  }
}

static bool add_rule(Ignore *self, const GraftAllocator *allocator,
                     const char *line, size_t size) {
  IgnoreRule rule = {0};
  if (size > 0 && *line == '!') {
    rule.includes = true;
    line++;
    size--;
  } else if (size > 1 && *line == '\\') {
    line++;
    size--;
  }
  if (size > 0 && line[size - 1] == '/') {
    rule.folders = true;
    size--;
  }
  if (memchr(line, '/', size) != NULL) rule.anchored = true;
  if (size > 0 && *line == '/') {
    line++;
    size--;
  }
  if (size == 0) return true;
  rule.pattern = memory_copy_string(allocator, line, size);
  if (rule.pattern == NULL) return false;
  IgnoreRule *slot = ARRAY_PUSH(allocator, &self->rules);
  if (slot == NULL) {
    memory_free(allocator, rule.pattern);
    return false;
  }
  *slot = rule;
  return true;
}

bool ignore_parse(Ignore *self, const GraftAllocator *allocator,
                  const char *text) {
  ignore_clear(self, allocator);
  while (*text != '\0') {
    size_t length = strcspn(text, "\r\n"), size = length;
    while (size > 0 && (text[size - 1] == ' ' || text[size - 1] == '\t')) {
      size--;
    }
    if (size > 0 && *text != '#' && !add_rule(self, allocator, text, size)) {
      return false;
    }
    text += length;
    text += strspn(text, "\r\n");
  }
  return true;
}

void ignore_clear(Ignore *self, const GraftAllocator *allocator) {
  for (size_t i = 0; i < self->rules.count; i++) {
    memory_free(allocator, self->rules.items[i].pattern);
  }
  memory_free(allocator, self->rules.items);
  *self = (Ignore){0};
}

IgnoreAnswer ignore_ask(const Ignore *self, const char *path, bool is_folder) {
  const char *slash = strrchr(path, '/');
  const char *name = slash != NULL ? slash + 1 : path;
  for (size_t i = self->rules.count; i-- > 0;) {
    const IgnoreRule *rule = &self->rules.items[i];
    if (rule->folders && !is_folder) continue;
    if (glob_match(rule->pattern, rule->anchored ? path : name)) {
      return rule->includes ? IGNORE_NO : IGNORE_YES;
    }
  }
  return IGNORE_SILENT;
}
