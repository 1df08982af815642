// SPDX-License-Identifier: MIT
//
// Places, the folders that the system watches, and anchors in them.

#include "watch/watch_inner.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static Place **bucket_of(Watch *self, uint64_t id) {
  return &self->buckets[id % PLACE_BUCKETS];
}

Place *place_find(Watch *self, uint64_t id) {
  Place *place = *bucket_of(self, id);
  while (place != NULL && place->id != id) place = place->next;
  return place;
}

Place *place_new(Watch *self, const char *path, uint64_t id) {
  Place *place = memory_new(&self->allocator, sizeof *place);
  if (place == NULL) return NULL;
  place->path = memory_copy_string(&self->allocator, path, strlen(path));
  if (place->path == NULL) {
    memory_free(&self->allocator, place);
    return NULL;
  }
  place->watch = self;
  place->id = id;
  place->next = *bucket_of(self, id);
  *bucket_of(self, id) = place;
  self->places++;
  return place;
}

void place_free(Watch *self, Place *place) {
  memory_free(&self->allocator, place->path);
  memory_free(&self->allocator, place);
}

static void take_out(Watch *self, Place *place) {
  Place **link = bucket_of(self, place->id);
  while (*link != NULL && *link != place) link = &(*link)->next;
  if (*link != NULL) *link = place->next;
  self->places--;
}

// NULL when the folder is polled, is gone, or cannot be watched. Being out of
// watches turns everything to polling.
Place *place_open(Watch *self, const char *path, PlaceWant want, bool polled) {
  if (polled || self->exhausted) return NULL;
  if (want == PLACE_SELF && !self->backend->selves) return NULL;
  int limit = self->desc.test_watch_limit;
  Place *place = NULL;
  int code = limit > 0 && self->places >= limit
                 ? UV_ENOSPC
                 : self->backend->watch(self, path, want, &place);
  if (code == 0) {
    place->users++;
    return place;
  }
  if (code == UV_ENOMEM) watch_memory_short(self);
  if (code == UV_ENOSPC) {
    root_exhausted(self, "the system is out of file watches "
                         "(fs.inotify.max_user_watches)");
  } else if (code == UV_EMFILE || code == UV_ENFILE) {
    root_exhausted(self, "the system has no more descriptors for watches");
  }
  return NULL;
}

void place_release(Watch *self, Place *place) {
  if (place == NULL || --place->users > 0) return;
  take_out(self, place);
  self->backend->forget(self, place);
}

// Used when the backend closes: nobody is told by it any more.
void place_close_all(Watch *self) {
  for (size_t i = 0; i < PLACE_BUCKETS; i++) {
    while (self->buckets[i] != NULL) {
      Place *place = self->buckets[i];
      for (Dir *dir = place->dirs; dir != NULL; dir = dir->next_here) {
        dir->place = NULL;
      }
      for (Anchor *at = place->anchors; at != NULL; at = at->next_here) {
        at->place = NULL;
      }
      take_out(self, place);
      self->backend->forget(self, place);
    }
  }
}

void place_join(Place *self, Dir *dir) {
  dir->place = self;
  dir->next_here = self->dirs;
  self->dirs = dir;
}

void place_leave(Place *self, Dir *dir) {
  Dir **link = &self->dirs;
  while (*link != NULL && *link != dir) link = &(*link)->next_here;
  if (*link != NULL) *link = dir->next_here;
  dir->place = NULL;
  dir->next_here = NULL;
}

// ---------------------------------------------------------------------------
// Anchors
// ---------------------------------------------------------------------------

static bool is_polled(const Anchor *like) {
  if (like->file != NULL) return like->file->dir->root->polled;
  if (like->dir != NULL) return like->dir->root->polled;
  return like->root != NULL && like->root->polled;
}

