// SPDX-License-Identifier: MIT
//
// From events to files: who is concerned by an event, and looks at the disk
// for what events alone do not say.

#include "watch/watch_inner.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/hash.h"

// ---------------------------------------------------------------------------
// Files
// ---------------------------------------------------------------------------

bool file_path(const File *self, char *path, size_t room) {
  const char *folder = strcmp(self->dir->path, "/") ? self->dir->path : "";
  return snprintf(path, room, "%s/%s", folder, self->name) < (int)room;
}

static bool relative_path(const Dir *dir, const char *name, char *path,
                          size_t room) {
  const char *slash = *dir->relative != '\0' ? "/" : "";
  return snprintf(path, room, "%s%s%s", dir->relative, slash, name) < (int)room;
}

static bool shown_path(const Dir *dir, const char *name, char *path,
                       size_t room) {
  const Root *root = dir->root;
  if (root->single != NULL) {
    return snprintf(path, room, "%s", root->name) < (int)room;
  }
  char relative[PATH_ROOM];
  if (!relative_path(dir, name, relative, sizeof relative)) return false;
  size_t size = strlen(root->shown);
  const char *slash = size > 0 && root->shown[size - 1] != '/' ? "/" : "";
  return snprintf(path, room, "%s%s%s", root->shown, slash, relative) <
         (int)room;
}

bool file_shown(const File *self, char *path, size_t room) {
  return shown_path(self->dir, self->name, path, room);
}

static bool has_extension(const Watch *self, const char *name) {
  const char *at = self->extensions + strspn(self->extensions, " ");
  if (*at == '\0') return true;
  size_t length = strlen(name);
  while (*at != '\0') {
    size_t size = strcspn(at, " ");
    if (length > size && memcmp(name + length - size, at, size) == 0) {
      return true;
    }
    at += size;
    at += strspn(at, " ");
  }
  return false;
}

bool file_wanted(Watch *self, Dir *dir, const char *name) {
  const Root *root = dir->root;
  if (root->single != NULL) return strcmp(root->single, name) == 0;
  if (!has_extension(self, name) || dir_ignores(dir, name, false)) return false;
  char path[PATH_ROOM];
  if (root->pattern != NULL) {
    if (!relative_path(dir, name, path, sizeof path)) return false;
    if (!glob_match(root->pattern, path)) return false;
  }
  if (self->desc.filter == NULL) return true;
  if (!shown_path(dir, name, path, sizeof path)) return false;
  return self->desc.filter(self->desc.context, root->index, path);
}

File *file_new(Watch *self, Dir *dir, const char *name) {
  File *file = memory_new(&self->allocator, sizeof *file);
  if (file == NULL) goto fail;
  file->dir = dir;
  file->deadline = NEVER;
  file->name = memory_copy_string(&self->allocator, name, strlen(name));
  if (file->name == NULL) goto fail;
  if (!map_set(&dir->files, file->name, file)) goto fail;
  return file;

fail:
  if (file != NULL) memory_free(&self->allocator, file->name);
  memory_free(&self->allocator, file);
  watch_memory_short(self);
  return NULL;
}

// A file that can be reported: one that was dropped comes to life again.
static File *get_file(Watch *self, Dir *dir, const char *name) {
  File *file = map_find(&dir->files, name);
  if (file == NULL) {
    return file_wanted(self, dir, name) ? file_new(self, dir, name) : NULL;
  }
  if (file->dropped) {
    if (!file_wanted(self, dir, name)) return NULL;
    file->dropped = false;
  }
  return file;
}

// Follows the way of a symbolic link again.
void file_relink(Watch *self, File *file) {
  char path[PATH_ROOM];
  struct stat status;
  anchor_clear(self, &file->anchors);
  if (file->dropped || !file_path(file, path, sizeof path)) return;
  file->is_link = lstat(path, &status) == 0 && S_ISLNK(status.st_mode);
  if (!file->is_link || file->dir->root->polled) return;
  anchor_walk(self, &file->anchors, (Anchor){.file = file}, path);
}

static void queue_relink(Watch *self, File *file) {
  File **slot = ARRAY_PUSH(&self->allocator, &self->relinks);
  if (slot == NULL) {
    watch_memory_short(self);
    return;
  }
  *slot = file;
}

