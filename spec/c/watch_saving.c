// SPDX-License-Identifier: MIT
//
// W1 to W3 for a single file: the ways in which programs save.

#include "watch_support.h"

static Spec spec;
static bool exact = true; // the system tells when a file was closed

static const char *FILE_PATH = "root/a.lua";

// What every case starts from.
static int fresh(void) {
  static int count;
  char text[64];
  snprintf(text, sizeof text, "fresh %d", ++count);
  spec_save(FILE_PATH, text);
  spec_wait(&spec, 0, FILE_PATH, -1, text);
  return spec_mark(&spec);
}

static void try_plain(void) {
  int mark = fresh();
  spec_save(FILE_PATH, "plain");
  int at = spec_wait(&spec, mark, FILE_PATH, WATCH_CHANGED, "plain");
  CHECK("a save is delivered", at >= 0);
  CHECK("a save is delivered once", spec_changes(&spec, mark, NULL) == 1);
  if (at < 0) return;
  const Seen *seen = &spec.seen[at];
  CHECK("the relative path is below the root",
        strcmp(seen->relative, "a.lua") == 0);
  CHECK("the stages follow each other", seen->notice_ns <= seen->settled_ns &&
                                            seen->settled_ns <= seen->read_ns &&
                                            seen->read_ns <= seen->seen_ns);
}

static void try_truncate_wait_write(int ms) {
  char name[64], text[64];
  int mark = fresh();
  int fd = spec_open_file(FILE_PATH, O_WRONLY | O_TRUNC);
  close(fd);
  uint64_t start = watch_now();
  spec_sleep(ms);
  snprintf(text, sizeof text, "after %d", ms);
  spec_save(FILE_PATH, text);
  bool in_time = watch_now() - start < 990000000u;
  snprintf(name, sizeof name, "truncate, wait %d ms, write", ms);
  CHECK(name, spec_wait(&spec, mark, FILE_PATH, WATCH_CHANGED, text) >= 0 &&
                  (!in_time || spec_changes(&spec, mark, FILE_PATH) == 1));
}

// The same with the file held open, as a slow writer does.
static void try_truncate_hold_write(int ms) {
  char name[64];
  int mark = fresh();
  int fd = spec_open_file(FILE_PATH, O_WRONLY | O_TRUNC);
  spec_sleep(ms);
  spec_write_fd(fd, "whole");
  close(fd);
  snprintf(name, sizeof name, "held open and empty for %d ms", ms);
  CHECK(name, spec_wait(&spec, mark, FILE_PATH, -1, "whole") >= 0 &&
                  spec_changes(&spec, mark, FILE_PATH) == 1);
}

static void try_two_saves(void) {
  int mark = fresh();
  spec_save(FILE_PATH, "first");
  spec_sleep(300);
  spec_save(FILE_PATH, "secnd"); // of the same size
  CHECK("two saves 300 ms apart: the second",
        spec_wait(&spec, mark, FILE_PATH, -1, "secnd") >= 0);
  if (exact) {
    CHECK("two saves 300 ms apart: the first",
          spec_wait(&spec, mark, FILE_PATH, -1, "first") >= 0);
  }
}

static void try_fifty_saves(void) {
  int mark = fresh();
  for (int i = 1; i <= 50; i++) {
    spec_save_format(FILE_PATH, "save %02d", i);
    spec_sleep(20);
  }
  CHECK("50 saves in a second: the last wins",
        spec_wait(&spec, mark, FILE_PATH, -1, "save 50") >= 0);
  bool torn = false;
  for (int i = mark; i < spec_mark(&spec); i++) {
    torn = torn || spec.seen[i].size != strlen("save 50");
  }
  CHECK("50 saves in a second: none torn", !torn);
  CHECK("50 saves in a second: the last came last",
        strcmp(spec.seen[spec_mark(&spec) - 1].contents, "save 50") == 0);
}

static void try_rename_over(void) {
  int mark = fresh();
  spec_save("root/a.lua.new", "renamed");
  spec_rename("root/a.lua.new", FILE_PATH);
  CHECK("rename over",
        spec_wait(&spec, mark, FILE_PATH, WATCH_CHANGED, "renamed") >= 0);
  CHECK("rename over: nothing else", spec_changes(&spec, mark, NULL) == 1);
}

