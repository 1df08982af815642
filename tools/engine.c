// SPDX-License-Identifier: MIT
//
// The `engine` program: runs scripts, natives and a watcher from the command
// line. It uses graft.h only, so it is also an example of a host.

#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "graft.h"
#include "repl.h"

enum { EXIT_SCRIPT = 1, EXIT_USAGE = 2, PATHS_MOST = 64 };

typedef struct Options {
  const char *watch[PATHS_MOST];
  int watch_count;
  const char *natives[PATHS_MOST];
  int native_count;
  const char *script;
  const char *module; // -m
  const char *const *args;
  int arg_count;
  double tick;
  long frames; // -1: no limit
  int debounce_ms;
  int poll_ms;
  bool no_watch;
  bool verbose;
  bool json;
  bool report_errors; // --on-error report
  bool repl;
} Options;

// What the signal handler has to know; it has no other way to be told.
static volatile sig_atomic_t stopped;
static volatile sig_atomic_t in_frames; // the loop looks at `stopped`
static GraftEngine *volatile running;

// The first Ctrl-C ends the loop after its frame; one more ends a frame, or a
// script with a loop of its own, by an error in it; a third one ends it all.
static void on_signal(int signal_number) {
  bool again = stopped > 0;
  if (stopped > 1) _exit(128 + signal_number);
  stopped = again ? 2 : 1;
  if (running != NULL && (again || !in_frames)) graft_engine_interrupt(running);
}

// ---------------------------------------------------------------------------
// Reports
// ---------------------------------------------------------------------------

static void show_colour(const GraftEvent *event, const char *text) {
  const char *colour = "";
  switch (event->kind) {
  case GRAFT_EVENT_REJECT:
  case GRAFT_EVENT_REVERT:
  case GRAFT_EVENT_ERROR:
    colour = "\033[31m";
    break;
  case GRAFT_EVENT_KEEP:
  case GRAFT_EVENT_STALE:
  case GRAFT_EVENT_ORPHAN:
  case GRAFT_EVENT_DEPENDS:
    colour = "\033[33m";
    break;
  case GRAFT_EVENT_PATCH:
    colour = "\033[2m";
    break;
  default:
    colour = "\033[32m";
  }
  size_t word = strcspn(text, " ");
  fprintf(stderr, "%s%.*s\033[0m%s\n", colour, (int)word, text, text + word);
}

static void show_event(void *context, const GraftEvent *event) {
  const Options *options = context;
  if (event->kind == GRAFT_EVENT_MOVE) return; // no change to a user (D2)
  bool quiet = !options->verbose && event->kind == GRAFT_EVENT_WATCH;
  if (quiet && !options->json) return;
  char text[4096];
  if (options->json) {
    graft_event_json(event, text, sizeof text);
  } else {
    graft_event_text(event, text, sizeof text);
  }
  bool colours =
      !options->json && isatty(STDERR_FILENO) && getenv("NO_COLOR") == NULL;
  if (colours) {
    show_colour(event, text);
  } else {
    fprintf(stderr, "%s\n", text);
  }
}

// An error that ends the program.
static void show_error(const Options *options, const GraftError *error) {
  if (options->json) {
    GraftEvent event = {.kind = GRAFT_EVENT_ERROR,
                        .name = "",
                        .file = error->file,
                        .line = error->line,
                        .column = error->column,
                        .from = "",
                        .to = "",
                        .message = error->message,
                        .source = ""};
    show_event((void *)options, &event);
  } else if (error->line > 0) {
    fprintf(stderr, "engine: %s:%d: %s\n", error->file, error->line,
            error->message);
  } else {
    fprintf(stderr, "engine: %s\n", error->message);
  }
}

// ---------------------------------------------------------------------------
// Usage
// ---------------------------------------------------------------------------

