// SPDX-License-Identifier: MIT

#include "native/dwarf_layout_type.h"

#include <dwarf.h>
#include <stdio.h>
#include <string.h>

enum { CHAIN_LIMIT = 64, DEPTH_LIMIT = 8 }; // broken chains may loop

// --- DIEs --------------------------------------------------------------------

bool die_flag(Dwarf_Die *die, unsigned name) {
  Dwarf_Attribute attribute;
  bool flag = false;
  return dwarf_attr_integrate(die, name, &attribute) != NULL &&
         dwarf_formflag(&attribute, &flag) == 0 && flag;
}

bool die_number(Dwarf_Die *die, unsigned name, Dwarf_Word *number) {
  Dwarf_Attribute attribute;
  return dwarf_attr_integrate(die, name, &attribute) != NULL &&
         dwarf_formudata(&attribute, number) == 0;
}

static const char *copy_text(TypeReader *self, const char *text) {
  if (text == NULL) return "";
  size_t size = strlen(text) + 1;
  char *copy = type_set_allocate(self->set, size);
  if (copy == NULL) {
    self->failed = true;
    return "";
  }
  return memcpy(copy, text, size);
}

const char *type_reader_text(TypeReader *self, Dwarf_Die *die, unsigned name) {
  Dwarf_Attribute attribute;
  return copy_text(
      self, dwarf_formstring(dwarf_attr_integrate(die, name, &attribute)));
}

const char *type_reader_file(TypeReader *self, Dwarf_Die *die) {
  const char *file = dwarf_decl_file(die);
  if (file == NULL || *file == '\0') file = self->unit;
  if (file[0] == '/' || self->directory[0] == '\0') {
    return copy_text(self, file);
  }
  size_t size = strlen(self->directory) + strlen(file) + 2;
  char *path = type_set_allocate(self->set, size);
  if (path == NULL) {
    self->failed = true;
    return "";
  }
  snprintf(path, size, "%s/%s", self->directory, file);
  return path;
}

static bool die_of(Dwarf_Die *holder, Dwarf_Die *type) {
  Dwarf_Attribute attribute;
  return dwarf_attr_integrate(holder, DW_AT_type, &attribute) != NULL &&
         dwarf_formref_die(&attribute, type) != NULL;
}

static size_t count_children(Dwarf_Die *die, int tag) {
  size_t count = 0;
  Dwarf_Die child;
  int more = dwarf_child(die, &child);
  for (; more == 0; more = dwarf_siblingof(&child, &child)) {
    count += dwarf_tag(&child) == tag;
  }
  return count;
}

// --- Kinds -------------------------------------------------------------------

static void *allocate(TypeReader *self, size_t count, size_t size) {
  void *block = type_set_allocate(self->set, count * size);
  self->failed |= block == NULL;
  return block;
}

// gcc's and clang's names of one type are one.
static const char *plain_name(const char *name) {
  static const char *const known[][2] = {
      {"long int", "long"},
      {"short int", "short"},
      {"long long int", "long long"},
      {"long unsigned int", "unsigned long"},
      {"short unsigned int", "unsigned short"},
      {"long long unsigned int", "unsigned long long"},
      {"_Bool", "bool"},
  };
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    if (strcmp(name, known[i][0]) == 0) return known[i][1];
  }
  return name;
}

static void fill_base(TypeReader *self, Dwarf_Die *die, Type *type) {
  Dwarf_Word encoding = 0;
  die_number(die, DW_AT_encoding, &encoding);
  type->name = plain_name(type_reader_text(self, die, DW_AT_name));
  type->align = type->size > 0 && type->size <= 16 ? type->size : 1;
  bool is_word =
      type->size == 1 || type->size == 2 || type->size == 4 || type->size == 8;
  switch (encoding) {
  case DW_ATE_boolean:
    type->kind = type->size == 1 ? KIND_BOOL : KIND_OPAQUE;
    break;
  case DW_ATE_signed:
  case DW_ATE_signed_char:
    type->is_signed = true;
    type->kind = is_word ? KIND_INTEGER : KIND_OPAQUE;
    break;
  case DW_ATE_unsigned:
  case DW_ATE_unsigned_char:
  case DW_ATE_UTF:
    type->kind = is_word ? KIND_INTEGER : KIND_OPAQUE;
    break;
  case DW_ATE_float:
    type->is_signed = true;
    type->kind = type->size == sizeof(float) || type->size == sizeof(double) ||
                         type->size == sizeof(long double)
                     ? KIND_FLOAT
                     : KIND_OPAQUE;
    break;
  default:
    type->kind = KIND_OPAQUE;
  }
  type->is_char = type->size == 1 && strcmp(type->name, "char") == 0;
}

