// SPDX-License-Identifier: MIT
//
// Jobs of several files: results, the newest text, the cache, headers, and
// that nothing is left behind.

#include "native/worker.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/wait.h>

#include "base/error.h"
#include "compile_support.h"

static const char *const fine = "int a_b(int n) { return n + %d; }\n";

// --- A worker and what it told -----------------------------------------------

enum { RESULTS = 128 };

typedef struct Told {
  Worker *worker;
  Folder folder;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  WorkerResult *results[RESULTS];
  int count;
  int progress;
  int prepared;
  int products; // alive
  bool in_call; // calls come one at a time
  bool overlapped;
} Told;

static void enter(Told *self) {
  pthread_mutex_lock(&self->lock);
  self->overlapped = self->overlapped || self->in_call;
  self->in_call = true;
  pthread_mutex_unlock(&self->lock);
}

static void leave(Told *self) {
  pthread_mutex_lock(&self->lock);
  self->in_call = false;
  pthread_cond_broadcast(&self->changed);
  pthread_mutex_unlock(&self->lock);
}

static void take(void *context, WorkerResult *result) {
  Told *self = context;
  enter(self);
  self->results[self->count++] = result;
  leave(self);
}

static void count_progress(void *context, uint64_t job, size_t done,
                           size_t count) {
  Told *self = context;
  enter(self);
  self->progress += job > 0 && done <= count;
  leave(self);
}

static GraftStatus prepare(void *context, WorkerFile *file, WorkerTier tier,
                           GraftError *error) {
  Told *self = context;
  (void)tier;
  if (strstr(file->text, "UNLOVED") != NULL) {
    error_set(error, GRAFT_ESIGNATURE, "not this one");
    return error_at(error, file->path, 7, 0);
  }
  file->product = malloc(1);
  pthread_mutex_lock(&self->lock);
  self->prepared++;
  self->products++;
  pthread_mutex_unlock(&self->lock);
  return GRAFT_OK;
}

static void free_product(void *context, void *product) {
  Told *self = context;
  free(product);
  pthread_mutex_lock(&self->lock);
  self->products--;
  pthread_mutex_unlock(&self->lock);
}

static void told_open(Told *self, const char *cc, const char *cache) {
  *self = (Told){0};
  folder_open(&self->folder);
  pthread_mutex_init(&self->lock, NULL);
  pthread_cond_init(&self->changed, NULL);
  WorkerDesc desc = {.on_result = take,
                     .on_progress = count_progress,
                     .prepare = prepare,
                     .free_product = free_product,
                     .context = self,
                     .compiler = {.cc = cc, .cflags = "-O1"},
                     .cache_folder = cache,
                     .no_tcc = true};
  GraftError error;
  if (worker_open(&desc, &self->worker, &error) < 0) {
    printf("FAIL worker_open: %s\n", error.message);
    exit(1);
  }
}

static void told_drop(Told *self) {
  for (int i = 0; i < self->count; i++) worker_result_free(self->results[i]);
  self->count = 0;
}

static void told_close(Told *self) {
  worker_close(self->worker);
  told_drop(self);
  folder_close(&self->folder);
  CHECK("calls came one at a time", !self->overlapped);
  CHECK("every product is freed", self->products == 0);
}

static void submit(Told *self, int count, const char *const *names,
                   uint64_t *job) {
  WorkerSource sources[16] = {0};
  for (int i = 0; i < count; i++) {
    sources[i].path = folder_path(&self->folder, names[i]);
  }
  worker_submit(self->worker, sources, (size_t)count, job, NULL);
}

static void write_number(Told *self, const char *name, int number) {
  char text[128];
  snprintf(text, sizeof text, fine, number);
  folder_write(&self->folder, name, text);
}

static const WorkerFile *file_of(const WorkerResult *result, const char *name) {
  for (size_t i = 0; i < result->count; i++) {
    const char *slash = strrchr(result->files[i].path, '/');
    if (strcmp(slash + 1, name) == 0) return &result->files[i];
  }
  return NULL;
}

static bool has_number(const WorkerFile *file, int number) {
  char text[128];
  snprintf(text, sizeof text, fine, number);
  return file != NULL && strcmp(file->text, text) == 0;
}

