// SPDX-License-Identifier: MIT
//
// W1 for folders, links and roots, and what counts as one batch.

#include "watch_support.h"

static Spec spec;
static bool exact = true;
static bool tells_parents = true; // when a folder above a root is moved

static void start(const char *method) {
  WatchDesc desc = {.grace_ms = 300};
  if (strcmp(method, "events") == 0) desc.method = WATCH_EVENT;
  if (strcmp(method, "poll") == 0) desc.poll_ms = 20;
  spec_open(&spec, desc);
}

static void try_new_folders(void) {
  spec_add(&spec, "root");
  spec_run(
      "mkdir -p root/one/two/three && echo deep > root/one/two/three/d.lua");
  CHECK("a file in new nested folders",
        spec_wait(&spec, 0, "root/one/two/three/d.lua", WATCH_CREATED,
                  "deep\n") >= 0);
  spec_save("root/one/two/three/d.lua", "saved");
  CHECK("a save in a new folder",
        spec_wait(&spec, 0, "root/one/two/three/d.lua", WATCH_CHANGED,
                  "saved") >= 0);
  // The writer has it open already when the folder is found.
  spec_mkdir("root/slow");
  int fd = spec_open_file("root/slow/s.lua", O_WRONLY | O_CREAT);
  spec_write_fd(fd, "half ");
  spec_sleep(200);
  spec_write_fd(fd, "whole");
  close(fd);
  CHECK("a slow writer in a new folder",
        spec_wait(&spec, 0, "root/slow/s.lua", -1, "half whole") >= 0);
  CHECK("a slow writer in a new folder: once",
        spec_changes(&spec, 0, "root/slow/s.lua") == 1);
}

static void try_moved_folders(void) {
  spec_run("mkdir -p outside/in && echo moved > outside/in/m.lua");
  spec_rename("outside", "root/inside");
  CHECK("a folder moved in", spec_wait(&spec, 0, "root/inside/in/m.lua",
                                       WATCH_CREATED, "moved\n") >= 0);
  int mark = spec_mark(&spec);
  spec_rename("root/inside", "root/renamed");
  CHECK("a folder renamed: the new name",
        spec_wait(&spec, mark, "root/renamed/in/m.lua", WATCH_CREATED, NULL) >=
            0);
  CHECK("a folder renamed: the old name",
        spec_wait(&spec, mark, "root/inside/in/m.lua", WATCH_REMOVED, NULL) >=
            0);
  spec_save("root/renamed/in/m.lua", "edited");
  CHECK("a save in a renamed folder",
        spec_wait(&spec, mark, "root/renamed/in/m.lua", WATCH_CHANGED,
                  "edited") >= 0);
  spec_rename("root/renamed", "outside");
  CHECK("a folder moved out", spec_wait(&spec, mark, "root/renamed/in/m.lua",
                                        WATCH_REMOVED, NULL) >= 0);
  mark = spec_mark(&spec);
  spec_rename("outside", "root/renamed");
  spec_rename("root/renamed", "outside");
  spec_run(
      "rm -r outside && mkdir root/renamed && echo x > root/renamed/n.lua");
  CHECK("a folder deleted and made again",
        spec_wait(&spec, mark, "root/renamed/n.lua", WATCH_CREATED, "x\n") >=
            0);
}

static void link_to(const char *target, const char *path) {
  unlink("link.new");
  if (symlink(target, "link.new") != 0) spec_fatal("symlink");
  spec_rename("link.new", path);
}

static void try_linked_file(void) {
  spec_mkdir("real");
  spec_save("real/r.lua", "one");
  link_to("../real/r.lua", "root/l.lua");
  CHECK("a linked file", spec_wait(&spec, 0, "root/l.lua", -1, "one") >= 0);
  spec_save("real/r.lua", "two");
  CHECK("a save of a link's target",
        spec_wait(&spec, 0, "root/l.lua", -1, "two") >= 0);
  spec_save("real/r.new", "three");
  spec_rename("real/r.new", "real/r.lua");
  CHECK("a link's target renamed over",
        spec_wait(&spec, 0, "root/l.lua", -1, "three") >= 0);
  spec_save("real/r.lua", "four");
  CHECK("and saved after that",
        spec_wait(&spec, 0, "root/l.lua", -1, "four") >= 0);
  spec_save("real/other.lua", "five");
  link_to("../real/other.lua", "root/l.lua");
  CHECK("a link to something else",
        spec_wait(&spec, 0, "root/l.lua", -1, "five") >= 0);
  int mark = spec_mark(&spec);
  unlink("real/other.lua");
  CHECK("a link to nothing",
        spec_wait(&spec, mark, "root/l.lua", WATCH_REMOVED, NULL) >= 0);
  spec_save("real/other.lua", "six");
  CHECK("a link's target that comes back",
        spec_wait(&spec, mark, "root/l.lua", WATCH_CREATED, "six") >= 0);
}

