// SPDX-License-Identifier: MIT
//
// What the files that make up the patcher share: patcher.c (a transaction's
// life), maker.c (compiling), replace.c (the sweep), install.c (the new unit),
// statement.c (running and merging), journal.c (undo).

#ifndef GRAFT_VM_PATCHER_STATE_H
#define GRAFT_VM_PATCHER_STATE_H

#include "base/pointer_map.h"
#include "vm/journal.h"
#include "vm/maker_code.h"
#include "vm/patcher.h"
#include "vm/spread.h"
#include "vm/state.h"
#include "vm/sweep.h"

// Where the variables of a new closure come from, by upvalue.
typedef enum SourceKind {
  SOURCE_OLD,         // upvalue `index` of the old closure
  SOURCE_VARIABLE,    // found after the walk: variable `index`
  SOURCE_ENVIRONMENT, // the script's
  SOURCE_FRESH,       // its own
} SourceKind;

typedef struct Source {
  SourceKind kind;
  int index;
  bool assigned; // by the new file
} Source;

// One for each old prototype that is replaced.
typedef struct ClosurePlan {
  struct ClosurePlan *next;
  int count;
  Source sources[];
} ClosurePlan;

struct PatchedFile {
  FilePatch patch; // first: FilePatch * and PatchedFile * are the same
  MakerText text;
  MakerCode *code; // compiled beforehand, or NULL; owned
  bool *rework;    // by new definition: needs new prototypes
  bool *silent;    // by old definition: its closures fall silent
  bool *wanted;    // by old variable: a function below the module gains it
  bool any_wanted;
  bool any_unknown;   // a module-level variable's true cell is not known
  int makers_ref;     // new definition + 1 → maker or closure
  int statements_ref; // place in diff->run + 1 → maker
  int holders_ref;    // list of closures that hold wanted variables
  int holder_count;
  PointerMap plans; // old prototype → ClosurePlan
  ClosurePlan *plan_list;
  // What the script was, once it is `installed`.
  bool installed;
  GraftUnit *old_unit;
  CellState *old_states;
  int *old_slot_refs;
  int old_cells_ref;
  ScriptProto *old_protos;   // copies, in the order of chunks
  bool *ran;                 // by place in diff->run
  int running;               // the new statement that runs now
  const void *running_proto; // what it was compiled to, or NULL
  int cleanups_ref;          // of old statements that go or change
};

// A variable that a new closure has still to be given.
typedef struct Deferred {
  PatchedFile *file;
  int pair;
  int upvalue;
  int variable;   // new
  int definition; // new
} Deferred;

struct Patcher {
  Vm *vm;
  bool resting; // the garbage collector
  ARRAY(PatchedFile *) files;
  ARRAY(Note) notes;
  ARRAY(Deferred) deferred;
  Sweep sweep;
  bool swept;
  // replace_spread.c
  bool spread_wanted;  // there is a budget
  bool is_spread;      // most references follow after the commit
  const char *at_once; // why they do not although it is wanted, or NULL
  Spread spread;
  int walker_ref; // the thread that walks then
  bool committed;
  bool undone;
  PointerMap patched;   // prototypes of the patched scripts → ScriptProto
  PointerFilter filter; // the same
  bool *stale;          // by pair
  int watched;          // pairs up to this one that remnants know (remnant.h)
  size_t reference_count;
  int journal_ref;
  int journal_count;
  int journaled_ref; // set of tables
  // depend.c
  int depend_ref; // list of changed places
  int depend_count;
  int pin_count;        // behind them
  int depend_active;    // that do not have their live values now
  int depend_index_ref; // object → set of changed keys
  GraftStatus status;   // of what runs protected
  GraftError *error;
};

// maker.c. Compiles what changed; sets makers_ref and statements_ref. Raises.
void maker_compile(PatchedFile *file, lua_State *L);
// stack: … → …, new closure of the definition
void maker_push_closure(PatchedFile *file, lua_State *L, int definition);

// maker_statement.c. Variables of the module that a statement names, itself or
// in a function.
typedef enum MakerUse {
  MAKER_NO_USE,
  MAKER_READ,
  MAKER_CELL, // assigned, or captured by a function in it
} MakerUse;
// Adds what runs the new and changed statements. `uses` has room for all
// variables of the unit, and one.
void maker_add_statements(MakerText *self, const PatchedFile *file,
                          MakerUse *uses);

// With a number behind it, an upvalue of a statement's function that is itself
// a function whose upvalues are variables of the module.
#define MAKER_READER "_GRAFT_READ"

// install.c: between the sweep and the statements. The first may raise, and
// then the second undoes what it did.
void install_unit(PatchedFile *file, lua_State *L);
void uninstall_unit(PatchedFile *file);
// Frees what only the undo would have needed.
void install_commit(PatchedFile *file);

// replace.c
GraftStatus replace_closures(Patcher *self, GraftError *error);
// With the commit: what was replaced is old from now on, where the collector is
// to tell who holds it still (remnant.h).
GraftStatus replace_watch(Patcher *self, GraftError *error);
void replace_undo(Patcher *self);
// What Graft holds itself: for SweepDesc.begin of a sweep along references.
void replace_offer(void *context, Sweep *sweep, lua_State *L);

// replace_spread.c. Decides whether the sweep is spread, and if so makes `desc`
// that of one which replaces what is near. May raise.
void replace_spread_begin(Patcher *self, lua_State *L, SweepDesc *desc);
// With the commit: histories get copies of the old closures that they keep, so
// that what is left of those is what the program holds.
void replace_spread_copy(Patcher *self, PatchedFile *file);
// Before the sweep is to go along references after all.
void replace_spread_end(Patcher *self);

// statement.c. Runs the statements of all files. Raises for lack of memory;
// what statements raise is in `self->status` and `self->error`.
void statement_run_all(Patcher *self, lua_State *L);

// Whether the values of a statement that runs are put where they belong by
// merging or as cells, instead of by the statement itself.
bool statement_gives_values(const PatchedFile *file, int statement);
// Whether it only names a function, which is put in its place likewise.
bool statement_gives_function(const GraftUnit *unit, int statement);

// silent.c: finds the functions that fall silent.
void silent_find(PatchedFile *file);
// After an undo: closures of the new code that calls handed on fall silent.
void silent_undo(Patcher *self);

// Adds a note, unless there is the same already; `file` is borrowed. False when
// out of memory.
bool patcher_add_note(Patcher *self, const Note *note);

#endif
