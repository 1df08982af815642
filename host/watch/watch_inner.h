// SPDX-License-Identifier: MIT
//
// What the files of watch/ share; nobody else includes it. All of it belongs
// to the watcher thread, except `Mail`, which a lock guards.
//
// The way of an event: a backend (watch_linux, watch_event, watch_poll) calls
// tree_event for a Place, a folder that the system watches. The tree finds the
// files concerned and hands each to file_touch, which moves it from state to
// state; what needs a look at the disk (folders, links) is queued as a Check.
// settle_run, at the end of each turn of the loop, does the checks, lets time
// limits expire, and decides whether the files that are ready are delivered.
//
// Nodes are freed only in tree_prune, after a delivery, so that everything
// else may hold pointers to them.

#ifndef GRAFT_WATCH_WATCH_INNER_H
#define GRAFT_WATCH_WATCH_INNER_H

#include <uv.h>

#include "base/array.h"
#include "base/map.h"
#include "base/memory.h"
#include "watch/watch.h"
#include "watch/watch_ignore.h"

typedef struct Anchor Anchor;
typedef struct Dir Dir;
typedef struct File File;
typedef struct Place Place;
typedef struct Root Root;

#define NEVER UINT64_MAX

enum {
  PLACE_BUCKETS = 1024,
  LINKS_MAX = 8, // symbolic links to folders on the way to a file
  PATH_ROOM = 4096,
};

// What a file looked like; any difference makes it worth reading.
typedef struct Stamp {
  uint64_t size, mtime_ns, ctime_ns, ino, dev;
} Stamp;

// What an event says about a name.
typedef enum Touch {
  TOUCH_MODIFIED, // written to; somebody has it open
  TOUCH_CREATED,  // made; somebody may have it open
  TOUCH_CLOSED,   // closed by a writer
  TOUCH_ARRIVED,  // renamed to this name
  TOUCH_GONE,     // renamed away or deleted
  TOUCH_FOUND,    // a look at the disk found it new or different
  TOUCH_RIGHTS,   // rights or links changed
} Touch;

typedef enum FileState {
  FILE_IDLE,
  FILE_WRITING, // being written; at the deadline, ask who has it open
  FILE_QUIET,   // changed, no telling by whom; taken when still at the deadline
  FILE_GRACE,   // missing or empty; counts as such at the deadline
  FILE_READY,   // to be taken
} FileState;

struct File {
  Dir *dir;
  char *name;
  FileState state;
  bool probe;   // ask the system whether a writer has it open
  bool trusted; // closed or renamed: when the system cannot say, take it
  bool waited;  // ready because a deadline passed, not because of an event
  bool existed; // the host may know the file
  bool known;   // `hash` and `size` are what the host has
  bool racy;    // read so soon after a write that the stamp proves nothing
  bool denied;  // cannot be taken, and that was said
  bool dropped; // freed by the next tree_prune
  bool is_link;
  unsigned generation; // counts the touches
  unsigned seen;       // the last scan that found it
  size_t slot;         // in Watch.pending, while the state is not IDLE
  uint64_t deadline;
  uint64_t notice_ns;
  uint64_t grace_ns; // when it was first missing or empty, or 0
  Stamp stamp;
  uint64_t hash;
  size_t size;
  Anchor *anchors; // of a symbolic link: the way to its target
};

struct Dir {
  Root *root;
  Dir *parent;
  char *name;     // in the parent; NULL for the folder of a root
  char *path;     // absolute
  char *relative; // below the root, "" for its folder
  Place *place;   // NULL: not watched by the system
  Dir *next_here; // in Place.dirs
  Anchor *anchors;
  uint64_t dev, ino;
  int links; // symbolic links on the way here
  bool present;
  bool is_link;
  bool denied;
  unsigned seen;  // its last scan
  unsigned found; // the scan of the parent that found it
  Map dirs;       // name → Dir
  Map files;      // name → File
  Ignore ignore;
};