static void try_linked_folder(void) {
  spec_run("mkdir v1 v2 && echo v1 > v1/f.lua && echo v2 > v2/f.lua");
  link_to("../v1", "root/current");
  CHECK("a linked folder",
        spec_wait(&spec, 0, "root/current/f.lua", -1, "v1\n") >= 0);
  spec_save("v1/f.lua", "v1 saved");
  CHECK("a save in a linked folder",
        spec_wait(&spec, 0, "root/current/f.lua", -1, "v1 saved") >= 0);
  link_to("../v2", "root/current");
  CHECK("a link to another folder",
        spec_wait(&spec, 0, "root/current/f.lua", -1, "v2\n") >= 0);
  int mark = spec_mark(&spec);
  spec_save("v2/f.lua", "v2 saved");
  CHECK("a save there",
        spec_wait(&spec, mark, "root/current/f.lua", -1, "v2 saved") >= 0);
  spec_rename("v2", "v3");
  CHECK("a link to a folder that went",
        spec_wait(&spec, mark, "root/current/f.lua", WATCH_REMOVED, NULL) >= 0);
  spec_rename("v3", "v2");
  CHECK("and came back", spec_wait(&spec, mark, "root/current/f.lua",
                                   WATCH_CREATED, "v2 saved") >= 0);
  link_to("..", "root/current/loop");
  link_to("../root", "root/self");
  mark = spec_mark(&spec);
  spec_save("v2/f.lua", "in a loop");
  CHECK("folders that loop",
        spec_wait(&spec, mark, "root/current/f.lua", -1, "in a loop") >= 0);
  unlink("v2/loop");
  unlink("root/self");
}

static int batches_since(int mark, const char *part, int *changes) {
  int batches = 0, last = -1;
  *changes = 0;
  for (int i = mark; i < spec.count; i++) {
    if (strstr(spec.seen[i].path, part) == NULL) continue;
    ++*changes;
    batches += spec.seen[i].batch != last;
    last = spec.seen[i].batch;
  }
  return batches;
}

static void write_numbered(const char *folder, int first, int last,
                           const char *text) {
  for (int i = first; i <= last; i++) {
    char path[SPEC_PATH];
    snprintf(path, sizeof path, "%s/f%05d.lua", folder, i);
    spec_save_format(path, "return \"%s %d\"", text, i);
  }
}

#define GIT "git -c user.name=spec -c user.email=spec@localhost -C repo "

// A branch that changes 150 files and adds 50.
static void try_checkout(void) {
  spec_run("git init -q -b main repo 2> git.log && mkdir repo/lib");
  write_numbered("repo/lib", 1, 150, "main");
  spec_run(GIT "add . && " GIT "commit -q -m main && " GIT
               "checkout -q -b other");
  write_numbered("repo/lib", 1, 200, "other");
  spec_run(GIT "add . && " GIT "commit -q -m other && " GIT "checkout -q main");
  spec_add(&spec, "repo");
  int mark = spec_mark(&spec), changes = 0;
  spec_run(GIT "checkout -q other");
  CHECK("git checkout: every file", spec_wait_changes(&spec, mark, 200));
  int batches = batches_since(mark, "repo/", &changes);
  CHECK("git checkout: one batch", batches == 1 || !exact);
  mark = spec_mark(&spec);
  spec_run(GIT "checkout -q main");
  CHECK("git checkout back: every file", spec_wait_changes(&spec, mark, 200));
  batches = batches_since(mark, "repo/", &changes);
  CHECK("git checkout back: changes, then removals",
        (batches == 2 && changes == 200) || !exact);
}

enum { MANY = 10000 };

// How often each of the many files was told of since `mark`; others, such as
// what a polled root still finds of the case before, do not count.
static int count_many(int mark, int *times) {
  int found = 0;
  pthread_mutex_lock(&spec.lock);
  for (int i = mark; i < spec.count; i++) {
    int number = 0;
    if (sscanf(spec.seen[i].path, "root/many/f%d.lua", &number) != 1) continue;
    if (times[number]++ == 0) found++;
  }
  pthread_mutex_unlock(&spec.lock);
  return found;
}

static bool wait_for_many(int mark, int *times) {
  int found = 0;
  int wanted = MANY;
  do {
    if (!spec_wait_changes(&spec, mark, wanted)) return false;
    memset(times, 0, (MANY + 1) * sizeof *times);
    wanted = spec_mark(&spec) - mark + 1;
    found = count_many(mark, times);
  } while (found < MANY);
  return true;
}

static void try_many(void) {
  static int times[MANY + 1];
  int mark = spec_mark(&spec);
  spec_mkdir("root/many");
  write_numbered("root/many", 1, MANY, "many");
  CHECK("10,000 files created at once", wait_for_many(mark, times));
  bool whole = true;
  bool once = true;
  char text[64];
  for (int i = mark; i < spec_mark(&spec); i++) {
    int number = 0;
    if (sscanf(spec.seen[i].path, "root/many/f%d.lua", &number) != 1) continue;
    snprintf(text, sizeof text, "return \"many %d\"", number);
    whole = whole && strcmp(spec.seen[i].contents, text) == 0;
    if (times[number] != 1) printf("# %s twice\n", spec.seen[i].path);
    once = once && times[number] == 1;
  }
  CHECK("10,000 files: each whole", whole);
  CHECK("10,000 files: each once", once);
  mark = spec_mark(&spec);
  spec_run("rm -r root/many");
  CHECK("10,000 files removed", spec_wait_changes(&spec, mark, 10000));
}

