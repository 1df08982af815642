// SPDX-License-Identifier: MIT
//
// Settling: when a file may be taken, and when the files that may be taken are
// delivered together.
//
// One file that was closed while nothing else goes on is delivered at once. If
// other names are touched within BURST_NS, all wait until nothing has happened
// for QUIET_NS, and at most CAP_NS. While git holds its index lock, a branch
// switch is under way, and the times are longer.

#include "watch/watch_inner.h"

#include <unistd.h>

#define MS 1000000u

static const uint64_t BURST_NS = 5 * MS;
static const uint64_t QUIET_NS = 3 * MS;
static const uint64_t CAP_NS = 250 * MS;
static const uint64_t GIT_QUIET_NS = 100 * MS;
static const uint64_t GIT_CAP_NS = 10000u * (uint64_t)MS;
static const uint64_t GIT_LOOK_NS = 2 * MS;

// Files whose waiting ends within this time of each other go together.
static const uint64_t SOON_NS = 60 * MS;

// ---------------------------------------------------------------------------
// States
// ---------------------------------------------------------------------------

static void count_ready(Watch *self, const File *file, int sign) {
  if (file->state != FILE_READY) return;
  if (sign > 0 && self->ready == 0) self->ready_ns = self->event_ns;
  self->ready += (size_t)sign;
  if (file->waited) self->ready_waited += (size_t)sign;
}

static void leave_pending(Watch *self, File *file) {
  File *last = self->pending.items[--self->pending.count];
  self->pending.items[file->slot] = last;
  last->slot = file->slot;
}

static bool join_pending(Watch *self, File *file) {
  File **slot = ARRAY_PUSH(&self->allocator, &self->pending);
  if (slot == NULL) {
    watch_memory_short(self);
    return false;
  }
  *slot = file;
  file->slot = self->pending.count - 1;
  return true;
}

void file_set(Watch *self, File *file, FileState state, uint64_t deadline) {
  count_ready(self, file, -1);
  bool was_idle = file->state == FILE_IDLE;
  if (was_idle && state != FILE_IDLE && !join_pending(self, file)) return;
  if (!was_idle && state == FILE_IDLE) leave_pending(self, file);
  file->state = state;
  file->deadline = deadline;
  file->waited = false;
  count_ready(self, file, +1);
  if (deadline < self->deadline) self->deadline = deadline;
}

static void set_waited(Watch *self, File *file) {
  file_set(self, file, FILE_READY, NEVER);
  file->waited = true;
  self->ready_waited++;
}

static void activity(Watch *self, uint64_t key) {
  if (self->event_ns - self->activity_ns > BURST_NS) {
    self->burst_many = false;
    self->burst_key = key;
  }
  if (self->burst_key != key) self->burst_many = true;
  self->activity_ns = self->event_ns;
}

// Something else than a wanted file is being changed. That matters only as
// company: a temporary file before a save is none, and a stream of other files
// must not keep a save waiting.
void settle_other_activity(Watch *self) {
  if (self->ready == 0 || self->burst_many) return;
  self->burst_many = true;
  self->activity_ns = self->event_ns;
}

static void found(Watch *self, File *file, bool exact) {
  file->probe = true;
  file->trusted = false;
  if (exact) {
    file_set(self, file, FILE_READY, NEVER);
    return;
  }
  char path[PATH_ROOM];
  if (file_path(file, path, sizeof path)) path_stamp(path, &file->stamp);
  file_set(self, file, FILE_QUIET, self->event_ns + self->debounce_ns);
}

void file_touch(Watch *self, File *file, Touch touch) {
  bool exact = self->backend->exact && !file->dir->root->polled;
  if (touch == TOUCH_RIGHTS) {
    if (!file->denied) return;
    touch = TOUCH_FOUND;
  }
  if (touch == TOUCH_FOUND) {
    // A look at the disk, which has no name that an event is about.
    activity(self, (uint64_t)(uintptr_t)file);
  } else {
    activity(self, self->event_key);
  }
  file->generation++;
  file->notice_ns = self->event_ns;
  switch (touch) {
  case TOUCH_MODIFIED:
  case TOUCH_CREATED:
    file_set(self, file, FILE_WRITING, self->event_ns + self->debounce_ns);
    break;
  case TOUCH_CLOSED:
  case TOUCH_ARRIVED:
    file->probe = touch == TOUCH_ARRIVED;
    file->trusted = true;
    file_set(self, file, FILE_READY, NEVER);
    break;
  case TOUCH_GONE:
    if (file->state != FILE_GRACE) file->grace_ns = self->event_ns;
    file_set(self, file, FILE_GRACE, file->grace_ns + self->grace_ns);
    break;
  case TOUCH_FOUND:
  case TOUCH_RIGHTS:
    found(self, file, exact);
    break;
  }
}

