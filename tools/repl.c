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

// An expression is shown; what is none runs as statements.
static void run_line(GraftEngine *engine, const char *line) {
  GraftError error;
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
