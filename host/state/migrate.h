// SPDX-License-Identifier: MIT
//
// Migrate: bytes of one type made into bytes of another, by the names of
// members. A plan is made once for a pair of types and run for each object: it
// is a list of copy runs (neighbours joined) and conversions. Rules:
//
// - A member goes to the member of its name, in whatever order. One that is
//   gone is left out, one that is new keeps what `to` had before. A member
//   that goes beside one that comes is no rename. Members of anonymous structs
//   count as those of the struct around.
// - Numbers convert by value: integers, bool, floats and enums (by the name of
//   the enumerator, else by number). What does not fit becomes the nearest
//   value that does (NaN becomes 0), and is counted as lost. A float takes an
//   integer that it cannot hold exactly, counted too.
// - Arrays keep what both have. Char arrays that shrink stay terminated.
// - A struct whose members are the same in another order, nested ones, and
//   bit-fields are no special cases.
// - A union is kept when all that it was it still is (members may come), and
//   what Graft does not look into when it is the same; else they are refused
//   by name. So is a struct that becomes a number, a number that becomes a
//   pointer, a function pointer that becomes another, and the like.
// - Pointers are copied; who moved the pointees redirects them (storage.c).
// - A custom function for a type runs on each element of that type, inner ones
//   first, after its members have been migrated by name. Where one exists,
//   members that would be refused are left to it.

#ifndef GRAFT_STATE_MIGRATE_H
#define GRAFT_STATE_MIGRATE_H

#include "base/array.h"
#include "base/buffer.h"
#include "state/type.h"

// <module>_migrate_<type> of a native.
typedef void (*MigrateFunction)(const void *from, void *to);

typedef MigrateFunction MigrateFind(void *context, const Type *to);

typedef struct MigrateDesc {
  const Type *from;
  const Type *to;
  const char *name; // of the object, for messages: "world"
  // The custom function for a struct or union type, or NULL. May be NULL.
  MigrateFind *find;
  void *context;
} MigrateDesc;

typedef struct MigratePlan MigratePlan;

// GRAFT_ESIGNATURE when there is no way, naming object, member and both types:
// "world.shape: union Shape cannot become int"; GRAFT_ENOMEM. The
// types must stay as long as the plan.
GraftStatus migrate_plan_new(const GraftAllocator *allocator,
                             const MigrateDesc *desc, MigratePlan **plan,
                             GraftError *error);
void migrate_plan_free(MigratePlan *self); // NULL-safe

// Migrates `count` elements that lie behind one another, by name. `to` keeps
// its bytes where nothing maps to. Adds to `lost` how many values were changed
// by converting. Cannot fail.
void migrate_run(const MigratePlan *self, const void *from, void *to,
                 size_t count, size_t *lost);

// Calls the custom functions, if there are any, for the same elements.
void migrate_run_custom(const MigratePlan *self, const void *from, void *to,
                        size_t count);

// Where what lies `offset` bytes into an old object is in a new one. `pointee`
// says what is meant, since a struct begins where its first member does; the
// outermost if it is NULL or nothing fits. False when its member is gone, or is
// an array element that is.
bool migrate_offset(const Type *from, const Type *to, const Type *pointee,
                    size_t offset, size_t *moved);

// Appends what changes, for reports: "ammo added, hp removed, mass float →
// double"; nothing when only the order does.
void migrate_describe(const Type *from, const Type *to, Buffer *text);

#endif
