// SPDX-License-Identifier: MIT

#include "native/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"

enum {
  OUTPUT_MOST = 1 << 20,
  GRACE_MS = 200,       // between being asked to end and being killed
  LOWEST_OWN = 16,      // our descriptors stay out of the program's way
  IMPATIENCE_MS = 2,    // between looks where the kernel has no pidfd
  FOR_EVER_MS = 1 << 30 // twelve days
};

static uint64_t now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

// --- Files in memory ---------------------------------------------------------

// Moves a descriptor out of the numbers that programs are given; it is closed
// in any program that is started without more ado.
static int keep_high(int descriptor) {
  if (descriptor < 0) return descriptor;
  int high = fcntl(descriptor, F_DUPFD_CLOEXEC, LOWEST_OWN);
  close(descriptor);
  return high;
}

// Kernels before 3.17 have no memfd, but files without a name.
static int open_nameless(void) {
  int descriptor = memfd_create("graft", MFD_CLOEXEC);
  if (descriptor < 0 && errno == ENOSYS) {
    descriptor = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  }
  return keep_high(descriptor);
}

GraftStatus process_file_open(ProcessFile *self, int number,
                              GraftError *error) {
  self->number = number;
  snprintf(self->path, sizeof self->path, "/proc/self/fd/%d", number);
  self->descriptor = open_nameless();
  if (self->descriptor >= 0) return GRAFT_OK;
  return error_set(error, GRAFT_EIO, "no file in memory: %s", strerror(errno));
}

void process_file_close(ProcessFile *self) {
  if (self->descriptor >= 0) close(self->descriptor);
  self->descriptor = -1;
}

static bool read_all(int descriptor, char *bytes, size_t size) {
  for (size_t done = 0; done < size;) {
    ssize_t got = pread(descriptor, bytes + done, size - done, (off_t)done);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    done += (size_t)got;
  }
  return true;
}

GraftStatus process_file_write(const ProcessFile *self, const char *bytes,
                               size_t size, GraftError *error) {
  while (size > 0) {
    ssize_t put = write(self->descriptor, bytes, size);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) {
      return error_set(error, GRAFT_EIO, "cannot write a file in memory: %s",
                       strerror(errno));
    }
    bytes += put;
    size -= (size_t)put;
  }
  return GRAFT_OK;
}

GraftStatus process_file_read(const ProcessFile *self,
                              const GraftAllocator *allocator, char **bytes,
                              size_t *size, GraftError *error) {
  struct stat state;
  *bytes = NULL;
  *size = 0;
  if (fstat(self->descriptor, &state) != 0) {
    return error_set(error, GRAFT_EIO, "%s", strerror(errno));
  }
  char *block = memory_new(allocator, (size_t)state.st_size + 1);
  if (block == NULL) return error_memory(error);
  if (!read_all(self->descriptor, block, (size_t)state.st_size)) {
    memory_free(allocator, block);
    return error_set(error, GRAFT_EIO, "cannot read a file in memory");
  }
  block[state.st_size] = '\0';
  *bytes = block;
  *size = (size_t)state.st_size;
  return GRAFT_OK;
}

// --- Stopping ----------------------------------------------------------------

GraftStatus process_stop_open(ProcessStop *self, GraftError *error) {
  self->descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (self->descriptor >= 0) return GRAFT_OK;
  return error_set(error, GRAFT_EIO, "no event descriptor: %s",
                   strerror(errno));
}

void process_stop_close(ProcessStop *self) {
  if (self->descriptor >= 0) close(self->descriptor);
  self->descriptor = -1;
}

void process_stop_ask(ProcessStop *self) {
  uint64_t one = 1;
  // It can fail only when it has been asked for the 2^64th time.
  ssize_t written = write(self->descriptor, &one, sizeof one);
  (void)written;
}

// --- Starting ----------------------------------------------------------------

// A program that is being run.
typedef struct Running {
  const ProcessDesc *desc;
  Buffer *output;
  pid_t pid;
  int handle; // a pidfd, or -1 where the kernel has none
  int pipe;   // what it prints, or -1 when that has ended
  uint64_t started_ns;
  ProcessEnd end;
  bool lost; // somebody else has waited for it: its number may be anybody's
} Running;

