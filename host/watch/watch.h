// SPDX-License-Identifier: MIT
//
// Watch: tells, from a thread of its own, what changed in files and folders.
// It hands over whole contents, never half-written ones, in batches of what
// settled together, and reports nothing that the host already has.
//
// On Linux it learns from inotify when a writer closed or renamed a file, so a
// save is delivered at once; elsewhere it waits for a settle time. A network
// folder, or a system out of watches, is polled.
//
// Traded away: every changed file that passes the filter is read as a whole
// and kept in memory while its batch is delivered; a file that can be reached
// by two paths or two roots is reported once for each, since the host may know
// it by either name.
//
//   Watch *watch = NULL;
//   WatchDesc desc = {.extensions = ".lua .c", .on_batch = take, .context =
//   me}; if (watch_open(&desc, &watch, &error) < 0) … watch_add_root(watch,
//   "scripts", &error); watch_prime(watch, "scripts/main.lua", text, size); //
//   what was loaded … watch_close(watch);

#ifndef GRAFT_WATCH_WATCH_H
#define GRAFT_WATCH_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "graft.h"

typedef struct Watch Watch;

// ---------------------------------------------------------------------------
// What is delivered
// ---------------------------------------------------------------------------

typedef enum WatchKind {
  WATCH_CREATED, // was not there, or was reported as removed before
  WATCH_CHANGED, // has other contents; `size` 0: empty for the grace time
  WATCH_REMOVED, // missing for the grace time; no contents
} WatchKind;

// One changed file. Everything is borrowed until on_batch returns, except
// that the receiver may keep `contents`: it sets the pointer to NULL here and
// frees the block later with the allocator of the description.
typedef struct WatchChange {
  WatchKind kind;
  int root;             // as returned by watch_add_root
  const char *path;     // root + relative, as the user named the root
  const char *relative; // below the root folder; a file root: its own name
  char *contents;       // terminated; NULL for WATCH_REMOVED
  size_t size;          // without the terminator
  uint64_t hash;        // watch_hash of the contents; 0 for WATCH_REMOVED

  // Nanoseconds of watch_now: when the event that finished the file was
  // noticed, when waiting for the file (and its batch) ended, and when it had
  // been read. settled - notice is the settle time, read - settled the reading.
  uint64_t notice_ns;
  uint64_t settled_ns;
  uint64_t read_ns;
} WatchChange;

// What settled together, sorted by root and then path; never empty.
typedef struct WatchBatch {
  WatchChange *changes;
  size_t count;
  uint64_t notice_ns;  // the earliest of the changes'
  uint64_t settled_ns; // the latest
  uint64_t read_ns;    // the latest
} WatchBatch;

// ---------------------------------------------------------------------------
// Opening and closing
// ---------------------------------------------------------------------------

// How changes are noticed. AUTO takes inotify on Linux and libuv's events
// elsewhere, and polls a root where they cannot serve.
typedef enum WatchMethod {
  WATCH_AUTO = 0,
  WATCH_INOTIFY, // Linux only, elsewhere like WATCH_EVENT
  WATCH_EVENT,   // uv_fs_event with a settle time
  WATCH_POLL,
} WatchMethod;

// Zero is the default everywhere; only on_batch is required. The texts need
// not outlive the call, the allocator's context and `context` must outlive
// the Watch.
typedef struct WatchDesc {
  const GraftAllocator *allocator; // NULL: memory_default; copied

  // Called on the watcher thread, one at a time. They may take their time
  // (parse, diff, check): events wait in the system's queue meanwhile. They may
  // call watch_add_root, watch_prime and watch_list, but not watch_close. A
  // lock that they take must not be held by anybody inside watch_add_root,
  // watch_list or watch_close, since those wait for the watcher thread.
  void (*on_batch)(void *context, const WatchBatch *batch);

  // One sentence for the user, without a line end, such as "out of watches
  // (…): polling every 500 ms". Each cause is told once per root. May be NULL.
  // Also called on the thread inside watch_add_root when that is the watcher.
  void (*on_message)(void *context, const char *text);

  // Says whether a file is wanted, by path as in WatchChange; called on the
  // watcher thread, and only for files that pass `extensions`. NULL: all.
  bool (*filter)(void *context, int root, const char *path);
  void *context; // of the three

  // Wanted extensions separated by blanks, ".lua .c .h .so"; NULL: any. A
  // file that was itself named as a root is always wanted.
  const char *extensions;

  WatchMethod method;
  int debounce_ms; // settle time where the system cannot tell that a file was
                   // closed; 0: 50
  int poll_ms;     // > 0: poll everything this often; 0: use notification,
                   // and 500 where that fails
  int grace_ms;    // how long an emptied or missing file is waited for before
                   // it is reported so (W2); 0: 1000

  // For specs only. Pretend that the system has this many watches; lose the
  // next events and report a queue overflow every this many reads.
  int test_watch_limit; // 0: no limit
  int test_overflow;    // 0: never
} WatchDesc;

// Starts the thread. Fails with GRAFT_EARG without on_batch, GRAFT_ENOMEM, or
// GRAFT_EIO when the system gives no thread, loop or descriptor. Any thread.
// A system without inotify instances left is no failure: roots are polled.
GraftStatus watch_open(const WatchDesc *desc, Watch **watch, GraftError *error);

// Joins the thread, after a callback that is running, and frees everything.
// What had not settled is not delivered. NULL-safe. Not from a callback.
void watch_close(Watch *self);

// ---------------------------------------------------------------------------
// Roots and contents
// ---------------------------------------------------------------------------

// Watches a folder with all that is below it, a file, or a glob ("mods/*.lua",
// "mods/**/init.lua"). Returns when it is being watched: a later change is
// delivered, files that are there now are not (see watch_prime). A relative
// path counts from the present working directory. A path that does not exist
// is no error: on_message says so once, and it is picked up, all its files as
// created, when it appears. The same path twice gives the same root.
//
// Symbolic links are followed. Dot files, backup and swap files of editors,
// and what `.graftignore` names (in the root or a folder below it) are left
// out.
//
// Returns the index of the root, 0 and up, or GRAFT_EARG for an empty path or
// GRAFT_ENOMEM. Any thread.
int watch_add_root(Watch *self, const char *path, GraftError *error);

// Says which contents the host has loaded for `path`, named as in WatchChange
// or by absolute path. The watcher compares them with the disk, in the
// background, and reports the file if it differs; from then on only contents
// that differ from these count as a change. A file that was never primed is
// reported at its first save, whatever it holds. May come before the root is
// added. Cheap: hashes the contents, takes a lock. Any thread. GRAFT_ENOMEM.
GraftStatus watch_prime(Watch *self, const char *path, const char *contents,
                        size_t size);

// The hash of WatchChange.
uint64_t watch_hash(const char *contents, size_t size);

// The clock of the time stamps: monotonic, nanoseconds.
uint64_t watch_now(void);

// ---------------------------------------------------------------------------
// What is watched
// ---------------------------------------------------------------------------

typedef struct WatchInfo {
  char path[256];     // of the root, as the user named it; cut when longer
  const char *method; // "inotify", "events", "polling"; for ever
  bool exists;
  int folders;
  int files; // that pass the filter
} WatchInfo;

// Fills `info` for the root with this index; false when there is none. Any
// thread; waits for a running callback.
bool watch_list(Watch *self, int root, WatchInfo *info);

#endif
