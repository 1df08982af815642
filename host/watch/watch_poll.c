// SPDX-License-Identifier: MIT
//
// Polling: every so often the polled roots are scanned, and what looks
// different from its stamp is read once it has been still for the settle time.

#include "watch/watch_inner.h"

static void on_poll(uv_timer_t *handle) {
  Watch *self = handle->data;
  self->event_ns = uv_hrtime();
  for (size_t i = 0; i < self->roots.count; i++) {
    if (self->roots.items[i]->polled) self->roots.items[i]->check = true;
  }
  settle_run(self);
}

// Only runs while a root needs it, so that nothing else costs anything.
void poll_arm(Watch *self) {
  uint64_t time = (uint64_t)self->poll_ms;
  if (uv_is_active((uv_handle_t *)&self->poll_timer)) return;
  uv_timer_start(&self->poll_timer, on_poll, time, time);
}

static GraftStatus poll_open(Watch *self) {
  (void)self;
  return GRAFT_OK;
}

static void poll_close(Watch *self) {
  (void)self;
}

static int poll_watch(Watch *self, const char *path, PlaceWant want,
                      Place **place) {
  (void)self;
  (void)path;
  (void)want;
  (void)place;
  return UV_ENOTSUP;
}

static void poll_forget(Watch *self, Place *place) {
  (void)self;
  (void)place;
}

static void poll_drain(Watch *self, int wait_us) {
  (void)self;
  (void)wait_us;
}

const Backend backend_poll = {
    .name = "polling",
    .open = poll_open,
    .close = poll_close,
    .watch = poll_watch,
    .forget = poll_forget,
    .drain = poll_drain,
};