static int add_files(posix_spawn_file_actions_t *actions,
                     const ProcessDesc *desc, int pipe) {
  int code = posix_spawn_file_actions_addopen(actions, STDIN_FILENO,
                                              "/dev/null", O_RDONLY, 0);
  if (code == 0) {
    code = posix_spawn_file_actions_adddup2(actions, pipe, STDOUT_FILENO);
  }
  if (code == 0) {
    code = posix_spawn_file_actions_adddup2(actions, pipe, STDERR_FILENO);
  }
  int lowest_free = STDERR_FILENO + 1;
  for (int i = 0; i < PROCESS_FILES && desc->files[i] != NULL; i++) {
    const ProcessFile *file = desc->files[i];
    if (file->number >= lowest_free) lowest_free = file->number + 1;
    if (code == 0) {
      code = posix_spawn_file_actions_adddup2(actions, file->descriptor,
                                              file->number);
    }
  }
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 34)
  // What the host has open is none of the program's business.
  if (code == 0) {
    code = posix_spawn_file_actions_addclosefrom_np(actions, lowest_free);
  }
#endif
  if (code == 0 && desc->directory != NULL) {
    code = posix_spawn_file_actions_addchdir_np(actions, desc->directory);
  }
  return code;
}

// A group of its own, and no signal that the host ignores or blocks.
static int set_attributes(posix_spawnattr_t *attributes) {
  sigset_t all, none;
  sigfillset(&all);
  sigemptyset(&none);
  int code = posix_spawnattr_setsigdefault(attributes, &all);
  if (code == 0) code = posix_spawnattr_setsigmask(attributes, &none);
  if (code == 0) code = posix_spawnattr_setpgroup(attributes, 0);
  if (code != 0) return code;
  return posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGDEF |
                                                  POSIX_SPAWN_SETSIGMASK |
                                                  POSIX_SPAWN_SETPGROUP);
}

// The code of errno, or 0.
static int spawn(const ProcessDesc *desc, int pipe, pid_t *pid) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  int code = posix_spawn_file_actions_init(&actions);
  if (code != 0) return code;
  code = posix_spawnattr_init(&attributes);
  if (code == 0) {
    code = set_attributes(&attributes);
    if (code == 0) code = add_files(&actions, desc, pipe);
    if (code == 0) {
      char *const *environment =
          desc->environment != NULL ? desc->environment : environ;
      code = posix_spawnp(pid, desc->program, &actions, &attributes,
                          desc->arguments, environment);
    }
    posix_spawnattr_destroy(&attributes);
  }
  posix_spawn_file_actions_destroy(&actions);
  return code;
}

// Should this program be killed outright, nobody is left to enforce the time
// limit; then the kernel does, for whatever still computes.
static void limit_time(const Running *self) {
  if (self->desc->time_limit_ms <= 0) return;
  rlim_t seconds = (rlim_t)self->desc->time_limit_ms / 1000 + 1;
  struct rlimit limit = {.rlim_cur = seconds, .rlim_max = seconds + 1};
  prlimit(self->pid, RLIMIT_CPU, &limit, NULL);
}

static GraftStatus start(Running *self, GraftError *error) {
  int pipes[2];
  if (pipe2(pipes, O_CLOEXEC) != 0) {
    return error_set(error, GRAFT_EIO, "no pipe: %s", strerror(errno));
  }
  self->pipe = pipes[0];
  int flags = fcntl(self->pipe, F_GETFL);
  fcntl(self->pipe, F_SETFL, flags | O_NONBLOCK);
  int written = keep_high(pipes[1]);
  int code = spawn(self->desc, written, &self->pid);
  if (written >= 0) close(written);
  if (code == 0) {
    limit_time(self);
    self->handle = (int)syscall(SYS_pidfd_open, self->pid, 0);
    return GRAFT_OK;
  }
  close(self->pipe);
  GraftStatus status = code == ENOENT   ? GRAFT_ENOTFOUND
                       : code == ENOMEM ? GRAFT_ENOMEM
                                        : GRAFT_EIO;
  return error_set(error, status, "cannot run %s: %s", self->desc->program,
                   strerror(code));
}

