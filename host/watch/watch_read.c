// SPDX-License-Identifier: MIT
//
// Reading a file, and telling when it was not to be trusted.

#include "watch/watch_inner.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define RACY_NS 2000000000u
static const uint64_t LARGEST = (uint64_t)1 << 30;

static bool is_racy(const Stamp *stamp) {
  struct timespec time;
  clock_gettime(CLOCK_REALTIME, &time);
  uint64_t now = (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
  uint64_t changed =
      stamp->mtime_ns > stamp->ctime_ns ? stamp->mtime_ns : stamp->ctime_ns;
  return changed + RACY_NS > now;
}

// Reads until the end; a file that does not have the size it had is torn.
static bool read_all(Watch *self, int fd, Take *take) {
  size_t size = (size_t)take->stamp.size;
  take->contents = memory_resize(&self->allocator, NULL, size + 1);
  if (take->contents == NULL) {
    watch_memory_short(self);
    return false;
  }
  while (take->size <= size) {
    ssize_t got = read(fd, take->contents + take->size, size + 1 - take->size);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    take->size += (size_t)got;
  }
  if (take->size != size) return false;
  take->contents[size] = '\0';
  return true;
}

static void tell(Watch *self, File *file, const char *why) {
  char shown[PATH_ROOM];
  if (file->denied || !file_shown(file, shown, sizeof shown)) return;
  file->denied = true;
  watch_say(self, "cannot read %s: %s", shown, why);
}

static void fail_open(Watch *self, File *file, Take *take) {
  int code = errno;
  if (code == ENOENT || code == ENOTDIR || code == ELOOP || code == ENXIO) {
    take->result = TAKE_MISSING;
    return;
  }
  take->result = TAKE_FAILED;
  tell(self, file, strerror(code));
  // A change of rights is an event; anything else we have to ask for.
  if (code != EACCES) watch_look_again(self);
}

static void read_open(Watch *self, File *file, Take *take, int fd) {
  struct stat status;
  take->result = TAKE_MISSING;
  if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) return;
  take->stamp = stamp_of(&status);
  take->racy = is_racy(&take->stamp);
  take->result = TAKE_BUSY;
  if (file->probe) {
    int written = path_written(fd);
    take->written = written > 0;
    if (written > 0 || (written < 0 && !file->trusted)) return;
  }
  if (take->stamp.size == 0) {
    take->result = TAKE_EMPTY;
    return;
  }
  take->result = TAKE_FAILED;
  if (take->stamp.size > LARGEST) {
    tell(self, file, "it is too large");
    return;
  }
  bool whole = read_all(self, fd, take);
  if (take->contents == NULL) return;
  take->result = TAKE_BUSY;
  if (!whole || fstat(fd, &status) != 0) return;
  Stamp after = stamp_of(&status);
  // Being renamed or linked changes ctime, but not what was read.
  if (after.size != take->stamp.size ||
      after.mtime_ns != take->stamp.mtime_ns) {
    return;
  }
  take->stamp = after;
  take->result = TAKE_READ;
}

void take_read(Watch *self, File *file, Take *take) {
  *take = (Take){.file = file, .generation = file->generation};
  char path[PATH_ROOM];
  if (!file_path(file, path, sizeof path)) {
    take->result = TAKE_FAILED;
    return;
  }
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) {
    fail_open(self, file, take);
  } else {
    read_open(self, file, take, fd);
    close(fd);
  }
  if (take->result != TAKE_READ) {
    memory_free(&self->allocator, take->contents);
    take->contents = NULL;
  }
  take->read_ns = uv_hrtime();
}
