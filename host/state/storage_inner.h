// SPDX-License-Identifier: MIT
//
// What the parts of storage share.
//
//   storage.c          objects: finding, listing, freeing
//   storage_block.c    where their bytes are
//   storage_change.c   what a change is told
//   storage_apply.c    applying it, and undoing that
//   storage_journal.c  what it overwrites and reports
//   storage_merge.c    changed initialisers meet live values
//   storage_redirect.c pointers follow what moved
//   heap.c             persistent arrays

#ifndef GRAFT_STATE_STORAGE_INNER_H
#define GRAFT_STATE_STORAGE_INNER_H

#include <pthread.h>

#include "base/array.h"
#include "state/storage.h"

// --- Blocks (storage_block.c) ------------------------------------------------

enum {
  BLOCK_GRAIN = 16,
  BLOCK_LARGEST = 2048, // of those that share pages
  BLOCK_SIZES = BLOCK_LARGEST / BLOCK_GRAIN + 1,
  BLOCK_CHUNK = 1 << 16,
};

// Bytes of one object. There is always a byte behind it that is nobody else's,
// so that a pointer right behind an array is that array's.
typedef struct Block {
  void *address;
  size_t size; // as taken: a multiple of BLOCK_GRAIN, or of the page size
} Block;

typedef struct BlockFree {
  struct BlockFree *next;
} BlockFree;

// Small blocks come from chunks of pages and go to a list for their size.
typedef struct BlockPool {
  const GraftAllocator *allocator;
  StoragePages pages;
  size_t page_size;
  ARRAY(void *) chunks;
  size_t chunk_used;
  BlockFree *free[BLOCK_SIZES];
  // Inaccessible pages, the oldest first; given back when they are too many.
  ARRAY(Block) hidden;
  size_t hidden_size;
  size_t hidden_most;
} BlockPool;

void block_pool_init(BlockPool *self, const GraftAllocator *allocator,
                     const StoragePages *pages, size_t hidden_most);
void block_pool_clear(BlockPool *self);

// Zeroes; false when out of memory. `align` is a power of two, at most a page.
bool block_take(BlockPool *self, size_t size, size_t align, Block *block);
// Nobody has pointers to it.
void block_give(BlockPool *self, Block block);
// Somebody may have: whole pages become inaccessible.
void block_retire(BlockPool *self, Block block);

// --- Objects -----------------------------------------------------------------

// What changes about an object, so that a change can exchange it as a whole.
typedef struct ObjectState {
  const Type *type;
  TypeSet *types;      // retained; NULL when type is
  Block block;         // address NULL: not there yet, or no more
  size_t size;         // bytes of all
  size_t count;        // elements of a heap object; 1 of a variable
  unsigned char *base; // what the initialiser gave; NULL: zeroes
  int line;
  bool is_const;
  bool is_removed;
} ObjectState;

struct StorageObject {
  char *file; // these three are one piece of memory
  char *function;
  char *name;
  uint64_t hash;   // of the three
  char *type_text; // heap: as it was asked for
  char *type_file; // heap: whose type it is, or NULL
  bool is_heap;
  bool is_declared; // has a state
  int users;        // code objects that are linked against it
  ObjectState state;
};

typedef struct StorageUnit {
  char *file;
  TypeSet *types;
} StorageUnit;

typedef ARRAY(StorageUnit) StorageUnits;

typedef struct StoragePlace {
  char *address;
  size_t size;
  StorageObject *object;
} StoragePlace;

struct Storage {
  const GraftAllocator *allocator;
  pthread_mutex_t lock; // recursive: heap.h comes from any thread
  BlockPool variables;
  BlockPool heap;
  ARRAY(StorageObject *) objects;
  ARRAY(StoragePlace) places; // by address
  StorageUnits units;
};

void storage_lock(const Storage *self);
void storage_unlock(const Storage *self);

BlockPool *storage_pool(Storage *self, const StorageObject *object);

// An object without a state; not in the list yet. NULL when out of memory.
typedef struct ObjectName {
  const char *file;
  const char *function;
  const char *name;
  bool is_heap;
} ObjectName;
StorageObject *storage_object_new(Storage *self, const ObjectName *name);
void storage_object_free(Storage *self, StorageObject *object);
StorageObject *storage_object_find(const Storage *self, const ObjectName *name);

// Room for `count` objects, so that listing them cannot fail.
bool storage_reserve(Storage *self, size_t count);
void storage_list(Storage *self, StorageObject *object);
void storage_unlist(Storage *self, StorageObject *object);
// After anything has moved.
void storage_sort_places(Storage *self);

