// SPDX-License-Identifier: MIT
//
// What the specs of compiling are made with: a folder of their own with
// sources and made-up compilers, which are shell scripts.

#ifndef GRAFT_SPEC_COMPILE_SUPPORT_H
#define GRAFT_SPEC_COMPILE_SUPPORT_H

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

typedef struct Folder {
  char path[64];
} Folder;

static inline void folder_open(Folder *folder) {
  *folder = (Folder){"/tmp/graft-compile-XXXXXX"};
  if (mkdtemp(folder->path) == NULL) {
    perror("mkdtemp");
    exit(1);
  }
}

static inline int folder_remove_one(const char *path, const struct stat *state,
                                    int kind, struct FTW *place) {
  (void)state;
  (void)kind;
  (void)place;
  return remove(path);
}

static inline void folder_close(const Folder *folder) {
  nftw(folder->path, folder_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

// "FOLDER/name", in one of a few buffers that are used in turn.
static inline const char *folder_path(const Folder *folder, const char *name) {
  static char paths[8][512];
  static int next;
  char *path = paths[next++ % 8];
  snprintf(path, sizeof paths[0], "%s/%s", folder->path, name);
  return path;
}

// Writes a file, in a folder below if the name has a slash.
static inline const char *folder_write(const Folder *folder, const char *name,
                                       const char *text) {
  const char *path = folder_path(folder, name);
  char parent[512];
  snprintf(parent, sizeof parent, "%s", path);
  for (char *slash = strchr(parent + 1, '/'); slash != NULL;
       slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    mkdir(parent, 0700);
    *slash = '/';
  }
  FILE *file = fopen(path, "w");
  if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0) {
    perror(path);
    exit(1);
  }
  return path;
}

// A program that a shell runs: "#!/bin/sh" and `script`.
static inline const char *folder_program(const Folder *folder, const char *name,
                                         const char *script) {
  char text[2048];
  snprintf(text, sizeof text, "#!/bin/sh\n%s\n", script);
  const char *path = folder_write(folder, name, text);
  chmod(path, 0700);
  return path;
}

// How many files and folders are in a folder.
static inline int folder_count(const char *path) {
  DIR *folder = opendir(path);
  int count = 0;
  if (folder == NULL) return -1;
  for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
    count +=
        strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
  }
  closedir(folder);
  return count;
}

static inline char *folder_read(const char *path, char *text, size_t size) {
  FILE *file = fopen(path, "r");
  size_t got = file != NULL ? fread(text, 1, size - 1, file) : 0;
  if (file != NULL) fclose(file);
  text[got] = '\0';
  return text;
}

// Waits, with a deadline, until a file exists.
static inline bool folder_wait(const char *path) {
  for (int i = 0; i < 20000; i++) {
    if (access(path, F_OK) == 0) return true;
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
  }
  return false;
}

// Waits, with a deadline, until no process has this number.
static inline bool process_gone(pid_t pid) {
  for (int i = 0; i < 20000; i++) {
    if (pid > 0 && kill(pid, 0) != 0 && errno == ESRCH) return true;
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
  }
  return false;
}

// The number that a program writes into a file, waited for like the file.
static inline pid_t folder_read_pid(const char *path) {
  char text[64] = "";
  for (int i = 0; i < 20000 && strchr(text, '\n') == NULL; i++) {
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    folder_read(path, text, sizeof text);
  }
  return (pid_t)strtol(text, NULL, 10);
}

static inline bool has_program(const char *name) {
  char command[128];
  const char *folders[] = {"/usr/bin", "/usr/local/bin", "/bin"};
  for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
    snprintf(command, sizeof command, "%s/%s", folders[i], name);
    if (access(command, X_OK) == 0) return true;
  }
  return false;
}

#endif
