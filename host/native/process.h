// SPDX-License-Identifier: MIT
//
// Process: runs one program to its end and keeps what it wrote. The program
// leads a process group of its own, so that a cancelled one takes its children
// along; it has no input, what it prints comes through a pipe, and what it
// writes to a file may go to memory (see ProcessFile). Traded away: reading
// while it runs, and programs that want a terminal.

#ifndef GRAFT_NATIVE_PROCESS_H
#define GRAFT_NATIVE_PROCESS_H

#include "base/array.h"
#include "base/buffer.h"

// A file in memory without a name in any folder. A program that runs with it
// opens it by `path` ("/proc/self/fd/3") as often as it likes.
typedef struct ProcessFile {
  int descriptor; // -1: closed
  int number;     // that the program knows it by
  char path[32];
} ProcessFile;

// `number` is 3 or above, each of a program's files has another. GRAFT_EIO
// when the system has no such files.
GraftStatus process_file_open(ProcessFile *self, int number, GraftError *error);

// One with descriptor -1 is fine.
void process_file_close(ProcessFile *self);

// Adds to it. GRAFT_EIO: the system has no room.
GraftStatus process_file_write(const ProcessFile *self, const char *bytes,
                               size_t size, GraftError *error);

// Its contents, terminated, the caller's to free; GRAFT_EIO, GRAFT_ENOMEM.
GraftStatus process_file_read(const ProcessFile *self,
                              const GraftAllocator *allocator, char **bytes,
                              size_t *size, GraftError *error);

// Makes a running program stop, from any thread and at any time, before it
// has started too. Used once.
typedef struct ProcessStop {
  int descriptor;
} ProcessStop;

GraftStatus process_stop_open(ProcessStop *self, GraftError *error);
void process_stop_close(ProcessStop *self);
void process_stop_ask(ProcessStop *self);

typedef enum ProcessEnd {
  PROCESS_EXITED,
  PROCESS_SIGNALLED,
  PROCESS_STOPPED, // asked to
  PROCESS_OVERDUE, // beyond its time limit
  PROCESS_UNKNOWN, // somebody else has waited for it: status is lost
} ProcessEnd;

enum { PROCESS_FILES = 3 };

typedef struct ProcessDesc {
  const char *program;      // a path, or a name that PATH is searched for
  char *const *arguments;   // as of exec: [0] is the program, NULL ends
  char *const *environment; // NULL: the present one
  const char *directory;    // where it runs; NULL: where this program is
  const ProcessFile *files[PROCESS_FILES]; // those it may open; NULL ends
  const ProcessStop *stop;                 // may be NULL
  int time_limit_ms;                       // 0: none
} ProcessDesc;

typedef struct ProcessResult {
  ProcessEnd end;
  int code;          // exit code, or the signal
  uint64_t spawn_ns; // what starting it took
  uint64_t total_ns; // from before starting to its end
} ProcessResult;

// Starts it and waits. Adds what it prints, on standard output and error
// alike, to `output`, up to 1 MiB. When this returns, no process of it is
// left. GRAFT_ENOTFOUND when there is no such program, GRAFT_EIO, GRAFT_ENOMEM.
// Any thread.
GraftStatus process_run(const ProcessDesc *desc, Buffer *output,
                        ProcessResult *result, GraftError *error);

#endif
