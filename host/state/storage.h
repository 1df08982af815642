// SPDX-License-Identifier: MIT
//
// Storage: where natives' variables and persistent arrays live. A variable is
// known by (file, function, name); its address stays while its type does, and
// whichever object's code is active uses the same bytes. Objects that come are
// taken in by a change, in steps that a transaction can stop at:
//
//   change = storage_change_new(storage, &desc);
//   storage_change_unit(change, "physics.c", types, &error);
//   storage_change_declare(change, &variable, &object, &error);  // for each
//   … link the object against storage_change_address(change, object) …
//   storage_change_image(change, object, image, size, &error);
//   storage_change_apply(change, &report, &error); // all or nothing
//   storage_change_keep(change); // or storage_change_undo: as it was
//   storage_change_free(change);
//
// A type that changed moves its object to a new place, migrated; pointers to
// it in all registered state follow. A pointer into memory that Graft does not
// know, whose pointee's layout changes, refuses the change with its name,
// since nobody could tell what lies there. The old place is made inaccessible
// where it is whole pages, so that a stale pointer crashes rather than
// misreads.
//
// A changed initialiser meets the live value leaf by leaf (S3): live equals
// the old initialiser: the new one is taken; else kept and reported. A char
// array is one leaf. Constants are always overwritten.
//
// A variable that no object declares any more stays while code that was linked
// against it does (storage_object_retain) and while state points to it; if it
// is declared again later it starts from its initialiser.
//
// All is for the host thread, but heap.h. Traded away: pointers in memory that
// natives took from malloc are not redirected; those in unions are when they
// fall into a moved object. Thread-local variables are not stored here.

#ifndef GRAFT_STATE_STORAGE_H
#define GRAFT_STATE_STORAGE_H

#include "base/array.h"
#include "state/migrate.h"
#include "state/type.h"

// Whole pages for objects: variables must be near code, so the engine hands in
// those of its region. NULL callbacks: mmap.
typedef struct StoragePages {
  // `size` is a multiple of the page size; zero, readable, writable; or NULL.
  void *(*take)(void *context, size_t size);
  void (*give)(void *context, void *pages, size_t size);
  // Makes pages inaccessible and gives their memory back, but not their
  // addresses. They are given by `give` later.
  void (*hide)(void *context, void *pages, size_t size);
  void *context;
} StoragePages;

typedef struct StorageDesc {
  const GraftAllocator *allocator;
  StoragePages variables;
  StoragePages heap;
} StorageDesc;

typedef struct Storage Storage;
typedef struct StorageObject StorageObject; // a variable or a heap object
typedef struct StorageChange StorageChange;

Storage *storage_new(const StorageDesc *desc); // NULL: out of memory
// Nobody may use the objects any more. NULL-safe.
void storage_free(Storage *self);

// --- Objects -----------------------------------------------------------------

typedef struct StorageInfo {
  const char *file;     // of a heap object: ""
  const char *function; // "" at file level
  const char *name;
  int line;
  const Type *type; // of one element; NULL: bytes that no type is known of
  TypeSet *types;   // that `type` is in
  void *address;
  size_t size;  // in bytes, of all
  size_t count; // elements of a heap object; 1 of a variable
  bool is_heap;
  bool is_const;
  bool is_removed; // nobody declares it now
} StorageInfo;

void *storage_object_address(const StorageObject *self);
// Borrowed until the next change.
void storage_object_info(const StorageObject *self, StorageInfo *info);

// For each object of code that is linked against it.
void storage_object_retain(StorageObject *self);
void storage_object_release(Storage *storage, StorageObject *self);

// NULL when there is none. `function` "" for file level.
StorageObject *storage_find(const Storage *self, const char *file,
                            const char *function, const char *name);

// The object that the address lies in (or right behind), or NULL. `*offset` is
// how far.
StorageObject *storage_locate(const Storage *self, const void *address,
                              size_t *offset);

// The type of this name in the units that are there (after apply: those of the
// change), a complete one where there is one; NULL. `*types` is its set.
const Type *storage_find_type(const Storage *self, const char *name,
                              TypeSet **types);

size_t storage_count(const Storage *self);

// Calls `visit` for each pointer in registered state that is not removed, until
// it returns false. For N3: which state holds a function's entry.
typedef struct StoragePointer {
  const StorageObject *object;
  const Type *type; // of the pointer
  void *const *place;
} StoragePointer;
typedef bool (*StorageVisit)(void *context, const StoragePointer *pointer);
void storage_walk_pointers(const Storage *self, StorageVisit visit,
                           void *context);
