// SPDX-License-Identifier: MIT

#include "native/stacks.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "native/guard.h"
#include "native/poke.h"
#include "native/stacks_look.h"

enum { TIMEOUT_MS = 200, ATTEMPTS = 3, PASSES = 8 };

typedef struct Asking {
  const StacksDesc *desc;
  StacksAnswer *answer;
  StacksLook look;
  ARRAY(pid_t) asked;
  bool can_poke;
} Asking;

// --- A thread that sleeps ----------------------------------------------------

static bool is_calm(long call) {
  static const long others[] = {SYS_futex,  SYS_mmap,    SYS_munmap,
                                SYS_mremap, SYS_madvise, SYS_mprotect,
                                SYS_brk};
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
    if (call == others[i]) return false;
  }
  return call >= 0;
}

// "number arguments… sp pc", of which the arguments are not wanted.
static bool parse_sleep(char *text, StacksSleep *sleep) {
  char *pc = strrchr(text, ' ');
  if (pc == NULL) return false;
  *pc++ = '\0';
  const char *sp = strrchr(text, ' ');
  if (sp == NULL) return false;
  sleep->pc = strtoull(pc, NULL, 16);
  sleep->sp = strtoull(sp + 1, NULL, 16);
  sleep->calm = is_calm(strtol(text, NULL, 10));
  return sleep->sp != 0;
}

// False: the thread runs, or the system does not tell.
static bool read_sleep(pid_t thread, StacksSleep *sleep) {
  char path[64], text[256];
  *sleep = (StacksSleep){0};
  snprintf(path, sizeof path, "/proc/self/task/%d/syscall", (int)thread);
  FILE *file = fopen(path, "re");
  if (file == NULL) return false;
  bool got = fgets(text, sizeof text, file) != NULL;
  fclose(file);
  return got && text[0] != 'r' && parse_sleep(text, sleep);
}

static void look_at_sleep(Asking *self, pid_t thread,
                          const StacksSleep *sleep) {
  uintptr_t from = (uintptr_t)guard_parked_at(thread);
  stacks_look_again(&self->look);
  stacks_look_word(&self->look, sleep->pc);
  if (!stacks_look_from(&self->look, from > sleep->sp ? from : sleep->sp)) {
    self->look.inside = true;
  }
}

// Whether it is certain that a thread is not inside. It must have slept all
// the time that its stack was read.
static bool is_outside_asleep(Asking *self, pid_t thread) {
  for (int i = 0; i < ATTEMPTS; i++) {
    StacksSleep *before = &self->look.sleep, after;
    if (!read_sleep(thread, before)) return false;
    look_at_sleep(self, thread, before);
    if (self->look.inside) return false;
    if (read_sleep(thread, &after) && after.sp == before->sp &&
        after.pc == before->pc) {
      return true;
    }
  }
  return false;
}

// --- Any thread --------------------------------------------------------------

static void read_name(pid_t thread, char name[16]) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/task/%d/comm", (int)thread);
  FILE *file = fopen(path, "re");
  if (file == NULL) return;
  if (fgets(name, 16, file) != NULL) name[strcspn(name, "\n")] = '\0';
  fclose(file);
}

static void note(Asking *self, pid_t thread, bool silent) {
  StacksAnswer *answer = self->answer;
  answer->inside = true;
  answer->silent = silent;
  answer->thread = thread;
  answer->address = silent ? NULL : (const void *)self->look.address;
  answer->range = silent ? 0 : self->look.range;
  read_name(thread, answer->thread_name);
}

static GraftStatus poke(Asking *self, pid_t thread, GraftError *error) {
  if (!self->can_poke) {
    GraftStatus status = poke_open(error);
    if (status < 0) return status;
    self->can_poke = true;
  }
  int timeout = self->desc->timeout_ms;
  PokeAnswer answer = poke_thread(
      &(PokeDesc){.thread = thread,
                  .handler = stacks_look_poked,
                  .argument = &self->look,
                  .timeout_ms = timeout > 0 ? timeout : TIMEOUT_MS});
  if (answer == POKE_SILENT) note(self, thread, true);
  if (answer == POKE_DONE && self->look.inside) note(self, thread, false);
  return GRAFT_OK;
}

static GraftStatus ask_thread(Asking *self, pid_t thread, GraftError *error) {
  pid_t *place = ARRAY_PUSH(&memory_default, &self->asked);
  if (place == NULL) return error_memory(error);
  *place = thread;
  if (thread == (pid_t)syscall(SYS_gettid)) {
    stacks_look_here(&self->look);
    if (!self->look.inside) return GRAFT_OK;
    note(self, thread, false);
    self->answer->is_caller = true;
    return GRAFT_OK;
  }
  if (is_outside_asleep(self, thread)) return GRAFT_OK;
  return poke(self, thread, error);
}

static bool is_exempt(const StacksDesc *desc, pid_t thread) {
  for (size_t i = 0; i < desc->exempt_count; i++) {
    if (desc->exempt[i] == thread) return true;
  }
  return false;
}

static bool was_asked(const Asking *self, pid_t thread) {
  for (size_t i = 0; i < self->asked.count; i++) {
    if (self->asked.items[i] == thread) return true;
  }
  return false;
}

// Asks the threads that were not asked yet; `*more` when there were any.
static GraftStatus ask_new(Asking *self, bool *more, GraftError *error) {
  DIR *folder = opendir("/proc/self/task");
  if (folder == NULL) {
    return error_set(error, GRAFT_EIO, "cannot list this process's threads");
  }
  GraftStatus status = GRAFT_OK;
  const struct dirent *entry;
  while (status == GRAFT_OK && !self->answer->inside &&
         (entry = readdir(folder)) != NULL) {
    pid_t thread = (pid_t)atoi(entry->d_name);
    if (thread == 0 || is_exempt(self->desc, thread) ||
        was_asked(self, thread)) {
      continue;
    }
    *more = true;
    status = ask_thread(self, thread, error);
  }
  closedir(folder);
  return status;
}

// A thread may have started another while it was not asked yet, so this goes
// on until there are none that are new.
GraftStatus stacks_ask(const StacksDesc *desc, StacksAnswer *answer,
                       GraftError *error) {
  *answer = (StacksAnswer){0};
  Asking self = {.desc = desc, .answer = answer};
  GraftStatus status =
      stacks_look_init(&self.look, &memory_default, desc, error);
  bool more = status == GRAFT_OK;
  for (int i = 0; i < PASSES && more && !answer->inside; i++) {
    more = false;
    status = ask_new(&self, &more, error);
    if (status < 0) break;
  }
  if (self.can_poke) poke_close();
  stacks_look_clear(&self.look, &memory_default);
  memory_free(&memory_default, self.asked.items);
  return status;
}
