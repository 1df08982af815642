// SPDX-License-Identifier: MIT
//
// Numbers from one type to another, by value.

#include <float.h>
#include <math.h>
#include <string.h>

#include "state/migrate_inner.h"

// A number as wide as any: an integer with its sign apart, or a float.
typedef struct Number {
  bool is_float;
  bool is_negative;
  uint64_t magnitude;
  long double real;
} Number;

static bool is_number(const Type *type) {
  return type->kind >= KIND_BOOL && type->kind <= KIND_ENUM;
}

static bool is_function_pointer(const Type *type) {
  return type->target->kind == KIND_FUNCTION;
}

bool leaf_converts(const Leaf *from, const Leaf *to) {
  if (from->type->kind == KIND_POINTER && to->type->kind == KIND_POINTER) {
    bool is_function = is_function_pointer(from->type);
    if (is_function != is_function_pointer(to->type)) return false;
    return !is_function || type_same(from->type, to->type);
  }
  return is_number(from->type) && is_number(to->type);
}

// --- Bits --------------------------------------------------------------------

// Bits are counted from the least significant of the first byte, as compilers
// for little-endian processors lay bit-fields out. At most 64.
static uint64_t load_bits(const unsigned char *bytes, int first, int count) {
  uint64_t bits = 0;
  for (int i = 0; i < count; i++) {
    int at = first + i;
    bits |= (uint64_t)(bytes[at / 8] >> at % 8 & 1) << i;
  }
  return bits;
}

static void store_bits(unsigned char *bytes, int first, int count,
                       uint64_t bits) {
  for (int i = 0; i < count; i++) {
    int at = first + i;
    unsigned char mask = (unsigned char)(1u << at % 8);
    if (bits >> i & 1) {
      bytes[at / 8] |= mask;
    } else {
      bytes[at / 8] &= (unsigned char)~mask;
    }
  }
}

static int width_of(const Leaf *leaf) {
  return leaf->bit_size > 0 ? leaf->bit_size : (int)leaf->type->size * 8;
}

static uint64_t load_integer(const Leaf *leaf, const void *source) {
  if (leaf->bit_size > 0) {
    return load_bits(source, leaf->bit_offset, leaf->bit_size);
  }
  uint8_t byte;
  uint16_t half;
  uint32_t word;
  uint64_t wide;
  switch (leaf->type->size) {
  case 1:
    memcpy(&byte, source, 1);
    return byte;
  case 2:
    memcpy(&half, source, 2);
    return half;
  case 4:
    memcpy(&word, source, 4);
    return word;
  default:
    memcpy(&wide, source, 8);
    return wide;
  }
}

static void store_integer(const Leaf *leaf, void *target, uint64_t bits) {
  uint8_t byte = (uint8_t)bits;
  uint16_t half = (uint16_t)bits;
  uint32_t word = (uint32_t)bits;
  if (leaf->bit_size > 0) {
    store_bits(target, leaf->bit_offset, leaf->bit_size, bits);
    return;
  }
  switch (leaf->type->size) {
  case 1:
    memcpy(target, &byte, 1);
    break;
  case 2:
    memcpy(target, &half, 2);
    break;
  case 4:
    memcpy(target, &word, 4);
    break;
  default:
    memcpy(target, &bits, 8);
  }
}

// --- Floats ------------------------------------------------------------------

static long double load_float(const Type *type, const void *source) {
  float single;
  double number;
  long double wide;
  if (type->size == sizeof single) {
    memcpy(&single, source, sizeof single);
    return (long double)single;
  }
  if (type->size == sizeof number) {
    memcpy(&number, source, sizeof number);
    return (long double)number;
  }
  memcpy(&wide, source, sizeof wide);
  return wide;
}

// The value that was stored: the nearest that there is, but finite where the
// number was.
static long double store_float(const Type *type, void *target,
                               long double real) {
  if (type->size == sizeof(float)) {
    float single = !isfinite(real)                ? (float)real
                   : real > (long double)FLT_MAX  ? FLT_MAX
                   : real < (long double)-FLT_MAX ? -FLT_MAX
                                                  : (float)real;
    memcpy(target, &single, sizeof single);
    return (long double)single;
  }
  if (type->size == sizeof(double)) {
    double number = !isfinite(real)                ? (double)real
                    : real > (long double)DBL_MAX  ? DBL_MAX
                    : real < (long double)-DBL_MAX ? -DBL_MAX
                                                   : (double)real;
    memcpy(target, &number, sizeof number);
    return (long double)number;
  }
  memcpy(target, &real, sizeof real);
  return real;
}

