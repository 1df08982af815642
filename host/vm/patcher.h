// SPDX-License-Identifier: MIT
//
// Patcher: the part of a transaction that the VM sees, for any number of
// files. In order:
//
//   patcher_add      per file: compiles what changed; nothing is visible yet
//   patcher_replace  one sweep: new code over the old variables, everywhere
//   patcher_run      new and changed statements, in file order
//   patcher_commit   the new units are the present ones
//   patcher_undo     instead of the commit; also part of
//   patcher_free
//
// How code gets its variables: a changed function's text is compiled inside a
// *maker*, `function() local a, b; return function(…) … end end`, at its own
// line of the file; `local a, b` and the function alone do where it has one
// closure as a rule. For each live closure of the old code the maker is called
// once, and the new closure's variables are then joined to the old closure's.
// On the watcher thread the text is compiled beforehand (maker_code.h).
// The function's own prototype is what the VM makes of that text in the file.

#ifndef GRAFT_VM_PATCHER_H
#define GRAFT_VM_PATCHER_H

#include "base/array.h"
#include "patch/diff.h"
#include "vm/script.h"

typedef struct Patcher Patcher;

// What happened to one definition of a new unit.
typedef struct DefinitionResult {
  int replaced; // closures
  int stale;    // closures that keep the old code (P4)
  int running;  // calls that still run old code
  int slot_ref; // new closure of the slot, owned by the caller, or VM_NO_REF
} DefinitionResult;

typedef enum NoteKind {
  NOTE_RUN,     // a statement ran
  NOTE_KEEP,    // a value was changed at run time and is kept (S3)
  NOTE_DEPENDS, // a value needs a call to follow (S4)
  NOTE_ORPHAN,  // a deleted function is still held (P7)
  NOTE_TAKEN,   // a value could not be merged, and the source's was taken
  NOTE_SILENT,  // a function of a removed statement is silent now (S6)
  NOTE_FAILED,  // a cleanup or a callback raised
  NOTE_STALE,
} NoteKind;

typedef struct Note {
  NoteKind kind;
  const char *file; // borrowed from the script
  int line;
  char name[128];
  char text[256]; // what follows the name in a report
  int count;      // how often it was added
} Note;

typedef struct FilePatch {
  Script *script;
  GraftUnit *unit; // the new one; retained by the patcher
  Diff *diff;      // from the script's unit to it; owned by the patcher
  DefinitionResult *results; // by definition of the new unit
  int *orphans; // by definition of the old unit: closures of a deleted one
} FilePatch;

// NULL when out of memory.
Patcher *patcher_new(Vm *vm);
void patcher_free(Patcher *self); // NULL-safe

typedef struct PatcherFile {
  Script *script;
  GraftUnit *unit;
  Diff *diff;             // from the script's unit to `unit`
  struct MakerCode *code; // compiled beforehand from `diff`, or NULL
} PatcherFile;

// Takes over `diff` and `code` and retains `unit`, also on failure.
// GRAFT_ESYNTAX when the VM refuses something, GRAFT_ENOMEM.
GraftStatus patcher_add(Patcher *self, const PatcherFile *added,
                        GraftError *error);

GraftStatus patcher_replace(Patcher *self, GraftError *error);
GraftStatus patcher_run(Patcher *self, GraftError *error);
// Fails, for lack of memory, before anything has come of it.
GraftStatus patcher_commit(Patcher *self, GraftError *error);
// Puts everything back as it was, unless it is committed. What cleanups raise
// is noted.
void patcher_undo(Patcher *self);

// Before patcher_replace: it replaces only what is near (what names lead to,
// the variables of the patched files, running calls), so that it takes no
// longer with a large heap. Where that cannot be, it replaces all.
void patcher_spread(Patcher *self);

// Whether references are to follow after the commit. Until they have, the
// patcher must be kept, and no other one may be made for the same files.
bool patcher_is_spread(const Patcher *self);

// Why patcher_replace did all at once in spite of patcher_spread, or NULL.
const char *patcher_at_once(const Patcher *self);

// Lets references follow for so long; `done` when there are none any more.
// GRAFT_ERUN and GRAFT_ENOMEM: it may be called again.
GraftStatus patcher_sweep(Patcher *self, uint64_t budget_ns, bool *done,
                          GraftError *error);
// All that are left, at once.
GraftStatus patcher_sweep_rest(Patcher *self, GraftError *error);
// When that is done: tells followers (conform.h), and forgets code that is not
// used any more.
void patcher_end_sweep(Patcher *self);

// Counts anew, after the commit, who still holds deleted functions.
void patcher_count_orphans(Patcher *self);

size_t patcher_file_count(const Patcher *self);
FilePatch *patcher_file(Patcher *self, size_t index);

// What there is to report besides definitions, in the order it happened.
size_t patcher_note_count(const Patcher *self);
const Note *patcher_note(const Patcher *self, size_t index);

// Places that the sweep changed.
size_t patcher_reference_count(const Patcher *self);

#endif