static void add_anchor(Watch *self, Anchor **list, const Anchor *like,
                       const char *folder, const char *name) {
  PlaceWant want = name == NULL         ? PLACE_SELF
                   : like->file != NULL ? PLACE_ALL
                                        : PLACE_NAMES;
  Place *place = place_open(self, folder, want, is_polled(like));
  if (place == NULL) return;
  Anchor *anchor = memory_new(&self->allocator, sizeof *anchor);
  if (anchor != NULL && name != NULL) {
    anchor->name = memory_copy_string(&self->allocator, name, strlen(name));
  }
  if (anchor == NULL || (name != NULL && anchor->name == NULL)) {
    memory_free(&self->allocator, anchor);
    place_release(self, place);
    watch_memory_short(self);
    return;
  }
  anchor->root = like->root;
  anchor->dir = like->dir;
  anchor->file = like->file;
  anchor->place = place;
  anchor->next_here = place->anchors;
  place->anchors = anchor;
  anchor->next = *list;
  *list = anchor;
}

static void leave_place(Watch *self, Anchor *anchor) {
  if (anchor->place == NULL) return;
  Anchor **link = &anchor->place->anchors;
  while (*link != NULL && *link != anchor) link = &(*link)->next_here;
  if (*link != NULL) *link = anchor->next_here;
  place_release(self, anchor->place);
}

void anchor_clear(Watch *self, Anchor **list) {
  while (*list != NULL) {
    Anchor *anchor = *list;
    *list = anchor->next;
    leave_place(self, anchor);
    memory_free(&self->allocator, anchor->name);
    memory_free(&self->allocator, anchor);
  }
}

typedef struct Walk {
  char at[PATH_ROOM];   // how far we are; no links in it
  char rest[PATH_ROOM]; // what is still to go
  int links;
} Walk;

// Cuts the next name off `rest`.
static bool next_name(Walk *walk, char *name, size_t room) {
  const char *start = walk->rest + strspn(walk->rest, "/");
  size_t size = strcspn(start, "/");
  if (size == 0 || size >= room) return false;
  memcpy(name, start, size);
  name[size] = '\0';
  memmove(walk->rest, start + size, strlen(start + size) + 1);
  return true;
}

static void go_up(Walk *walk) {
  char *slash = strrchr(walk->at, '/');
  if (slash != NULL) *slash = '\0';
}

// Puts the target of the link at `path` before what is still to go.
static bool follow(Walk *walk, const char *path) {
  char target[PATH_ROOM];
  ssize_t size = readlink(path, target, sizeof target - 1);
  if (size <= 0 || ++walk->links > 40) return false;
  size_t tail = strlen(walk->rest);
  if ((size_t)size + tail + 2 > sizeof walk->rest) return false;
  memmove(walk->rest + size, walk->rest, tail + 1);
  memcpy(walk->rest, target, (size_t)size);
  if (target[0] == '/') walk->at[0] = '\0';
  return true;
}

// Each folder is watched before it is looked into, so that nothing that
// happens in between is missed.
bool anchor_walk(Watch *self, Anchor **list, Anchor like, const char *path) {
  Walk walk = {.links = 0};
  char name[NAME_MAX + 1], next[PATH_ROOM];
  if (strlen(path) >= sizeof walk.rest) return false;
  strcpy(walk.rest, path);
  while (next_name(&walk, name, sizeof name)) {
    if (strcmp(name, ".") == 0) continue;
    if (strcmp(name, "..") == 0) {
      go_up(&walk);
      continue;
    }
    size_t size = strlen(walk.at);
    if (size + strlen(name) + 2 > sizeof next) return false;
    memcpy(next, walk.at, size);
    next[size] = '/';
    strcpy(next + size + 1, name);
    const char *folder = size > 0 ? walk.at : "/";
    struct stat status;
    bool found = lstat(next, &status) == 0;
    if (!found || !S_ISDIR(status.st_mode)) {
      add_anchor(self, list, &like, folder, name);
      found = lstat(next, &status) == 0;
      if (!found) return false;
    }
    if (S_ISLNK(status.st_mode)) {
      if (!follow(&walk, next)) return false;
      continue;
    }
    if (S_ISDIR(status.st_mode)) add_anchor(self, list, &like, next, NULL);
    strcpy(walk.at, next);
  }
  return true;
}
