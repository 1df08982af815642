// SPDX-License-Identifier: MIT
//
// Tls: the thread-local variables of natives. All of an engine lie in one
// block for each thread, at offsets that stay, so that code of any version
// finds them. A thread gets its block, with first values, when it first asks.
// Compiled code asks through tls_address (its `__tls_get_addr`). Traded away:
// the initial-exec model, and freeing single variables; the block holds
// TLS_LIMIT bytes.

#ifndef GRAFT_NATIVE_TLS_H
#define GRAFT_NATIVE_TLS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/memory.h"

enum { TLS_LIMIT = 1 << 20 };

typedef struct Tls Tls;

// NULL when out of memory or of the system's thread keys.
Tls *tls_new(const GraftAllocator *allocator);

// Frees the blocks of all threads: none may use its variables any more.
// NULL-safe.
void tls_free(Tls *self);

// The offset of a variable of this key; the same key, size and alignment give
// the same offset for ever, and another size a new one. `key` is the caller's
// name for it: file, function, name, type. False when out of memory or room.
bool tls_add(Tls *self, const char *key, size_t size, size_t align,
             size_t *offset);

// Sets the first value, for threads that have no block yet; `image` NULL is
// zeroes. Threads that know the variable keep theirs.
void tls_set_image(Tls *self, size_t offset, const void *image, size_t size);

// Whether a variable came after the last commit: no thread has it yet.
bool tls_is_new(Tls *self, size_t offset);

// Forgets the variables that came after the last commit: what they were for
// has come to nothing.
void tls_discard(Tls *self);

// Once all new variables have their first values: threads take them up from
// now on. Before any code that uses them runs.
void tls_commit(Tls *self);

// What compiled code passes.
typedef struct TlsIndex {
  Tls *tls;
  size_t offset;
} TlsIndex;

// The calling thread's variable. Ends the process with a message when there is
// no memory for the thread's block, since compiled code cannot be told.
void *tls_address(const TlsIndex *index);

// aarch64's way of asking (TLSDESC), which keeps all registers: two words of a
// table, the first of which is tls_descriptor(), the second a TlsIndex. NULL on
// other processors.
void *tls_descriptor(void);

#endif
