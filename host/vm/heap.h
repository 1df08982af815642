// SPDX-License-Identifier: MIT
//
// Heap: all objects of a VM, in the lists that its collector keeps of them,
// whatever leads to them. A walk over these can rest at any object that is held
// meanwhile, while the program runs and the collector frees others: objects
// never change their order, new ones come in front. Where the lists begin is
// found by `heap_check` on the running VM. Traded away: what a walk along
// references gives for nothing, which is to see only what can be reached.

#ifndef GRAFT_VM_HEAP_H
#define GRAFT_VM_HEAP_H

#include "vm/raw.h"

typedef enum HeapKind {
  HEAP_PLAIN, // leads to nothing
  HEAP_INNER, // not a value, such as a prototype
  HEAP_TABLE,
  HEAP_LUA_FUNCTION,
  HEAP_C_FUNCTION,
  HEAP_USERDATA,
  HEAP_THREAD,
} HeapKind;

#if VM_LUAJIT
#include "vm/heap_luajit.h"
#else
#include "vm/heap_lua54.h"
#endif

typedef struct Heap {
  const char *global; // what threads share; NULL: the lists are not known
  size_t first[HEAP_LISTS];
  bool has_kind; // where Lua 5.4 says how it collects is known
} Heap;

// Finds the lists; what raw.h says is known to hold. `self->global` stays NULL
// when they are not where they should be. May raise; leaves the stack as it
// was.
void heap_check(Heap *self, lua_State *L);

// The newest object of a list, or NULL.
static inline const void *heap_first(const Heap *self, int list) {
  return raw_pointer(self->global, self->first[list]);
}

// The object behind one that is alive, or NULL.
static inline const void *heap_next(const void *object) {
  return raw_pointer(object, 0);
}

// The mark that new objects have now; it tells those that wait to be freed.
// May raise.
unsigned heap_white(lua_State *L);

// Whether the object waits to be freed; what it refers to may be gone already.
static inline bool heap_is_dead(const void *object, unsigned white) {
  return (raw_byte(object, OBJECT_MARK) & MARK_WHITES) ==
         (white ^ (unsigned)MARK_WHITES);
}

// Whether a thread has got its stack; without memory for that it never does,
// and waits to be freed. Lua functions have then no prototype or cells.
static inline bool heap_is_whole_thread(const void *thread) {
  return raw_pointer(thread, STATE_STACK) != NULL;
}

// Pushes a function that the next two need.
void heap_push_holder(lua_State *L);

// Pushes an object that is neither dead nor HEAP_INNER. The collector does not
// run meanwhile, as nothing is allocated.
void heap_push(lua_State *L, int holder, const void *object);

// Whether the collector spares what is old.
bool heap_is_generational(const Heap *self);

// Makes a Lua function run another one's code; both have as many variables.
void heap_set_code(const void *function, const void *other);

// Pushes the key of a node in use.
void heap_push_key(lua_State *L, int holder, const char *node);

#endif
