// SPDX-License-Identifier: MIT

#include "native/tls.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/map.h"

// One thread's variables: this header, then the variables, TLS_LIMIT bytes in
// all. Offsets count from the header, so none is 0.
typedef struct TlsBlock {
  Tls *owner;
  struct TlsBlock *next, *previous;
  size_t ready; // bytes that have their first values
} TlsBlock;

typedef struct TlsVariable {
  size_t offset; // 0: discarded
  char key[];    // with size and alignment
} TlsVariable;

struct Tls {
  const GraftAllocator *allocator;
  pthread_key_t key;
  pthread_mutex_t lock; // for all below
  Map variables;
  char *image; // what a new block starts with, TLS_LIMIT bytes
  size_t used;
  atomic_size_t committed; // what threads take up
  TlsBlock *blocks;
};

// A thread ends.
static void drop_block(void *value) {
  TlsBlock *block = value;
  Tls *self = block->owner;
  pthread_mutex_lock(&self->lock);
  if (block->previous != NULL) block->previous->next = block->next;
  if (block->next != NULL) block->next->previous = block->previous;
  if (self->blocks == block) self->blocks = block->next;
  pthread_mutex_unlock(&self->lock);
  munmap(block, TLS_LIMIT);
}

// TLS_LIMIT bytes that cost nothing until they are touched, or NULL.
static void *map_block(void) {
  void *block = mmap(NULL, TLS_LIMIT, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (block == MAP_FAILED) return NULL;
  return block;
}

Tls *tls_new(const GraftAllocator *allocator) {
  Tls *self = memory_new(allocator, sizeof *self);
  if (self == NULL) return NULL;
  self->allocator = allocator;
  self->used = sizeof(TlsBlock);
  atomic_init(&self->committed, sizeof(TlsBlock));
  self->image = map_block();
  map_init(&self->variables, allocator);
  if (self->image == NULL) goto fail;
  if (pthread_key_create(&self->key, drop_block) != 0) goto fail;
  if (pthread_mutex_init(&self->lock, NULL) == 0) return self;
  pthread_key_delete(self->key);
fail:
  if (self->image != NULL) munmap(self->image, TLS_LIMIT);
  memory_free(allocator, self);
  return NULL;
}

void tls_free(Tls *self) {
  if (self == NULL) return;
  pthread_key_delete(self->key);
  for (TlsBlock *block = self->blocks; block != NULL;) {
    TlsBlock *next = block->next;
    munmap(block, TLS_LIMIT);
    block = next;
  }
  for (size_t i = 0; i < self->variables.capacity; i++) {
    if (self->variables.entries[i].key == NULL) continue;
    memory_free(self->allocator, self->variables.entries[i].value);
  }
  map_clear(&self->variables);
  munmap(self->image, TLS_LIMIT);
  pthread_mutex_destroy(&self->lock);
  memory_free(self->allocator, self);
}

// --- Variables ---------------------------------------------------------------

// False when out of room.
static bool take_room(Tls *self, TlsVariable *variable, size_t size,
                      size_t align) {
  size_t start = (self->used + align - 1) & ~(align - 1);
  if (start > TLS_LIMIT || size > TLS_LIMIT - start) return false;
  variable->offset = start;
  self->used = start + size;
  return true;
}

// NULL when out of memory or room. `variable` is taken over, freed on failure.
static TlsVariable *new_variable(Tls *self, TlsVariable *variable, size_t size,
                                 size_t align) {
  size_t used = self->used;
  if (take_room(self, variable, size, align) &&
      map_set(&self->variables, variable->key, variable)) {
    return variable;
  }
  self->used = used;
  memory_free(self->allocator, variable);
  return NULL;
}

static TlsVariable *get_variable(Tls *self, const char *key, size_t size,
                                 size_t align) {
  size_t room = strlen(key) + 48;
  TlsVariable *wanted = memory_new(self->allocator, sizeof *wanted + room);
  if (wanted == NULL) return NULL;
  snprintf(wanted->key, room, "%s %zu %zu", key, size, align);
  TlsVariable *found = map_find(&self->variables, wanted->key);
  if (found == NULL) return new_variable(self, wanted, size, align);
  memory_free(self->allocator, wanted);
  bool has_room = found->offset != 0 || take_room(self, found, size, align);
  return has_room ? found : NULL;
}

bool tls_add(Tls *self, const char *key, size_t size, size_t align,
             size_t *offset) {
  if (align == 0) align = 1;
  if (align > 4096 || (align & (align - 1)) != 0) return false;
  pthread_mutex_lock(&self->lock);
  TlsVariable *variable = get_variable(self, key, size, align);
  if (variable != NULL) *offset = variable->offset;
  pthread_mutex_unlock(&self->lock);
  return variable != NULL;
}

void tls_set_image(Tls *self, size_t offset, const void *image, size_t size) {
  pthread_mutex_lock(&self->lock);
  assert(offset <= self->used && size <= self->used - offset);
  if (image != NULL) {
    memcpy(self->image + offset, image, size);
  } else {
    memset(self->image + offset, 0, size);
  }
  pthread_mutex_unlock(&self->lock);
}

bool tls_is_new(Tls *self, size_t offset) {
  return offset >= atomic_load_explicit(&self->committed, memory_order_acquire);
}

void tls_discard(Tls *self) {
  pthread_mutex_lock(&self->lock);
  size_t committed = self->committed;
  for (size_t i = 0; i < self->variables.capacity; i++) {
    if (self->variables.entries[i].key == NULL) continue;
    TlsVariable *variable = self->variables.entries[i].value;
    if (variable->offset >= committed) variable->offset = 0;
  }
  self->used = committed;
  pthread_mutex_unlock(&self->lock);
}

void tls_commit(Tls *self) {
  pthread_mutex_lock(&self->lock);
  atomic_store_explicit(&self->committed, self->used, memory_order_release);
  pthread_mutex_unlock(&self->lock);
}

// --- What compiled code calls ------------------------------------------------

static TlsBlock *new_block(Tls *self) {
  TlsBlock *block = map_block();
  if (block == NULL || pthread_setspecific(self->key, block) != 0) {
    fputs("graft: no memory for the thread-local variables of natives\n",
          stderr);
    abort();
  }
  block->owner = self;
  block->ready = sizeof *block;
  block->next = self->blocks;
  if (self->blocks != NULL) self->blocks->previous = block;
  self->blocks = block;
  return block;
}

// A thread's first question, or the first after variables were added.
static TlsBlock *take_up(Tls *self, TlsBlock *block) {
  pthread_mutex_lock(&self->lock);
  if (block == NULL) block = new_block(self);
  size_t committed = self->committed;
  if (committed > block->ready) {
    memcpy((char *)block + block->ready, self->image + block->ready,
           committed - block->ready);
    block->ready = committed;
  }
  pthread_mutex_unlock(&self->lock);
  return block;
}

void *tls_address(const TlsIndex *index) {
  Tls *self = index->tls;
  TlsBlock *block = pthread_getspecific(self->key);
  if (block == NULL ||
      block->ready <
          atomic_load_explicit(&self->committed, memory_order_acquire)) {
    block = take_up(self, block);
  }
  return (char *)block + index->offset;
}