// Where a bit-field's first bit is, counted from the start of the struct. Old
// DWARF counts from the most significant end of a storage unit.
static Dwarf_Word first_bit(Dwarf_Die *die, const Type *type, Dwarf_Word offset,
                            Dwarf_Word bits) {
  Dwarf_Word number;
  if (die_number(die, DW_AT_data_bit_offset, &number)) return number;
  if (!die_number(die, DW_AT_bit_offset, &number)) return offset * 8;
  Dwarf_Word unit = type->size;
  die_number(die, DW_AT_byte_size, &unit);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  (void)bits;
  return offset * 8 + number;
#else
  return offset * 8 + unit * 8 - number - bits;
#endif
}

static void fill_member(TypeReader *self, Dwarf_Die *die, TypeMember *member) {
  Dwarf_Word offset = 0, bits = 0;
  member->name = type_reader_text(self, die, DW_AT_name);
  member->type = type_reader_type_of(self, die, NULL);
  dwarf_decl_line(die, &member->line);
  die_number(die, DW_AT_data_member_location, &offset);
  member->offset = offset;
  if (!die_number(die, DW_AT_bit_size, &bits)) return;
  Dwarf_Word bit = first_bit(die, member->type, offset, bits);
  member->offset = bit / 8;
  member->bit_offset = (int)(bit % 8);
  member->bit_size = (int)bits;
}

// DWARF does not say; this is what the members ask for, less where a packed
// struct does not give it to them.
static size_t struct_align(const Type *type) {
  size_t align = 1;
  for (size_t i = 0; i < type->member_count; i++) {
    const TypeMember *member = &type->members[i];
    size_t offset = member->bit_size > 0 ? 0 : member->offset;
    size_t wanted = member->type->align;
    while (wanted > 1 && (offset | type->size) & (wanted - 1)) {
      wanted /= 2;
    }
    if (wanted > align) align = wanted;
  }
  return align;
}

static void fill_struct(TypeReader *self, Dwarf_Die *die, Type *type) {
  size_t count = count_children(die, DW_TAG_member);
  TypeMember *members = allocate(self, count, sizeof *members);
  if (members == NULL) return;
  size_t next = 0;
  Dwarf_Die child;
  int more = dwarf_child(die, &child);
  for (; more == 0; more = dwarf_siblingof(&child, &child)) {
    if (dwarf_tag(&child) != DW_TAG_member) continue;
    TypeMember *member = &members[next];
    fill_member(self, &child, member);
    // A bit-field without a name is padding.
    if (*member->name != '\0' || member->bit_size == 0) next++;
  }
  type->members = members;
  type->member_count = next;
  type->align = struct_align(type);
}

// A constant comes as DWARF has it, which need not be as wide as the type.
static int64_t enumerator_value(Dwarf_Die *die, const Type *type) {
  Dwarf_Attribute attribute;
  Dwarf_Sword value = 0;
  if (dwarf_attr(die, DW_AT_const_value, &attribute) == NULL) return 0;
  if (dwarf_formsdata(&attribute, &value) != 0) {
    Dwarf_Word bits = 0;
    dwarf_formudata(&attribute, &bits);
    value = (Dwarf_Sword)bits;
  }
  if (type->is_signed || type->size >= 8) return value;
  return (int64_t)((uint64_t)value & ((UINT64_C(1) << type->size * 8) - 1));
}

static void fill_enum(TypeReader *self, Dwarf_Die *die, Type *type) {
  type->target = type_reader_type_of(self, die, NULL);
  Dwarf_Word encoding = 0;
  if (type->target->kind == KIND_INTEGER) {
    type->is_signed = type->target->is_signed;
  } else if (die_number(die, DW_AT_encoding, &encoding)) {
    type->is_signed =
        encoding == DW_ATE_signed || encoding == DW_ATE_signed_char;
  }
  type->align = type->size > 0 ? type->size : 1;
  size_t count = count_children(die, DW_TAG_enumerator);
  TypeEnumerator *list = allocate(self, count, sizeof *list);
  if (list == NULL) return;
  Dwarf_Die child;
  int more = dwarf_child(die, &child);
  for (; more == 0; more = dwarf_siblingof(&child, &child)) {
    if (dwarf_tag(&child) != DW_TAG_enumerator) continue;
    list[type->enumerator_count++] =
        (TypeEnumerator){type_reader_text(self, &child, DW_AT_name),
                         enumerator_value(&child, type)};
  }
  type->enumerators = list;
}

