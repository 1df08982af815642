// SPDX-License-Identifier: MIT
//
// W4 and what surrounds it: an idle tree, lost events, no watches left, no
// memory, ignore rules, what the host has loaded, opening and closing.

#include <dirent.h>

#include "watch/watch_ignore.h"
#include "watch_support.h"

static Spec spec;

static int count_descriptors(void) {
  int count = 0;
  DIR *folder = opendir("/proc/self/fd");
  if (folder == NULL) return -1;
  while (readdir(folder) != NULL) count++;
  closedir(folder);
  return count;
}

// How often the watcher thread has been woken.
static long count_wakeups(void) {
  long total = -1;
  DIR *folder = opendir("/proc/self/task");
  if (folder == NULL) return -1;
  for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
    char path[SPEC_PATH], line[256];
    snprintf(path, sizeof path, "/proc/self/task/%s/status", entry->d_name);
    FILE *file = fopen(path, "r");
    if (file == NULL) continue;
    bool is_watcher = false;
    while (fgets(line, sizeof line, file) != NULL) {
      is_watcher = is_watcher || strcmp(line, "Name:\tgraft-watch\n") == 0;
      if (is_watcher) sscanf(line, "voluntary_ctxt_switches: %ld", &total);
    }
    fclose(file);
  }
  closedir(folder);
  return total;
}

static void try_idle(void) {
  spec_open(&spec, (WatchDesc){.grace_ms = 100});
  spec_add(&spec, "root");
  spec_add(&spec, "missing");
  spec_sentinel(&spec);
  unlink("root/sentinel.lua");
  spec_wait(&spec, 0, "root/sentinel.lua", WATCH_REMOVED, NULL);
  spec_sleep(100); // the thread goes to sleep
  long before = count_wakeups();
  spec_sleep(700);
  CHECK("an idle tree wakes nobody", before >= 0 && count_wakeups() == before);
  uint64_t start = watch_now();
  spec_close(&spec);
  CHECK("closing is quick", watch_now() - start < 500000000u);
}

static void try_overflow(void) {
  spec_open(&spec, (WatchDesc){.test_overflow = 2});
  spec_run("mkdir root/sub && echo old > root/sub/old.lua");
  spec_add(&spec, "root");
  char path[SPEC_PATH], text[64];
  bool all = true;
  for (int i = 0; i < 60; i++) {
    snprintf(path, sizeof path, "root/%s%d.lua", i % 3 ? "" : "sub/", i % 10);
    snprintf(text, sizeof text, "overflow %d", i);
    spec_save(path, text);
    all = all && spec_wait(&spec, 0, path, -1, text) >= 0;
  }
  CHECK("saves whose events are lost", all);
  int fd = spec_open_file("root/slow.lua", O_WRONLY | O_CREAT);
  for (int i = 0; i < 5; i++) {
    spec_write_fd(fd, "piece ");
    spec_save_format("root/other.lua", "%d", i);
    spec_sleep(30);
  }
  close(fd);
  spec_wait(&spec, 0, "root/slow.lua", -1, "piece piece piece piece piece ");
  CHECK("a slow writer whose events are lost",
        spec_changes(&spec, 0, "root/slow.lua") == 1);
  spec_run("mkdir root/new && echo n > root/new/n.lua && rm -r root/sub");
  CHECK("folders whose events are lost",
        spec_wait(&spec, 0, "root/new/n.lua", -1, "n\n") >= 0 &&
            spec_wait(&spec, 0, "root/sub/old.lua", WATCH_REMOVED, NULL) >= 0);
  spec_close(&spec);
}

// The real thing: the host is busy while more happens than the system queues.
static void try_busy_host(void) {
  spec_open(&spec, (WatchDesc){0});
  spec_add(&spec, "root");
  pthread_mutex_lock(&spec.lock); // on_batch waits for it
  spec_save("root/first.lua", "first");
  for (int i = 0; i < 10000; i++) {
    char path[SPEC_PATH];
    snprintf(path, sizeof path, "root/busy%d.lua", i);
    spec_save_format(path, "busy %d", i);
  }
  pthread_mutex_unlock(&spec.lock);
  CHECK("a host that is busy while 10,000 files are saved",
        spec_wait_changes(&spec, 0, 10001));
  bool whole = true;
  for (int i = 0, number; i < spec_mark(&spec); i++) {
    char text[64];
    if (sscanf(spec.seen[i].path, "root/busy%d.lua", &number) != 1) continue;
    snprintf(text, sizeof text, "busy %d", number);
    whole = whole && strcmp(spec.seen[i].contents, text) == 0;
  }
  CHECK("a busy host gets whole files", whole);
  spec_close(&spec);
}