// ---------------------------------------------------------------------------
// Deadlines
// ---------------------------------------------------------------------------

static void expire_file(Watch *self, File *file, uint64_t now) {
  switch (file->state) {
  case FILE_WRITING: // no closing was seen: take_read asks who has it open
    file->probe = true;
    file->trusted = false;
    set_waited(self, file);
    break;
  case FILE_QUIET: {
    char path[PATH_ROOM];
    Stamp stamp = {0};
    bool there = file_path(file, path, sizeof path) && path_stamp(path, &stamp);
    if (there && !stamp_equal(&stamp, &file->stamp)) {
      file->stamp = stamp;
      file_set(self, file, FILE_QUIET, now + self->debounce_ns);
      break;
    }
    file->trusted = true;
    set_waited(self, file);
    break;
  }
  case FILE_GRACE:
    file->probe = true;
    file->trusted = true;
    set_waited(self, file);
    break;
  case FILE_IDLE:
  case FILE_READY:
    break;
  }
}

static void expire(Watch *self, uint64_t now) {
  uint64_t next = NEVER;
  for (size_t i = 0; i < self->pending.count; i++) {
    File *file = self->pending.items[i];
    if (file->deadline <= now) expire_file(self, file, now);
    if (file->deadline < next) next = file->deadline;
  }
  self->deadline = next;
  if (!self->look_again) return;
  self->look_again = false;
  self->rescan_due = true;
}

// ---------------------------------------------------------------------------
// Holding
// ---------------------------------------------------------------------------

static bool git_works(const Watch *self) {
  for (size_t i = 0; i < self->roots.count; i++) {
    const Root *root = self->roots.items[i];
    if (root->git_lock != NULL && access(root->git_lock, F_OK) == 0) {
      return true;
    }
  }
  return false;
}

static uint64_t earlier(uint64_t a, uint64_t b) {
  return a < b ? a : b;
}

// When the files that are ready are to be delivered; `now` for now.
static uint64_t hold_until(Watch *self, uint64_t now) {
  if (git_works(self)) {
    uint64_t end =
        earlier(self->activity_ns + GIT_QUIET_NS, self->ready_ns + GIT_CAP_NS);
    self->burst_many = true;
    if (now < end) return now + GIT_LOOK_NS;
    return now;
  }
  uint64_t cap = self->ready_ns + CAP_NS;
  if (self->ready == self->ready_waited) {
    // All of them waited; others that wait as well may end soon.
    return self->deadline <= now + SOON_NS ? earlier(self->deadline, cap) : now;
  }
  if (!self->burst_many) return now;
  return earlier(self->activity_ns + QUIET_NS, cap);
}

static void on_timer(uv_timer_t *handle) {
  Watch *self = handle->data;
  self->event_ns = uv_hrtime();
  settle_run(self);
}

static void arm(Watch *self, uint64_t until) {
  if (uv_is_closing((uv_handle_t *)&self->timer)) return;
  if (until == NEVER) {
    uv_timer_stop(&self->timer);
    return;
  }
  uint64_t now = uv_hrtime();
  uint64_t ms = until > now ? (until - now + MS - 1) / MS : 0;
  uv_update_time(&self->loop);
  uv_timer_start(&self->timer, on_timer, ms, 0);
}

// The end of each turn of the loop.
void settle_run(Watch *self) {
  uint64_t hold = NEVER;
  for (int turns = 0; turns < 4; turns++) {
    tree_run_checks(self);
    uint64_t now = uv_hrtime();
    if (now >= self->deadline) {
      self->event_ns = now;
      expire(self, now);
      if (self->rescan_due) continue;
    }
    hold = NEVER;
    if (self->ready == 0) break;
    prime_apply_all(self); // what the host has just loaded is no change
    hold = hold_until(self, now);
    if (hold > now) break;
    bool forced = now >= self->ready_ns + CAP_NS;
    bool hurry = self->ready == 1 && !self->burst_many;
    deliver(self, hurry, forced);
    hold = self->ready > 0 ? now + QUIET_NS : NEVER;
  }
  if (self->prune_due) tree_prune(self);
  arm(self, earlier(hold, self->deadline));
}