static void try_parent_moved(void) {
  if (!tells_parents) return;
  int mark = spec_mark(&spec);
  spec_rename("late/er", "late/away");
  CHECK("a root whose parent is moved away",
        spec_wait(&spec, mark, "late/er/scripts/ai/g.lua", WATCH_REMOVED,
                  NULL) >= 0);
  spec_rename("late/away", "late/er");
  CHECK("and back", spec_wait(&spec, mark, "late/er/scripts/ai/g.lua",
                              WATCH_CREATED, "hi\n") >= 0);
}

static void try_roots(void) {
  int late = spec_add(&spec, "late/er/scripts");
  CHECK("a root that is not there is told once",
        spec_messages(&spec, "late/er/scripts does not exist yet", 1) == 1);
  spec_run("mkdir -p late/er/scripts/ai && echo hi > late/er/scripts/ai/g.lua");
  int at =
      spec_wait(&spec, 0, "late/er/scripts/ai/g.lua", WATCH_CREATED, "hi\n");
  CHECK("a root that appears", at >= 0 && spec.seen[at].root == late &&
                                   !strcmp(spec.seen[at].relative, "ai/g.lua"));
  try_parent_moved();
  int mark = spec_mark(&spec);
  spec_run("rm -r late && mkdir -p late/er/scripts/ai && "
           "echo new > late/er/scripts/ai/g.lua");
  CHECK("a root deleted and made again at once",
        spec_wait(&spec, mark, "late/er/scripts/ai/g.lua", WATCH_CHANGED,
                  "new\n") >= 0);
  spec_save("late/er/scripts/ai/g.lua", "saved");
  CHECK("a save in it",
        spec_wait(&spec, mark, "late/er/scripts/ai/g.lua", -1, "saved") >= 0);
  CHECK("the same root twice", spec_add(&spec, "./late/er/scripts/") == late);
}

// A root that is a link, as a release folder is.
static void try_linked_root(void) {
  spec_run("mkdir r1 r2 && echo r1 > r1/f.lua && echo r2 > r2/f.lua");
  link_to("r1", "release");
  spec_add(&spec, "release");
  spec_save("r1/f.lua", "r1 saved");
  CHECK("a save in a linked root",
        spec_wait(&spec, 0, "release/f.lua", -1, "r1 saved") >= 0);
  link_to("r2", "release");
  CHECK("a linked root that leads elsewhere",
        spec_wait(&spec, 0, "release/f.lua", -1, "r2\n") >= 0);
  spec_save("r2/f.lua", "r2 saved");
  CHECK("and a save there",
        spec_wait(&spec, 0, "release/f.lua", -1, "r2 saved") >= 0);
}

static void try_file_and_glob(void) {
  spec_mkdir("single");
  spec_save("single/tool", "no extension");
  int root = spec_add(&spec, "single/tool");
  spec_save("single/tool", "saved");
  int at = spec_wait(&spec, 0, "single/tool", -1, "saved");
  CHECK("a file as root", at >= 0 && spec.seen[at].root == root);
  spec_add(&spec, "single/later.lua");
  spec_save("single/later.lua", "here");
  CHECK("a file as root that is not there yet",
        spec_wait(&spec, 0, "single/later.lua", WATCH_CREATED, "here") >= 0);
  spec_run("mkdir -p mods/x/y && touch mods/init.lua");
  spec_add(&spec, "mods/**/init.lua");
  spec_save("mods/x/y/other.lua", "other");
  spec_save("mods/x/y/init.lua", "init");
  CHECK("a glob with **",
        spec_wait(&spec, 0, "mods/x/y/init.lua", -1, "init") >= 0);
  spec_save("mods/init.lua", "top");
  CHECK("a glob with ** at the top",
        spec_wait(&spec, 0, "mods/init.lua", -1, "top") >= 0);
  CHECK("what a glob does not match",
        spec_changes(&spec, 0, "mods/x/y/other.lua") == 0);
  spec_add(&spec, "s*.lua");
  spec_save("star.lua", "star");
  at = spec_wait(&spec, 0, "star.lua", -1, "star");
  CHECK("a glob in the present folder", at >= 0);
  WatchInfo info;
  CHECK("what is watched is listed", watch_list(spec.watch, root, &info) &&
                                         info.exists && info.files == 1 &&
                                         strcmp(info.path, "single/tool") == 0);
  CHECK("no more than that is listed", !watch_list(spec.watch, 1000, &info));
}

static int run(const char *method) {
  alarm(250);
  exact = *method == '\0';
  tells_parents = strcmp(method, "events") != 0;
  start(method);
  try_new_folders();
  try_moved_folders();
  try_linked_file();
  try_linked_folder();
  try_checkout();
  try_many();
  try_roots();
  try_linked_root();
  try_file_and_glob();
  spec_close(&spec);
  return check_status();
}

int main(int count, char **arguments) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  return spec_each_method(count, arguments, run);
}