// --- Numbers -----------------------------------------------------------------

static Number load_number(const Leaf *leaf, const void *source) {
  if (leaf->type->kind == KIND_FLOAT) {
    return (Number){.is_float = true, .real = load_float(leaf->type, source)};
  }
  uint64_t bits = load_integer(leaf, source);
  int width = width_of(leaf);
  bool is_negative = leaf->type->is_signed && bits >> (width - 1) & 1;
  if (!is_negative) return (Number){.magnitude = bits};
  if (width < 64) bits |= ~UINT64_C(0) << width;
  return (Number){.is_negative = true, .magnitude = 0 - bits};
}

// Towards zero; NaN is 0, and what is beyond 64 bits the most there is.
static Number whole_of(const Number *number, bool *lost) {
  if (!number->is_float) return *number;
  long double whole = truncl(number->real);
  Number result = {.is_negative = whole < 0};
  long double magnitude = fabsl(whole);
  if (isnan(number->real)) {
    *lost = true;
    return (Number){0};
  }
  if (magnitude >= 18446744073709551616.0L) {
    *lost = true;
    result.magnitude = UINT64_MAX;
    return result;
  }
  *lost |= whole != number->real;
  result.magnitude = (uint64_t)magnitude;
  return result;
}

static bool store_whole(const Leaf *leaf, void *target, Number number) {
  bool lost = false;
  Number whole = whole_of(&number, &lost);
  int width = width_of(leaf);
  bool is_signed = leaf->type->is_signed;
  uint64_t most = width - is_signed >= 64
                      ? UINT64_MAX
                      : (UINT64_C(1) << (width - is_signed)) - 1;
  uint64_t least = is_signed ? most + 1 : 0; // without its minus
  uint64_t limit = whole.is_negative ? least : most;
  if (whole.magnitude > limit) {
    whole.magnitude = limit;
    lost = true;
  }
  store_integer(leaf, target,
                whole.is_negative ? 0 - whole.magnitude : whole.magnitude);
  return lost;
}

static bool store_bool(const Leaf *leaf, void *target, const Number *number) {
  bool is_true = number->is_float ? number->real != 0 : number->magnitude != 0;
  bool is_exact = number->is_float
                      ? number->real == 0 || number->real == 1
                      : number->magnitude <= 1 && !number->is_negative;
  store_integer(leaf, target, is_true);
  return !is_exact;
}

static bool store_number(const Leaf *leaf, void *target, Number number) {
  if (leaf->type->kind == KIND_BOOL) return store_bool(leaf, target, &number);
  if (leaf->type->kind != KIND_FLOAT) return store_whole(leaf, target, number);
  long double real = number.real;
  if (!number.is_float) {
    real = (long double)number.magnitude;
    if (number.is_negative) real = -real;
  }
  long double stored = store_float(leaf->type, target, real);
  return stored != real && !(isnan(stored) && isnan(real));
}

// The number that an enumerator's name has in the new type; its own when the
// name is gone.
static Number rename_value(const Leaf *from, const Leaf *to, Number number) {
  uint64_t bits = number.is_negative ? 0 - number.magnitude : number.magnitude;
  for (size_t i = 0; i < from->type->enumerator_count; i++) {
    const TypeEnumerator *old = &from->type->enumerators[i];
    if ((uint64_t)old->value != bits) continue;
    for (size_t j = 0; j < to->type->enumerator_count; j++) {
      const TypeEnumerator *new = &to->type->enumerators[j];
      if (strcmp(old->name, new->name) != 0) continue;
      bool is_negative = to->type->is_signed && new->value < 0;
      return (Number){.is_negative = is_negative,
                      .magnitude = is_negative ? 0 - (uint64_t) new->value
                                               : (uint64_t) new->value};
    }
  }
  return number;
}

bool leaf_convert(const Leaf *from, const void *source, const Leaf *to,
                  void *target) {
  if (from->type->kind == KIND_POINTER) {
    memcpy(target, source, sizeof(void *));
    return false;
  }
  Number number = load_number(from, source);
  if (from->type->kind == KIND_ENUM && to->type->kind == KIND_ENUM) {
    number = rename_value(from, to, number);
  }
  return store_number(to, target, number);
}
