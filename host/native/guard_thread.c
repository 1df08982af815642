// SPDX-License-Identifier: MIT

#include "native/guard_inner.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "native/crash.h"

// A thread's record lies in one mapping with its signal stack, and a page
// between them that cannot be touched. It goes when the thread ends.
enum { SIGNAL_STACK = 64 * 1024 };

// Handlers may not allocate, and thread-locals of a library that was loaded
// late would.
static _Thread_local __attribute__((tls_model("initial-exec")))
GuardThread *current;

// The key exists for its destructor only, while there are guards.
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_key_t key;
static int users;
static GuardThread *threads;

static size_t round_up(size_t size) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  return (size + page - 1) / page * page;
}

static size_t stack_offset(void) {
  return round_up(sizeof(GuardThread)) + round_up(1);
}

static void remove_signal_stack(GuardThread *self) {
  stack_t present;
  char *ours = (char *)self + stack_offset();
  if (sigaltstack(NULL, &present) != 0 || present.ss_sp != ours) return;
  stack_t none = {.ss_flags = SS_DISABLE};
  sigaltstack(&none, NULL);
}

static void thread_free(void *argument) {
  GuardThread *self = argument;
  for (int i = 0; i < GUARD_RECORDS; i++) {
    if (self->records[i].used) guard_record_drop(&self->records[i]);
  }
  current = NULL;
  pthread_mutex_lock(&mutex);
  GuardThread **place = &threads;
  while (*place != self) place = &(*place)->next;
  *place = self->next;
  pthread_mutex_unlock(&mutex);
  remove_signal_stack(self);
  munmap(self, stack_offset() + SIGNAL_STACK);
}

bool guard_thread_init(void) {
  pthread_mutex_lock(&mutex);
  bool good = users > 0 || pthread_key_create(&key, thread_free) == 0;
  if (good) users++;
  pthread_mutex_unlock(&mutex);
  return good;
}

// Records of other threads stay until the process ends, since no thread can
// take another's signal stack away.
void guard_thread_close(void) {
  pthread_mutex_lock(&mutex);
  bool last = --users == 0;
  if (last) pthread_key_delete(key);
  pthread_mutex_unlock(&mutex);
  if (last && current != NULL) thread_free(current);
}

void guard_thread_forget(const Guard *guard) {
  pthread_mutex_lock(&mutex);
  for (GuardThread *thread = threads; thread != NULL; thread = thread->next) {
    for (int i = 0; i < GUARD_RECORDS; i++) {
      GuardRecord *record = &thread->records[i];
      if (record->used && record->fn->guard == guard) guard_record_drop(record);
    }
    if (thread->left != NULL && thread->left->guard == guard) {
      thread->left = NULL;
    }
  }
  pthread_mutex_unlock(&mutex);
}

static void find_stack(GuardThread *self) {
  pthread_attr_t attributes;
  if (pthread_getattr_np(pthread_self(), &attributes) != 0) return;
  void *low = NULL;
  size_t size = 0;
  if (pthread_attr_getstack(&attributes, &low, &size) == 0) {
    self->stack_low = low;
    self->stack_high = self->stack_low + size;
  }
  pthread_attr_destroy(&attributes);
}

// One that the thread has already is as good: sanitizers' and other languages'.
static void set_signal_stack(GuardThread *self) {
  stack_t present;
  if (sigaltstack(NULL, &present) != 0) return;
  if ((present.ss_flags & SS_DISABLE) == 0) return;
  stack_t ours = {.ss_sp = (char *)self + stack_offset(),
                  .ss_size = SIGNAL_STACK};
  self->has_signal_stack = sigaltstack(&ours, NULL) == 0;
}

static GuardThread *thread_new(void) {
  char *block =
      mmap(NULL, stack_offset() + SIGNAL_STACK, PROT_READ | PROT_WRITE,
           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (block == MAP_FAILED) return NULL;
  mprotect(block + round_up(sizeof(GuardThread)), round_up(1), PROT_NONE);
  GuardThread *self = (GuardThread *)(void *)block;
  self->id = (pid_t)syscall(SYS_gettid);
  find_stack(self);
  if (pthread_setspecific(key, self) != 0) {
    munmap(block, stack_offset() + SIGNAL_STACK);
    return NULL;
  }
  set_signal_stack(self);
  pthread_mutex_lock(&mutex);
  self->next = threads;
  threads = self;
  pthread_mutex_unlock(&mutex);
  return self;
}

GuardThread *guard_thread_find(void) {
  return current;
}

GuardThread *guard_thread_get(void) {
  if (current == NULL) current = thread_new();
  return current;
}

bool guard_thread_has(const GuardThread *self, const void *address) {
  const char *at = address;
  return at >= self->stack_low && at < self->stack_high;
}

const void *guard_parked_at(pid_t id) {
  const void *parked = NULL;
  pthread_mutex_lock(&mutex);
  for (GuardThread *thread = threads; thread != NULL; thread = thread->next) {
    if (thread->id == id) parked = atomic_load(&thread->parked);
  }
  pthread_mutex_unlock(&mutex);
  return parked;
}

// --- Records -----------------------------------------------------------------

GuardRecord *guard_thread_top(GuardThread *self) {
  GuardRecord *top = NULL;
  for (int i = 0; i < GUARD_RECORDS; i++) {
    GuardRecord *record = &self->records[i];
    if (!record->used || atomic_load(&record->left)) continue;
    if (top == NULL || record->serial > top->serial) top = record;
  }
  return top;
}

GuardRecord *guard_thread_record(GuardThread *self, const GuardCall *call) {
  for (int i = 0; i < GUARD_RECORDS; i++) {
    GuardRecord *record = &self->records[i];
    if (record->used && record->call == call &&
        record->serial == call->serial) {
      return record;
    }
  }
  return NULL;
}

GuardRecord *guard_thread_add(GuardThread *self) {
  for (int i = 0; i < GUARD_RECORDS; i++) {
    GuardRecord *record = &self->records[i];
    if (record->used) continue;
    *record = (GuardRecord){.serial = ++self->serial, .thread = self->id};
    record->used = true;
    return record;
  }
  return NULL;
}

void guard_record_drop(GuardRecord *self) {
  Guard *guard = self->fn->guard;
  atomic_store(&self->running, false);
  if (self->watched) watchdog_end(guard->watchdog, &self->watch);
  snapshot_drop(&self->snapshot);
  self->used = false;
  atomic_fetch_sub(&guard->active, 1);
}

typedef struct Look {
  const GuardCall *call;
  uint64_t serial;
} Look;

static void read_serial(void *argument) {
  Look *look = argument;
  look->serial = look->call->serial;
}

// A call on the thread's own stack is over when the stack is shorter; one on
// another stack when its memory is used for something else.
static bool is_dead(const GuardThread *self, const GuardRecord *record,
                    const void *sp) {
  if (atomic_load(&record->left)) return true;
  if (!record->on_thread_stack) {
    Look look = {record->call, 0};
    return !crash_try(read_serial, &look) || look.serial != record->serial;
  }
  return guard_thread_has(self, sp) &&
         (const char *)record->call < (const char *)sp;
}

void guard_thread_prune(GuardThread *self, const void *sp) {
  uint64_t last = 0;
  for (int i = 0; i < GUARD_RECORDS; i++) {
    GuardRecord *record = &self->records[i];
    if (!record->used || !is_dead(self, record, sp)) continue;
    if (record->serial > last) self->left = record->fn;
    if (record->serial > last) last = record->serial;
    guard_record_drop(record);
  }
}
