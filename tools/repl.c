// SPDX-License-Identifier: MIT

#include "repl.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE_MOST = 65536 };

struct Repl {
  pthread_t thread;
  pthread_mutex_t mutex;
  pthread_cond_t taken;
  char line[LINE_MOST];
  atomic_bool full;   // `line` holds something to run
  atomic_bool ended;  // standard input is at its end
  atomic_bool closed; // the program ends
};

static void prompt(void) {
  if (!isatty(STDIN_FILENO)) return;
  fputs("> ", stdout);
  fflush(stdout);
}

// Waits for input, but also looks whether the program ends.
static bool wait_for_input(Repl *self) {
  struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
  while (!atomic_load(&self->closed)) {
    if (poll(&input, 1, 50) > 0) return true;
  }
  return false;
}

static void *read_lines(void *context) {
  Repl *self = context;
  pthread_mutex_lock(&self->mutex);
  prompt();
  while (wait_for_input(self) &&
         fgets(self->line, sizeof self->line, stdin) != NULL) {
    atomic_store(&self->full, true);
    while (atomic_load(&self->full) && !atomic_load(&self->closed)) {
      pthread_cond_wait(&self->taken, &self->mutex);
    }
    prompt();
  }
  atomic_store(&self->ended, true);
  pthread_mutex_unlock(&self->mutex);
  return NULL;
}

Repl *repl_open(void) {
  Repl *self = calloc(1, sizeof *self);
  if (self == NULL) return NULL;
  // Lines are waited for with poll, which does not see what stdio holds back.
  setvbuf(stdin, NULL, _IONBF, 0);
  pthread_mutex_init(&self->mutex, NULL);
  pthread_cond_init(&self->taken, NULL);
  if (pthread_create(&self->thread, NULL, read_lines, self) == 0) return self;
  free(self);
  return NULL;
}

void repl_close(Repl *self) {
  if (self == NULL) return;
  atomic_store(&self->closed, true);
  pthread_cond_broadcast(&self->taken);
  // The reader waits on the condition only while `full`, with the mutex.
  if (atomic_load(&self->full)) {
    pthread_mutex_lock(&self->mutex);
    pthread_cond_broadcast(&self->taken);
    pthread_mutex_unlock(&self->mutex);
  }
  pthread_join(self->thread, NULL);
  pthread_mutex_destroy(&self->mutex);
  pthread_cond_destroy(&self->taken);
  free(self);
}

bool repl_ended(const Repl *self) {
  return self != NULL && atomic_load(&self->ended) && !atomic_load(&self->full);
}

// What is known of a slot, a line each.
static void show_info(GraftEngine *engine, const char *name) {
  char text[1024];
  snprintf(text, sizeof text,
           "local info, message = require('graft').info('%.200s')\n"
           "if not info then print(message) return end\n"
           "local function show(key, value)\n"
           "  if value then print(('%%-10s %%s'):format(key, value)) end\n"
           "end\n"
           "show('name', info.name) show('backing', info.backing)\n"
           "show('layer', info.layer) show('version', info.version)\n"
           "show('place', info.file and info.file .. ':' .. (info.line or 0))\n"
           "show('signature', info.signature) show('calls', info.calls)\n"
           "show('pin', info.pin) show('removed', info.removed)\n"
           "show('old code', ('%%d calls run it, %%d closures hold it')\n"
           "  :format(info.old.running, info.old.closures))\n",
           name);
  GraftError error;
  if (graft_engine_run_text(engine, text, "=info", &error) < 0) {
    fprintf(stderr, "%s\n", error.message);
  }
}

static void show_names(GraftEngine *engine, const char *pattern) {
  char text[512];
  snprintf(text, sizeof text,
           "for _, name in ipairs(require('graft').names('%.200s')) do\n"
           "  print(name)\n"
           "end\n",
           pattern);
  GraftError error;
  if (graft_engine_run_text(engine, text, "=names", &error) < 0) {
    fprintf(stderr, "%s\n", error.message);
  }
}

// NAME or NAME@VERSION.
static void roll_back(GraftEngine *engine, char *name) {
  char *at = strchr(name, '@');
  long version = 0;
  if (at != NULL) {
    version = strtol(at + 1, NULL, 10);
    *at = '\0';
  }
  GraftError error;
  if (graft_engine_rollback(engine, name, (uint32_t)version, &error) < 0) {
    fprintf(stderr, "%s\n", error.message);
  }
}

// Names and patterns go into Lua strings, so these may not be in them.
static bool is_plain(const char *text) {
  return strpbrk(text, "'\\\n\r") == NULL;
}

// `info NAME`, `swap NAME BACKING`, `names [PATTERN]`, `help`. False when the
// line is none of them, but Lua.
static bool run_command(GraftEngine *engine, const char *line) {
  char verb[16] = "";
  char first[256] = "";
  char second[64] = "";
  char rest[2] = "";
  int count = sscanf(line, "%15s %255s %63s %1s", verb, first, second, rest);
  if (!is_plain(first) || strpbrk(first, "=(") != NULL) return false;
  GraftError error;
  if (strcmp(verb, "help") == 0 && count == 1) {
    fputs("info NAME          what is known of a function\n"
          "swap NAME BACKING  native, script, a version, or auto\n"
          "rollback NAME[@N]  the version before, or version N\n"
          "names [PATTERN]    the functions in the registry\n"
          "anything else      is run as Lua; values are shown\n",
          stdout);
  } else if (strcmp(verb, "info") == 0 && count == 2) {
    show_info(engine, first);
  } else if (strcmp(verb, "names") == 0 && count <= 2) {
    show_names(engine, first);
  } else if (strcmp(verb, "rollback") == 0 && count == 2) {
    roll_back(engine, first);
  } else if (strcmp(verb, "swap") == 0 && count == 3) {
    if (graft_engine_swap(engine, first, second, &error) < 0) {
      fprintf(stderr, "%s\n", error.message);
    }
  } else {
    return false;
  }
  return true;
}

// An expression is shown; what is none runs as statements.
static void run_line(GraftEngine *engine, const char *line) {
  GraftError error;
  if (run_command(engine, line)) return;
  char text[LINE_MOST + 64];
  snprintf(text, sizeof text,
           "(function(...) if select('#', ...) > 0 then "
           "print(...) end end)((function() return %s\n"
           "end)())",
           line[0] == '=' ? line + 1 : line);
  GraftStatus status = graft_engine_run_text(engine, text, "=stdin", &error);
  if (status == GRAFT_ESYNTAX) {
    status = graft_engine_run_text(engine, line, "=stdin", &error);
  }
  if (status < 0) fprintf(stderr, "%s\n", error.message);
}

void repl_run(Repl *self, GraftEngine *engine) {
  if (self == NULL || !atomic_load(&self->full)) return;
  if (self->line[strspn(self->line, " \t\r\n")] != '\0') {
    run_line(engine, self->line);
  }
  fflush(stdout);
  pthread_mutex_lock(&self->mutex);
  atomic_store(&self->full, false);
  pthread_cond_signal(&self->taken);
  pthread_mutex_unlock(&self->mutex);
}
