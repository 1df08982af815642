// SPDX-License-Identifier: MIT
//
// Several writers save at random, in every way, while the watcher runs: what
// was delivered has to end up equal to the disk, no read may be torn, and
// neither descriptors nor memory may grow. `spec_watch_soak SECONDS` for the
// long form (1800); without an argument it takes a few seconds. A second one,
// "overflow", "events" or "poll", makes it harder.

#include <dirent.h>
#include <stdatomic.h>

#include "watch_support.h"

enum { WRITERS = 4, FOLDERS = 4, FILES = 8, ROUNDS = 3 };

typedef struct Known {
  char path[64];
  bool exists;
  char text[400];
} Known;

typedef struct Soak {
  Watch *watch;
  CheckMemory memory;
  GraftAllocator allocator;
  pthread_mutex_t lock, memory_lock;
  Known known[WRITERS * FOLDERS * FILES];
  long delivered, torn, batches, written;
  atomic_bool stop;
} Soak;

typedef struct Writer {
  Soak *soak;
  int index;
  unsigned seed;
  long count;
} Writer;

static void *locked_resize(void *context, void *block, size_t size) {
  Soak *soak = context;
  pthread_mutex_lock(&soak->memory_lock);
  void *moved = check_resize(&soak->memory, block, size);
  pthread_mutex_unlock(&soak->memory_lock);
  return moved;
}

static Known *find_known(Soak *soak, const char *path) {
  int writer, folder, file;
  if (sscanf(path, "root/w%d/d%d/f%d.lua", &writer, &folder, &file) != 3) {
    return NULL;
  }
  return &soak->known[(writer * FOLDERS + folder) * FILES + file];
}

// Each text ends with the number that it begins with.
static bool is_whole(const char *text) {
  long first = -1, last = -2;
  const char *end = strrchr(text, ' ');
  return end != NULL && sscanf(text, "%ld", &first) == 1 &&
         sscanf(end, "%ld", &last) == 1 && first == last;
}

static void on_batch(void *context, const WatchBatch *batch) {
  Soak *soak = context;
  pthread_mutex_lock(&soak->lock);
  soak->batches++;
  for (size_t i = 0; i < batch->count; i++) {
    const WatchChange *change = &batch->changes[i];
    Known *known = find_known(soak, change->path);
    if (known == NULL) continue;
    soak->delivered++;
    known->exists = change->kind != WATCH_REMOVED;
    if (!known->exists) continue;
    soak->torn += !is_whole(change->contents);
    snprintf(known->text, sizeof known->text, "%s", change->contents);
  }
  pthread_mutex_unlock(&soak->lock);
}

static void make_text(char *text, size_t room, long number, unsigned *seed) {
  int size = snprintf(text, room, "%ld", number);
  int filling = (int)(rand_r(seed) % 300u);
  for (int i = 0; i < filling; i++) text[size++] = "abcdefg\n"[i % 8];
  snprintf(text + size, room - (size_t)size, " %ld", number);
}

static void save_in_pieces(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return;
  size_t half = strlen(text) / 2;
  if (write(fd, text, half) < 0) spec_fatal("write");
  usleep(2000);
  spec_write_fd(fd, text + half);
  close(fd);
}

static void act(Writer *writer) {
  char folder[64], path[96], other[128], text[400];
  unsigned *seed = &writer->seed;
  snprintf(folder, sizeof folder, "root/w%d/d%u", writer->index,
           (unsigned)rand_r(seed) % FOLDERS);
  snprintf(path, sizeof path, "%s/f%u.lua", folder,
           (unsigned)rand_r(seed) % FILES);
  snprintf(other, sizeof other, "%s.other", path);
  make_text(text, sizeof text, ++writer->count, seed);
  mkdir(folder, 0755);
  switch (rand_r(seed) % 12u) {
  case 0:
    unlink(path);
    break;
  case 1:
    spec_save(other, text);
    rename(other, path);
    break;
  case 2:
    unlink(path);
    spec_save(path, text);
    break;
  case 3:
    save_in_pieces(path, text);
    break;
  case 4: { // the whole folder goes and another comes
    char away[96];
    snprintf(away, sizeof away, "away%d", writer->index);
    if (rename(folder, away) != 0) break;
    if (rand_r(seed) % 2u)
      rename(away, folder);
    else
      spec_remove_tree(away);
    break;
  }
  case 5:
    close(spec_open_file(path, O_WRONLY | O_CREAT | O_TRUNC));
    usleep(500);
    spec_save(path, text);
    break;
  default:
    spec_save(path, text);
    break;
  }
  if (rand_r(seed) % 3u == 0) usleep(rand_r(seed) % 20000u);
}

static void *write_files(void *argument) {
  Writer *writer = argument;
  while (!atomic_load(&writer->soak->stop)) act(writer);
  return NULL;
}

static bool read_text(const char *path, char *text, size_t room) {
  FILE *file = fopen(path, "r");
  if (file == NULL) return false;
  text[fread(text, 1, room - 1, file)] = '\0';
  fclose(file);
  return true;
}