// ---------------------------------------------------------------------------
// Events
// ---------------------------------------------------------------------------

static void queue_check(Watch *self, Dir *dir, const char *name) {
  if (self->checks.count > 0) {
    const Check *last = &self->checks.items[self->checks.count - 1];
    if (last->dir == dir && (last->name == NULL) == (name == NULL) &&
        (name == NULL || strcmp(last->name, name) == 0)) {
      return;
    }
  }
  char *copy = NULL;
  if (name != NULL) {
    copy = memory_copy_string(&self->allocator, name, strlen(name));
  }
  Check *check = NULL;
  if (name == NULL || copy != NULL) {
    check = ARRAY_PUSH(&self->allocator, &self->checks);
  }
  if (check == NULL) {
    memory_free(&self->allocator, copy);
    watch_memory_short(self);
    return;
  }
  *check = (Check){dir, copy};
}

static bool is_link(const Dir *dir, const char *name) {
  char path[PATH_ROOM];
  struct stat status;
  if (snprintf(path, sizeof path, "%s/%s", dir->path, name) >=
      (int)sizeof path) {
    return false;
  }
  return lstat(path, &status) == 0 && S_ISLNK(status.st_mode);
}

static void folder_event(Watch *self, Dir *dir, Touch touch, const char *name) {
  if (touch == TOUCH_MODIFIED || touch == TOUCH_CLOSED) return;
  if (dir->root->single != NULL) return;
  Dir *child = map_find(&dir->dirs, name);
  if (child == NULL && dir_ignores(dir, name, true)) return;
  if (touch == TOUCH_RIGHTS && (child == NULL || !child->denied)) return;
  settle_other_activity(self);
  queue_check(self, dir, name);
}

static void dir_event(Watch *self, Dir *dir, Touch touch, const char *name,
                      bool is_folder) {
  const Dir *child = map_find(&dir->dirs, name);
  bool was_folder = child != NULL && (child->present || child->anchors != NULL);
  if (is_folder || was_folder) {
    folder_event(self, dir, touch, name);
    return;
  }
  bool named = touch == TOUCH_CREATED || touch == TOUCH_ARRIVED;
  if (strcmp(name, ".graftignore") == 0 && touch != TOUCH_MODIFIED) {
    queue_check(self, dir, name);
    return;
  }
  if (named && is_link(dir, name)) {
    queue_check(self, dir, name);
    return;
  }
  bool gone = touch == TOUCH_GONE || touch == TOUCH_RIGHTS;
  File *file = gone ? map_find(&dir->files, name) : get_file(self, dir, name);
  if (file == NULL || file->dropped) {
    if (named && !ignore_name(name)) settle_other_activity(self);
    return;
  }
  if (file->is_link) {
    queue_relink(self, file);
  } else if (touch != TOUCH_GONE && file->anchors != NULL) {
    queue_relink(self, file);
  }
  file_touch(self, file, touch);
}

static void check_owner(Watch *self, Anchor *anchor) {
  if (anchor->root != NULL) anchor->root->check = true;
  if (anchor->dir != NULL) queue_check(self, anchor->dir, NULL);
}

static uint64_t key_of(const Place *place, const char *name) {
  return hash_bytes(hash_mix(1, place->id), name, strlen(name));
}

void tree_event(Watch *self, Place *place, Touch touch, const char *name,
                bool is_folder) {
  self->event_key = key_of(place, name);
  for (Dir *dir = place->dirs; dir != NULL; dir = dir->next_here) {
    dir_event(self, dir, touch, name, is_folder);
  }
  for (Anchor *at = place->anchors; at != NULL; at = at->next_here) {
    if (at->name == NULL || strcmp(at->name, name) != 0) continue;
    bool names = touch != TOUCH_MODIFIED && touch != TOUCH_CLOSED &&
                 touch != TOUCH_RIGHTS;
    if (at->file == NULL) {
      if (names) check_owner(self, at);
      continue;
    }
    if (names) queue_relink(self, at->file);
    file_touch(self, at->file, touch);
  }
}