// --- Results -----------------------------------------------------------------

static void check_results(void) {
  Told told;
  told_open(&told, "gcc", "");
  write_number(&told, "a.c", 1);
  folder_write(&told.folder, "b.c", "int b_c(void) { return x; }\n");
  write_number(&told, "c.c", 3);
  folder_write(&told.folder, "d.c", "int UNLOVED;\n");
  uint64_t job = 0;
  submit(&told, 5, (const char *const[]){"a.c", "b.c", "c.c", "d.c", "e.c"},
         &job);
  CHECK("an idle worker is waited for", worker_wait(told.worker, -1));
  CHECK("one result for what settled together",
        told.count == 1 && told.results[0]->count == 5 &&
            told.results[0]->job == job);
  CHECK("progress is told for each file", told.progress == 5);
  const WorkerFile *files = told.results[0]->files;
  CHECK("a good file has an object, its text and its product",
        files[0].status == GRAFT_OK && files[0].object_size > 64 &&
            has_number(&files[0], 1) && files[0].product != NULL &&
            *files[0].output == '\0');
  CHECK("a bad one has the compiler's text",
        files[1].status == GRAFT_ESYNTAX && files[1].object == NULL &&
            strstr(files[1].output, "error:") != NULL &&
            files[1].error.line == 1);
  CHECK("those behind it are compiled, too", files[2].status == GRAFT_OK);
  CHECK("what prepare says is the file's status",
        files[3].status == GRAFT_ESIGNATURE && files[3].error.line == 7);
  CHECK("a file that is not there is told",
        files[4].status == GRAFT_EIO && *files[4].text == '\0');
  CHECK("the result has the first failure",
        told.results[0]->status == GRAFT_ESYNTAX);
  WorkerSource none;
  CHECK("nothing to compile is an error",
        worker_submit(told.worker, &none, 0, NULL, NULL) == GRAFT_EARG);
  told_close(&told);
}

static void check_no_compiler(void) {
  Told told;
  told_open(&told, "tinker", "");
  write_number(&told, "a.c", 1);
  submit(&told, 1, (const char *const[]){"a.c"}, NULL);
  worker_wait(told.worker, -1);
  CHECK("without a compiler each file says so",
        told.results[0]->files[0].status == GRAFT_ENOTFOUND &&
            told.prepared == 0);
  told_close(&told);
}

// --- The newest wins ---------------------------------------------------------

// gcc, but a source with WAIT in it keeps it busy until a file `go` is there.
// It notes its number in `running`, and how many run at a time in `crowd`.
static const char *slow_compiler(Told *self) {
  static char script[1024];
  snprintf(script, sizeof script,
           "for last; do :; done\n"
           "if grep -q WAIT \"$last\" 2>/dev/null; then\n"
           "  echo $$ >'%s/running'\n"
           "  while [ ! -e '%s/go' ]; do sleep 0.01; done\n"
           "fi\n"
           "exec gcc \"$@\"",
           self->folder.path, self->folder.path);
  return folder_program(&self->folder, "slow", script);
}

static void open_slow(Told *self) {
  Told first;
  told_open(&first, "gcc", "");
  worker_close(first.worker);
  *self = first;
  pthread_mutex_init(&self->lock, NULL);
  pthread_cond_init(&self->changed, NULL);
  WorkerDesc desc = {.on_result = take,
                     .prepare = prepare,
                     .free_product = free_product,
                     .context = self,
                     .compiler = {.cc = slow_compiler(self)},
                     .cache_folder = "",
                     .no_tcc = true};
  worker_open(&desc, &self->worker, NULL);
}

static void check_newest(void) {
  Told told;
  open_slow(&told);
  folder_write(&told.folder, "a.c", "int a_b; // WAIT\n");
  write_number(&told, "b.c", 5);
  submit(&told, 2, (const char *const[]){"a.c", "b.c"}, NULL);
  CHECK("a compiler runs", folder_wait(folder_path(&told.folder, "running")));
  pid_t first = folder_read_pid(folder_path(&told.folder, "running"));
  write_number(&told, "a.c", 2);
  uint64_t job;
  submit(&told, 1, (const char *const[]){"a.c"}, &job);
  CHECK("it is done without the slow one", worker_wait(told.worker, 20000));
  CHECK("which is gone", process_gone(first));
  CHECK("one result, under the newer number",
        told.count == 1 && told.results[0]->job == job);
  CHECK("with the newest text", has_number(file_of(told.results[0], "a.c"), 2));
  CHECK("and the file that was saved together with the old one",
        told.results[0]->count == 2 &&
            has_number(file_of(told.results[0], "b.c"), 5));
  told_close(&told);
}

