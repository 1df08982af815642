// SPDX-License-Identifier: MIT

#include "native/watchdog.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <time.h>

struct Watchdog {
  const GraftAllocator *allocator;
  WatchdogLate *late;
  void *context;
  int limit_ms;
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  pthread_t thread;
  bool started;
  bool stopping;
  WatchdogCall calls; // the ring's head
};

enum { NS_PER_MS = 1000000 };

static uint64_t now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

Watchdog *watchdog_new(const GraftAllocator *allocator, int limit_ms,
                       WatchdogLate *late, void *context) {
  Watchdog *self = memory_new(allocator, sizeof *self);
  if (self == NULL) return NULL;
  self->allocator = allocator;
  self->limit_ms = limit_ms;
  self->late = late;
  self->context = context;
  self->calls.next = self->calls.previous = &self->calls;
  pthread_mutex_init(&self->mutex, NULL);
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&self->changed, &attributes);
  pthread_condattr_destroy(&attributes);
  return self;
}

void watchdog_free(Watchdog *self) {
  if (self == NULL) return;
  pthread_mutex_lock(&self->mutex);
  self->stopping = true;
  pthread_cond_signal(&self->changed);
  pthread_mutex_unlock(&self->mutex);
  if (self->started) pthread_join(self->thread, NULL);
  pthread_cond_destroy(&self->changed);
  pthread_mutex_destroy(&self->mutex);
  memory_free(self->allocator, self);
}

// Speaks up about what is late; returns when something may be late next, 0 for
// never. Mutex held.
static uint64_t look(Watchdog *self) {
  uint64_t now = now_ns(), next = 0;
  for (WatchdogCall *call = self->calls.next; call != &self->calls;
       call = call->next) {
    if (call->deadline_ns != 0 && call->deadline_ns <= now) {
      int elapsed = (int)((now - call->begun_ns) / NS_PER_MS);
      int again = self->late(self->context, call, elapsed);
      call->deadline_ns =
          again > 0 ? now_ns() + (uint64_t)again * NS_PER_MS : 0;
    }
    if (call->deadline_ns != 0 && (next == 0 || call->deadline_ns < next)) {
      next = call->deadline_ns;
    }
  }
  return next;
}

static void *run(void *argument) {
  Watchdog *self = argument;
  pthread_mutex_lock(&self->mutex);
  while (!self->stopping) {
    uint64_t next = look(self);
    if (next == 0) {
      pthread_cond_wait(&self->changed, &self->mutex);
    } else {
      struct timespec until = {.tv_sec = (time_t)(next / 1000000000u),
                               .tv_nsec = (long)(next % 1000000000u)};
      pthread_cond_timedwait(&self->changed, &self->mutex, &until);
    }
  }
  pthread_mutex_unlock(&self->mutex);
  return NULL;
}

// Signals are for the host's threads. Mutex held.
static bool start(Watchdog *self) {
  if (self->started) return true;
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  self->started = pthread_create(&self->thread, NULL, run, self) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return self->started;
}

bool watchdog_begin(Watchdog *self, WatchdogCall *call) {
  pthread_mutex_lock(&self->mutex);
  bool started = start(self);
  if (started) {
    call->begun_ns = now_ns();
    call->deadline_ns = call->begun_ns + (uint64_t)self->limit_ms * NS_PER_MS;
    call->previous = self->calls.previous;
    call->next = &self->calls;
    call->previous->next = call;
    self->calls.previous = call;
    pthread_cond_signal(&self->changed);
  }
  pthread_mutex_unlock(&self->mutex);
  return started;
}

void watchdog_end(Watchdog *self, WatchdogCall *call) {
  pthread_mutex_lock(&self->mutex);
  call->previous->next = call->next;
  call->next->previous = call->previous;
  pthread_mutex_unlock(&self->mutex);
}
