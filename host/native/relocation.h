// SPDX-License-Identifier: MIT
//
// Relocation: what each type of relocation means, as tables in one file for
// each processor, and writing a value into its field. Pure: nothing here knows
// where things lie, so that objects of another processor can be read too.

#ifndef GRAFT_NATIVE_RELOCATION_H
#define GRAFT_NATIVE_RELOCATION_H

#include <stdbool.h>
#include <stdint.h>

// What S, the target's address, is.
typedef enum RelocationUse {
  USE_REFUSED,    // cannot be done here; so is a type that is not in the table
  USE_NONE,       // nothing is to be done
  USE_ADDRESS,    // the target's own address
  USE_CALL,       // where a direct call or jump to it goes
  USE_TABLE,      // the place in the table that holds its address
  USE_LOCAL_PAIR, // thread-locals: a TlsIndex in the table
  USE_LOCAL_MODULE,     // a TlsIndex of offset 0, for all of them
  USE_LOCAL_OFFSET,     // the offset itself
  USE_LOCAL_DESCRIPTOR, // see tls_descriptor
} RelocationUse;

// What is written, with the addend A, and P, the place.
typedef enum RelocationBasis {
  BASIS_ABSOLUTE,   // S + A
  BASIS_RELATIVE,   // S + A - P
  BASIS_PAGE,       // page of (S + A) - page of P, in pages of 4 KiB
  BASIS_LOW,        // the low 12 bits of S + A
  BASIS_TABLE_PAGE, // S + A - page of the table's start
} RelocationBasis;

// Where and how it is written.
typedef enum RelocationField {
  FIELD_WORD64,
  FIELD_WORD32,   // signed, or unsigned when absolute
  FIELD_BRANCH26, // aarch64: b, bl; counts words
  FIELD_BRANCH19, // b.cond, cbz, ldr literal
  FIELD_BRANCH14, // tbz
  FIELD_ADR,      // adr, adrp: 21 bits in two parts
  FIELD_ADD12,    // add
  FIELD_LOAD12,   // ldr, str: scaled by the access's size
  FIELD_LOAD15,   // ldr of 8 bytes, 15 bits unsigned
} RelocationField;

typedef struct RelocationType {
  const char *name; // "R_X86_64_PC32", NULL when not in the table
  const char *hint; // of refused ones: what it comes from, or NULL
  RelocationUse use;
  RelocationBasis basis;
  RelocationField field;
  int scale; // of FIELD_LOAD12: log2 of the access's size
} RelocationType;

RelocationType relocation_x86_64(uint32_t type);
RelocationType relocation_aarch64(uint32_t type);

// Bytes that a field takes.
int relocation_size(const RelocationType *type);

// S + A and P as the basis has it; `table` is the start of the table.
int64_t relocation_value(const RelocationType *type, uint64_t target,
                         uint64_t place, uint64_t table);

// Writes a value. False, and nothing is written, when it does not fit.
bool relocation_write(const RelocationType *type, unsigned char *field,
                      int64_t value);

#endif