static void check_same_text(void) {
  Told told;
  open_slow(&told);
  const char *text = "int a_b; // WAIT\n";
  const char *path = folder_write(&told.folder, "a.c", text);
  WorkerSource source = {.path = path, .text = text, .size = strlen(text)};
  worker_submit(told.worker, &source, 1, NULL, NULL);
  folder_wait(folder_path(&told.folder, "running"));
  pid_t first = folder_read_pid(folder_path(&told.folder, "running"));
  uint64_t job;
  worker_submit(told.worker, &source, 1, &job, NULL);
  CHECK("the same text again does not start anew", kill(first, 0) == 0);
  folder_write(&told.folder, "go", "");
  worker_wait(told.worker, -1);
  CHECK("and is one result",
        told.count == 1 && told.results[0]->job == job && told.prepared == 1);
  told_close(&told);
}

static void check_forgetting(void) {
  Told told;
  open_slow(&told);
  folder_write(&told.folder, "a.c", "int a_b; // WAIT\n");
  write_number(&told, "b.c", 5);
  submit(&told, 2, (const char *const[]){"a.c", "b.c"}, NULL);
  folder_wait(folder_path(&told.folder, "running"));
  pid_t first = folder_read_pid(folder_path(&told.folder, "running"));
  worker_forget(told.worker, folder_path(&told.folder, "a.c"));
  CHECK("what is left of a job is done", worker_wait(told.worker, 20000) &&
                                             told.count == 1 &&
                                             told.results[0]->count == 1);
  CHECK("the compiler of what is gone is stopped", process_gone(first));
  told_drop(&told);
  unlink(folder_path(&told.folder, "running"));
  submit(&told, 1, (const char *const[]){"a.c"}, NULL);
  folder_wait(folder_path(&told.folder, "running"));
  worker_forget(told.worker, folder_path(&told.folder, "a.c"));
  CHECK("an empty job gives no result",
        worker_wait(told.worker, 20000) && told.count == 0);
  told_close(&told);
}

// Children belong to the thread that started them.
static int count_children(void) {
  int children = 0;
  DIR *threads = opendir("/proc/self/task");
  for (const struct dirent *entry; (entry = readdir(threads)) != NULL;) {
    char path[300], list[4096];
    snprintf(path, sizeof path, "/proc/self/task/%s/children", entry->d_name);
    folder_read(path, list, sizeof list);
    for (const char *text = list; *text != '\0'; text++) {
      children += *text == ' ';
    }
  }
  closedir(threads);
  return children;
}

static void check_many_saves(void) {
  Told told;
  open_slow(&told);
  int most = 0;
  for (int i = 0; i < 50; i++) {
    write_number(&told, "a.c", i);
    submit(&told, 1, (const char *const[]){"a.c"}, NULL);
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    int children = count_children();
    if (children > most) most = children;
  }
  worker_wait(told.worker, -1);
  CHECK("50 saves in a second: the last one is live in the end",
        told.count > 0 &&
            has_number(&told.results[told.count - 1]->files[0], 49));
  CHECK("and never more than two compilers at a time", most <= 2);
  bool ordered = true;
  for (int i = 1; i < told.count; i++) {
    ordered = ordered && told.results[i]->job > told.results[i - 1]->job;
  }
  CHECK("results come in the order of saves", ordered);
  told_close(&told);
}

