// SPDX-License-Identifier: MIT
//
// Type: the C types of natives as plain data, read from DWARF by
// native/dwarf_layout.c. Storage and migration go by them, and so do the
// bindings' views of structs. What the processor sees (sizes, offsets, bits)
// and what a user sees (names, places) are both there.
//
// Types live in a type set, one for each compiled file, which is counted:
// whoever keeps a Type keeps its set. Types of two sets are compared by
// structure, never by address. Qualifiers are dropped, but for `const` behind
// a pointer. Traded away: C++, and sharing of types between sets.

#ifndef GRAFT_STATE_TYPE_H
#define GRAFT_STATE_TYPE_H

#include "base/array.h"
#include "base/buffer.h"
#include "base/memory.h"

typedef enum TypeKind {
  KIND_VOID,
  KIND_BOOL,
  KIND_INTEGER, // char too
  KIND_FLOAT,   // float, double, long double
  KIND_ENUM,
  KIND_POINTER,
  KIND_ARRAY,
  KIND_STRUCT,
  KIND_UNION,
  KIND_FUNCTION, // only behind pointers
  KIND_OPAQUE,   // bytes that Graft does not look into: complex, vectors, …
} TypeKind;

typedef struct Type Type;

typedef struct TypeMember {
  const char *name; // "" for an anonymous struct or union
  const Type *type;
  size_t offset;  // in bytes; of a bit-field: of the byte its first bit is in
  int bit_offset; // of a bit-field: within that byte, in memory order
  int bit_size;   // 0: no bit-field
  int line;
} TypeMember;

typedef struct TypeEnumerator {
  const char *name;
  int64_t value; // of an unsigned type: its bits
} TypeEnumerator;

typedef struct TypeParameter {
  const char *name; // or ""
  const Type *type; // never an array or a function: those are pointers
} TypeParameter;

// Texts are never NULL; "" where there is none. What a kind does not have is
// zero.
struct Type {
  TypeKind kind;
  int line;           // in `file`, of its declaration
  bool is_signed;     // integer, enum
  bool is_incomplete; // struct, union, enum: only declared; size 0
  bool is_const;      // pointer: to const
  bool is_variadic;   // function
  bool is_char;       // integer: plain `char`, text rather than a number
  size_t size;        // in bytes
  size_t align;       // in bytes, at least 1
  const char *name;   // the tag, or a base type's name: "Body", "long int"
  const char *alias;  // the typedef it is known by, or ""
  const char *file;   // where it is declared, as the compiler had it
  const Type *target; // pointee, element, result, an enum's integer
  size_t count;       // array: elements; 0 for `[]`
  const TypeMember *members; // struct, union: in order of declaration
  size_t member_count;
  const TypeEnumerator *enumerators;
  size_t enumerator_count;
  const TypeParameter *parameters; // function
  size_t parameter_count;
};

typedef struct TypeSet TypeSet;

// An empty set with one reference, or NULL.
TypeSet *type_set_new(const GraftAllocator *allocator);
TypeSet *type_set_retain(TypeSet *self); // any thread; returns self
void type_set_release(TypeSet *self);    // any thread; NULL-safe

// For what fills a set, before others see it. Memory that lives as long as
// the set, zero; NULL when out of memory.
void *type_set_allocate(TypeSet *self, size_t size);
// A type with all texts "", listed if `listed`; NULL when out of memory.
Type *type_set_add(TypeSet *self, TypeKind kind, bool listed);

// The structs, unions, enums and typedefs of a file, in order of declaration
// where the compiler keeps it.
size_t type_set_count(const TypeSet *self);
const Type *type_set_at(const TypeSet *self, size_t index);

// The type called "Body", "struct Body", "union Value" or "int"; complete ones
// before those that are only declared; NULL when there is none.
const Type *type_set_find(const TypeSet *self, const char *name);

// Whether values of both are the same bytes with the same meaning: sizes,
// offsets, member names, kinds. Names of types do not matter but behind
// pointers, where only they do: a pointer to struct Body is what it is,
// whatever Body has. Two enums are alike when their enumerators are.
bool type_same(const Type *a, const Type *b);

// The same, and pointees are compared as well, as deep as they go; a type that
// is incomplete on one side is like any of its name. For comparing signatures
// and the views that two files have of one struct. False when out of memory.
bool type_same_deep(const GraftAllocator *allocator, const Type *a,
                    const Type *b);

// Equal for types that type_same; differs between most others.
uint64_t type_hash(const Type *self);

// The name a user knows it by: "Body", "int", "" for none. Its typedef, or else
// its tag.
const char *type_name(const Type *self);

// Appends C text: "struct Body *", and with a declarator "double m[4][4]",
// "int (*each)(int)". `declarator` may be "".
void type_write(Buffer *text, const Type *self, const char *declarator);

// Whether there is a pointer in it (a function pointer counts) by value.
bool type_has_pointer(const Type *self);

// The member called `name`, also one of an anonymous struct or union within,
// and then `*base` is what to add to its offset. NULL when there is none.
const TypeMember *type_member(const Type *self, const char *name, size_t *base);

// The part of `self` that begins at `offset` and is of a type that `wanted`
// names (a struct by its tag or typedef, a number by kind and size); the
// outermost, or NULL.
const Type *type_part(const Type *self, size_t offset, const Type *wanted);

// Appends what lies at `offset`: "[3].pos.x"; nothing for the whole.
void type_write_path(Buffer *text, const Type *self, size_t offset);

// Whether a pointer to `pointee` may mean an object of this type.
bool type_is_meant(const Type *self, const Type *pointee);

// Kinds that have no parts.
static inline bool type_is_scalar(const Type *self) {
  return self->kind >= KIND_BOOL && self->kind <= KIND_POINTER;
}

#endif
