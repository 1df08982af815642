// SPDX-License-Identifier: MIT

#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// ---------------------------------------------------------------------------
// Values
// ---------------------------------------------------------------------------

static _Noreturn void fail_usage(const char *format, const char *detail) {
  fputs("engine: ", stderr);
  fprintf(stderr, format, detail); // formats are all in this file
  fputs(" (engine -h lists the options)\n", stderr);
  exit(EXIT_USAGE);
}

static double parse_number(const char *option, const char *text, double least) {
  char *end = NULL;
  double number = strtod(text, &end);
  if (end == text || *end != '\0' || !(number >= least) || number > 1e9) {
    char what[128];
    snprintf(what, sizeof what, "%s takes a number from %g, not '%.60s'",
             option, least, text);
    fail_usage("%s", what);
  }
  return number;
}

// The index of `text` among `words`, which stand in the help as "a|b|c".
static int parse_word(const char *option, const char *words, const char *text) {
  size_t size = strlen(text);
  int index = 0;
  for (const char *word = words;; word++, index++) {
    size_t length = strcspn(word, "|");
    if (length == size && memcmp(word, text, size) == 0) return index;
    word += length;
    if (*word == '\0') break;
  }
  char what[160];
  snprintf(what, sizeof what, "%s takes %s, not '%.60s'", option, words, text);
  fail_usage("%s", what);
}

static void add_path(const char **paths, int *count, const char *path) {
  if (*path == '\0') fail_usage("an empty path was given%s", "");
  if (*count == PATHS_MOST) fail_usage("too many paths: %s", path);
  paths[(*count)++] = path;
}

// ---------------------------------------------------------------------------
// What each option does
// ---------------------------------------------------------------------------

static void set_watch(Options *self, const char *value) {
  add_path(self->watch, &self->watch_count, value);
}

static void set_no_watch(Options *self, const char *value) {
  (void)value;
  self->no_watch = true;
}

static void set_natives(Options *self, const char *value) {
  add_path(self->natives, &self->native_count, value);
}

#define VM_WORDS "lua54|luajit"

// The program for another VM lies beside this one.
static void set_vm(Options *self, const char *value) {
  int wanted = parse_word("--vm", VM_WORDS, value);
  if (strcmp(value, graft_vm_name()) == 0) return;
  char path[PATH_MAX];
  ssize_t size = readlink("/proc/self/exe", path, sizeof path - 1);
  if (size < 0) fail_usage("cannot find the program for '%s'", value);
  path[size] = '\0';
  char *slash = strrchr(path, '/');
  size_t room = sizeof path - (size_t)(slash + 1 - path);
  snprintf(slash + 1, room, wanted == 0 ? "engine" : "engine-%s", value);
  execv(path, self->argv);
  fprintf(stderr, "engine: cannot run %s: %s\n", path, strerror(errno));
  exit(EXIT_USAGE);
}

static void set_tick(Options *self, const char *value) {
  self->tick = parse_number("--tick", value, 0.001);
}

static void set_frames(Options *self, const char *value) {
  self->frames = (long)parse_number("--frames", value, 0);
}

static void set_debounce(Options *self, const char *value) {
  self->debounce_ms = (int)parse_number("--debounce", value, 0);
}

static void set_poll(Options *self, const char *value) {
  self->poll_ms = (int)parse_number("--poll", value, 1);
}

static void set_sweep_budget(Options *self, const char *value) {
  self->sweep_budget_us = (int)parse_number("--sweep-budget", value, 0);
}

#define ON_ERROR_WORDS "revert|report|break"

static void set_on_error(Options *self, const char *value) {
  static const GraftOnError values[] = {
      GRAFT_ON_ERROR_REVERT, GRAFT_ON_ERROR_REPORT, GRAFT_ON_ERROR_BREAK};
  self->on_error = values[parse_word("--on-error", ON_ERROR_WORDS, value)];
}

static void set_no_tcc(Options *self, const char *value) {
  (void)value;
  self->no_tcc = true;
}

static void set_watchdog(Options *self, const char *value) {
  self->watchdog_ms = (int)parse_number("--watchdog", value, 1);
}

static void set_types(Options *self, const char *value) {
  if (*value == '\0') fail_usage("--types takes a folder%s", "");
  self->types = value;
}

static void set_output(Options *self, const char *value) {
  if (*value == '\0') fail_usage("-o takes a folder%s", "");
  self->output = value;
}

static void set_library(Options *self, const char *value) {
  if (*value == '\0') fail_usage("-l takes the name of a library%s", "");
  self->library = value;
}

static void set_module(Options *self, const char *value) {
  self->module = value;
}

static void set_interactive(Options *self, const char *value) {
  (void)value;
  self->repl = true;
}

static void set_verbose(Options *self, const char *value) {
  (void)value;
  self->verbose = true;
}