// A file that is written to while it is compiled.
static void check_changing(void) {
  Told told;
  open_slow(&told);
  char script[1024];
  snprintf(script, sizeof script,
           "case \"$*\" in *-dM*) exec gcc \"$@\";; esac\n"
           "if [ ! -e '%s/once' ]; then gcc \"$@\"; touch '%s/once'; "
           "echo 'int a_b(int n) { return n + 8; }' >'%s/a.c'; exit 0; fi\n"
           "exec gcc \"$@\"",
           told.folder.path, told.folder.path, told.folder.path);
  folder_program(&told.folder, "slow", script);
  write_number(&told, "a.c", 7);
  submit(&told, 1, (const char *const[]){"a.c"}, NULL);
  worker_wait(told.worker, -1);
  CHECK("a text that changed under the compiler is compiled again",
        has_number(&told.results[0]->files[0], 8) &&
            told.results[0]->status == GRAFT_OK);
  told_close(&told);
}

// --- The cache ---------------------------------------------------------------

static bool compile_one(Told *told, const char *name, bool *cached) {
  told_drop(told);
  submit(told, 1, &name, NULL);
  worker_wait(told->worker, -1);
  const WorkerFile *file = &told->results[0]->files[0];
  *cached = file->cached;
  return file->status == GRAFT_OK && file->object_size > 64;
}

