// SPDX-License-Identifier: MIT

#include "native/flags.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/error.h"

static const char file_name[] = "compile_flags.txt";

void flags_init(Flags *self, const GraftAllocator *allocator) {
  *self = (Flags){0};
  arena_init(&self->arena, allocator);
}

void flags_clear(Flags *self) {
  memory_free(self->arena.allocator, self->words.items);
  const GraftAllocator *allocator = self->arena.allocator;
  arena_clear(&self->arena);
  flags_init(self, allocator);
}

static bool add_sized(Flags *self, const char *word, size_t size) {
  char *copy = arena_copy_string(&self->arena, word, size);
  char **place =
      copy != NULL ? ARRAY_PUSH(self->arena.allocator, &self->words) : NULL;
  if (place == NULL) return false;
  *place = copy;
  return true;
}

bool flags_add(Flags *self, const char *word) {
  return add_sized(self, word, strlen(word));
}

// --- Words of a shell --------------------------------------------------------

// Reads one word from `text`, which starts with no blank, into `word`. Gives
// what follows, or NULL when a quote is not closed.
static const char *read_word(const char *text, Buffer *word) {
  char quote = '\0';
  for (; *text != '\0'; text++) {
    if (quote != '\0' && *text == quote) {
      quote = '\0';
    } else if (quote == '\0' && (*text == '\'' || *text == '"')) {
      quote = *text;
    } else if (*text == '\\' && quote != '\'' && text[1] != '\0') {
      text++;
      buffer_add(word, text, 1);
    } else if (quote == '\0' && isspace((unsigned char)*text)) {
      break;
    } else {
      buffer_add(word, text, 1);
    }
  }
  return quote == '\0' ? text : NULL;
}

static const char *skip_blanks(const char *text) {
  while (isspace((unsigned char)*text)) text++;
  return text;
}

GraftStatus flags_split(Flags *self, const char *text, GraftError *error) {
  Buffer word;
  buffer_init(&word, self->arena.allocator);
  GraftStatus status = GRAFT_OK;
  const char *next = skip_blanks(text);
  while (*next != '\0') {
    word.size = 0;
    next = read_word(next, &word);
    if (next == NULL) {
      status =
          error_set(error, GRAFT_EARG, "a quote is not closed in: %s", text);
      break;
    }
    if (word.failed || !add_sized(self, buffer_text(&word), word.size)) {
      status = error_memory(error);
      break;
    }
    next = skip_blanks(next);
  }
  buffer_clear(&word);
  return status;
}

// --- What becomes of a flag --------------------------------------------------

typedef enum RuleKind {
  RULE_DROP,      // concerns linking, or where output goes
  RULE_DROP_PAIR, // the same, and so does its argument, joined or the next word
  RULE_REFUSE,    // natives would not work; `why` completes the sentence
  RULE_PATH,      // its argument, joined or the next word, is a path
} RuleKind;

typedef struct Rule {
  const char *flag;
  RuleKind kind;
  bool whole; // the flag alone, without anything joined to it
  const char *why;
} Rule;

static const char no_sanitizer[] =
    "natives are linked into a program that runs, and it lacks what a "
    "sanitizer needs from the start";
static const char no_profile[] =
    "natives are linked into a program that runs, and it keeps no profile";
static const char no_processor[] =
    "natives run in this program, so they are for its processor";

