// SPDX-License-Identifier: MIT
//
// Folders: entering, leaving, and comparing them with what was known.

#include "watch/watch_inner.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// ---------------------------------------------------------------------------
// Making and freeing
// ---------------------------------------------------------------------------

// The folder `name` of `parent`, or, without one, the folder of the root.
Dir *dir_new(Watch *self, Root *root, Dir *parent, const char *name) {
  const GraftAllocator *allocator = &self->allocator;
  Dir *dir = memory_new(allocator, sizeof *dir);
  if (dir == NULL) goto fail;
  dir->root = root;
  dir->parent = parent;
  map_init(&dir->dirs, allocator);
  map_init(&dir->files, allocator);
  if (parent == NULL) {
    dir->path =
        memory_copy_string(allocator, root->folder, strlen(root->folder));
    dir->relative = memory_copy_string(allocator, "", 0);
  } else {
    dir->name = memory_copy_string(allocator, name, strlen(name));
    dir->path = path_join(allocator, parent->path, name);
    dir->relative = path_join(allocator, parent->relative, name);
    if (dir->name == NULL) goto fail;
  }
  if (dir->path == NULL || dir->relative == NULL) goto fail;
  if (parent != NULL && !map_set(&parent->dirs, dir->name, dir)) goto fail;
  return dir;

fail:
  watch_memory_short(self);
  if (dir != NULL) {
    memory_free(allocator, dir->name);
    memory_free(allocator, dir->path);
    memory_free(allocator, dir->relative);
  }
  memory_free(allocator, dir);
  return NULL;
}

Dir *dir_child(Watch *self, Dir *dir, const char *name) {
  Dir *child = map_find(&dir->dirs, name);
  return child != NULL ? child : dir_new(self, dir->root, dir, name);
}

static void file_free(Watch *self, File *file) {
  file_set(self, file, FILE_IDLE, NEVER);
  anchor_clear(self, &file->anchors);
  memory_free(&self->allocator, file->name);
  memory_free(&self->allocator, file);
}

static void detach(Watch *self, Dir *dir) {
  Place *place = dir->place;
  if (place == NULL) return;
  place_leave(place, dir);
  place_release(self, place);
}

void dir_free(Watch *self, Dir *dir) {
  for (size_t i = 0; i < dir->dirs.capacity; i++) {
    if (dir->dirs.entries[i].key) dir_free(self, dir->dirs.entries[i].value);
  }
  for (size_t i = 0; i < dir->files.capacity; i++) {
    if (dir->files.entries[i].key) file_free(self, dir->files.entries[i].value);
  }
  detach(self, dir);
  anchor_clear(self, &dir->anchors);
  map_clear(&dir->dirs);
  map_clear(&dir->files);
  ignore_clear(&dir->ignore, &self->allocator);
  memory_free(&self->allocator, dir->name);
  memory_free(&self->allocator, dir->path);
  memory_free(&self->allocator, dir->relative);
  memory_free(&self->allocator, dir);
}

void file_drop(Watch *self, File *file) {
  file->dropped = true;
  file->known = file->existed = file->denied = false;
  file->grace_ns = 0;
  file_set(self, file, FILE_IDLE, NEVER);
  self->prune_due = true;
}

static void prune_files(Watch *self, Dir *dir) {
  for (size_t i = 0; i < dir->files.capacity; i++) {
    File *file = dir->files.entries[i].value;
    if (dir->files.entries[i].key == NULL || !file->dropped) continue;
    map_remove(&dir->files, file->name);
    file_free(self, file);
  }
}

// True when the folder itself is of no use any more. A link to nothing is.
static bool prune(Watch *self, Dir *dir) {
  prune_files(self, dir);
  for (size_t i = 0; i < dir->dirs.capacity; i++) {
    if (dir->dirs.entries[i].key == NULL) continue;
    Dir *child = dir->dirs.entries[i].value;
    if (!prune(self, child)) continue;
    map_remove(&dir->dirs, child->name);
    dir_free(self, child);
  }
  return !dir->present && dir->anchors == NULL && dir->files.count == 0 &&
         dir->dirs.count == 0;
}

void tree_prune(Watch *self) {
  if (self->checks.count > 0 || self->relinks.count > 0) return;
  self->prune_due = false;
  for (size_t i = 0; i < self->roots.count; i++) {
    if (self->roots.items[i]->dir) prune(self, self->roots.items[i]->dir);
  }
}

// ---------------------------------------------------------------------------
// Ignoring
// ---------------------------------------------------------------------------