// What a host does that loads files while they are being saved: it has what it
// read, whole or not, and says so.
static void *load_files(void *argument) {
  Soak *soak = argument;
  unsigned seed = 7;
  while (!atomic_load(&soak->stop)) {
    char path[64], text[400];
    snprintf(path, sizeof path, "root/w%u/d%u/f%u.lua",
             (unsigned)rand_r(&seed) % WRITERS,
             (unsigned)rand_r(&seed) % FOLDERS,
             (unsigned)rand_r(&seed) % FILES);
    if (read_text(path, text, sizeof text)) {
      Known *known = find_known(soak, path);
      pthread_mutex_lock(&soak->lock);
      known->exists = true;
      memcpy(known->text, text, sizeof known->text);
      pthread_mutex_unlock(&soak->lock);
      watch_prime(soak->watch, path, text, strlen(text));
    }
    usleep((unsigned)rand_r(&seed) % 5000u);
  }
  return NULL;
}

static int count_differences(Soak *soak, bool tell) {
  int count = 0;
  pthread_mutex_lock(&soak->lock);
  for (int i = 0; i < WRITERS * FOLDERS * FILES; i++) {
    Known *known = &soak->known[i];
    char path[64], text[400];
    snprintf(path, sizeof path, "root/w%d/d%d/f%d.lua", i / FILES / FOLDERS,
             i / FILES % FOLDERS, i % FILES);
    bool exists = read_text(path, text, sizeof text);
    if (exists == known->exists &&
        (!exists || strcmp(text, known->text) == 0)) {
      continue;
    }
    count++;
    if (tell) {
      printf("differs: %s disk %.10s delivered %.10s\n", path,
             exists ? text : "-", known->exists ? known->text : "-");
    }
  }
  pthread_mutex_unlock(&soak->lock);
  return count;
}

static bool settles(Soak *soak) {
  for (int i = 0; i < SPEC_SECONDS * 20; i++) {
    if (count_differences(soak, false) == 0) return true;
    spec_sleep(50);
  }
  count_differences(soak, true);
  return false;
}

static int count_descriptors(void) {
  int count = 0;
  DIR *folder = opendir("/proc/self/fd");
  while (folder != NULL && readdir(folder) != NULL) count++;
  if (folder != NULL) closedir(folder);
  return count;
}

static void run_writers(Soak *soak, int round, int ms) {
  pthread_t threads[WRITERS], loader;
  Writer writers[WRITERS];
  atomic_store(&soak->stop, false);
  for (int i = 0; i < WRITERS; i++) {
    char path[64];
    snprintf(path, sizeof path, "root/w%d", i);
    mkdir(path, 0755);
    writers[i] = (Writer){soak, i, (unsigned)(round * 100 + i + 1), 0};
    pthread_create(&threads[i], NULL, write_files, &writers[i]);
  }
  pthread_create(&loader, NULL, load_files, soak);
  spec_sleep(ms);
  atomic_store(&soak->stop, true);
  for (int i = 0; i < WRITERS; i++) {
    pthread_join(threads[i], NULL);
    soak->written += writers[i].count;
  }
  pthread_join(loader, NULL);
}

static void empty_folder(void) {
  for (int i = 0; i < WRITERS; i++) {
    char path[64];
    snprintf(path, sizeof path, "root/w%d", i);
    spec_remove_tree(path);
  }
}

int main(int count, char **arguments) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  int seconds = count > 1 ? atoi(arguments[1]) : 6;
  alarm((unsigned)seconds + 200);
  static Soak soak;
  Spec spec;
  spec_open(&spec, (WatchDesc){0}); // for its folder
  check_memory_init(&soak.memory, 0);
  soak.allocator = (GraftAllocator){locked_resize, &soak};
  pthread_mutex_init(&soak.lock, NULL);
  pthread_mutex_init(&soak.memory_lock, NULL);
  WatchDesc desc = {
      .allocator = &soak.allocator,
      .on_batch = on_batch,
      .context = &soak,
      .extensions = ".lua",
      .grace_ms = 300,
  };
  const char *method = count > 2 ? arguments[2] : "";
  if (strcmp(method, "overflow") == 0) desc.test_overflow = 5;
  if (strcmp(method, "events") == 0) desc.method = WATCH_EVENT;
  if (strcmp(method, "poll") == 0) desc.poll_ms = 20;
  GraftError error;
  if (watch_open(&desc, &soak.watch, &error) < 0) spec_fatal(error.message);
  watch_add_root(soak.watch, "root", &error);
  int descriptors = count_descriptors();
  long alive[ROUNDS];
  for (int i = 0; i < ROUNDS; i++) {
    run_writers(&soak, i, seconds * 1000 / ROUNDS);
    CHECK("the final state is that of the disk", settles(&soak));
    empty_folder();
    CHECK("everything removed is gone", settles(&soak));
    spec_sleep(400); // grace, for files that were never delivered
    WatchInfo info;
    watch_list(soak.watch, 0, &info);
    pthread_mutex_lock(&soak.memory_lock);
    alive[i] = soak.memory.alive;
    pthread_mutex_unlock(&soak.memory_lock);
    CHECK("only the root is left", info.folders == 1 && info.files == 0);
  }
  CHECK("no read was torn", soak.torn == 0);
  CHECK("no memory grows", alive[ROUNDS - 1] <= alive[0] + 8);
  CHECK("no descriptors grow", count_descriptors() == descriptors);
  printf("# %ld actions, %ld changes in %ld batches\n", soak.written,
         soak.delivered, soak.batches);
  watch_close(soak.watch);
  CHECK("nothing leaks", soak.memory.alive == 0);
  spec_close(&spec);
  return check_status();
}
