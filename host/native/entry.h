// SPDX-License-Identifier: MIT
//
// Entry: C entry points of slots: the handles of graft.h (graft_fn_typed and
// graft_fn_pointer), and the addresses of natives that the engine links. A slot
// with an entry has a cell (thunk.h) that holds the active native's code, or
// else a libffi closure, the fallback: it calls the script, or reports why
// there is nothing to call, and returns zero. Which of the two is in the cell
// is slot.c's doing at each switch. All callers of a slot's entry share one C
// type; once the host has a typed handle it stays for ever, else a transaction
// may change it when all callers change with it (N3). Traded away: calls
// through entries are not counted, and closures are kept until the registry
// goes, those of former C types too.

#ifndef GRAFT_NATIVE_ENTRY_H
#define GRAFT_NATIVE_ENTRY_H

#include "registry/slot.h"

// Gives the slot a cell and an entry (GraftFn.entry) unless it has one.
// `signature` is the registry's own, NULL when the C type cannot be called
// with values: then a script cannot stand in for the native. GRAFT_ENOMEM.
// Host thread, as all here.
GraftStatus entry_open(GraftFn *self, const Signature *signature,
                       GraftError *error);

// What entry_retype has changed.
typedef struct EntryType {
  const Signature *typed;
  GraftNative fallback;
} EntryType;

// Changes the C type that callers of the entry rely on. The slot has an entry
// and is not `held`. `before` is for entry_restore, which cannot fail.
// GRAFT_ENOMEM, and then nothing has changed.
GraftStatus entry_retype(GraftFn *self, const Signature *signature,
                         EntryType *before, GraftError *error);
void entry_restore(GraftFn *self, EntryType before);

#endif