// Appends "physics.c: bodies[3].next".
void storage_write_path(Buffer *text, const StoragePointer *pointer);

// The writable ranges of all objects, for a snapshot (N5).
typedef void (*StorageRange)(void *context, void *address, size_t size);
void storage_each_range(const Storage *self, StorageRange visit, void *context);

// --- Changes -----------------------------------------------------------------

typedef MigrateFunction StorageFindMigration(void *context, const char *file,
                                             const Type *type);

typedef struct StorageChangeDesc {
  // `<module>_migrate_<type>` for objects of `file` ("" for heap objects), or
  // NULL. May be NULL.
  StorageFindMigration *find_migration;
  void *context;
} StorageChangeDesc;

typedef struct StorageVariable {
  const char *file;
  const char *function; // "" at file level
  const char *name;
  int line;
  const Type *type; // NULL: unknown, kept when the size is the same
  size_t size;      // of the symbol
  size_t align;
  bool is_const;
} StorageVariable;

typedef enum StorageEventKind {
  STORAGE_MIGRATE, // an object has a new layout: `message` says what changed,
                   // `count` elements, `lost` values changed by converting
  STORAGE_TAKE,    // a new initialiser was taken: "60 → 30"
  STORAGE_KEEP,    // it was not: "hp = 40, source now 150"
  STORAGE_RESET,   // a variable whose bytes are of unknown type starts anew
  STORAGE_REMOVE,  // nobody declares it any more
} StorageEventKind;

typedef struct StorageEvent {
  StorageEventKind kind;
  const char *file;
  const char *function;
  const char *name; // with the path of the leaf: "limits.gravity"
  int line;
  size_t count;
  size_t lost;
  const char *message;
} StorageEvent;

typedef struct StorageReport {
  Arena arena;
  ARRAY(StorageEvent) events; // by file, function, line
} StorageReport;

void storage_report_init(StorageReport *self, const GraftAllocator *allocator);
void storage_report_clear(StorageReport *self);

// One change at a time. NULL when out of memory.
StorageChange *storage_change_new(Storage *self, const StorageChangeDesc *desc);

// An object for `file` comes with these types, in place of the former one, or
// goes (NULL): variables of the file that are not declared are removed.
// GRAFT_ENOMEM.
GraftStatus storage_change_unit(StorageChange *self, const char *file,
                                TypeSet *types, GraftError *error);

// A variable of a unit of this change; its type belongs to the unit's types.
// `*object` is the present one, or one made for it. GRAFT_ENOMEM;
// GRAFT_ESIGNATURE when it cannot be migrated.
GraftStatus storage_change_declare(StorageChange *self,
                                   const StorageVariable *variable,
                                   StorageObject **object, GraftError *error);

// Where a declared variable will be from storage_change_apply on: a new place
// when it is new or its type changed.
void *storage_change_address(const StorageChange *self,
                             const StorageObject *object);

// A variable that the unit still has, but the compiler does not store: what is
// there stays for the next object that does.
// GRAFT_ENOMEM.
GraftStatus storage_change_mention(StorageChange *self,
                                   const StorageVariable *variable,
                                   GraftError *error);

// The initial bytes, `size` of them, copied; not called: zeroes. GRAFT_ENOMEM.
GraftStatus storage_change_image(StorageChange *self, StorageObject *object,
                                 const void *image, size_t size,
                                 GraftError *error);

// Migrates, redirects, merges. No thread may be in natives. All or nothing:
// GRAFT_ESIGNATURE, GRAFT_ENOMEM. If a custom function never returns here
// (siglongjmp), storage_change_undo puts back what was done.
GraftStatus storage_change_apply(StorageChange *self, StorageReport *report,
                                 GraftError *error);

// After apply: where bytes are now that were at `address` when it was called;
// itself if they did not move; NULL when they are gone. For handles that
// others hold, such as Lua's.
void *storage_change_forward(const StorageChange *self, const void *address);

// Puts everything back as it was before apply. Objects that did not move keep
// what new code has written, but for initialisers and pointers.
void storage_change_undo(StorageChange *self);

// After apply: the old places may go.
void storage_change_keep(StorageChange *self);

// NULL-safe. A change that was not kept is undone.
void storage_change_free(StorageChange *self);

#endif