struct Root {
  int index;
  char *name;     // as the user wrote it
  char *path;     // absolute
  char *shown;    // what stands before "/relative" in reports; may be empty
  char *pattern;  // a glob below the folder, or NULL
  char *single;   // the name of the only file that is wanted, or NULL
  char *folder;   // absolute path of the folder; NULL until the kind is known
  char *git_lock; // of the repository around it, or NULL
  Dir *dir;       // NULL until it first existed
  Anchor *anchors;
  bool polled;
  bool check;  // look whether it still, or now, exists
  bool old;    // the first scan was made: what is found now is new
  bool missed; // its absence was told
  bool network;
};

// A name (or, without one, a folder itself) whose change makes a root, a
// linked folder or a linked file worth a new look.
struct Anchor {
  Anchor *next; // of the same owner
  Anchor *next_here;
  Place *place;
  char *name;
  Root *root; // one of the three
  Dir *dir;
  File *file;
};

// How much of a folder is watched.
typedef enum PlaceWant {
  PLACE_SELF,  // that it is moved or deleted
  PLACE_NAMES, // and that names in it come and go
  PLACE_ALL,   // and that files in it are written
} PlaceWant;

// A folder that the system watches; the same one for all paths that lead to it.
struct Place {
  Place *next; // in its bucket
  Watch *watch;
  uint64_t id; // inotify: the watch descriptor; events: a hash of the path
  char *path;
  int users;
  bool dead; // the system has dropped it
  Dir *dirs;
  Anchor *anchors;
  uv_fs_event_t event;
};

// One of the systems' ways to watch folders.
typedef struct Backend {
  const char *name;
  GraftStatus (*open)(Watch *self);
  void (*close)(Watch *self);

  // Sets place->id, or returns a negative libuv error code.
  int (*watch)(Watch *self, const char *path, PlaceWant want, Place **place);
  void (*forget)(Watch *self, Place *place);

  // Takes in what the system has noticed, waiting up to `wait_us` for it.
  void (*drain)(Watch *self, int wait_us);

  bool exact;  // tells when a writer closed a file
  bool selves; // can serve PLACE_SELF
} Backend;

extern const Backend backend_inotify;
extern const Backend backend_event;
extern const Backend backend_poll;

typedef struct Check {
  Dir *dir;
  char *name; // NULL: the folder itself
} Check;

typedef struct Prime {
  char *path; // absolute
  uint64_t hash;
  size_t size;
} Prime;

// A file that was read for a delivery.
typedef struct Take {
  File *file;
  unsigned generation;
  enum { TAKE_READ, TAKE_MISSING, TAKE_EMPTY, TAKE_BUSY, TAKE_FAILED } result;
  char *contents;
  size_t size;
  Stamp stamp;
  bool racy;
  bool written; // TAKE_BUSY: somebody surely has it open
  uint64_t read_ns;
} Take;

// What other threads ask the watcher to do. A call that waits lives on its
// caller's stack.
typedef struct Call {
  struct Call *next;
  void (*run)(Watch *self, struct Call *call);
  const char *path;
  WatchInfo *info;
  GraftError *error;
  int root; // argument or result
  bool done;
} Call;

typedef struct Mail {
  uv_mutex_t lock;
  uv_cond_t answered;
  Call *first;
  ARRAY(Prime) primes;
  bool close;
} Mail;

struct Watch {
  GraftAllocator allocator;
  WatchDesc desc;
  char *extensions;
  uint64_t debounce_ns, grace_ns;
  int poll_ms;

  uv_thread_t thread;
  uv_loop_t loop;
  uv_async_t wake;
  uv_timer_t timer;       // the next deadline
  uv_timer_t poll_timer;  // polled roots
  uv_timer_t prime_timer; // until what the host told is looked at
  Mail mail;

  const Backend *backend;
  int inotify;
  uv_poll_t inotify_poll;
  int reads; // for test_overflow
  int places;
  bool exhausted; // out of watches: every root is polled
  Place *buckets[PLACE_BUCKETS];

  ARRAY(Root *) roots;
  ARRAY(Check) checks;
  ARRAY(File *) relinks; // links whose way is to be followed again
  Map primes;            // path → Prime, for files that no root has yet
  unsigned scan;
  bool prune_due;
  bool primes_due; // a root appeared: `primes` may apply now
  bool told_exhausted;
  bool rescan_due; // events were lost
  bool look_again; // at everything, at the next deadline

