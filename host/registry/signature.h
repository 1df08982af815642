// SPDX-License-Identifier: MIT
//
// Signature: the C type of a native, read from text such as "double(double,
// int)" or from DWARF. Parameters are one byte each, so that the VM layer can
// switch on them; register numbers are worked out once, so that a call need
// not. A signature is immutable and one block of memory.
//
// Types that the processor cannot tell apart are one: `long`, `long long` and
// `int64_t` are ABI equals and print as "int64_t". Enumerations print as "int";
// where the type is known they are checked to be within their enumerators.
// `const` is dropped, except in `const char *`, which is a string; `char *`
// is a pointer. `struct Body *` and `Body *` are the same pointer type.
// Arrays are pointers, and pointers to functions are pointers with their C text
// as a name: "int (*)(double)". Structs by value are known from DWARF only,
// since text does not say what is in them. Traded away: unions and packed
// structs by value, variable arguments and more than SIGNATURE_PARAMS
// parameters.

#ifndef GRAFT_REGISTRY_SIGNATURE_H
#define GRAFT_REGISTRY_SIGNATURE_H

#include "base/buffer.h"
#include "base/memory.h"

enum { SIGNATURE_PARAMS = 32, SIGNATURE_INTEGERS = 6, SIGNATURE_FLOATS = 8 };

// Kept in one byte each. The order groups them: integers, floats, pointers.
typedef enum TypeCode {
  TYPE_VOID,
  TYPE_BOOL,
  TYPE_INT8,
  TYPE_UINT8,
  TYPE_INT16,
  TYPE_UINT16,
  TYPE_INT32,
  TYPE_UINT32,
  TYPE_ENUM, // an int within bounds
  TYPE_INT64,
  TYPE_UINT64,
  TYPE_FLOAT,
  TYPE_DOUBLE,
  TYPE_STRING,  // const char *
  TYPE_POINTER, // any other pointer, with a name
  TYPE_STRUCT,  // by value, with the name of a pointer to it
} TypeCode;

// What there is to know of an enum or a struct by value.
typedef struct TypeDetail {
  int64_t least, most;  // enum: between its enumerators
  size_t size, align;   // struct
  int count;            // struct: how many numbers and pointers it has,
  const uint8_t *codes; // and their TypeCodes, each where its size aligns it
} TypeDetail;

// How call_native makes the call.
typedef enum CallShape {
  CALL_LIBFFI,    // arguments on the stack, or another processor
  CALL_NO_FLOATS, // <= 6 integers
  CALL_TWO_TWO,   // <= 2 integers, <= 2 floats
  CALL_ALL,       // <= 6 integers, <= 8 floats
} CallShape;

typedef struct Signature {
  uint8_t result;      // TypeCode
  uint8_t param_count; // <= SIGNATURE_PARAMS
  uint8_t shape;       // CallShape
  bool lua;            // int (lua_State *): only the VM can call it
  uint8_t params[SIGNATURE_PARAMS]; // TypeCode
  // For each register, the number of the argument that goes there; those that
  // are not used say 0, and so carry a copy of the first argument.
  uint8_t integers[SIGNATURE_INTEGERS];
  uint8_t floats[SIGNATURE_FLOATS];
  const char *text; // canonical, such as "double(double, int)"
  // Of a pointer, such as "Body *"; of a struct by value the same; of an enum,
  // where it has one, such as "Mood"; else NULL.
  const char *result_name;
  const char *param_names[SIGNATURE_PARAMS];
  const TypeDetail *result_detail; // of an enum or struct; else NULL
  const TypeDetail *param_details[SIGNATURE_PARAMS];
  void *interface; // an ffi_cif, for call.c and native/entry.c
} Signature;

// One type, for building a signature without text. `name` is needed for
// pointers and structs, and names what is pointed at and the star: "Body *".
// Enums may have one.
typedef struct SignatureType {
  TypeCode code;
  const char *name;
  const TypeDetail *detail; // enums and structs have one; copied
} SignatureType;

typedef struct SignatureDesc {
  SignatureType result;
  int param_count;
  SignatureType params[SIGNATURE_PARAMS];
} SignatureDesc;

// Reads C text. A function name and parameter names may be there and are left
// out: "void step(double dt)". On failure *signature is NULL and the status
// GRAFT_ESIGNATURE, with the column in the text, or GRAFT_ENOMEM. Free with
// signature_free. Any thread.
GraftStatus signature_parse(const GraftAllocator *allocator, const char *text,
                            Signature **signature, GraftError *error);

// Whether a struct of these numbers can be passed by value: each stands where
// the next of its size is aligned, and nothing is behind them but padding.
bool type_detail_fits(const TypeDetail *detail, const size_t *offsets);

// NULL when out of memory.
Signature *signature_new(const GraftAllocator *allocator,
                         const SignatureDesc *desc);
Signature *signature_copy(const GraftAllocator *allocator,
                          const Signature *self);
void signature_free(const GraftAllocator *allocator, Signature *self);

// Appends a type as signatures have it: "const char *", "Body *", "Body".
void signature_write_type(Buffer *text, SignatureType type);

// Two NULLs are equal. Structs by value are the same when what is in them is.
bool signature_equal(const Signature *a, const Signature *b);

// Equal, and the bounds and names of enums as well.
bool signature_identical(const Signature *a, const Signature *b);

// How a type is called in messages: "int", "string", "Body *", of a struct by
// value that of a pointer to it. `name` may be NULL.
const char *type_text(TypeCode type, const char *name);

static inline bool type_is_float(TypeCode type) {
  return type == TYPE_FLOAT || type == TYPE_DOUBLE;
}

static inline bool type_is_integer(TypeCode type) {
  return type >= TYPE_INT8 && type <= TYPE_UINT64;
}

#endif
