// SPDX-License-Identifier: MIT

#include "watch/watch_inner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/syscall.h>
#include <sys/vfs.h>
#endif

#include "base/buffer.h"

// Takes out ".", repeated and trailing slashes. ".." stays, since what it
// means depends on links.
char *path_absolute(const GraftAllocator *allocator, const char *path) {
  Buffer buffer;
  buffer_init(&buffer, allocator);
  char folder[PATH_ROOM];
  if (*path != '/' && getcwd(folder, sizeof folder) != NULL &&
      strcmp(folder, "/") != 0) {
    buffer_add_text(&buffer, folder);
  }
  while (*path != '\0') {
    size_t size = strcspn(path, "/");
    if (size > 0 && !(size == 1 && *path == '.')) {
      buffer_add_text(&buffer, "/");
      buffer_add(&buffer, path, size);
    }
    path += size;
    path += strspn(path, "/");
  }
  if (buffer.size == 0) buffer_add_text(&buffer, "/");
  if (!buffer.failed) return buffer.text;
  buffer_clear(&buffer);
  return NULL;
}

char *path_join(const GraftAllocator *allocator, const char *folder,
                const char *name) {
  Buffer buffer;
  buffer_init(&buffer, allocator);
  buffer_add_text(&buffer, folder);
  if (*folder != '\0' && folder[strlen(folder) - 1] != '/') {
    buffer_add_text(&buffer, "/");
  }
  buffer_add_text(&buffer, name);
  if (!buffer.failed) return buffer.text;
  buffer_clear(&buffer);
  return NULL;
}

bool path_stamp(const char *path, Stamp *stamp) {
  struct stat status;
  if (stat(path, &status) != 0 || !S_ISREG(status.st_mode)) return false;
  *stamp = stamp_of(&status);
  return true;
}

Stamp stamp_of(const struct stat *status) {
#ifdef __APPLE__
  const struct timespec *m = &status->st_mtimespec, *c = &status->st_ctimespec;
#else
  const struct timespec *m = &status->st_mtim, *c = &status->st_ctim;
#endif
  return (Stamp){
      .size = (uint64_t)status->st_size,
      .mtime_ns = (uint64_t)m->tv_sec * 1000000000u + (uint64_t)m->tv_nsec,
      .ctime_ns = (uint64_t)c->tv_sec * 1000000000u + (uint64_t)c->tv_nsec,
      .ino = (uint64_t)status->st_ino,
      .dev = (uint64_t)status->st_dev,
  };
}

bool stamp_equal(const Stamp *a, const Stamp *b) {
  return a->size == b->size && a->mtime_ns == b->mtime_ns &&
         a->ctime_ns == b->ctime_ns && a->ino == b->ino && a->dev == b->dev;
}

const char *path_network(const char *path) {
#ifdef __linux__
  static const struct {
    unsigned long type;
    const char *name;
  } kinds[] = {
      {0x6969, "NFS"},        {0x517b, "SMB"},      {0xff534d42, "CIFS"},
      {0xfe534d42, "SMB2"},   {0x65735546, "FUSE"}, {0x01021997, "9P"},
      {0x5346414f, "AFS"},    {0x00c36400, "Ceph"}, {0x73757245, "Coda"},
      {0x786f4256, "VBoxSF"}, {0xbacbacbc, "HGFS"}, {0x564c, "NCP"},
      {0x7461636f, "OCFS2"},  {0x01161970, "GFS2"},
  };
  struct statfs status;
  if (statfs(path, &status) != 0) return NULL;
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    // Some types are negative where f_type is a signed 32-bit number.
    if (((unsigned long)status.f_type & 0xffffffffu) == kinds[i].type) {
      return kinds[i].name;
    }
  }
#else
  (void)path;
#endif
  return NULL;
}

// The folder that a worktree's or submodule's `.git` file names.
static char *read_git_file(const GraftAllocator *allocator, const char *folder,
                           const char *path) {
  char text[PATH_ROOM];
  FILE *file = fopen(path, "r");
  if (file == NULL) return NULL;
  bool found = fgets(text, sizeof text, file) != NULL &&
               strncmp(text, "gitdir: ", 8) == 0;
  fclose(file);
  if (!found) return NULL;
  text[strcspn(text, "\r\n")] = '\0';
  const char *target = text + 8;
  if (*target == '/') {
    return memory_copy_string(allocator, target, strlen(target));
  }
  return path_join(allocator, folder, target);
}

// git holds `index.lock` while it changes the files of a work tree.
char *path_git_lock(const GraftAllocator *allocator, const char *path) {
  char folder[PATH_ROOM];
  if (realpath(path, folder) == NULL) return NULL;
  for (;;) {
    char git[PATH_ROOM + 8];
    struct stat status;
    snprintf(git, sizeof git, "%s/.git", folder);
    if (stat(git, &status) == 0) {
      char *real = S_ISDIR(status.st_mode)
                       ? memory_copy_string(allocator, git, strlen(git))
                       : read_git_file(allocator, folder, git);
      char *lock =
          real != NULL ? path_join(allocator, real, "index.lock") : NULL;
      memory_free(allocator, real);
      return lock;
    }
    char *slash = strrchr(folder, '/');
    if (slash == NULL || slash == folder) return NULL;
    *slash = '\0';
  }
}

// A read lease is granted only while nobody has the file open for writing. It
// is given back at once; a writer that comes in between waits for that, some
// microseconds, and the system's signal about it goes to the watcher thread,
// which blocks all signals. Leases need the file's owner.
int path_written(int fd) {
#if defined(__linux__) && defined(F_SETOWN_EX)
  struct f_owner_ex owner = {
      .type = F_OWNER_TID,
      .pid = (pid_t)syscall(SYS_gettid),
  };
  if (fcntl(fd, F_SETOWN_EX, &owner) != 0) return -1;
  if (fcntl(fd, F_SETLEASE, F_RDLCK) == 0) {
    fcntl(fd, F_SETLEASE, F_UNLCK);
    return 0;
  }
  return errno == EAGAIN ? 1 : -1;
#else
  (void)fd;
  return -1;
#endif
}
