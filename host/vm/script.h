// SPDX-License-Identifier: MIT
//
// Script: one file that was loaded into the VM, as it is now: its unit, the
// prototypes that were compiled from it, and its module-level variables.
//
// A prototype maps to a definition of the present unit, so a closure's
// prototype tells what it is. A *chunk* is one text that was compiled: the
// file at first, later what patches compile; it is kept while a closure of it
// may be alive, so that an address cannot come back as something else.
//
// A *cell* is the place of one variable, held by a closure that Graft makes
// for it. Variables that closures share are found in these; what no closure
// holds is read off the chunk when it returns, by a hook. The hook rests for
// good after a while, so that a chunk with a loop of its own runs at full
// speed; variables that no closure holds are then not known.

#ifndef GRAFT_VM_SCRIPT_H
#define GRAFT_VM_SCRIPT_H

#include "patch/diff.h"
#include "unit/unit.h"
#include "vm/vm.h"

typedef struct Script Script;
typedef struct ScriptChunk ScriptChunk;

enum {
  SCRIPT_MAIN = -1, // the main chunk
  SCRIPT_NONE = -2, // not a definition, or one that is gone
};

// Superseded code that may still be alive: what its variables are now. A name
// alone does not tell, since it may mean another variable in the present unit.
typedef struct OldCode {
  GraftUnit *unit; // retained: the last one that had this code
  int definition;  // of `unit`
  int variables[]; // by its captures: of the present unit, or SCRIPT_NONE
} OldCode;

typedef struct ScriptProto {
  const void *proto;
  ScriptChunk *chunk;
  int definition; // of the present unit, or SCRIPT_…
  int gone;       // of the unit before, when this patch has deleted it; or -1
  bool old;       // superseded code of that definition
  bool recent;    // it was superseded by the last patch of its file
  bool stale;     // a closure of it could not be given the newer code (P4)
  OldCode *code;  // owned; of superseded code
  bool probation; // new code that has not returned yet
} ScriptProto;

struct ScriptChunk {
  ScriptChunk *next;
  Script *script;
  int ref;           // its main function
  const void *fresh; // the patch that compiled it, while that is under way
  uint32_t walk;
  size_t count;
  ScriptProto protos[];
};

typedef enum CellState {
  CELL_NONE,
  CELL_SAVED, // holds a copy; some closure may hold the true one
  CELL_TRUE,
} CellState;

struct Script {
  Vm *vm;
  Script *previous;
  Script *next;
  char *module; // "ai.goblin"
  char *path;   // as the user named it, "scripts/ai/goblin.lua"
  char *chunk_name;
  GraftUnit *unit;
  ScriptChunk *chunks;
  CellState *cell_states; // by variable of the unit
  int *slot_refs;         // by definition: its closure in a slot, borrowed
  int cells_ref;          // variable + 1 → cell
  int value_ref;          // what the chunk returned
  int environment_ref;    // a function with the chunk's environment
  bool loaded;            // the chunk has returned
  bool is_main;           // the program, not a module
  bool adopted;           // it ran before Graft came (guest.h)
  bool superseded;        // the file was loaded again
  int running;            // calls of the chunk under way
  bool any_stale;         // a closure may be behind its definition (P4)
  void *owner;            // the engine's
  void *patch;            // during a transaction, the patcher's
};

typedef struct ScriptDesc {
  Vm *vm;
  GraftUnit *unit; // retained
  const char *module;
  const char *path;
  void *owner;
} ScriptDesc;

// NULL when out of memory.
Script *script_new(const ScriptDesc *desc);
void script_free(Script *self);

// The file was loaded again: what stems from this script lives on as it is.
void script_supersede(Script *self); // NULL-safe

// The file is loaded again, and its chunk had raised before: runs the cleanups
// that it had registered. NULL-safe.
void script_run_cleanups(Script *self, VmCallbackFailed *failed, void *context);

// Frees superseded scripts that the last walk saw nothing of.
void script_free_unseen(Vm *vm);

// Keeps the closure that the module shows for a definition in the private
// table: its reference, or VM_NO_REF when what is there now is something else
// (a wrapper, a function of another file, nothing).
GraftStatus script_find_shown(Script *self, int definition, int *ref,
                              GraftError *error);

// The script that a prototype belongs to, or NULL.
ScriptProto *script_find_proto(const Vm *vm, const void *proto);

// The variable of the present unit that a closure's upvalue with this name is,
// or SCRIPT_NONE.
int script_proto_variable(const ScriptProto *proto, const char *name);

// What remains of the code of a prototype that a patch supersedes, or moves
// further into the past. `proto` counts in diff->old_unit. NULL when out of
// memory.
OldCode *old_code_new(const ScriptProto *proto, const Diff *diff);
void old_code_free(const GraftAllocator *allocator, OldCode *self);

// Lets go of the chunks that no live closure was seen of in the last walk.
void script_prune_chunks(Script *self);

#endif
