// SPDX-License-Identifier: MIT
//
// Watching with libuv's own events, where inotify is not to be had. They say
// only that something happened to a name, so each name is looked at, and a
// file is taken when it has been still for the settle time.
// Traded away: that a folder above a root is moved goes unnoticed until
// something happens in the root, since telling would need all events up there.

#include "watch/watch_inner.h"

#include <string.h>
#include <sys/stat.h>

#include "base/hash.h"

static void on_event(uv_fs_event_t *handle, const char *name, int events,
                     int status) {
  (void)events;
  Place *place = handle->data;
  Watch *self = place->watch;
  self->event_ns = uv_hrtime();
  struct stat there;
  if (status < 0 || stat(place->path, &there) != 0) {
    place->dead = true;
    tree_self_gone(self, place);
  } else if (name == NULL) {
    self->rescan_due = true;
  } else {
    tree_event_any(self, place, name);
  }
  settle_run(self);
}

static void on_closed(uv_handle_t *handle) {
  Place *place = handle->data;
  place_free(place->watch, place);
}

static void event_forget(Watch *self, Place *place) {
  (void)self;
  uv_close((uv_handle_t *)&place->event, on_closed);
}

static int event_watch(Watch *self, const char *path, PlaceWant want,
                       Place **found) {
  (void)want;
  uint64_t id = hash_bytes(HASH_EMPTY, path, strlen(path));
  *found = place_find(self, id);
  if (*found != NULL && !(*found)->dead) return 0;
  Place *place = place_new(self, path, id);
  if (place == NULL) return UV_ENOMEM;
  uv_fs_event_init(&self->loop, &place->event);
  place->event.data = place;
  int code = uv_fs_event_start(&place->event, on_event, path, 0);
  if (code != 0) {
    place->users = 1;
    place_release(self, place);
    return code;
  }
  *found = place;
  return 0;
}

static GraftStatus event_open(Watch *self) {
  (void)self;
  return GRAFT_OK;
}

static void event_drain(Watch *self, int wait_us) {
  (void)self;
  (void)wait_us;
}

const Backend backend_event = {
    .name = "events",
    .open = event_open,
    .close = place_close_all,
    .watch = event_watch,
    .forget = event_forget,
    .drain = event_drain,
};