static void try_rename_before_close(void) {
  int mark = fresh();
  int fd = spec_open_file("root/a.lua.new", O_WRONLY | O_CREAT);
  spec_write_fd(fd, "half ");
  spec_rename("root/a.lua.new", FILE_PATH);
  spec_sleep(150);
  spec_write_fd(fd, "whole");
  close(fd);
  CHECK("renamed while being written: whole",
        spec_wait(&spec, mark, FILE_PATH, -1, "half whole") >= 0);
  CHECK("renamed while being written: once",
        spec_changes(&spec, mark, NULL) == 1);
}

static void try_delete_recreate(void) {
  int mark = fresh();
  unlink(FILE_PATH);
  spec_sleep(100);
  spec_save(FILE_PATH, "recreated");
  CHECK("delete, create after 100 ms",
        spec_wait(&spec, mark, FILE_PATH, WATCH_CHANGED, "recreated") >= 0);
  CHECK("delete, create after 100 ms: nothing else",
        spec_changes(&spec, mark, NULL) == 1);
}

static void try_slow_pieces(void) {
  int mark = fresh();
  int fd = spec_open_file(FILE_PATH, O_WRONLY | O_TRUNC);
  for (int i = 0; i < 10; i++) {
    spec_write_fd(fd, "piece ");
    spec_sleep(80);
  }
  close(fd);
  int at = spec_wait(&spec, mark, FILE_PATH, -1, NULL);
  CHECK("ten slow pieces: once and whole", at >= 0 && spec.seen[at].size == 60);
  CHECK("ten slow pieces: nothing else", spec_changes(&spec, mark, NULL) == 1);
}

// backupcopy=no, which vim does unless the file is a link: the old file
// becomes the backup.
static void try_vim(void) {
  int mark = fresh();
  close(spec_open_file("root/.a.lua.swp", O_RDWR | O_CREAT | O_EXCL));
  close(spec_open_file("root/4913", O_WRONLY | O_CREAT | O_EXCL));
  unlink("root/4913");
  spec_rename(FILE_PATH, "root/a.lua~");
  int fd = spec_open_file(FILE_PATH, O_WRONLY | O_CREAT | O_TRUNC);
  spec_write_fd(fd, "from vim");
  fsync(fd);
  close(fd);
  chmod(FILE_PATH, 0644);
  unlink("root/a.lua~");
  unlink("root/.a.lua.swp");
  CHECK("vim's way of saving",
        spec_wait(&spec, mark, FILE_PATH, WATCH_CHANGED, "from vim") >= 0);
  CHECK("vim's way of saving: nothing else",
        spec_changes(&spec, mark, NULL) == 1);
}

static void try_code(void) {
  int mark = fresh();
  int fd = spec_open_file(FILE_PATH, O_WRONLY | O_CREAT | O_TRUNC);
  spec_write_fd(fd, "from VS Code");
  fdatasync(fd);
  close(fd);
  CHECK("VS Code's way of saving",
        spec_wait(&spec, mark, FILE_PATH, -1, "from VS Code") >= 0);
  CHECK("VS Code's way of saving: once", spec_changes(&spec, mark, NULL) == 1);
}

static void try_emacs_and_jetbrains(void) {
  int mark = fresh();
  if (symlink("me@host.123:456", "root/.#a.lua") != 0) spec_fatal("symlink");
  spec_save("root/#a.lua#", "auto");
  spec_rename(FILE_PATH, "root/a.lua~");
  spec_save(FILE_PATH, "from emacs");
  unlink("root/#a.lua#");
  unlink("root/.#a.lua");
  CHECK("emacs' way of saving",
        spec_wait(&spec, mark, FILE_PATH, -1, "from emacs") >= 0);
  spec_save("root/a.lua___jb_tmp___", "from JetBrains");
  spec_rename(FILE_PATH, "root/a.lua___jb_old___");
  spec_rename("root/a.lua___jb_tmp___", FILE_PATH);
  unlink("root/a.lua___jb_old___");
  CHECK("JetBrains' way of saving",
        spec_wait(&spec, mark, FILE_PATH, -1, "from JetBrains") >= 0);
  CHECK("editors' ways: nothing else", spec_changes(&spec, mark, NULL) == 2);
}