#define LOG_WORDS "text|json"

static void set_log(Options *self, const char *value) {
  self->json = parse_word("--log", LOG_WORDS, value) == 1;
}

static _Noreturn void show_version(Options *self, const char *value) {
  (void)self, (void)value;
  printf("engine %s (%s)\n", graft_version(), graft_vm_version());
  exit(0);
}

static _Noreturn void show_help(Options *self, const char *value);

// ---------------------------------------------------------------------------
// The table
// ---------------------------------------------------------------------------

typedef struct OptionRow {
  const char *name;  // without "--"
  const char *value; // as the help calls it; NULL: it takes none
  const char *help;  // lines
  void (*set)(Options *self, const char *value);
  char letter; // '\0': none
} OptionRow;

// In the order of the help.
static const OptionRow rows[] = {
    {"watch", "PATH",
     "watch a folder, a file or a glob; repeatable. A\n"
     "folder is a root for require; with no SCRIPT,\n"
     "its main.lua runs",
     set_watch, 'w'},
    {"no-watch", NULL, "watch nothing; a SCRIPT's folder is otherwise",
     set_no_watch, 0},
    {"natives", "PATH",
     "C: a folder of .c files, a .c file, or a built\n"
     "shared object; default: natives/ beside the\n"
     "first watched folder",
     set_natives, 0},
    {"vm", VM_WORDS, "the VM (default lua54)", set_vm, 0},
    {"tick", "HZ", "calls of update(dt) a second (default 60)", set_tick, 0},
    {"frames", "N", "stop after N calls of update", set_frames, 0},
    {"debounce", "MS",
     "settle time where the system cannot tell that\n"
     "a file was closed (default 50)",
     set_debounce, 0},
    {"poll", "MS", "look at files this often instead of being told", set_poll,
     0},
    {"sweep-budget", "US",
     "how long a patch may hold up a frame to follow\n"
     "references: names have new code at once, the\n"
     "rest comes in later frames (default: all at once)",
     set_sweep_budget, 0},
    {"on-error", ON_ERROR_WORDS,
     "when new code raises before it first returns:\n"
     "put the old code back (default), leave it, or\n"
     "stop for a look, with a prompt in its frame",
     set_on_error, 0},
    {"no-tcc", NULL,
     "compile natives with your compiler alone, not\n"
     "first with the fast built-in one",
     set_no_tcc, 0},
    {"watchdog", "MS",
     "new code of a native that has not returned in\n"
     "this time counts as crashed",
     set_watchdog, 0},
    {"types", "FOLDER",
     "keep LuaCATS files of all functions and structs\n"
     "there for editors, while the program runs",
     set_types, 0},
    {"output", "PATH", "of a command: where it writes", set_output, 'o'},
    {"library", "NAME", "of engine bind: z for libz.so, or a path", set_library,
     'l'},
    {"module", "MODULE[:FUNCTION]", "run a module, then a function of it",
     set_module, 'm'},
    {"interactive", NULL, "a prompt afterwards; the program goes on behind",
     set_interactive, 'i'},
    {"verbose", NULL,
     "also report what is watched: each root, how,\n"
     "and each file that was loaded",
     set_verbose, 'v'},
    {"log", LOG_WORDS, "how reports are written, on standard error", set_log,
     0},
    {"version", NULL, "versions of engine and VM", show_version, 0},
    {"help", NULL, "this text", show_help, 'h'},
};

enum {
  ROW_COUNT = sizeof rows / sizeof rows[0],
  FIRST_OPTION = 256, // what getopt returns for the first row; no letter
  HELP_COLUMN = 24,
};

// ---------------------------------------------------------------------------
// Help
// ---------------------------------------------------------------------------

static void print_row(const OptionRow *row) {
  char left[64];
  char letter[5] = "    ";
  if (row->letter != '\0')
    snprintf(letter, sizeof letter, "-%c, ", row->letter);
  snprintf(left, sizeof left, "  %s--%s%s%s", letter, row->name,
           row->value != NULL ? " " : "", row->value != NULL ? row->value : "");
  int column = printf("%s", left);
  if (column >= HELP_COLUMN + 1) {
    putchar('\n');
    column = 0;
  }
  for (const char *line = row->help; *line != '\0'; column = 0) {
    int length = (int)strcspn(line, "\n");
    printf("%*s%.*s\n", HELP_COLUMN - column, "", length, line);
    line += length;
    if (*line == '\n') line++;
  }
}

