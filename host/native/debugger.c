// SPDX-License-Identifier: MIT

#include "native/debugger.h"

#include <pthread.h>
#include <stdint.h>

// The names and layouts below are gdb's ("JIT Compilation Interface" in its
// manual), hence their looks.

struct DebuggerEntry {
  struct DebuggerEntry *next;
  struct DebuggerEntry *previous;
  const char *image;
  uint64_t size;
};

typedef enum DebuggerAction {
  DEBUGGER_NOTHING,
  DEBUGGER_REGISTER,
  DEBUGGER_UNREGISTER,
} DebuggerAction;

struct jit_descriptor {
  uint32_t version;
  uint32_t action; // DebuggerAction
  DebuggerEntry *relevant;
  DebuggerEntry *first;
};

#define VISIBLE __attribute__((visibility("default")))

VISIBLE extern struct jit_descriptor __jit_debug_descriptor;
struct jit_descriptor __jit_debug_descriptor = {.version = 1};

VISIBLE void __jit_debug_register_code(void);
__attribute__((noinline)) void __jit_debug_register_code(void) {
  // The debugger's breakpoint is here; the compiler must not think it empty.
  __asm__ volatile("" ::: "memory");
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void tell(DebuggerAction action, DebuggerEntry *entry) {
  __jit_debug_descriptor.action = action;
  __jit_debug_descriptor.relevant = entry;
  __jit_debug_register_code();
  __jit_debug_descriptor.action = DEBUGGER_NOTHING;
  __jit_debug_descriptor.relevant = NULL;
}

DebuggerEntry *debugger_add(const GraftAllocator *allocator, const void *image,
                            size_t size) {
  DebuggerEntry *entry = memory_new(allocator, sizeof *entry);
  if (entry == NULL) return NULL;
  *entry = (DebuggerEntry){.image = image, .size = size};
  pthread_mutex_lock(&lock);
  entry->next = __jit_debug_descriptor.first;
  if (entry->next != NULL) entry->next->previous = entry;
  __jit_debug_descriptor.first = entry;
  tell(DEBUGGER_REGISTER, entry);
  pthread_mutex_unlock(&lock);
  return entry;
}

void debugger_remove(const GraftAllocator *allocator, DebuggerEntry *entry) {
  if (entry == NULL) return;
  pthread_mutex_lock(&lock);
  if (entry->previous != NULL) entry->previous->next = entry->next;
  if (entry->next != NULL) entry->next->previous = entry->previous;
  if (__jit_debug_descriptor.first == entry) {
    __jit_debug_descriptor.first = entry->next;
  }
  tell(DEBUGGER_UNREGISTER, entry);
  pthread_mutex_unlock(&lock);
  memory_free(allocator, entry);
}