static void try_exhausted(void) {
  spec_open(&spec, (WatchDesc){.test_watch_limit = 8, .poll_ms = 0});
  spec_run("mkdir -p root/a root/b root/c root/d root/e root/f root/g/h");
  spec_add(&spec, "root");
  CHECK("out of watches is told",
        spec_messages(&spec, "out of file watches", 1) == 1);
  spec_save("root/g/h/deep.lua", "deep");
  CHECK("and everything is polled",
        spec_wait(&spec, 0, "root/g/h/deep.lua", WATCH_CREATED, "deep") >= 0);
  spec_add(&spec, "other");
  spec_run("mkdir other && echo o > other/o.lua");
  CHECK("a later root too", spec_wait(&spec, 0, "other/o.lua", -1, "o\n") >= 0);
  CHECK("and it is told once", spec_messages(&spec, "out of", 1) == 1);
  WatchInfo info;
  CHECK("polling is listed", watch_list(spec.watch, 0, &info) &&
                                 strcmp(info.method, "polling") == 0);
  spec_close(&spec);
}

static void add_on_batch(void *context, const WatchBatch *batch) {
  GraftError error;
  Watch *watch = *(Watch **)context;
  if (strcmp(batch->changes[0].path, "./first.lua") == 0) {
    watch_add_root(watch, "late", &error);
    watch_prime(watch, "late/known.lua", "known", 5);
    spec_save("late/known.lua", "known");
    spec_save("late/new.lua", "new");
  }
  spec_on_batch(&spec, batch);
}

// A host that finds out in a callback what else to watch.
static void try_callback(void) {
  spec_open(&spec, (WatchDesc){0});
  Watch *watch = NULL;
  GraftError error;
  WatchDesc desc = {.on_batch = add_on_batch, .context = &watch};
  if (watch_open(&desc, &watch, &error) < 0) spec_fatal(error.message);
  spec_mkdir("late");
  watch_add_root(watch, ".", &error);
  spec_save("first.lua", "first");
  CHECK("the present folder as root",
        spec_wait(&spec, 0, "./first.lua", WATCH_CREATED, "first") >= 0);
  CHECK("a root added in a callback",
        spec_wait(&spec, 0, "late/new.lua", WATCH_CREATED, "new") >= 0);
  CHECK("a file primed in a callback",
        spec_changes(&spec, 0, "late/known.lua") == 0);
  watch_close(watch);
  spec_close(&spec);
}

static void try_ignore(void) {
  spec_open(&spec, (WatchDesc){0});
  spec_save("root/.graftignore", "# generated\ngen_*\n!gen_keep.lua\nbuild/\n"
                                 "/top.lua\ndocs/**/*.lua\n");
  spec_run("mkdir -p root/build root/.hidden root/docs/a/b root/sub");
  spec_add(&spec, "root");
  static const char *const ignored[] = {
      "root/gen_a.lua",      "root/build/b.lua", "root/.hidden/h.lua",
      "root/top.lua",        "root/.dot.lua",    "root/sub/gen_b.lua",
      "root/docs/a/b/c.lua", "root/text.txt",    "root/x.lua~",
  };
  static const char *const wanted[] = {"root/gen_keep.lua", "root/sub/top.lua",
                                       "root/ok.c"};
  for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++) {
    spec_save(ignored[i], "ignored");
  }
  bool all = true;
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
    spec_save(wanted[i], "wanted");
    all = all && spec_wait(&spec, 0, wanted[i], -1, "wanted") >= 0;
  }
  CHECK(".graftignore: what is wanted comes", all);
  CHECK(".graftignore: what is ignored does not",
        spec_changes(&spec, 0, NULL) == 3);
  spec_save("root/.graftignore", "ok.c\n");
  CHECK("a changed .graftignore: what is wanted now comes",
        spec_wait(&spec, 0, "root/gen_a.lua", -1, "ignored") >= 0 &&
            spec_wait(&spec, 0, "root/build/b.lua", -1, "ignored") >= 0);
  int mark = spec_mark(&spec);
  spec_save("root/ok.c", "changed");
  spec_sentinel(&spec);
  CHECK("a changed .graftignore: what is ignored now does not",
        spec_changes(&spec, mark, "root/ok.c") == 0);
  spec_close(&spec);
}