// For systems that do not say what happened: everything is looked at.
void tree_event_any(Watch *self, Place *place, const char *name) {
  self->event_key = key_of(place, name);
  for (Dir *dir = place->dirs; dir != NULL; dir = dir->next_here) {
    queue_check(self, dir, name);
  }
  for (Anchor *at = place->anchors; at != NULL; at = at->next_here) {
    if (at->name == NULL || strcmp(at->name, name) != 0) continue;
    check_owner(self, at);
    if (at->file == NULL) continue;
    queue_relink(self, at->file);
    file_touch(self, at->file, TOUCH_FOUND);
  }
}

void tree_self_gone(Watch *self, Place *place) {
  for (Dir *dir = place->dirs; dir != NULL; dir = dir->next_here) {
    if (dir->parent == NULL)
      dir->root->check = true;
    else
      queue_check(self, dir, NULL);
  }
  for (Anchor *at = place->anchors; at != NULL; at = at->next_here) {
    check_owner(self, at);
    if (at->file != NULL) queue_relink(self, at->file);
  }
}

// ---------------------------------------------------------------------------
// Checks
// ---------------------------------------------------------------------------

// Watches the folder `name`, or, for a link to nothing, the way to it.
static void enter_folder(Watch *self, Dir *dir, const char *name) {
  if (!dir_recurses(dir) || dir_ignores(dir, name, true)) return;
  Dir *child = dir_child(self, dir, name);
  if (child != NULL) dir_enter(self, child);
}

static void check_file(Watch *self, Dir *dir, const char *name,
                       bool is_a_link) {
  File *file = get_file(self, dir, name);
  if (file == NULL) return;
  if (is_a_link || file->anchors != NULL) file_relink(self, file);
  file_touch(self, file, TOUCH_FOUND);
}

static void check_missing(Watch *self, Dir *dir, const char *name,
                          bool is_a_link) {
  File *file = map_find(&dir->files, name);
  if (file != NULL && !file->dropped) file_touch(self, file, TOUCH_GONE);
  if (!is_a_link) return;
  // A link whose target is not there: its name says what it may become.
  if (file == NULL) file = get_file(self, dir, name);
  if (file != NULL) {
    file_relink(self, file);
    file_touch(self, file, TOUCH_GONE);
    return;
  }
  enter_folder(self, dir, name);
}

// Brings what is known of `name` in line with the disk.
void tree_check(Watch *self, Dir *dir, const char *name) {
  if (!dir->present) return;
  if (strcmp(name, ".graftignore") == 0) {
    dir_scan(self, dir);
    return;
  }
  char path[PATH_ROOM];
  struct stat status;
  const char *folder = strcmp(dir->path, "/") ? dir->path : "";
  if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path) {
    return;
  }
  bool is_a_link = lstat(path, &status) == 0 && S_ISLNK(status.st_mode);
  bool found = stat(path, &status) == 0;
  Dir *child = map_find(&dir->dirs, name);
  if (child != NULL && child->present && (!found || !S_ISDIR(status.st_mode))) {
    dir_leave(self, child);
  }
  if (found && S_ISDIR(status.st_mode)) {
    check_missing(self, dir, name, false);
    enter_folder(self, dir, name);
  } else if (found && S_ISREG(status.st_mode)) {
    check_file(self, dir, name, is_a_link);
  } else {
    check_missing(self, dir, name, is_a_link);
  }
}

static void run_check(Watch *self, const Check *check) {
  Dir *dir = check->dir;
  if (check->name != NULL)
    tree_check(self, dir, check->name);
  else if (dir->parent == NULL)
    dir->root->check = true;
  else
    tree_check(self, dir->parent, dir->name);
}

static bool check_roots(Watch *self) {
  bool any = false;
  for (size_t i = 0; i < self->roots.count; i++) {
    Root *root = self->roots.items[i];
    if (!root->check && !self->rescan_due) continue;
    root->check = false;
    root_check(self, root);
    any = true;
  }
  self->rescan_due = false;
  return any;
}

void tree_run_checks(Watch *self) {
  // A check may queue more of them.
  for (size_t i = 0; i < self->checks.count; i++) {
    Check check = self->checks.items[i];
    run_check(self, &check);
    memory_free(&self->allocator, check.name);
    self->checks.items[i].name = NULL;
  }
  self->checks.count = 0;
  if (check_roots(self)) self->prune_due = true;
  for (size_t i = 0; i < self->relinks.count; i++) {
    file_relink(self, self->relinks.items[i]);
  }
  self->relinks.count = 0;
  if (self->primes_due) prime_apply_all(self);
}
