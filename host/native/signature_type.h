// SPDX-License-Identifier: MIT
//
// Signatures of functions whose types are known as state/type.h has them: the
// C type in the few terms that calls with values need. Pointers to functions
// are pointers with a name, such as "int (*)(int)".

#ifndef GRAFT_NATIVE_SIGNATURE_TYPE_H
#define GRAFT_NATIVE_SIGNATURE_TYPE_H

#include "registry/signature.h"
#include "state/type.h"

enum { SIGNATURE_WHY_NOT = 160 };

// The signature of a KIND_FUNCTION, or NULL when it cannot be called with
// values: `why_not` says so then, such as "parameter 1 is union Body by
// value", or "out of memory". Free with signature_free. Any thread.
Signature *signature_of_type(const GraftAllocator *allocator,
                             const Type *function,
                             char why_not[SIGNATURE_WHY_NOT]);

#endif
