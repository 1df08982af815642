// SPDX-License-Identifier: MIT
//
// Roots: what the user asked to watch, there or not there yet.

#include "watch/watch_inner.h"

#include <string.h>
#include <sys/stat.h>

#include "base/error.h"

static char *copy(Watch *self, const char *text, size_t size) {
  return memory_copy_string(&self->allocator, text, size);
}

void root_free(Watch *self, Root *root) {
  if (root == NULL) return;
  if (root->dir != NULL) dir_free(self, root->dir);
  anchor_clear(self, &root->anchors);
  memory_free(&self->allocator, root->name);
  memory_free(&self->allocator, root->path);
  memory_free(&self->allocator, root->shown);
  memory_free(&self->allocator, root->pattern);
  memory_free(&self->allocator, root->single);
  memory_free(&self->allocator, root->folder);
  memory_free(&self->allocator, root->git_lock);
  memory_free(&self->allocator, root);
}

// Splits "mods/**/init.lua" into the folder "mods" and the rest.
static bool split_glob(Watch *self, Root *root) {
  const char *special = glob_find(root->name);
  const char *cut = special;
  while (cut > root->name && cut[-1] != '/') cut--;
  size_t size = (size_t)(cut - root->name);
  root->pattern = copy(self, cut, strlen(cut));
  while (size > 1 && root->name[size - 1] == '/') size--;
  root->shown = copy(self, root->name, size);
  if (root->pattern == NULL || root->shown == NULL) return false;
  root->folder = path_absolute(&self->allocator, size > 0 ? root->shown : ".");
  return root->folder != NULL;
}

static Root *new_root(Watch *self, const char *path) {
  Root *root = memory_new(&self->allocator, sizeof *root);
  if (root == NULL) return NULL;
  size_t size = strlen(path);
  while (size > 1 && path[size - 1] == '/') size--;
  root->name = copy(self, path, size);
  root->path = path_absolute(&self->allocator, path);
  if (root->name == NULL || root->path == NULL) goto fail;
  struct stat status;
  if (glob_find(path) != NULL && lstat(root->path, &status) != 0) {
    if (!split_glob(self, root)) goto fail;
  } else {
    root->shown = copy(self, root->name, size);
    if (root->shown == NULL) goto fail;
  }
  return root;

fail:
  root_free(self, root);
  return NULL;
}

static void tell_exhausted(Watch *self, const char *reason) {
  if (self->told_exhausted) return;
  self->told_exhausted = true;
  watch_say(self, "%s: polling every %d ms", reason, self->poll_ms);
}

static Root *find_root(Watch *self, const char *path) {
  char *absolute = path_absolute(&self->allocator, path);
  Root *found = NULL;
  for (size_t i = 0; absolute != NULL && i < self->roots.count; i++) {
    Root *root = self->roots.items[i];
    if (strcmp(root->path, absolute) == 0) found = root;
  }
  memory_free(&self->allocator, absolute);
  return found;
}

Root *root_add(Watch *self, const char *path, GraftError *error) {
  Root *root = find_root(self, path);
  if (root != NULL) return root;
  root = new_root(self, path);
  Root **slot =
      root != NULL ? ARRAY_PUSH(&self->allocator, &self->roots) : NULL;
  if (slot == NULL) {
    root_free(self, root);
    error_memory(error);
    return NULL;
  }
  *slot = root;
  root->index = (int)self->roots.count - 1;
  if (self->exhausted) {
    tell_exhausted(self, "the system gives no file notification "
                         "(fs.inotify.max_user_instances)");
  }
  if (self->exhausted || self->backend == &backend_poll) {
    root->polled = true;
    poll_arm(self);
  }
  root_check(self, root);
  root->old = true;
  self->primes_due = true;
  return root;
}

// From now on everything is polled. Called from within place_open, so that
// nothing but places may change here.
void root_exhausted(Watch *self, const char *reason) {
  if (self->exhausted) return;
  self->exhausted = true;
  self->backend->close(self);
  for (size_t i = 0; i < self->roots.count; i++) {
    self->roots.items[i]->polled = true;
    self->roots.items[i]->check = true;
  }
  poll_arm(self);
  tell_exhausted(self, reason);
}

// Decides, when the path first exists, whether it is a folder or a file.
static bool decide_kind(Watch *self, Root *root) {
  if (root->folder != NULL) return true;
  struct stat status;
  if (stat(root->path, &status) != 0) return false;
  size_t size = strlen(root->path);
  if (S_ISDIR(status.st_mode)) {
    root->folder = copy(self, root->path, size);
  } else {
    const char *slash = strrchr(root->path, '/');
    memory_free(&self->allocator, root->single);
    root->single = copy(self, slash + 1, strlen(slash + 1));
    size = (size_t)(slash - root->path);
    if (root->single != NULL) {
      root->folder = copy(self, root->path, size > 0 ? size : 1);
    }
  }
  if (root->folder == NULL) watch_memory_short(self);
  return root->folder != NULL;
}

static void check_network(Watch *self, Root *root) {
  if (root->network || root->polled || self->desc.method != WATCH_AUTO) return;
  const char *name = path_network(root->folder);
  if (name == NULL) return;
  root->network = root->polled = true;
  anchor_clear(self, &root->anchors);
  watch_say(self, "%s is on a network file system (%s): polling every %d ms",
            root->name, name, self->poll_ms);
  poll_arm(self);
}

static void tell_missing(Watch *self, Root *root) {
  if (root->missed) return;
  root->missed = true;
  watch_say(self, "%s %s; waiting for it", root->name,
            root->dir != NULL ? "is gone" : "does not exist yet");
}

// Looks whether the root exists, and what is in it.
void root_check(Watch *self, Root *root) {
  struct stat status;
  anchor_clear(self, &root->anchors);
  if (!root->polled) {
    anchor_walk(self, &root->anchors, (Anchor){.root = root},
                root->folder != NULL ? root->folder : root->path);
  }
  bool there = decide_kind(self, root) && stat(root->folder, &status) == 0 &&
               S_ISDIR(status.st_mode);
  if (!there) {
    if (root->dir != NULL && root->dir->present) dir_leave(self, root->dir);
    tell_missing(self, root);
    return;
  }
  if (root->dir == NULL) root->dir = dir_new(self, root, NULL, NULL);
  if (root->dir == NULL) return;
  if (!root->dir->present) {
    check_network(self, root);
    self->primes_due = true;
  }
  if (root->git_lock == NULL) {
    root->git_lock = path_git_lock(&self->allocator, root->folder);
  }
  root->missed = false;
  dir_enter(self, root->dir);
}