// The first rule that fits holds.
static const Rule rules[] = {
    {"-fsanitize=", RULE_REFUSE, .why = no_sanitizer},
    {"--coverage", RULE_REFUSE, true, no_profile},
    {"-coverage", RULE_REFUSE, true, no_profile},
    {"-fprofile-arcs", RULE_REFUSE, true, no_profile},
    {"-ftest-coverage", RULE_REFUSE, true, no_profile},
    {"-fprofile-generate", RULE_REFUSE, .why = no_profile},
    {"-fprofile-instr-generate", RULE_REFUSE, .why = no_profile},
    {"-fcoverage-mapping", RULE_REFUSE, true, no_profile},
    {"-pg", RULE_REFUSE, true, no_profile},
    {"-p", RULE_REFUSE, true, no_profile},
    {"-fsplit-stack", RULE_REFUSE, true,
     "the threads of this program have no split stacks"},
    {"-m32", RULE_REFUSE, true, no_processor},
    {"-mx32", RULE_REFUSE, true, no_processor},
    {"-m16", RULE_REFUSE, true, no_processor},

    {"-c", RULE_DROP, true, NULL},
    {"-S", RULE_DROP, true, NULL},
    {"-E", RULE_DROP, true, NULL},
    {"-s", RULE_DROP, true, NULL},
    {"-fsyntax-only", RULE_DROP, true, NULL},
    {"-M", RULE_DROP, true, NULL},
    {"-MM", RULE_DROP, true, NULL},
    {"-MD", RULE_DROP, true, NULL},
    {"-MMD", RULE_DROP, true, NULL},
    {"-MP", RULE_DROP, true, NULL},
    {"-MG", RULE_DROP, true, NULL},
    {"-shared", RULE_DROP, true, NULL},
    {"-static", RULE_DROP, .why = NULL},
    {"-pie", RULE_DROP, true, NULL},
    {"-no-pie", RULE_DROP, true, NULL},
    {"-rdynamic", RULE_DROP, true, NULL},
    {"-save-temps", RULE_DROP, .why = NULL},
    {"--save-temps", RULE_DROP, .why = NULL},
    {"-flto", RULE_DROP, .why = NULL},
    {"-ffat-lto-objects", RULE_DROP, true, NULL},
    {"-fwhole-program", RULE_DROP, true, NULL},
    {"-fuse-ld", RULE_DROP, .why = NULL},
    {"-g0", RULE_DROP, true, NULL}, // types are read from DWARF
    {"-gsplit-dwarf", RULE_DROP, .why = NULL},
    {"-gz", RULE_DROP, .why = NULL},
    {"-Wl,", RULE_DROP, .why = NULL},
    {"-MF", RULE_DROP_PAIR, .why = NULL},
    {"-MT", RULE_DROP_PAIR, .why = NULL},
    {"-MQ", RULE_DROP_PAIR, .why = NULL},
    {"-MJ", RULE_DROP_PAIR, .why = NULL},
    {"-Xlinker", RULE_DROP_PAIR, true, NULL},
    {"-o", RULE_DROP_PAIR, .why = NULL},
    {"-l", RULE_DROP_PAIR, .why = NULL},
    {"-L", RULE_DROP_PAIR, .why = NULL},

    {"-include", RULE_PATH, true, NULL},
    {"-imacros", RULE_PATH, true, NULL},
    {"-isystem", RULE_PATH, .why = NULL},
    {"-isysroot", RULE_PATH, .why = NULL},
    {"-iquote", RULE_PATH, .why = NULL},
    {"-idirafter", RULE_PATH, .why = NULL},
    {"--sysroot=", RULE_PATH, .why = NULL},
    {"-I", RULE_PATH, .why = NULL},
    {"-B", RULE_PATH, .why = NULL},
};

static const Rule *find_rule(const char *word) {
  for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
    const Rule *rule = &rules[i];
    size_t size = strlen(rule->flag);
    if (strncmp(word, rule->flag, size) == 0 &&
        (!rule->whole || word[size] == '\0')) {
      return rule;
    }
  }
  return NULL;
}

// Where words come from: CFLAGS, or a file, one word a line.
typedef struct Origin {
  const char *file;   // NULL for CFLAGS
  const char *folder; // that relative paths count from; NULL: left alone
  size_t folder_size;
} Origin;

static GraftStatus refuse(const char *word, const Rule *rule,
                          const Origin *origin, int line, GraftError *error) {
  const char *where = origin->file == NULL ? "CFLAGS: " : "";
  GraftStatus status = error_set(error, GRAFT_EARG, "%s%s does not work: %s",
                                 where, word, rule->why);
  if (origin->file != NULL) error_at(error, origin->file, line, 1);
  return status;
}

// Adds `flag`, `flag_size` bytes of which are joined to the path: a relative
// one gets the folder in front. `-include` also looks where `#include` does, so
// that it only counts from the folder if the file is there.
static bool add_path(Flags *self, const Origin *origin, const char *word,
                     size_t flag_size) {
  const char *path = word + flag_size;
  bool relative = *path != '/' && *path != '=' && *path != '\0';
  if (origin->folder == NULL || !relative) return flags_add(self, word);
  Buffer joined;
  buffer_init(&joined, self->arena.allocator);
  buffer_add(&joined, word, flag_size);
  buffer_add(&joined, origin->folder, origin->folder_size);
  buffer_add_text(&joined, path);
  bool added = !joined.failed && flags_add(self, buffer_text(&joined));
  buffer_clear(&joined);
  return added;
}

static bool add_next_path(Flags *self, const Origin *origin, const Rule *rule,
                          const char *word) {
  if (rule->whole) {
    Buffer path;
    buffer_init(&path, self->arena.allocator);
    buffer_add(&path, origin->folder, origin->folder_size);
    buffer_add_text(&path, word);
    bool there = !path.failed && access(buffer_text(&path), R_OK) == 0;
    buffer_clear(&path);
    if (!there) return flags_add(self, word);
  }
  return add_path(self, origin, word, 0);
}