// --- Waiting -----------------------------------------------------------------

static void read_output(Running *self) {
  char bytes[4096];
  while (self->pipe >= 0) {
    ssize_t got = read(self->pipe, bytes, sizeof bytes);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
      close(self->pipe);
      self->pipe = -1;
      return;
    }
    size_t room = OUTPUT_MOST - self->output->size;
    buffer_add(self->output, bytes, (size_t)got < room ? (size_t)got : room);
  }
}

// Whether it has ended, while its number is still its own: it is not waited
// for yet. Somebody else may have done that; then it has ended as well.
static bool has_ended(Running *self) {
  siginfo_t info = {0};
  int code = waitid(P_PID, (id_t)self->pid, &info, WEXITED | WNOHANG | WNOWAIT);
  self->lost = code != 0 && errno == ECHILD;
  return self->lost || (code == 0 && info.si_pid == self->pid);
}

// Milliseconds that are left of the time limit.
static int time_left(const Running *self, int limit_ms) {
  if (limit_ms <= 0) return FOR_EVER_MS;
  uint64_t gone = (now_ns() - self->started_ns) / 1000000u;
  return gone >= (uint64_t)limit_ms ? 0 : limit_ms - (int)gone;
}

// Waits until it has ended (true), or until it is to be stopped or
// `limit_ms` after its start.
static bool wait_for_end(Running *self, const ProcessStop *stop, int limit_ms) {
  enum { HANDLE, PIPE, STOP };
  for (;;) {
    if (has_ended(self)) return true;
    struct pollfd events[] = {
        [HANDLE] = {.fd = self->handle, .events = POLLIN},
        [PIPE] = {.fd = self->pipe, .events = POLLIN},
        [STOP] = {.fd = stop != NULL ? stop->descriptor : -1, .events = POLLIN},
    };
    int left = time_left(self, limit_ms);
    if (left == 0) {
      self->end = PROCESS_OVERDUE;
      return false;
    }
    if (self->handle < 0 && left > IMPATIENCE_MS) left = IMPATIENCE_MS;
    poll(events, sizeof events / sizeof *events, left);
    read_output(self);
    if (stop != NULL && events[STOP].revents != 0) {
      self->end = PROCESS_STOPPED;
      return false;
    }
  }
}

// Asks all of its group to end, since compilers clean up after themselves, and
// gives them a moment for it.
static void make_end(Running *self) {
  kill(-self->pid, SIGTERM);
  ProcessEnd end = self->end;
  int gone = (int)((now_ns() - self->started_ns) / 1000000u);
  if (!wait_for_end(self, NULL, gone + GRACE_MS)) {
    kill(-self->pid, SIGKILL);
    wait_for_end(self, NULL, 0);
  }
  self->end = end;
}

// Takes its status. What it has left running in its group goes with it; the
// group's number cannot be somebody else's before the leader is waited for.
static void take_status(Running *self, ProcessResult *result) {
  siginfo_t info = {0};
  if (!self->lost) {
    kill(-self->pid, SIGKILL);
    int code = waitid(P_PID, (id_t)self->pid, &info, WEXITED);
    self->lost = code != 0;
  }
  result->end = self->end;
  result->code = info.si_status;
  if (self->end != PROCESS_EXITED) return;
  if (self->lost) {
    result->end = PROCESS_UNKNOWN;
  } else if (info.si_code != CLD_EXITED) {
    result->end = PROCESS_SIGNALLED;
  }
}

GraftStatus process_run(const ProcessDesc *desc, Buffer *output,
                        ProcessResult *result, GraftError *error) {
  *result = (ProcessResult){0};
  Running self = {.desc = desc, .output = output, .started_ns = now_ns()};
  GraftStatus status = start(&self, error);
  if (status < 0) return status;
  result->spawn_ns = now_ns() - self.started_ns;
  if (!wait_for_end(&self, desc->stop, desc->time_limit_ms)) make_end(&self);
  take_status(&self, result);
  read_output(&self);
  if (self.pipe >= 0) close(self.pipe);
  if (self.handle >= 0) close(self.handle);
  result->total_ns = now_ns() - self.started_ns;
  return output->failed ? error_memory(error) : GRAFT_OK;
}