static _Noreturn void show_help(Options *self, const char *value) {
  (void)self, (void)value;
  fputs(
      "usage: engine [options] [SCRIPT [ARG...]]\n"
      "       engine types [-o FOLDER] [options] [SCRIPT]\n"
      "       engine bind HEADER.h [-l LIBRARY] [-o FOLDER|FILE.c]\n"
      "\n"
      "Runs Lua scripts and C natives, and patches what changes on disk into\n"
      "the running program, one function at a time.\n"
      "\n",
      stdout);
  for (int i = 0; i < ROW_COUNT; i++) print_row(&rows[i]);
  fputs(
      "\n"
      "engine types writes the LuaCATS files once and runs nothing (default\n"
      "folder: .graft/types). engine bind makes a module of a C library: a\n"
      "native for each function that its header declares, and its constants.\n"
      "Scripts of these names are ./types and ./bind.\n"
      "\n"
      "Left alone are dot files, backup and swap files of editors, and what a\n"
      ".graftignore in a watched folder names, one pattern a line as in\n"
      ".gitignore.\n"
      "\n"
      "main.lua may define init(), update(dt) and quit(). Exit status: 0, 1\n"
      "for a script error, 2 for wrong usage.\n",
      stdout);
  exit(0);
}

// ---------------------------------------------------------------------------
// Parsing
// ---------------------------------------------------------------------------

static const OptionRow *find_row(int option) {
  if (option >= FIRST_OPTION) return &rows[option - FIRST_OPTION];
  for (int i = 0; i < ROW_COUNT; i++) {
    if (rows[i].letter == option) return &rows[i];
  }
  return NULL;
}

// The table as getopt wants it. `+`: what follows SCRIPT is the script's.
// `:`: a missing value is told.
static void make_getopt(char *letters, struct option *options) {
  *letters++ = '+';
  *letters++ = ':';
  for (int i = 0; i < ROW_COUNT; i++) {
    bool takes = rows[i].value != NULL;
    options[i] = (struct option){
        .name = rows[i].name,
        .has_arg = takes ? required_argument : no_argument,
        .val = FIRST_OPTION + i,
    };
    if (rows[i].letter == '\0') continue;
    *letters++ = rows[i].letter;
    if (takes) *letters++ = ':';
  }
  *letters = '\0';
  options[ROW_COUNT] = (struct option){NULL, 0, NULL, 0};
}

// The option that getopt does not know, as it was typed.
static _Noreturn void fail_unknown(int option, char **argv) {
  const char *typed = argv[optind - 1];
  char letter[3] = {'-', (char)optopt, '\0'};
  bool is_short = optopt > 0 && optopt < 256 && strncmp(typed, "--", 2) != 0;
  fail_usage(option == ':' ? "%s needs a value" : "unknown option %s",
             is_short ? letter : typed);
}

static void take_options(Options *self, int argc, char **argv) {
  char letters[2 * ROW_COUNT + 3];
  struct option options[ROW_COUNT + 1];
  make_getopt(letters, options);
  int option = 0;
  opterr = 0;
  while ((option = getopt_long(argc, argv, letters, options, NULL)) != -1) {
    const OptionRow *row = find_row(option);
    if (row == NULL) fail_unknown(option, argv);
    row->set(self, optarg);
  }
}

// The word after the first options may be a command; its own follow.
static void take_command(Options *self, int argc, char **argv) {
  if (optind == argc) return;
  bool binds = strcmp(argv[optind], "bind") == 0;
  if (!binds && strcmp(argv[optind], "types") != 0) return;
  self->command = binds ? COMMAND_BIND : COMMAND_TYPES;
  self->no_watch = true;
  optind++;
  take_options(self, argc, argv);
  if (!binds) return;
  if (optind == argc) {
    fail_usage("bind what? Name a header, as in engine bind zlib.h -l z%s", "");
  }
  self->script = argv[optind++];
  take_options(self, argc, argv); // they may stand behind it
  if (optind < argc)
    fail_usage("bind takes one header, not %s too", argv[optind]);
}

void options_parse(Options *self, int argc, char **argv) {
  *self = (Options){.tick = 60, .frames = -1, .argv = argv};
  take_options(self, argc, argv);
  take_command(self, argc, argv);
  if (self->library != NULL && self->command != COMMAND_BIND) {
    fail_usage("-l is for engine bind%s", "");
  }
  if (self->output != NULL && self->command == COMMAND_RUN) {
    fail_usage("-o is for a command, such as engine types -o %s", self->output);
  }
  if (optind < argc) {
    self->script = argv[optind++];
    self->args = (const char *const *)argv + optind;
    self->arg_count = argc - optind;
  }
  bool has_source = self->script != NULL || self->watch_count > 0;
  if (self->command == COMMAND_TYPES && !has_source &&
      self->native_count == 0) {
    fail_usage("types of what? Name the folder, as in engine types --watch "
               "scripts%s",
               "");
  }
  if (!has_source && self->module == NULL && !self->repl &&
      self->command == COMMAND_RUN) {
    fail_usage("nothing to run: name a SCRIPT or --watch a folder%s", "");
  }
}