// The number of elements of one dimension; 0 when it is not a constant.
static size_t dimension(Dwarf_Die *range) {
  Dwarf_Word count = 0;
  if (die_number(range, DW_AT_count, &count)) return count;
  Dwarf_Attribute attribute;
  Dwarf_Sword last = -1;
  if (dwarf_attr_integrate(range, DW_AT_upper_bound, &attribute) == NULL ||
      dwarf_whatform(&attribute) == DW_FORM_exprloc ||
      dwarf_formsdata(&attribute, &last) != 0) {
    return 0;
  }
  return (size_t)(last + 1);
}

static size_t array_size(const Type *element, size_t count) {
  return element->size > 0 && count > SIZE_MAX / 2 / element->size
             ? 0
             : element->size * count;
}

// `int m[2][3]` is one DIE with two dimensions; here it is an array of arrays,
// the outermost of which is `type`.
static void fill_array(TypeReader *self, Dwarf_Die *die, Type *type) {
  size_t counts[DEPTH_LIMIT] = {0};
  int depth = 0;
  Dwarf_Die child;
  int more = dwarf_child(die, &child);
  for (; more == 0; more = dwarf_siblingof(&child, &child)) {
    if (dwarf_tag(&child) != DW_TAG_subrange_type) continue;
    if (depth < DEPTH_LIMIT) counts[depth++] = dimension(&child);
  }
  const Type *element = type_reader_type_of(self, die, NULL);
  if (die_flag(die, DW_AT_GNU_vector) || depth == 0) {
    type->kind = KIND_OPAQUE;
    type->name = "vector";
    type->size = array_size(element, depth > 0 ? counts[0] : 0);
    type->align = type->size > 0 && type->size <= 64 ? type->size : 1;
    return;
  }
  for (int i = depth - 1; i >= 0; i--) {
    Type *array = i > 0 ? type_set_add(self->set, KIND_ARRAY, false) : type;
    if (array == NULL) {
      self->failed = true;
      return;
    }
    array->target = element;
    array->count = counts[i];
    array->align = element->align;
    array->size = array_size(element, counts[i]);
    element = array;
  }
}

static void fill_function(TypeReader *self, Dwarf_Die *die, Type *type) {
  type->target = type_reader_type_of(self, die, NULL);
  size_t count = count_children(die, DW_TAG_formal_parameter);
  TypeParameter *list = allocate(self, count, sizeof *list);
  if (list == NULL) return;
  Dwarf_Die child;
  int more = dwarf_child(die, &child);
  for (; more == 0; more = dwarf_siblingof(&child, &child)) {
    int tag = dwarf_tag(&child);
    if (tag == DW_TAG_unspecified_parameters) {
      // Alone they are C's `f()`, which takes none.
      type->is_variadic = type->parameter_count > 0;
    } else if (tag == DW_TAG_formal_parameter) {
      list[type->parameter_count++] =
          (TypeParameter){type_reader_text(self, &child, DW_AT_name),
                          type_reader_type_of(self, &child, NULL)};
    }
  }
  type->parameters = list;
}

static void resolve_alias(LayoutAlias *alias) {
  const char *name = alias->copy->alias, *file = alias->copy->file;
  int line = alias->copy->line;
  bool is_tagged = alias->of->kind == KIND_STRUCT ||
                   alias->of->kind == KIND_UNION ||
                   alias->of->kind == KIND_ENUM;
  *alias->copy = *alias->of;
  alias->copy->alias = name;
  // A struct is where its members are.
  if (is_tagged && *alias->of->file != '\0') return;
  alias->copy->file = file;
  alias->copy->line = line;
}

static void fill_typedef(TypeReader *self, Dwarf_Die *die, Type *type) {
  const Type *of = type_reader_type_of(self, die, NULL);
  type->alias = type_reader_text(self, die, DW_AT_name);
  LayoutAlias *alias = ARRAY_PUSH(self->allocator, &self->aliases);
  if (alias == NULL) {
    self->failed = true;
    return;
  }
  *alias = (LayoutAlias){type, of};
  resolve_alias(alias); // holds but for what leads back to itself
}

// --- Reading -----------------------------------------------------------------

static TypeKind kind_of(int tag) {
  switch (tag) {
  case DW_TAG_base_type:
    return KIND_INTEGER;
  case DW_TAG_pointer_type:
    return KIND_POINTER;
  case DW_TAG_array_type:
    return KIND_ARRAY;
  case DW_TAG_structure_type:
    return KIND_STRUCT;
  case DW_TAG_union_type:
    return KIND_UNION;
  case DW_TAG_enumeration_type:
    return KIND_ENUM;
  case DW_TAG_subroutine_type:
  case DW_TAG_subprogram:
    return KIND_FUNCTION;
  default:
    return KIND_OPAQUE;
  }
}