// The rules of a deeper folder come before those above it.
bool dir_ignores(const Dir *self, const char *name, bool is_folder) {
  if (ignore_name(name)) return true;
  char path[PATH_ROOM];
  int size = snprintf(path, sizeof path, "%s%s%s", self->relative,
                      *self->relative != '\0' ? "/" : "", name);
  if (size >= (int)sizeof path) return true;
  for (const Dir *dir = self; dir != NULL; dir = dir->parent) {
    if (dir->ignore.rules.count == 0) continue;
    size_t skip = strlen(dir->relative);
    IgnoreAnswer answer =
        ignore_ask(&dir->ignore, path + skip + (skip > 0), is_folder);
    if (answer != IGNORE_SILENT) return answer == IGNORE_YES;
  }
  return false;
}

static void load_ignore(Watch *self, Dir *dir) {
  ignore_clear(&dir->ignore, &self->allocator);
  char path[PATH_ROOM], text[16 * 1024];
  if (snprintf(path, sizeof path, "%s/.graftignore", dir->path) >=
      (int)sizeof path) {
    return;
  }
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return;
  ssize_t size = read(fd, text, sizeof text - 1);
  close(fd);
  if (size <= 0) return;
  text[size] = '\0';
  if (!ignore_parse(&dir->ignore, &self->allocator, text)) {
    watch_memory_short(self);
  }
}

// ---------------------------------------------------------------------------
// Scanning
// ---------------------------------------------------------------------------

bool dir_recurses(const Dir *self) {
  const Root *root = self->root;
  if (root->single != NULL) return false;
  return root->pattern == NULL || strchr(root->pattern, '/') != NULL ||
         strstr(root->pattern, "**") != NULL;
}

static bool differs(const File *file, const Stamp *stamp) {
  switch (file->state) {
  case FILE_IDLE:
    return !stamp_equal(&file->stamp, stamp) || (file->known && file->racy);
  case FILE_GRACE:
    return stamp->size > 0 || !stamp_equal(&file->stamp, stamp);
  case FILE_WRITING: // its closing may be among the events that were lost
    return true;
  case FILE_QUIET:
  case FILE_READY:
    break;
  }
  return false;
}

static void scan_file(Watch *self, Dir *dir, const char *name, bool is_link) {
  File *file = map_find(&dir->files, name);
  bool is_new = file == NULL || file->dropped;
  if (is_new) {
    if (!file_wanted(self, dir, name)) return;
    if (file == NULL) file = file_new(self, dir, name);
    if (file == NULL) return;
    file->dropped = false;
  } else if (!file_wanted(self, dir, name)) {
    file_drop(self, file);
    return;
  }
  file->seen = dir->seen;
  if (is_link || file->is_link) file_relink(self, file);
  char path[PATH_ROOM];
  Stamp stamp = {0};
  bool found = file_path(file, path, sizeof path) && path_stamp(path, &stamp);
  if (!found) {
    file_touch(self, file, TOUCH_GONE);
  } else if (is_new && !dir->root->old) {
    file->existed = true;
    file->stamp = stamp;
  } else if (is_new || differs(file, &stamp)) {
    file_touch(self, file, TOUCH_FOUND);
  }
}

static void scan_folder(Watch *self, Dir *dir, const char *name) {
  if (!dir_recurses(dir) || dir_ignores(dir, name, true)) return;
  Dir *child = dir_child(self, dir, name);
  if (child != NULL) child->found = dir->seen;
}

static void scan_entry(Watch *self, Dir *dir, const struct dirent *entry) {
  const char *name = entry->d_name;
  if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) return;
  if (entry->d_type == DT_DIR) {
    scan_folder(self, dir, name);
    return;
  }
  if (entry->d_type == DT_REG) {
    scan_file(self, dir, name, false);
    return;
  }
  if (entry->d_type != DT_LNK && entry->d_type != DT_UNKNOWN) return;
  char path[PATH_ROOM];
  struct stat status;
  if (snprintf(path, sizeof path, "%s/%s", dir->path, name) >=
      (int)sizeof path) {
    return;
  }
  bool is_link = lstat(path, &status) == 0 && S_ISLNK(status.st_mode);
  bool found = stat(path, &status) == 0;
  if (found && S_ISDIR(status.st_mode))
    scan_folder(self, dir, name);
  else if (found && S_ISREG(status.st_mode))
    scan_file(self, dir, name, is_link);
  else if (!found && is_link)
    tree_check(self, dir, name);
}

static void drop_all(Watch *self, Dir *dir) {
  for (size_t i = 0; i < dir->files.capacity; i++) {
    if (dir->files.entries[i].key == NULL) continue;
    file_drop(self, dir->files.entries[i].value);
  }
  for (size_t i = 0; i < dir->dirs.capacity; i++) {
    if (dir->dirs.entries[i].key == NULL) continue;
    drop_all(self, dir->dirs.entries[i].value);
  }
}

