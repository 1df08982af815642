// SPDX-License-Identifier: MIT
//
// Watching with inotify, which says when a writer closed a file.

#include "watch/watch_inner.h"

#ifdef __linux__

#include <errno.h>
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

enum { EVENT_ROOM = 64 * 1024 };

static const uint32_t masks[] = {
    [PLACE_SELF] = IN_MOVE_SELF | IN_DELETE_SELF,
    [PLACE_NAMES] = IN_MOVE_SELF | IN_DELETE_SELF | IN_CREATE | IN_DELETE |
                    IN_MOVED_FROM | IN_MOVED_TO,
    [PLACE_ALL] = IN_MOVE_SELF | IN_DELETE_SELF | IN_CREATE | IN_DELETE |
                  IN_MOVED_FROM | IN_MOVED_TO | IN_MODIFY | IN_CLOSE_WRITE |
                  IN_ATTRIB,
};

static void handle_named(Watch *self, Place *place,
                         const struct inotify_event *event) {
  static const struct {
    uint32_t mask;
    Touch touch;
  } touches[] = {
      {IN_MODIFY, TOUCH_MODIFIED},    {IN_CREATE, TOUCH_CREATED},
      {IN_CLOSE_WRITE, TOUCH_CLOSED}, {IN_MOVED_TO, TOUCH_ARRIVED},
      {IN_MOVED_FROM, TOUCH_GONE},    {IN_DELETE, TOUCH_GONE},
      {IN_ATTRIB, TOUCH_RIGHTS},
  };
  for (size_t i = 0; i < sizeof touches / sizeof *touches; i++) {
    if ((event->mask & touches[i].mask) == 0) continue;
    tree_event(self, place, touches[i].touch, event->name,
               (event->mask & IN_ISDIR) != 0);
    return;
  }
}

static void handle(Watch *self, const struct inotify_event *event) {
  if (event->mask & IN_Q_OVERFLOW) {
    self->rescan_due = true;
    return;
  }
  Place *place = place_find(self, (uint64_t)event->wd);
  if (place == NULL) return; // forgotten while the event was on its way
  if (event->mask & IN_IGNORED) place->dead = true;
  if (event->mask & (IN_IGNORED | IN_MOVE_SELF | IN_DELETE_SELF | IN_UNMOUNT)) {
    tree_self_gone(self, place);
  } else if (event->len > 0) {
    handle_named(self, place, event);
  }
}

static void handle_all(Watch *self, const char *bytes, size_t size) {
  int loss = self->desc.test_overflow;
  if (loss > 0 && ++self->reads % loss == 0) {
    self->rescan_due = true;
    return;
  }
  for (size_t at = 0; at < size;) {
    const struct inotify_event *event = (const void *)(bytes + at);
    handle(self, event);
    at += sizeof *event + event->len;
  }
}

static void linux_drain(Watch *self, int wait_us) {
  if (self->inotify < 0) return;
  if (wait_us > 0) {
    struct pollfd query = {.fd = self->inotify, .events = POLLIN};
    struct timespec time = {.tv_nsec = wait_us * 1000L};
    if (ppoll(&query, 1, &time, NULL) <= 0) return;
  }
  _Alignas(struct inotify_event) char bytes[EVENT_ROOM];
  for (;;) {
    ssize_t size = read(self->inotify, bytes, sizeof bytes);
    if (size <= 0) return;
    self->event_ns = uv_hrtime();
    handle_all(self, bytes, (size_t)size);
  }
}

static void on_readable(uv_poll_t *handle, int status, int events) {
  (void)status;
  (void)events;
  Watch *self = handle->data;
  linux_drain(self, 0);
  settle_run(self);
}

static GraftStatus linux_open(Watch *self) {
  self->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (self->inotify < 0) return GRAFT_EIO;
  if (uv_poll_init(&self->loop, &self->inotify_poll, self->inotify) != 0) {
    close(self->inotify);
    self->inotify = -1;
    return GRAFT_EIO;
  }
  self->inotify_poll.data = self;
  uv_poll_start(&self->inotify_poll, UV_READABLE, on_readable);
  return GRAFT_OK;
}

// Closing the descriptor drops every watch at once, so it comes first and
// linux_forget then has nothing to do.
static void linux_close(Watch *self) {
  if (self->inotify >= 0) {
    uv_poll_stop(&self->inotify_poll);
    uv_close((uv_handle_t *)&self->inotify_poll, NULL);
    close(self->inotify);
    self->inotify = -1;
  }
  place_close_all(self);
}

static int linux_watch(Watch *self, const char *path, PlaceWant want,
                       Place **place) {
  int wd = inotify_add_watch(self->inotify, path,
                             masks[want] | IN_MASK_ADD | IN_ONLYDIR);
  if (wd < 0) return -errno;
  *place = place_find(self, (uint64_t)wd);
  if (*place == NULL) *place = place_new(self, path, (uint64_t)wd);
  if (*place != NULL) return 0;
  inotify_rm_watch(self->inotify, wd);
  return UV_ENOMEM;
}

static void linux_forget(Watch *self, Place *place) {
  if (self->inotify >= 0 && !place->dead) {
    inotify_rm_watch(self->inotify, (int)place->id);
  }
  place_free(self, place);
}

const Backend backend_inotify = {
    .name = "inotify",
    .open = linux_open,
    .close = linux_close,
    .watch = linux_watch,
    .forget = linux_forget,
    .drain = linux_drain,
    .exact = true,
    .selves = true,
};

#else

typedef int watch_linux_is_empty;

#endif
