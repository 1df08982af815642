// SPDX-License-Identifier: MIT
//
// View class: what views of one type share: members by name, how each is read
// and written. Classes live as long as the VM, since views may outlive any
// file; there is one for each name and layout.

#ifndef GRAFT_VM_VIEW_CLASS_H
#define GRAFT_VM_VIEW_CLASS_H

#include "vm/view_state.h"

// How bytes are read and written.
typedef enum ViewCode {
  VIEW_INT8,
  VIEW_INT16,
  VIEW_INT32,
  VIEW_INT64,
  VIEW_UINT8,
  VIEW_UINT16,
  VIEW_UINT32,
  VIEW_UINT64,
  VIEW_FLOAT,
  VIEW_DOUBLE,
  VIEW_BOOL,
  VIEW_BITS,    // a bit-field
  VIEW_POINTER, // to something that can be viewed
  VIEW_PART,    // a struct, union or array: a view of it
  VIEW_OPAQUE,  // void *, function pointers, and what has no form in Lua
} ViewCode;

typedef struct ViewClass ViewClass;

typedef struct ViewMember {
  const char *name;
  const Type *type;
  ViewCode code;
  size_t offset;
  int bit_offset;
  int bit_size;
} ViewMember;

struct ViewClass {
  ViewClass *next;
  char *name;         // "Body"; of a pointee "Body *", of an array "int [4]"
  char *pointer_name; // "Body *"
  const Type *type;
  TypeSet *types; // retained; NULL for the number types
  ViewCode code;  // of the whole
  ViewMember *members;
  size_t member_count;
  int metatable_ref; // Lua 5.4; LuaJIT: of a function that makes views
  int number;        // LuaJIT: of "struct graft_1", from 1
  bool is_declared;  // LuaJIT: to the FFI
  bool is_old;       // its name has another layout now
};

typedef struct ViewState ViewState;

struct ViewState {
  const ViewHooks *hooks;
  ViewClass *classes;
  int class_count;  // of those with a number
  Map by_name;      // name → ViewClass, those that are not old
  PointerMap types; // Type in a retained set → ViewClass
  // Lua 5.4
  int views_ref; // weak: the views that may have to follow
  int64_t view_count;
  // LuaJIT
  PointerMap shapes;    // number of an FFI type + 1 → ViewShape
  int class_ref;        // makes makers of views
  int describe_ref;     // tells an FFI type as text
  int number_ref;       // tells the number of an FFI type
  char *probe;          // a cdata that is given the number in question
  unsigned type_number; // of an FFI type itself, which is a cdata too
  size_t root_offset;   // of the collector's list of objects; 0: not known
  // What view_undo needs
  ARRAY(ViewClass *) aged; // classes that became old
  struct Formers *formers; // of the VM
};

// The class of a type by its name; NULL when nothing is known of it, or out of
// memory.
ViewClass *view_class_find(Vm *vm, const char *name);
// The class of a part of a class's type.
ViewClass *view_class_of(Vm *vm, const ViewClass *whole, const Type *type);

// That of a pointer type: "Body *".
ViewClass *view_class_of_pointer(Vm *vm, const char *pointer_type);

const ViewMember *view_class_member(const ViewClass *self, const char *name);

ViewCode view_code(const Type *type);

void view_class_free_all(Vm *vm);

// The class that has the name of an old one now, else itself; NULL when out of
// memory or when there is none.
ViewClass *view_class_newest(Vm *vm, ViewClass *class);

// --- For view.c, by each VM --------------------------------------------------

// Makes the views that are alive follow, noting what they were.
GraftStatus view_move_all(Vm *vm, ViewForward *forward, void *context,
                          GraftError *error);
void view_move_back(Vm *vm);
void view_forget_moves(Vm *vm);
// What is kept of layouts that may change.
void view_forget_shapes(Vm *vm);

#endif