// What the scan did not find is gone, unless it is now ignored.
static void finish_scan(Watch *self, Dir *dir) {
  unsigned seen = dir->seen;
  for (size_t i = 0; i < dir->files.capacity; i++) {
    File *file = dir->files.entries[i].value;
    if (dir->files.entries[i].key == NULL || file->dropped) continue;
    if (file->seen == seen) continue;
    if (file->is_link) file_relink(self, file);
    if (file->is_link) continue; // to nothing; scan_entry has seen to it
    if (!file_wanted(self, dir, file->name))
      file_drop(self, file);
    else if (file->state != FILE_GRACE)
      file_touch(self, file, TOUCH_GONE);
  }
  for (size_t i = 0; i < dir->dirs.capacity; i++) {
    if (dir->dirs.entries[i].key == NULL) continue;
    Dir *child = dir->dirs.entries[i].value;
    if (child->found == seen) {
      dir_enter(self, child);
      continue;
    }
    if (dir_ignores(dir, child->name, true)) drop_all(self, child);
    if (!child->is_link)
      dir_leave(self, child);
    else
      dir_enter(self, child);
  }
}

void dir_scan(Watch *self, Dir *dir) {
  load_ignore(self, dir);
  DIR *stream = opendir(dir->path);
  if (stream == NULL) {
    if (errno == EACCES && !dir->denied) {
      dir->denied = true;
      watch_say(self, "cannot watch %s: no right to read it", dir->path);
    } else if (errno != EACCES && errno != ENOENT && errno != ENOTDIR) {
      watch_look_again(self); // no descriptors, most likely
    }
    return;
  }
  dir->denied = false;
  dir->seen = ++self->scan;
  for (struct dirent *entry; (entry = readdir(stream)) != NULL;) {
    scan_entry(self, dir, entry);
  }
  closedir(stream);
  finish_scan(self, dir);
}

// A link to a folder that leads back to one above it is not entered.
static bool loops(const Dir *dir, const struct stat *status) {
  for (const Dir *up = dir->parent; up != NULL; up = up->parent) {
    if (up->dev == (uint64_t)status->st_dev &&
        up->ino == (uint64_t)status->st_ino) {
      return true;
    }
  }
  return dir->links > LINKS_MAX;
}

static void attach(Watch *self, Dir *dir) {
  Place *place = place_open(self, dir->path, PLACE_ALL, dir->root->polled);
  if (place != NULL && place == dir->place) {
    place_release(self, place);
    return;
  }
  detach(self, dir);
  if (place != NULL) place_join(place, dir);
}

// Watches a folder and everything in it, or brings it up to date. It is
// watched before it is looked into, so that nothing in between is missed.
void dir_enter(Watch *self, Dir *dir) {
  struct stat status;
  bool was_link = dir->is_link;
  dir->is_link = dir->parent != NULL && lstat(dir->path, &status) == 0 &&
                 S_ISLNK(status.st_mode);
  dir->links = dir->parent != NULL ? dir->parent->links + dir->is_link : 0;
  if (was_link || dir->is_link) {
    anchor_clear(self, &dir->anchors);
  }
  if (dir->is_link && !dir->root->polled) {
    anchor_walk(self, &dir->anchors, (Anchor){.dir = dir}, dir->path);
  }
  if (stat(dir->path, &status) != 0 || !S_ISDIR(status.st_mode) ||
      loops(dir, &status)) {
    if (dir->present) dir_leave(self, dir);
    self->prune_due = true;
    return;
  }
  if (dir->dev != (uint64_t)status.st_dev ||
      dir->ino != (uint64_t)status.st_ino) {
    detach(self, dir);
  }
  dir->dev = (uint64_t)status.st_dev;
  dir->ino = (uint64_t)status.st_ino;
  dir->present = true;
  attach(self, dir);
  dir_scan(self, dir);
}

void dir_leave(Watch *self, Dir *dir) {
  self->prune_due = true;
  dir->present = false;
  detach(self, dir);
  for (size_t i = 0; i < dir->files.capacity; i++) {
    File *file = dir->files.entries[i].value;
    if (dir->files.entries[i].key == NULL || file->dropped) continue;
    if (file->state != FILE_GRACE) file_touch(self, file, TOUCH_GONE);
  }
  for (size_t i = 0; i < dir->dirs.capacity; i++) {
    if (dir->dirs.entries[i].key == NULL) continue;
    dir_leave(self, dir->dirs.entries[i].value);
  }
}