const StorageUnit *storage_unit(const Storage *self, const char *file);

// Frees removed objects that nobody uses or points to.
void storage_collect(Storage *self);

// Appends the object's name, such as "step.calls"; in front of it "physics.c: "
// unless that is `file`. `file` may be NULL.
void storage_object_write_name(Buffer *text, const StorageObject *object,
                               const char *file);

// --- Walking (storage_redirect.c) --------------------------------------------

typedef struct PointerWalk {
  // False stops the walk.
  bool (*visit)(void *context, const Type *pointer, void **place,
                bool in_union);
  void *context;
} PointerWalk;

// Each pointer within `count` objects of a type.
bool walk_pointers(const PointerWalk *walk, const Type *type, void *address,
                   size_t count);

// --- Changes -----------------------------------------------------------------

// Bytes that were overwritten in place.
typedef struct JournalEntry {
  void *address;
  size_t size;
  size_t kept; // where in `bytes` the old ones are
} JournalEntry;

typedef struct Journal {
  ARRAY(JournalEntry) entries;
  ARRAY(unsigned char) bytes;
} Journal;

// What a change does to one object.
typedef struct ChangeEntry {
  StorageObject *object;
  ObjectState next; // exchanged with the object's when applied
  bool is_new;      // the object is made by this change
  bool moves;       // `next.block` is a block of its own
  bool has_image;
  MigratePlan *plan; // when it moves and is not new or a constant
  size_t lost;
} ChangeEntry;

// A struct whose layout is another in a unit.
typedef struct ChangedType {
  const char *file;
  const Type *from;
  const Type *to;
} ChangedType;

typedef struct ChangeUnit {
  char *file;
  TypeSet *types; // NULL: it goes; after apply: the former one
} ChangeUnit;

// Old bytes of an object that moves.
typedef struct MovedPlace {
  char *address;
  size_t size;
  const ChangeEntry *entry;
} MovedPlace;

struct StorageChange {
  Storage *storage;
  const GraftAllocator *allocator;
  StorageChangeDesc desc;
  ARRAY(ChangeUnit) units;
  ARRAY(ChangeEntry) entries;
  ARRAY(StorageObject *) mentioned;
  ARRAY(StorageObject *) removed;
  ARRAY(ChangedType) changed;
  ARRAY(MovedPlace) moved; // old places, by address
  Journal journal;
  bool is_applied;
};

// Overwrites bytes in place, to be undone. False when out of memory, and then
// they are as they were.
bool change_overwrite(StorageChange *self, void *address, const void *bytes,
                      size_t size);
void change_restore(StorageChange *self);

ChangeEntry *change_entry(const StorageChange *self,
                          const StorageObject *object);
const ChangeUnit *change_unit(const StorageChange *self, const char *file);

// Entries for the heap objects whose types come with this change's units.
GraftStatus change_declare_heaps(StorageChange *self, GraftError *error);

// --- Merging (storage_merge.c) -----------------------------------------------

typedef struct MergeDesc {
  StorageChange *change; // journals what is written; NULL: not
  StorageReport *report; // or NULL
  const StorageObject *object;
  int line;
  const Type *type;
  const unsigned char *base; // NULL: zeroes
  const unsigned char *next; // NULL: zeroes
  unsigned char *live;
} MergeDesc;

// Takes each leaf of `next` whose base is another, where live equals base.
// False when out of memory.
bool merge_values(const GraftAllocator *allocator, const MergeDesc *desc);

// A new event of the report, with its texts copied; NULL when out of memory.
StorageEvent *storage_report_add(StorageReport *self, StorageEventKind kind,
                                 const StorageObject *object, const char *name,
                                 const char *message);

// --- Redirecting (storage_redirect.c) ----------------------------------------

// Pointers of one applied entry follow what the change moved, in its bytes and
// in what its old initialiser gave; those that cannot stay. False when out of
// memory.
bool change_follow(StorageChange *self, const ChangeEntry *entry);

// Pointers in all state follow, and are checked. GRAFT_ESIGNATURE,
// GRAFT_ENOMEM; what was done until then is in the journal.
GraftStatus change_redirect(StorageChange *self, GraftError *error);

// Where old bytes are now: false when they are gone. Bytes that did not move
// stay.
bool change_forward(const StorageChange *self, const Type *pointee,
                    void *address, void **moved, const MovedPlace **place);

#endif