static void print_help(void) {
  fputs(
      "usage: engine [options] [SCRIPT [ARG...]]\n"
      "\n"
      "Runs Lua scripts and C natives, and patches what changes on disk into\n"
      "the running program, one function at a time.\n"
      "\n"
      "  -w, --watch PATH      watch a folder, a file or a glob; repeatable. "
      "A\n"
      "                        folder is a root for require; with no SCRIPT,\n"
      "                        its main.lua runs\n"
      "      --no-watch        watch nothing; a SCRIPT's folder is otherwise\n"
      "      --natives PATH    a built shared object or a folder of them;\n"
      "                        default: natives/ beside the first watched\n"
      "                        folder\n"
      "      --vm lua54|luajit the VM (default lua54)\n"
      "      --tick HZ         calls of update(dt) a second (default 60)\n"
      "      --frames N        stop after N calls of update\n"
      "      --debounce MS     settle time where the system cannot tell that\n"
      "                        a file was closed (default 50)\n"
      "      --poll MS         look at files this often instead of being told\n"
      "      --on-error revert|report\n"
      "                        when new code raises before it first returns:\n"
      "                        put the old code back (default), or leave it\n"
      "  -m, --module MODULE[:FUNCTION]\n"
      "                        run a module, then a function of it\n"
      "  -i, --interactive     a prompt afterwards; the program goes on "
      "behind\n"
      "  -v, --verbose         also report what is watched: each root, how,\n"
      "                        and each file that was loaded\n"
      "      --log text|json   how reports are written, on standard error\n"
      "      --version         versions of engine and VM\n"
      "  -h, --help            this text\n"
      "\n"
      "Left alone are dot files, backup and swap files of editors, and what a\n"
      ".graftignore in a watched folder names, one pattern a line as in\n"
      ".gitignore.\n"
      "\n"
      "main.lua may define init(), update(dt) and quit(). Exit status: 0, 1\n"
      "for a script error, 2 for wrong usage.\n",
      stdout);
}

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

static void add_path(const char **paths, int *count, const char *path) {
  if (*path == '\0') fail_usage("an empty path was given%s", "");
  if (*count == PATHS_MOST) fail_usage("too many paths: %s", path);
  paths[(*count)++] = path;
}

enum {
  OPTION_NATIVES = 256,
  OPTION_VM,
  OPTION_TICK,
  OPTION_FRAMES,
  OPTION_DEBOUNCE,
  OPTION_POLL,
  OPTION_NO_WATCH,
  OPTION_ON_ERROR,
  OPTION_LOG,
  OPTION_VERSION,
};

