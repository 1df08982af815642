// SPDX-License-Identifier: MIT
//
// View cdef: types as declarations for LuaJIT's FFI. Structs are called
// `struct graft_1`, since the FFI cannot forget a name, and a layout that
// changes needs another. Enumerations are integers, so that both VMs read
// numbers.

#ifndef GRAFT_VM_VIEW_CDEF_H
#define GRAFT_VM_VIEW_CDEF_H

#include "vm/view_class.h"

// Appends the declarations that a view of the class needs and that the FFI has
// not had, and marks their classes as declared. `text` has failed when out of
// memory.
void view_cdef_declare(Vm *vm, ViewClass *class, Buffer *text);

// Appends the FFI's text for a class's type: "struct graft_1".
void view_cdef_write(Vm *vm, const ViewClass *class, Buffer *text);

#endif