// Adds `words` in so far as they are for us. Word n is from line `lines[n]`.
static GraftStatus add_checked(Flags *self, const Flags *words,
                               const Origin *origin, const int *lines,
                               GraftError *error) {
  for (size_t i = 0; i < words->words.count; i++) {
    const char *word = words->words.items[i];
    const Rule *rule = find_rule(word);
    bool joined = rule != NULL && word[strlen(rule->flag)] != '\0';
    bool paired = !joined && i + 1 < words->words.count;
    if (rule != NULL && rule->kind == RULE_REFUSE) {
      return refuse(word, rule, origin, lines != NULL ? lines[i] : 0, error);
    }
    if (rule != NULL && rule->kind == RULE_DROP) continue;
    if (rule != NULL && rule->kind == RULE_DROP_PAIR) {
      if (paired) i++;
      continue;
    }
    bool added = true;
    if (rule == NULL) {
      added = flags_add(self, word);
    } else if (!paired) {
      added = add_path(self, origin, word, strlen(rule->flag));
    } else {
      i++;
      added = flags_add(self, word) &&
              add_next_path(self, origin, rule, words->words.items[i]);
    }
    if (!added) return error_memory(error);
  }
  return GRAFT_OK;
}

GraftStatus flags_add_user(Flags *self, const char *cflags, GraftError *error) {
  Flags words;
  flags_init(&words, self->arena.allocator);
  GraftStatus status = flags_split(&words, cflags, error);
  if (status == GRAFT_OK) {
    status = add_checked(self, &words, &(Origin){0}, NULL, error);
  }
  flags_clear(&words);
  return status;
}

// --- compile_flags.txt -------------------------------------------------------

// The words of an open file, and which line each is from.
typedef struct Lines {
  Flags words;
  ARRAY(int) numbers;
} Lines;

static bool add_line(Lines *self, char *line, size_t size, int number) {
  while (size > 0 && isspace((unsigned char)line[size - 1])) size--;
  while (size > 0 && isspace((unsigned char)*line)) line++, size--;
  if (size == 0 || *line == '#') return true;
  int *place = ARRAY_PUSH(self->words.arena.allocator, &self->numbers);
  if (place == NULL) return false;
  *place = number;
  return add_sized(&self->words, line, size);
}

static GraftStatus read_lines(Lines *self, FILE *file, const char *path,
                              GraftError *error) {
  char *line = NULL;
  size_t capacity = 0;
  ssize_t size;
  GraftStatus status = GRAFT_OK;
  for (int number = 1; (size = getline(&line, &capacity, file)) >= 0;
       number++) {
    if (!add_line(self, line, (size_t)size, number)) {
      status = error_memory(error);
      break;
    }
  }
  if (ferror(file)) {
    status = error_set(error, GRAFT_EIO, "cannot read %s: %s", path,
                       strerror(errno));
  }
  free(line);
  return status;
}

static GraftStatus add_file(Flags *self, FILE *file, const Origin *origin,
                            GraftError *error) {
  Lines lines = {0};
  flags_init(&lines.words, self->arena.allocator);
  GraftStatus status = read_lines(&lines, file, origin->file, error);
  if (status == GRAFT_OK) {
    status =
        add_checked(self, &lines.words, origin, lines.numbers.items, error);
  }
  memory_free(self->arena.allocator, lines.numbers.items);
  flags_clear(&lines.words);
  return status;
}

// The size of the folder part of a path, with its slash; 0 for none.
static size_t folder_size(const char *path, size_t size) {
  while (size > 0 && path[size - 1] != '/') size--;
  return size;
}

// The size of the root with a slash, when `path` is below it; else the
// size of the path's own folder.
static size_t topmost(const char *path, const char *root) {
  size_t own = folder_size(path, strlen(path));
  if (root == NULL) return own;
  size_t size = strlen(root);
  while (size > 1 && root[size - 1] == '/') size--;
  if (strncmp(path, root, size) != 0 || path[size] != '/') return own;
  return size + 1;
}

// Opens the file in the folder that is the first `size` bytes of `path`.
static GraftStatus try_folder(Flags *self, const char *path, size_t size,
                              bool *found, GraftError *error) {
  Buffer name;
  buffer_init(&name, self->arena.allocator);
  buffer_add(&name, path, size);
  buffer_add_text(&name, file_name);
  self->file = name.failed ? NULL
                           : arena_copy_string(&self->arena, buffer_text(&name),
                                               name.size);
  buffer_clear(&name);
  if (self->file == NULL) return error_memory(error);
  FILE *file = fopen(self->file, "re");
  *found = file != NULL || errno != ENOENT;
  GraftStatus status = GRAFT_OK;
  if (file != NULL) {
    status = add_file(self, file, &(Origin){self->file, path, size}, error);
    fclose(file);
  } else if (*found) {
    status = error_set(error, GRAFT_EIO, "cannot open %s: %s", self->file,
                       strerror(errno));
  } else {
    self->file = NULL;
  }
  return status;
}

GraftStatus flags_add_file(Flags *self, const char *path, const char *root,
                           GraftError *error) {
  size_t size = folder_size(path, strlen(path));
  size_t last = topmost(path, root);
  GraftStatus status = GRAFT_OK;
  bool found = false;
  for (;;) {
    status = try_folder(self, path, size, &found, error);
    if (found || status < 0 || size <= last || size == 0) return status;
    size = folder_size(path, size - 1);
  }
}
