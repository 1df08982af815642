// SPDX-License-Identifier: MIT

#include "lines.h"

#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { FIRST_SIZE = 256, LOOK_MS = 50 };

struct Lines {
  pthread_t thread;
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  // Under the mutex.
  char *line; // read, and not taken yet
  bool asked;
  bool ended;
  bool closed;
};

static bool is_closed(Lines *self) {
  pthread_mutex_lock(&self->mutex);
  bool closed = self->closed;
  pthread_mutex_unlock(&self->mutex);
  return closed;
}

// The next byte, or -1 at the end; looks whether the program ends meanwhile.
static int read_byte(Lines *self) {
  struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
  while (poll(&input, 1, LOOK_MS) <= 0) {
    if (is_closed(self)) return -1;
  }
  unsigned char byte;
  return read(STDIN_FILENO, &byte, 1) == 1 ? byte : -1;
}

// NULL at the end of the input, or when out of memory.
static char *read_line(Lines *self) {
  size_t size = 0;
  size_t room = FIRST_SIZE;
  char *line = malloc(room);
  int byte = 0;
  while (line != NULL && (byte = read_byte(self)) >= 0 && byte != '\n') {
    if (size + 1 == room) {
      char *larger = realloc(line, room *= 2);
      if (larger == NULL) free(line);
      line = larger;
    }
    if (line != NULL) line[size++] = (char)byte;
  }
  if (line == NULL) return NULL;
  line[size] = '\0';
  if (byte == '\n' || size > 0) return line;
  free(line);
  return NULL;
}

static void *read_lines(void *context) {
  Lines *self = context;
  pthread_mutex_lock(&self->mutex);
  while (!self->closed && !self->ended) {
    if (!self->asked || self->line != NULL) {
      pthread_cond_wait(&self->changed, &self->mutex);
      continue;
    }
    pthread_mutex_unlock(&self->mutex);
    char *line = read_line(self);
    pthread_mutex_lock(&self->mutex);
    self->line = line;
    self->ended = line == NULL;
    pthread_cond_broadcast(&self->changed);
  }
  pthread_mutex_unlock(&self->mutex);
  return NULL;
}

Lines *lines_open(void) {
  Lines *self = calloc(1, sizeof *self);
  if (self == NULL) return NULL;
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_mutex_init(&self->mutex, NULL);
  pthread_cond_init(&self->changed, &attributes);
  pthread_condattr_destroy(&attributes);
  if (pthread_create(&self->thread, NULL, read_lines, self) == 0) return self;
  free(self);
  return NULL;
}

void lines_close(Lines *self) {
  if (self == NULL) return;
  pthread_mutex_lock(&self->mutex);
  self->closed = true;
  pthread_cond_broadcast(&self->changed);
  pthread_mutex_unlock(&self->mutex);
  pthread_join(self->thread, NULL);
  pthread_mutex_destroy(&self->mutex);
  pthread_cond_destroy(&self->changed);
  free(self->line);
  free(self);
}

void lines_ask(Lines *self) {
  pthread_mutex_lock(&self->mutex);
  self->asked = true;
  pthread_cond_broadcast(&self->changed);
  pthread_mutex_unlock(&self->mutex);
}

char *lines_take(Lines *self) {
  pthread_mutex_lock(&self->mutex);
  char *line = self->line;
  if (line != NULL) self->asked = false;
  self->line = NULL;
  pthread_mutex_unlock(&self->mutex);
  return line;
}

void lines_wait(Lines *self, int timeout_ms) {
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_nsec += (long)timeout_ms * 1000000;
  until.tv_sec += until.tv_nsec / 1000000000;
  until.tv_nsec %= 1000000000;
  pthread_mutex_lock(&self->mutex);
  int failed = 0;
  while (self->line == NULL && !self->ended && failed == 0) {
    failed = pthread_cond_timedwait(&self->changed, &self->mutex, &until);
  }
  pthread_mutex_unlock(&self->mutex);
}

bool lines_ended(Lines *self) {
  pthread_mutex_lock(&self->mutex);
  bool ended = self->ended && self->line == NULL;
  pthread_mutex_unlock(&self->mutex);
  return ended;
}
