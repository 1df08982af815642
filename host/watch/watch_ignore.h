// SPDX-License-Identifier: MIT
//
// Ignore: which names are left out. Built-in rules for dot files and what
// editors leave behind while they save, and `.graftignore`: a subset of
// gitignore (comments, *, **, ?, [set], leading and trailing /, leading !).
// Traded away: the backslash escapes of gitignore other than "\#" and "\!".

#ifndef GRAFT_WATCH_WATCH_IGNORE_H
#define GRAFT_WATCH_WATCH_IGNORE_H

#include <stdbool.h>

#include "base/array.h"

typedef struct IgnoreRule {
  char *pattern;
  bool anchored; // matches the path below the ignore file, else the name
  bool folders;  // matches folders only
  bool includes; // "!": takes back an earlier rule
} IgnoreRule;

typedef struct Ignore {
  ARRAY(IgnoreRule) rules;
} Ignore;

typedef enum IgnoreAnswer { IGNORE_SILENT, IGNORE_NO, IGNORE_YES } IgnoreAnswer;

// Replaces the rules by those of `text`. False when out of memory, and then
// there are fewer rules.
bool ignore_parse(Ignore *self, const GraftAllocator *allocator,
                  const char *text);
void ignore_clear(Ignore *self, const GraftAllocator *allocator);

// What the rules say of `path`, relative to the folder of the ignore file.
IgnoreAnswer ignore_ask(const Ignore *self, const char *path, bool is_folder);

// True for dot files and editors' backup, swap and intermediate files.
bool ignore_name(const char *name);

// Whether a glob matches a whole path: "*" and "?" stop at "/", "**" does not.
bool glob_match(const char *pattern, const char *path);

// The first character of a glob that is not literal, or NULL.
const char *glob_find(const char *pattern);

#endif