static void fill_tagged(TypeReader *self, Dwarf_Die *die, Type *type) {
  type->name = type_reader_text(self, die, DW_AT_name);
  type->file = type_reader_file(self, die);
  dwarf_decl_line(die, &type->line);
  type->is_incomplete = die_flag(die, DW_AT_declaration);
  if (type->kind == KIND_ENUM) {
    fill_enum(self, die, type);
  } else {
    fill_struct(self, die, type);
  }
}

static void fill(TypeReader *self, Dwarf_Die *die, Type *type) {
  Dwarf_Word number = 0;
  if (die_number(die, DW_AT_byte_size, &number)) type->size = number;
  switch (dwarf_tag(die)) {
  case DW_TAG_base_type:
    fill_base(self, die, type);
    break;
  case DW_TAG_pointer_type:
    type->size = type->align = sizeof(void *);
    type->target = type_reader_type_of(self, die, &type->is_const);
    break;
  case DW_TAG_array_type:
    fill_array(self, die, type);
    break;
  case DW_TAG_structure_type:
  case DW_TAG_union_type:
  case DW_TAG_enumeration_type:
    fill_tagged(self, die, type);
    break;
  case DW_TAG_subroutine_type:
  case DW_TAG_subprogram:
    fill_function(self, die, type);
    break;
  case DW_TAG_typedef:
    type->file = type_reader_file(self, die);
    dwarf_decl_line(die, &type->line);
    fill_typedef(self, die, type);
    break;
  case DW_TAG_unspecified_type:
    type->kind = KIND_VOID;
    break;
  default:
    type->name = "unknown";
  }
  if (die_number(die, DW_AT_alignment, &number) && number > 0) {
    type->align = number;
  }
}

static bool is_listed(int tag) {
  return tag == DW_TAG_structure_type || tag == DW_TAG_union_type ||
         tag == DW_TAG_enumeration_type || tag == DW_TAG_typedef;
}

const Type *type_reader_read(TypeReader *self, Dwarf_Die *die) {
  const Type *known = pointer_map_find(&self->types, die->addr);
  if (known != NULL) return known;
  int tag = dwarf_tag(die);
  Type *type = type_set_add(self->set, kind_of(tag), is_listed(tag));
  // Known before it is filled, since types lead back to themselves.
  if (type == NULL || !pointer_map_set(&self->types, die->addr, type)) {
    self->failed = true;
    return self->nothing;
  }
  fill(self, die, type);
  return type;
}

const Type *type_reader_type_of(TypeReader *self, Dwarf_Die *holder,
                                bool *is_const) {
  Dwarf_Die die;
  if (self->failed || !die_of(holder, &die)) return self->nothing;
  bool found_const = false;
  for (int i = 0; i < CHAIN_LIMIT; i++) {
    int tag = dwarf_tag(&die);
    found_const |= tag == DW_TAG_const_type;
    if (tag != DW_TAG_const_type && tag != DW_TAG_volatile_type &&
        tag != DW_TAG_restrict_type && tag != DW_TAG_atomic_type) {
      break;
    }
    Dwarf_Die next;
    if (!die_of(&die, &next)) {
      if (is_const != NULL) *is_const = found_const;
      return self->nothing;
    }
    die = next;
  }
  if (is_const != NULL) {
    // `const int a[3]` is an array of const elements; a typedef hides const.
    Dwarf_Die inner = die;
    for (int i = 0; i < CHAIN_LIMIT && !found_const; i++) {
      int tag = dwarf_tag(&inner);
      if (tag == DW_TAG_const_type) found_const = true;
      if (tag != DW_TAG_array_type && tag != DW_TAG_typedef) break;
      Dwarf_Die next;
      if (!die_of(&inner, &next)) break;
      inner = next;
    }
    *is_const = found_const;
  }
  return type_reader_read(self, &die);
}

// --- Finishing ---------------------------------------------------------------

void type_reader_finish(TypeReader *self) {
  // A typedef may have been copied before what it stands for was complete, and
  // so on along a chain of them.
  for (size_t pass = 0; pass < DEPTH_LIMIT; pass++) {
    for (size_t i = 0; i < self->aliases.count; i++) {
      resolve_alias(&self->aliases.items[i]);
    }
  }
}

void type_reader_init(TypeReader *self, TypeSet *set,
                      const GraftAllocator *allocator) {
  *self = (TypeReader){
      .allocator = allocator, .set = set, .unit = "", .directory = ""};
  pointer_map_init(&self->types, allocator);
  Type *nothing = type_set_add(set, KIND_VOID, false);
  self->failed = nothing == NULL;
  static const Type none = {
      .kind = KIND_VOID, .align = 1, .name = "", .alias = "", .file = ""};
  self->nothing = nothing != NULL ? nothing : &none;
}

void type_reader_clear(TypeReader *self) {
  pointer_map_clear(&self->types);
  memory_free(self->allocator, self->aliases.items);
}