static void try_globs(void) {
  CHECK("glob: *", glob_match("*.lua", "a.lua") && !glob_match("*", "a/b"));
  CHECK("glob: ?", glob_match("?.c", "a.c") && !glob_match("?", "/"));
  CHECK("glob: set", glob_match("[a-c][!x].c", "by.c") &&
                         !glob_match("[a-c][!x].c", "bx.c"));
  CHECK("glob: **", glob_match("a/**/b", "a/b") &&
                        glob_match("a/**/b", "a/x/y/b") &&
                        !glob_match("a/**/b", "a/xb"));
  CHECK("glob: ** at the end", glob_match("a/**", "a/b/c"));
  CHECK("glob: ** at the start", glob_match("**/x.c", "x.c") &&
                                     glob_match("**/x.c", "a/b/x.c") &&
                                     !glob_match("**/x.c", "a/bx.c"));
  CHECK("glob: many stars end",
        !glob_match("*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
}

static void try_prime(void) {
  spec_open(&spec, (WatchDesc){.grace_ms = 200});
  spec_save("root/loaded.lua", "loaded");
  spec_save("root/edited.lua", "loaded");
  spec_save("root/deleted.lua", "loaded");
  spec_save("root/untouched.lua", "never loaded");
  watch_prime(spec.watch, "root/loaded.lua", "loaded", 6);
  watch_prime(spec.watch, "root/edited.lua", "loaded", 6);
  watch_prime(spec.watch, "root/deleted.lua", "loaded", 6);
  spec_save("root/edited.lua", "edited");
  unlink("root/deleted.lua");
  spec_add(&spec, "root");
  CHECK("edited between loading and watching",
        spec_wait(&spec, 0, "root/edited.lua", WATCH_CHANGED, "edited") >= 0);
  CHECK("deleted between loading and watching",
        spec_wait(&spec, 0, "root/deleted.lua", WATCH_REMOVED, NULL) >= 0);
  spec_sentinel(&spec);
  CHECK("what the host has is not reported",
        spec_changes(&spec, 0, "root/loaded.lua") == 0);
  CHECK("what was there and not loaded is not either",
        spec_changes(&spec, 0, "root/untouched.lua") == 0);
  spec_save("root/untouched.lua", "first save");
  CHECK("but its first save is", spec_wait(&spec, 0, "root/untouched.lua",
                                           WATCH_CHANGED, "first save") >= 0);
  spec_close(&spec);
}

static void try_open_and_close(void) {
  GraftError error = {0};
  Watch *watch = NULL;
  CHECK("on_batch is required",
        watch_open(&(WatchDesc){0}, &watch, &error) == GRAFT_EARG);
  int before = 0; // counted after the first, since libuv keeps some for ever
  for (int i = 0; i < 20; i++) {
    if (i == 1) before = count_descriptors();
    spec_open(&spec, (WatchDesc){.method = (WatchMethod)(i % 4)});
    spec_add(&spec, "root");
    spec_save("root/open.lua", "not waited for");
    if (i == 0) {
      CHECK("an empty path", watch_add_root(spec.watch, "", &error) < 0);
    }
    spec_close(&spec);
  }
  CHECK("no descriptors stay open", count_descriptors() == before);
  watch_close(NULL);
}

static pthread_mutex_t memory_lock = PTHREAD_MUTEX_INITIALIZER;

static void *locked_resize(void *context, void *block, size_t size) {
  pthread_mutex_lock(&memory_lock);
  void *moved = check_resize(context, block, size);
  pthread_mutex_unlock(&memory_lock);
  return moved;
}

// Whichever call for memory fails: nothing is lost for good, nothing leaks.
static void try_no_memory(void) {
  bool delivered = true, leaked = false;
  for (long fail_at = 1; fail_at < 90; fail_at += 2) {
    CheckMemory memory;
    check_memory_init(&memory, fail_at);
    GraftAllocator allocator = {locked_resize, &memory};
    WatchDesc desc = {
        .allocator = &allocator,
        .on_batch = spec_on_batch,
        .context = &spec,
        .extensions = ".lua",
    };
    spec_open(&spec, (WatchDesc){0});
    watch_close(spec.watch);
    spec.watch = NULL;
    spec_mkdir("root/sub");
    GraftError error;
    Watch *watch = NULL;
    if (watch_open(&desc, &watch, &error) == GRAFT_OK) {
      int root = watch_add_root(watch, "root", &error);
      if (root < 0) root = watch_add_root(watch, "root", &error);
      spec_save("root/sub/memory.lua", "kept");
      bool kept = root == 0 &&
                  spec_wait(&spec, 0, "root/sub/memory.lua", -1, "kept") >= 0;
      if (!kept) printf("# lost when call %ld fails\n", fail_at);
      delivered = delivered && kept;
      watch_close(watch);
    }
    for (int i = 0; i < spec.count; i++) {
      locked_resize(&memory, spec.seen[i].contents, 0);
      spec.seen[i].contents = NULL;
    }
    leaked = leaked || memory.alive != 0;
    spec_close(&spec);
  }
  CHECK("out of memory: the save comes all the same", delivered);
  CHECK("out of memory: nothing leaks", !leaked);
}

int main(void) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  alarm(300);
  try_globs();
  try_open_and_close();
  try_idle();
  try_prime();
  try_callback();
  try_ignore();
  try_overflow();
  try_busy_host();
  try_exhausted();
  try_no_memory();
  return check_status();
}