  // Settling. A burst is a run of events less than BURST_NS apart.
  ARRAY(File *) pending;
  ARRAY(Take) takes;
  size_t ready;
  size_t ready_waited;
  uint64_t deadline; // not later than the earliest of the pending files'
  uint64_t ready_ns; // since when a file is ready
  uint64_t event_ns; // when the events being handled were read
  uint64_t activity_ns;
  uint64_t event_key; // of the name that the present event is about
  uint64_t burst_key; // of the name that the burst is about
  bool burst_many;    // it is about more than one
};

// watch.c
void watch_say(Watch *self, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void watch_look_again(Watch *self);
void watch_memory_short(Watch *self);

// watch_path.c: paths, stamps and questions to the system.
char *path_absolute(const GraftAllocator *allocator, const char *path);
char *path_join(const GraftAllocator *allocator, const char *folder,
                const char *name);
bool path_stamp(const char *path, Stamp *stamp); // of a regular file
struct stat;
Stamp stamp_of(const struct stat *status);
bool stamp_equal(const Stamp *a, const Stamp *b);
const char *path_network(const char *path); // the file system's name, or NULL
char *path_git_lock(const GraftAllocator *allocator, const char *path);

// Whether anybody has the file open for writing: 1, 0, or -1 when the system
// does not say.
int path_written(int fd);

// watch_read.c
void take_read(Watch *self, File *file, Take *take);

// watch_root.c
Root *root_add(Watch *self, const char *path, GraftError *error);
void root_check(Watch *self, Root *root);
void root_free(Watch *self, Root *root);
void root_exhausted(Watch *self, const char *reason);

// watch_place.c
Place *place_open(Watch *self, const char *path, PlaceWant want, bool polled);
void place_release(Watch *self, Place *place);
Place *place_find(Watch *self, uint64_t id);
Place *place_new(Watch *self, const char *path, uint64_t id);
void place_free(Watch *self, Place *place);
void place_close_all(Watch *self);
void place_join(Place *self, Dir *dir);
void place_leave(Place *self, Dir *dir);

// Anchors every step of `path`, links followed, for an owner; `like` says
// whose the anchors are. False when the path does not exist.
bool anchor_walk(Watch *self, Anchor **list, Anchor like, const char *path);
void anchor_clear(Watch *self, Anchor **list);

// watch_tree.c
void tree_event(Watch *self, Place *place, Touch touch, const char *name,
                bool is_folder);
void tree_event_any(Watch *self, Place *place, const char *name);
void tree_self_gone(Watch *self, Place *place);
void tree_check(Watch *self, Dir *dir, const char *name);
void tree_run_checks(Watch *self);
File *file_new(Watch *self, Dir *dir, const char *name);
void file_relink(Watch *self, File *file);
bool file_path(const File *self, char *path, size_t room);
bool file_shown(const File *self, char *path, size_t room);
bool file_wanted(Watch *self, Dir *dir, const char *name);

// watch_scan.c
Dir *dir_new(Watch *self, Root *root, Dir *parent, const char *name);
Dir *dir_child(Watch *self, Dir *dir, const char *name); // finds or makes
bool dir_recurses(const Dir *self);
void dir_enter(Watch *self, Dir *dir);
void dir_leave(Watch *self, Dir *dir);
void dir_scan(Watch *self, Dir *dir);
void dir_free(Watch *self, Dir *dir);
bool dir_ignores(const Dir *self, const char *name, bool is_folder);
void file_drop(Watch *self, File *file);
void tree_prune(Watch *self);

// watch_settle.c
void settle_other_activity(Watch *self);
void file_touch(Watch *self, File *file, Touch touch);
void file_set(Watch *self, File *file, FileState state, uint64_t deadline);
void settle_run(Watch *self);

// watch_deliver.c
bool deliver(Watch *self, bool hurry, bool forced);

// watch_prime.c
void prime_apply_all(Watch *self);
void prime_free(Watch *self, Prime *prime);

// watch_poll.c
void poll_arm(Watch *self);

#endif