static const struct option long_options[] = {
    {"watch", required_argument, NULL, 'w'},
    {"no-watch", no_argument, NULL, OPTION_NO_WATCH},
    {"natives", required_argument, NULL, OPTION_NATIVES},
    {"vm", required_argument, NULL, OPTION_VM},
    {"tick", required_argument, NULL, OPTION_TICK},
    {"frames", required_argument, NULL, OPTION_FRAMES},
    {"debounce", required_argument, NULL, OPTION_DEBOUNCE},
    {"poll", required_argument, NULL, OPTION_POLL},
    {"on-error", required_argument, NULL, OPTION_ON_ERROR},
    {"module", required_argument, NULL, 'm'},
    {"interactive", no_argument, NULL, 'i'},
    {"verbose", no_argument, NULL, 'v'},
    {"log", required_argument, NULL, OPTION_LOG},
    {"version", no_argument, NULL, OPTION_VERSION},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

// The program for another VM lies beside this one.
static void check_vm(const char *name, char **argv) {
  if (strcmp(name, "lua54") != 0 && strcmp(name, "luajit") != 0) {
    fail_usage("--vm takes lua54 or luajit, not '%s'", name);
  }
  if (strcmp(name, graft_vm_name()) == 0) return;
  char path[PATH_MAX];
  ssize_t size = readlink("/proc/self/exe", path, sizeof path - 1);
  if (size < 0) fail_usage("cannot find the program for '%s'", name);
  path[size] = '\0';
  char *slash = strrchr(path, '/');
  size_t room = sizeof path - (size_t)(slash + 1 - path);
  bool is_default = strcmp(name, "lua54") == 0;
  snprintf(slash + 1, room, is_default ? "engine" : "engine-%s", name);
  execv(path, argv);
  fprintf(stderr, "engine: cannot run %s: %s\n", path, strerror(errno));
  exit(EXIT_USAGE);
}

static void parse_option(Options *self, int option, char **argv) {
  switch (option) {
  case 'w':
    add_path(self->watch, &self->watch_count, optarg);
    break;
  case 'm':
    self->module = optarg;
    break;
  case 'i':
    self->repl = true;
    break;
  case 'v':
    self->verbose = true;
    break;
  case 'h':
    print_help();
    exit(0);
  case OPTION_VERSION:
    printf("engine %s (%s)\n", graft_version(), graft_vm_version());
    exit(0);
  case OPTION_NATIVES:
    add_path(self->natives, &self->native_count, optarg);
    break;
  case OPTION_VM:
    check_vm(optarg, argv);
    break;
  case OPTION_TICK:
    self->tick = parse_number("--tick", optarg, 0.001);
    break;
  case OPTION_FRAMES:
    self->frames = (long)parse_number("--frames", optarg, 0);
    break;
  case OPTION_DEBOUNCE:
    self->debounce_ms = (int)parse_number("--debounce", optarg, 0);
    break;
  case OPTION_POLL:
    self->poll_ms = (int)parse_number("--poll", optarg, 1);
    break;
  case OPTION_NO_WATCH:
    self->no_watch = true;
    break;
  case OPTION_ON_ERROR:
    if (strcmp(optarg, "revert") != 0 && strcmp(optarg, "report") != 0) {
      fail_usage("--on-error takes revert or report, not '%s'", optarg);
    }
    self->report_errors = strcmp(optarg, "report") == 0;
    break;
  case OPTION_LOG:
    if (strcmp(optarg, "text") != 0 && strcmp(optarg, "json") != 0) {
      fail_usage("--log takes text or json, not '%s'", optarg);
    }
    self->json = strcmp(optarg, "json") == 0;
    break;
  default:
    exit(EXIT_USAGE);
  }
}

// The option that getopt does not know, as it was typed.
static _Noreturn void fail_unknown(int option, char **argv) {
  const char *typed = argv[optind - 1];
  char letter[3] = {'-', (char)optopt, '\0'};
  bool is_short = optopt > 0 && optopt < 256 && strncmp(typed, "--", 2) != 0;
  fail_usage(option == ':' ? "%s needs a value" : "unknown option %s",
             is_short ? letter : typed);
}

static void parse_options(Options *self, int argc, char **argv) {
  *self = (Options){.tick = 60, .frames = -1};
  int option = 0;
  opterr = 0;
  // `+`: what follows SCRIPT is the script's. `:`: a missing value is told.
  while ((option = getopt_long(argc, argv, "+:w:m:ivh", long_options, NULL)) !=
         -1) {
    if (option == '?' || option == ':') fail_unknown(option, argv);
    parse_option(self, option, argv);
  }
  if (optind < argc) {
    self->script = argv[optind++];
    self->args = (const char *const *)argv + optind;
    self->arg_count = argc - optind;
  }
  if (self->script == NULL && self->watch_count == 0 && self->module == NULL &&
      !self->repl) {
    fail_usage("nothing to run: name a SCRIPT or --watch a folder%s", "");
  }
}

// ---------------------------------------------------------------------------
// Setting up
// ---------------------------------------------------------------------------

static bool is_folder(const char *path) {
  struct stat info;
  return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
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

// What is watched: what was named, or else the script's folder.
static GraftStatus set_roots(GraftEngine *engine, const Options *options,
                             GraftError *error) {
  GraftStatus status = GRAFT_OK;
  for (int i = 0; i < options->watch_count && status == GRAFT_OK; i++) {
    status = options->no_watch
                 ? graft_engine_add_root(engine, options->watch[i], error)
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

static bool ends_with(const char *text, const char *end) {
  size_t size = strlen(text);
  size_t tail = strlen(end);
  return size > tail && strcmp(text + size - tail, end) == 0;
}

// Whether a folder has files with this ending.
static bool holds(const char *folder, const char *end) {
  DIR *entries = opendir(folder);
  if (entries == NULL) return false;
  bool found = false;
  for (struct dirent *entry = readdir(entries); entry != NULL && !found;
       entry = readdir(entries)) {
    found = ends_with(entry->d_name, end);
  }
  closedir(entries);
  return found;
}

// natives/ beside the first watched folder. One that has sources only is told
// of, since what they define will be missed.
static GraftStatus set_default_natives(GraftEngine *engine,
                                       const Options *options,
                                       GraftError *error) {
  char first[PATH_MAX];
  snprintf(first, sizeof first, "%s", options->watch[0]);
  size_t size = strlen(first);
  while (size > 1 && first[size - 1] == '/') first[--size] = '\0';
  char folder[PATH_MAX];
  folder_of(first, folder, sizeof folder);
  char natives[PATH_MAX + 16];
  snprintf(natives, sizeof natives, "%s/natives", folder);
  if (holds(natives, ".so")) {
    return graft_engine_natives(engine, natives, error);
  }
  if (holds(natives, ".c")) {
    fprintf(stderr,
            "engine: %s has C sources but no built shared object; build one "
            "with -g -shared -fPIC and name it with --natives\n",
            natives);
  }
  return GRAFT_OK;
}

static GraftStatus set_natives(GraftEngine *engine, const Options *options,
                               GraftError *error) {
  for (int i = 0; i < options->native_count; i++) {
    GraftStatus status =
        graft_engine_natives(engine, options->natives[i], error);
    if (status < 0) return status;
  }
  if (options->native_count > 0 || options->watch_count == 0) return GRAFT_OK;
  return set_default_natives(engine, options, error);
}

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

// What runs: SCRIPT, the module of -m, or main.lua of the first folder.
static GraftStatus run_program(GraftEngine *engine, const Options *options,
                               char *module, size_t size, GraftError *error) {
  snprintf(module, size, "main");
  char path[PATH_MAX + 16];
  if (options->module != NULL) {
    snprintf(module, size, "%s", options->module);
    module[strcspn(module, ":")] = '\0';
    return graft_engine_require(engine, module, error);
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
  return graft_engine_run(engine, path, options->arg_count, options->args,
                          error);
}

static GraftStatus call(GraftEngine *engine, const char *module,
                        const char *name, const double *number,
                        GraftError *error) {
  char full[512];
  snprintf(full, sizeof full, "%s.%s", module, name);
  GraftFn *fn = graft_engine_find(engine, full);
  if (fn == NULL) return GRAFT_OK;
  GraftValue value = {.type = GRAFT_NUMBER};
  if (number != NULL) value.as.number = *number;
  return graft_fn_call(
      fn, &(GraftCall){.args = &value, .arg_count = number != NULL ? 1 : 0},
      error);
}

// ---------------------------------------------------------------------------
// The loop
// ---------------------------------------------------------------------------

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

typedef struct Loop {
  GraftEngine *engine;
  const Options *options;
  const char *module;
  char shown[1024]; // the last error of update, shown once
  Repl *repl;
} Loop;

// An error in one frame does not end the program: the next save may mend it.
static void call_update(Loop *self, double dt) {
  GraftError error;
  GraftStatus status = call(self->engine, self->module, "update", &dt, &error);
  if (status == GRAFT_OK) self->shown[0] = '\0';
  if (status == GRAFT_OK || status == GRAFT_EREVERTED) return;
  if (strcmp(self->shown, error.message) == 0) return;
  snprintf(self->shown, sizeof self->shown, "%s", error.message);
  show_error(self->options, &error);
}

// Sleeps until the next frame, but wakes for changes.
static void wait_until(Loop *self, double time) {
  while (!stopped && !repl_ended(self->repl)) {
    double left = time - now();
    if (left <= 0) return;
    // Waits in steps, since a signal does not end the wait.
    double milliseconds = left > 0.05 ? 50 : left * 1000;
    if (graft_engine_wait(self->engine, milliseconds)) {
      graft_engine_update(self->engine, NULL);
    }
    repl_run(self->repl, self->engine);
  }
}

static void run_frames(Loop *self) {
  double step = 1 / self->options->tick;
  double next = now();
  double last = next - step;
  for (long frame = 0;
       !stopped && !repl_ended(self->repl) &&
       (self->options->frames < 0 || frame < self->options->frames);
       frame++) {
    graft_engine_update(self->engine, NULL);
    repl_run(self->repl, self->engine);
    double time = now();
    call_update(self, time - last);
    last = time;
    next += step;
    if (next < now() - 0.25) next = now(); // does not catch up a long pause
    wait_until(self, next);
  }
}

static bool has(GraftEngine *engine, const char *module, const char *name) {
  char full[512];
  snprintf(full, sizeof full, "%s.%s", module, name);
  return graft_engine_find(engine, full) != NULL;
}

// A program without update() ends when its script has, unless something is
// to be typed or its folder was asked to be watched.
static bool stays(const Loop *self) {
  return self->repl != NULL ||
         (self->options->script == NULL && self->options->module == NULL &&
          !self->options->no_watch);
}

static void run_loop(Loop *self) {
  if (self->options->frames == 0) return;
  bool frames = has(self->engine, self->module, "update") || stays(self);
  in_frames = 1;
  if (frames) run_frames(self);
  in_frames = 0;
}

static int run(GraftEngine *engine, const Options *options) {
  GraftError error = {.status = GRAFT_OK};
  char module[256];
  GraftStatus status = set_natives(engine, options, &error);
  if (status == GRAFT_OK) status = set_roots(engine, options, &error);
  if (status == GRAFT_OK) {
    status = run_program(engine, options, module, sizeof module, &error);
  }
  const char *colon =
      options->module != NULL ? strchr(options->module, ':') : NULL;
  if (status == GRAFT_OK && colon != NULL) {
    if (!has(engine, module, colon + 1)) {
      fprintf(stderr, "engine: %s has no function '%s'\n", module, colon + 1);
      return EXIT_SCRIPT;
    }
    status = call(engine, module, colon + 1, NULL, &error);
  } else if (status == GRAFT_OK) {
    status = call(engine, module, "init", NULL, &error);
  }
  if (status == GRAFT_OK) {
    Loop loop = {.engine = engine, .options = options, .module = module};
    loop.repl = options->repl ? repl_open() : NULL;
    if (colon == NULL || loop.repl != NULL) run_loop(&loop);
    repl_close(loop.repl);
    status = call(engine, module, "quit", NULL, &error);
  } else if (stopped) {
    // What was running was ended by the user.
    status = call(engine, module, "quit", NULL, &error);
  }
  if (status == GRAFT_OK) return 0;
  // A syntax error was shown when it was found.
  if (error.status != GRAFT_ESYNTAX) show_error(options, &error);
  return EXIT_SCRIPT;
}

int main(int argc, char **argv) {
  Options options;
  parse_options(&options, argc, argv);
  struct sigaction action = {.sa_handler = on_signal};
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGHUP, &action, NULL);
  GraftEngineDesc desc = {.on_event = show_event,
                          .context = &options,
                          .debounce_ms = options.debounce_ms,
                          .poll_ms = options.poll_ms,
                          .on_error = options.report_errors
                                          ? GRAFT_ON_ERROR_REPORT
                                          : GRAFT_ON_ERROR_REVERT};
  GraftEngine *engine = NULL;
  GraftError error;
  if (graft_engine_open(&desc, &engine, &error) < 0) {
    show_error(&options, &error);
    return EXIT_SCRIPT;
  }
  running = engine;
  int status = run(engine, &options);
  running = NULL;
  graft_engine_close(engine);
  return status;
}