static void try_no_change(void) {
  int mark = fresh();
  utimensat(AT_FDCWD, FILE_PATH, NULL, 0);
  spec_run("touch root/a.lua");
  spec_sentinel(&spec);
  spec_save("root/b.lua", "same");
  spec_wait(&spec, mark, "root/b.lua", WATCH_CREATED, "same");
  spec_save("root/b.lua", "same");
  spec_sentinel(&spec);
  CHECK("a touch is no change", spec_changes(&spec, mark, FILE_PATH) == 0);
  CHECK("an identical save is no change",
        spec_changes(&spec, mark, "root/b.lua") == 1);
}

static void try_prime(void) {
  spec_save("root/primed.lua", "on disk");
  spec_wait(&spec, 0, "root/primed.lua", -1, "on disk");
  int mark = spec_mark(&spec);
  watch_prime(spec.watch, "root/primed.lua", "on disk", 7);
  spec_sentinel(&spec);
  CHECK("a primed file is not reported",
        spec_changes(&spec, mark, "root/primed.lua") == 0);
  watch_prime(spec.watch, "root/primed.lua", "as loaded", 9);
  CHECK("a file that is not as it was loaded is",
        spec_wait(&spec, mark, "root/primed.lua", -1, "on disk") >= 0);
}

// W2: what waits out the grace time.
static void try_grace(void) {
  int mark = fresh();
  uint64_t start = watch_now();
  close(spec_open_file(FILE_PATH, O_WRONLY | O_TRUNC));
  int at = spec_wait(&spec, mark, FILE_PATH, WATCH_CHANGED, "");
  CHECK("an emptied file counts after the grace time",
        at >= 0 && spec.seen[at].seen_ns - start >= 990000000u);
  spec_save(FILE_PATH, "again");
  spec_wait(&spec, mark, FILE_PATH, -1, "again");
  start = watch_now();
  unlink(FILE_PATH);
  at = spec_wait(&spec, mark, FILE_PATH, WATCH_REMOVED, NULL);
  CHECK("a missing file counts after the grace time",
        at >= 0 && spec.seen[at].seen_ns - start >= 990000000u);
  spec_save(FILE_PATH, "back");
  CHECK("a file that was removed is created",
        spec_wait(&spec, mark, FILE_PATH, WATCH_CREATED, "back") >= 0);
}

// Changes that no closing follows.
static void try_without_close(void) {
  fresh();
  spec_save("root/elsewhere", "linked");
  int mark = spec_mark(&spec);
  if (link("root/elsewhere", "root/linked.lua") != 0) spec_fatal("link");
  CHECK("a hard link", spec_wait(&spec, mark, "root/linked.lua", WATCH_CREATED,
                                 "linked") >= 0);
  if (truncate("root/linked.lua", 4) != 0) spec_fatal("truncate");
  CHECK("a file shortened by name",
        spec_wait(&spec, mark, "root/linked.lua", WATCH_CHANGED, "link") >= 0);
}

static int run(const char *method) {
  alarm(250);
  WatchDesc desc = {0};
  if (strcmp(method, "events") == 0) desc.method = WATCH_EVENT;
  if (strcmp(method, "poll") == 0) desc.poll_ms = 20;
  exact = *method == '\0';
  spec_open(&spec, desc);
  spec_save(FILE_PATH, "start");
  spec_add(&spec, "root");
  try_plain();
  try_truncate_wait_write(50);
  try_truncate_wait_write(200);
  try_truncate_wait_write(900);
  try_truncate_hold_write(300);
  try_truncate_hold_write(1500);
  try_two_saves();
  try_fifty_saves();
  try_rename_over();
  try_rename_before_close();
  try_delete_recreate();
  try_slow_pieces();
  try_vim();
  try_code();
  try_emacs_and_jetbrains();
  try_no_change();
  try_prime();
  try_grace();
  try_without_close();
  spec_close(&spec);
  return check_status();
}

int main(int count, char **arguments) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  return spec_each_method(count, arguments, run);
}
