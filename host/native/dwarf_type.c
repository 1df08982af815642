// SPDX-License-Identifier: MIT

#include "native/dwarf_type.h"

#include <dwarf.h>
#include <stdio.h>
#include <string.h>

// A type without qualifiers and typedefs, and what was found on the way.
typedef struct Stripped {
  Dwarf_Die die;
  bool is_void;
  bool is_const;
  const char *alias; // the outermost typedef, or NULL
} Stripped;

enum { CHAIN_LIMIT = 64 }; // no real type is that deep; a broken one may loop

// The type of a DIE; false for void.
static bool type_of(Dwarf_Die *die, Dwarf_Die *type) {
  Dwarf_Attribute attribute;
  return dwarf_attr_integrate(die, DW_AT_type, &attribute) != NULL &&
         dwarf_formref_die(&attribute, type) != NULL;
}

static Stripped strip(Dwarf_Die *holder) {
  Stripped found = {.is_void = !type_of(holder, &found.die)};
  for (int i = 0; i < CHAIN_LIMIT && !found.is_void; i++) {
    Dwarf_Die next = {0};
    switch (dwarf_tag(&found.die)) {
    case DW_TAG_typedef:
      if (found.alias == NULL) found.alias = dwarf_diename(&found.die);
      break;
    case DW_TAG_const_type:
      found.is_const = true;
      break;
    case DW_TAG_volatile_type:
    case DW_TAG_restrict_type:
    case DW_TAG_atomic_type:
      break;
    default:
      return found;
    }
    found.is_void = !type_of(&found.die, &next);
    found.die = next;
  }
  return found;
}

static Dwarf_Word byte_size(Dwarf_Die *die) {
  Dwarf_Word size = 0;
  return dwarf_aggregate_size(die, &size) == 0 ? size : 0;
}

static TypeCode integer_type(Dwarf_Word size, bool is_unsigned) {
  switch (size) {
  case 1:
    return is_unsigned ? TYPE_UINT8 : TYPE_INT8;
  case 2:
    return is_unsigned ? TYPE_UINT16 : TYPE_INT16;
  case 4:
    return is_unsigned ? TYPE_UINT32 : TYPE_INT32;
  case 8:
    return is_unsigned ? TYPE_UINT64 : TYPE_INT64;
  default:
    return TYPE_VOID;
  }
}

// TYPE_VOID for what has no code, such as long double.
static TypeCode base_type(Dwarf_Die *die) {
  Dwarf_Attribute attribute;
  Dwarf_Word encoding = 0;
  dwarf_formudata(dwarf_attr_integrate(die, DW_AT_encoding, &attribute),
                  &encoding);
  Dwarf_Word size = byte_size(die);
  switch (encoding) {
  case DW_ATE_boolean:
    return size == 1 ? TYPE_BOOL : TYPE_VOID;
  case DW_ATE_signed:
  case DW_ATE_signed_char:
    return integer_type(size, false);
  case DW_ATE_unsigned:
  case DW_ATE_unsigned_char:
  case DW_ATE_UTF:
    return integer_type(size, true);
  case DW_ATE_float:
    return size == 4 ? TYPE_FLOAT : size == 8 ? TYPE_DOUBLE : TYPE_VOID;
  default:
    return TYPE_VOID;
  }
}

static bool is_plain_char(Dwarf_Die *die) {
  const char *name = dwarf_diename(die);
  return dwarf_tag(die) == DW_TAG_base_type && name != NULL &&
         strcmp(name, "char") == 0;
}

// "Body" for `struct Body *` and for `Body *`, whatever Body stands for, but
// the number types go by what they are, as they do in text.
static const char *target_name(Stripped *target) {
  if (target->is_void) return "void";
  if (is_plain_char(&target->die)) return "char";
  switch (dwarf_tag(&target->die)) {
  case DW_TAG_base_type: {
    TypeCode code = base_type(&target->die);
    if (code != TYPE_VOID) return type_text(code, NULL);
    break;
  }
  case DW_TAG_enumeration_type:
    return "int";
  default:
    break;
  }
  if (target->alias != NULL) return target->alias;
  const char *name = dwarf_diename(&target->die);
  return name != NULL ? name : "void";
}

static bool put_text(Arena *arena, DwarfType *type, const char *what,
                     const char *name) {
  const char *shown = name != NULL ? name : "without a name";
  char *text = arena_new(arena, strlen(what) + strlen(shown) + 16);
  if (text == NULL) return false;
  sprintf(text, "%s %s by value", what, shown);
  type->why_not = text;
  return true;
}

// `die` is a pointer type.
static bool read_pointer(Arena *arena, Dwarf_Die *die, DwarfType *type) {
  int stars = 1;
  Stripped target = strip(die);
  while (!target.is_void && dwarf_tag(&target.die) == DW_TAG_pointer_type &&
         stars < CHAIN_LIMIT) {
    Dwarf_Die inner = target.die;
    target = strip(&inner);
    stars++;
  }
  if (!target.is_void && dwarf_tag(&target.die) == DW_TAG_subroutine_type) {
    type->why_not = "a function pointer";
    return true;
  }
  if (stars == 1 && !target.is_void && target.is_const &&
      is_plain_char(&target.die)) {
    type->type = (SignatureType){TYPE_STRING, NULL};
    return true;
  }
  const char *base = target_name(&target);
  char *name = arena_new(arena, strlen(base) + (size_t)stars + 2);
  if (name == NULL) return false;
  strcpy(name, base);
  strcat(name, " ");
  memset(name + strlen(base) + 1, '*', (size_t)stars);
  type->type = (SignatureType){TYPE_POINTER, name};
  return true;
}

static bool read_enumeration(Dwarf_Die *die, DwarfType *type) {
  Dwarf_Word size = byte_size(die);
  type->type.code = size == 4 ? TYPE_INT32 : integer_type(size, false);
  if (type->type.code == TYPE_VOID) type->why_not = "an unusual enumeration";
  return true;
}

bool dwarf_type_read(Arena *arena, Dwarf_Die *die, DwarfType *type) {
  *type = (DwarfType){.type = {TYPE_VOID, NULL}};
  Stripped found = strip(die);
  if (found.is_void) return true;
  const char *name =
      found.alias != NULL ? found.alias : dwarf_diename(&found.die);
  switch (dwarf_tag(&found.die)) {
  case DW_TAG_base_type:
    type->type.code = base_type(&found.die);
    if (type->type.code != TYPE_VOID) return true;
    type->why_not = name != NULL ? name : "an unknown number type";
    return true;
  case DW_TAG_pointer_type:
    return read_pointer(arena, &found.die, type);
  case DW_TAG_enumeration_type:
    return read_enumeration(&found.die, type);
  case DW_TAG_structure_type:
    return put_text(arena, type, "struct", name);
  case DW_TAG_union_type:
    return put_text(arena, type, "union", name);
  case DW_TAG_array_type:
    type->why_not = "an array or vector";
    return true;
  default:
    type->why_not = "of a type that is not known";
    return true;
  }
}