// So that the cache can tell that a header is older than the compilation.
static void age(const Folder *folder, const char *name) {
  struct timespec old[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
  utimensat(AT_FDCWD, folder_path(folder, name), old, 0);
  nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
}

static void check_cache(const char *cache, const char *what) {
  Told told;
  told_open(&told, "gcc", cache);
  bool cached;
  folder_write(&told.folder, "h.h", "#define H 1\n");
  age(&told.folder, "h.h");
  folder_write(
      &told.folder, "a.c",
      "#include <stdio.h>\n#include \"h.h\"\n#warning hm\nint x = H;\n");
  printf("# %s\n", what);
  CHECK("the first time a compiler runs",
        compile_one(&told, "a.c", &cached) && !cached);
  CHECK("the second time none does",
        compile_one(&told, "a.c", &cached) && cached);
  const WorkerFile *file = &told.results[0]->files[0];
  CHECK("warnings are kept with the object",
        strstr(file->output, "hm") != NULL);
  CHECK("the user's headers are listed, without the system's",
        file->header_count == 1 &&
            strcmp(file->headers[0], folder_path(&told.folder, "h.h")) == 0);
  folder_write(&told.folder, "h.h", "#define H 2\n");
  age(&told.folder, "h.h");
  CHECK("a changed header counts",
        compile_one(&told, "a.c", &cached) && !cached);
  folder_write(&told.folder, "h.h", "#define H 1\n");
  CHECK("and so does one that is as it was",
        compile_one(&told, "a.c", &cached) && cached);
  folder_write(&told.folder, "compile_flags.txt", "-DX\n");
  CHECK("other flags are another object",
        compile_one(&told, "a.c", &cached) && !cached);
  folder_write(&told.folder, "t.c", "const char *t = __TIME__;\n");
  CHECK("a text with the time in it is not kept",
        compile_one(&told, "t.c", &cached) && !cached &&
            compile_one(&told, "t.c", &cached) && !cached);
  told_close(&told);
}

static void check_cache_folder(void) {
  Folder folder;
  folder_open(&folder);
  check_cache("", "in memory");
  check_cache(folder_path(&folder, "new/cache"), "in a folder that is made");
  // Root may write anywhere, but not below a file.
  folder_write(&folder, "file", "");
  check_cache(folder_path(&folder, "file/cache"), "where nothing can be made");
  mkdir(folder_path(&folder, "shared"), 0700);
  chmod(folder_path(&folder, "shared"), 0777);
  check_cache(folder_path(&folder, "shared"), "where others may write");
  CHECK("what others could have written is not used",
        folder_count(folder_path(&folder, "shared")) == 0);
  check_cache("/proc/self", "where the system lets nobody write");
  folder_close(&folder);
}

// A second program finds what the first one left; damage is no entry.
static void check_cache_outlives(void) {
  Folder folder;
  folder_open(&folder);
  const char *cache = folder_path(&folder, "cache");
  const char *path = folder_write(&folder, "a.c", "int kept;\n");
  bool cached[4];
  for (int i = 0; i < 4; i++) {
    Told told;
    told_open(&told, "gcc", cache);
    if (i == 2) { // cut all entries short
      char command[700];
      snprintf(command, sizeof command, "truncate -s -1 %s/*", cache);
      CHECK("damaging works", system(command) == 0);
    }
    worker_submit(told.worker, &(WorkerSource){.path = path}, 1, NULL, NULL);
    worker_wait(told.worker, -1);
    cached[i] = told.results[0]->files[0].cached;
    CHECK("compiled or cached, it is an object",
          told.results[0]->files[0].status == GRAFT_OK);
    told_close(&told);
  }
  CHECK("the next program finds the object", !cached[0] && cached[1]);
  CHECK("a damaged entry is none, and is mended", !cached[2] && cached[3]);
  int files = 0;
  DIR *list = opendir(cache);
  for (const struct dirent *entry; (entry = readdir(list)) != NULL;) {
    files += strstr(entry->d_name, ".tmp") != NULL;
  }
  closedir(list);
  CHECK("nothing half written is left", files == 0);
  folder_close(&folder);
}

// --- Headers -----------------------------------------------------------------

static void note(void *context, const char *source) {
  char *text = context;
  const char *slash = strrchr(source, '/');
  snprintf(text + strlen(text), 100, "%s ", slash + 1);
}

static const char *dependents(Told *told, const char *header) {
  static char text[512];
  text[0] = '\0';
  worker_each_dependent(told->worker, header, note, text);
  return text;
}

static void check_headers(void) {
  Told told;
  told_open(&told, "gcc", "");
  folder_write(&told.folder, "shared/one.h", "#include \"two.h\"\n");
  folder_write(&told.folder, "shared/two.h", "");
  folder_write(&told.folder, "a.c", "#include \"shared/one.h\"\n");
  folder_write(&told.folder, "b.c", "int b;\n");
  folder_write(&told.folder, "c.c", "#include \"gone.h\"\n");
  submit(&told, 3, (const char *const[]){"a.c", "b.c", "c.c"}, NULL);
  worker_wait(told.worker, -1);
  const char *found = dependents(&told, "natives/shared/two.h");
  CHECK("who includes a header, through another one too",
        strstr(found, "a.c ") != NULL && strstr(found, "b.c ") == NULL);
  CHECK("what failed may depend on any",
        strcmp(dependents(&told, "/x/gone.h"), "c.c ") == 0);
  folder_write(&told.folder, "gone.h", "");
  folder_write(&told.folder, "a.c", "int a;\n");
  submit(&told, 2, (const char *const[]){"a.c", "c.c"}, NULL);
  worker_wait(told.worker, -1);
  check_text("the last compilation counts", dependents(&told, "two.h"), "");
  check_text("for what failed before, too", dependents(&told, "gone.h"),
             "c.c ");
  worker_forget(told.worker, folder_path(&told.folder, "c.c"));
  check_text("a file that is gone depends on nothing",
             dependents(&told, "gone.h"), "");
  told_close(&told);
}

// --- The end -----------------------------------------------------------------

static void check_closing(void) {
  Told told;
  open_slow(&told);
  Folder temporary;
  folder_open(&temporary);
  setenv("TMPDIR", temporary.path, 1);
  folder_write(&told.folder, "a.c", "int a; // WAIT\n");
  write_number(&told, "b.c", 1);
  submit(&told, 2, (const char *const[]){"a.c", "b.c"}, NULL);
  folder_wait(folder_path(&told.folder, "running"));
  pid_t pid = folder_read_pid(folder_path(&told.folder, "running"));
  worker_close(told.worker);
  told.worker = NULL;
  CHECK("closing stops compilers", process_gone(pid));
  CHECK("no child is left to wait for",
        waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
  CHECK("what was not done is not told", told.count == 0);
  CHECK("no temporary file is left", folder_count(temporary.path) == 0);
  unsetenv("TMPDIR");
  folder_close(&temporary);
  told_close(&told);
}

int main(void) {
  unsetenv("CC");
  unsetenv("CFLAGS");
  check_results();
  check_no_compiler();
  check_newest();
  check_same_text();
  check_forgetting();
  check_many_saves();
  check_changing();
  check_cache_folder();
  check_cache_outlives();
  check_headers();
  check_closing();
  return check_status();
}
