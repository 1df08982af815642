// SPDX-License-Identifier: MIT

#include "vm/view_value.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

// ---------------------------------------------------------------------------
// Reading
// ---------------------------------------------------------------------------

#define READ(type, value) memcpy(&(value), address, sizeof(type))

// A uint64_t beyond the integers of Lua is a number, as results of calls are.
static void push_unsigned(lua_State *L, uint64_t value) {
  if (value <= INT64_MAX) {
    lua_pushinteger(L, (lua_Integer)value);
  } else {
    lua_pushnumber(L, (lua_Number)value);
  }
}

static int64_t read_integer(ViewCode code, const char *address) {
  union {
    int8_t i8;
    int16_t i16;
    int32_t i32;
    int64_t i64;
    uint8_t u8;
    uint16_t u16;
    uint32_t u32;
  } value;
  switch (code) {
  case VIEW_INT8:
    READ(int8_t, value);
    return value.i8;
  case VIEW_INT16:
    READ(int16_t, value);
    return value.i16;
  case VIEW_INT32:
    READ(int32_t, value);
    return value.i32;
  case VIEW_UINT8:
    READ(uint8_t, value);
    return value.u8;
  case VIEW_UINT16:
    READ(uint16_t, value);
    return value.u16;
  case VIEW_UINT32:
    READ(uint32_t, value);
    return value.u32;
  default:
    READ(int64_t, value);
    return value.i64;
  }
}

bool view_value_push(lua_State *L, ViewCode code, const char *address) {
  float single;
  double number;
  switch (code) {
  case VIEW_DOUBLE:
    READ(double, number);
    lua_pushnumber(L, number);
    return true;
  case VIEW_FLOAT:
    READ(float, single);
    lua_pushnumber(L, (lua_Number)single);
    return true;
  case VIEW_BOOL:
    lua_pushboolean(L, *address != 0);
    return true;
  case VIEW_UINT64:
    push_unsigned(L, (uint64_t)read_integer(code, address));
    return true;
  case VIEW_OPAQUE: {
    void *pointer = NULL;
    memcpy(&pointer, address, sizeof pointer);
    if (pointer != NULL) {
      lua_pushlightuserdata(L, pointer);
    } else {
      lua_pushnil(L);
    }
    return true;
  }
  case VIEW_BITS:
  case VIEW_POINTER:
  case VIEW_PART:
    return false;
  default:
    lua_pushinteger(L, (lua_Integer)read_integer(code, address));
    return true;
  }
}

// ---------------------------------------------------------------------------
// Writing
// ---------------------------------------------------------------------------

#define WRITE(type, value)                                                     \
  do {                                                                         \
    type stored = (type)(value);                                               \
    memcpy(place->address, &stored, sizeof stored);                            \
  } while (0)

// "expected" is the C type, or what it takes.
__attribute__((noreturn)) static void raise_expected(lua_State *L, int index,
                                                     const ViewPlace *place,
                                                     const char *expected) {
  const char *got = lua_type(L, index) == LUA_TNUMBER ? lua_tostring(L, index)
                                                      : luaL_typename(L, index);
  void *address;
  view_get(place->vm, L, index, &address, &got);
  luaL_error(L, "bad value for %s (%s expected, got %s)", place->name, expected,
             got);
}

// The name of the type on the stack, so that an error leaves nothing behind.
__attribute__((noreturn)) static void raise_value(lua_State *L, int index,
                                                  const ViewPlace *place) {
  index = lua_absindex(L, index);
  Buffer text;
  buffer_init(&text, &place->vm->allocator);
  type_write(&text, place->type, "");
  char expected[128];
  snprintf(expected, sizeof expected, "%s", buffer_text(&text));
  buffer_clear(&text);
  raise_expected(L, index, place, expected);
}

static const struct {
  int64_t least, most;
} ranges[] = {
    [VIEW_INT8] = {INT8_MIN, INT8_MAX},    [VIEW_UINT8] = {0, UINT8_MAX},
    [VIEW_INT16] = {INT16_MIN, INT16_MAX}, [VIEW_UINT16] = {0, UINT16_MAX},
    [VIEW_INT32] = {INT32_MIN, INT32_MAX}, [VIEW_UINT32] = {0, UINT32_MAX},
    [VIEW_INT64] = {INT64_MIN, INT64_MAX}, [VIEW_UINT64] = {0, INT64_MAX},
};

// Numbers only, not texts that look like one.
static bool to_integer(lua_State *L, int index, int64_t *value) {
  int is_whole = 0;
  if (lua_type(L, index) != LUA_TNUMBER) return false;
  *value = (int64_t)lua_tointegerx(L, index, &is_whole);
  return is_whole != 0;
}

static void set_integer(lua_State *L, int index, const ViewPlace *place) {
  int64_t value = 0;
  if (!to_integer(L, index, &value) || value < ranges[place->code].least ||
      value > ranges[place->code].most) {
    raise_value(L, index, place);
  }
  switch (place->type->size) {
  case 1:
    WRITE(int8_t, value);
    break;
  case 2:
    WRITE(int16_t, value);
    break;
  case 4:
    WRITE(int32_t, value);
    break;
  default:
    WRITE(int64_t, value);
  }
}

static void set_number(lua_State *L, int index, const ViewPlace *place) {
  if (lua_type(L, index) != LUA_TNUMBER) raise_value(L, index, place);
  lua_Number value = lua_tonumber(L, index);
  if (place->code == VIEW_DOUBLE) {
    WRITE(double, value);
  } else {
    WRITE(float, value);
  }
}

static void set_bool(lua_State *L, int index, const ViewPlace *place) {
  if (lua_type(L, index) != LUA_TBOOLEAN) raise_value(L, index, place);
  *place->address = (char)lua_toboolean(L, index);
}

// Whether a pointer of the one C type may stand where the other is wanted:
// "Body *" for "Body *", and anything for "void *".
static bool is_target(const ViewPlace *place, const char *pointer_type) {
  const Type *target = place->type->target;
  if (target == NULL || target->kind == KIND_VOID) return true;
  const ViewClass *wanted = view_class_of(place->vm, place->whole, target);
  return wanted != NULL && strcmp(wanted->pointer_name, pointer_type) == 0;
}

static void set_pointer(lua_State *L, int index, const ViewPlace *place) {
  void *address = NULL;
  const char *pointer_type = NULL;
  if (lua_type(L, index) == LUA_TSTRING) {
    raise_expected(L, index, place,
                   "a pointer, since C would keep what Lua may collect;");
  }
  if (lua_type(L, index) == LUA_TLIGHTUSERDATA) {
    address = lua_touserdata(L, index);
  } else if (view_get(place->vm, L, index, &address, &pointer_type)) {
    if (!is_target(place, pointer_type)) raise_value(L, index, place);
  } else if (!lua_isnil(L, index)) {
    raise_value(L, index, place);
  }
  WRITE(void *, address);
}

// ---------------------------------------------------------------------------
// Parts
// ---------------------------------------------------------------------------

static void set_text(lua_State *L, int index, const ViewPlace *place) {
  size_t size = 0;
  const char *text = lua_tolstring(L, index, &size);
  if (size > place->type->count) raise_value(L, index, place);
  memset(place->address, 0, place->type->size);
  memcpy(place->address, text, size);
}

// A table's elements count from 0 if it has a [0], else from 1.
static void set_elements(lua_State *L, int index, const ViewPlace *place) {
  const Type *element = place->type->target;
  ViewPlace part = *place;
  part.type = element;
  part.code = view_code(element);
  lua_rawgeti(L, index, 0);
  int first = lua_isnil(L, -1) ? 1 : 0;
  lua_pop(L, 1);
  size_t count = (size_t)lua_rawlen(L, index) + (first == 0 ? 1 : 0);
  if (count > place->type->count) raise_value(L, index, place);
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, index, (lua_Integer)i + first);
    part.address = place->address + i * element->size;
    view_value_set(L, -1, &part);
    lua_pop(L, 1);
  }
}

static void set_members(lua_State *L, int index, const ViewPlace *place) {
  const ViewClass *class = view_class_of(place->vm, place->whole, place->type);
  if (class == NULL) luaL_error(L, "not enough memory");
  lua_pushnil(L);
  while (lua_next(L, index)) {
    // stack: …, key, value
    const ViewMember *member =
        lua_type(L, -2) == LUA_TSTRING
            ? view_class_member(class, lua_tostring(L, -2))
            : NULL;
    if (member == NULL) {
      luaL_error(L, "%s has no field '%s'", class->name,
                 luaL_tolstring(L, -2, NULL));
    }
    view_member_set(L, -1,
                    &(ViewPlace){.vm = place->vm,
                                 .whole = class,
                                 .address = place->address},
                    member);
    lua_pop(L, 1);
  }
}

// The whole at once, from a view of the same type.
static bool copy_part(lua_State *L, int index, const ViewPlace *place) {
  void *address = NULL;
  const char *pointer_type = NULL;
  if (!view_get(place->vm, L, index, &address, &pointer_type)) return false;
  bool is_array = place->type->kind == KIND_ARRAY;
  const Type *seen = is_array ? place->type->target : place->type;
  const ViewClass *class = view_class_of(place->vm, place->whole, seen);
  if (class == NULL || strcmp(class->pointer_name, pointer_type) != 0) {
    raise_value(L, index, place);
  }
  if (is_array && view_extent(L, index) < place->type->count) {
    raise_value(L, index, place);
  }
  memmove(place->address, address, place->type->size);
  return true;
}

static void set_part(lua_State *L, int index, const ViewPlace *place) {
  bool is_array = place->type->kind == KIND_ARRAY;
  luaL_checkstack(L, 8, "nested parts");
  if (is_array && place->type->target->size == 1 &&
      lua_type(L, index) == LUA_TSTRING) {
    set_text(L, index, place);
  } else if (lua_type(L, index) == LUA_TTABLE) {
    if (is_array) {
      set_elements(L, index, place);
    } else {
      set_members(L, index, place);
    }
  } else if (!copy_part(L, index, place)) {
    raise_value(L, index, place);
  }
}

void view_value_set(lua_State *L, int index, const ViewPlace *place) {
  index = lua_absindex(L, index);
  switch (place->code) {
  case VIEW_FLOAT:
  case VIEW_DOUBLE:
    set_number(L, index, place);
    break;
  case VIEW_BOOL:
    set_bool(L, index, place);
    break;
  case VIEW_PART:
    set_part(L, index, place);
    break;
  case VIEW_POINTER:
    set_pointer(L, index, place);
    break;
  case VIEW_OPAQUE:
    if (place->type->kind != KIND_POINTER) raise_value(L, index, place);
    set_pointer(L, index, place);
    break;
  case VIEW_BITS:
    break; // view_bits_set
  default:
    set_integer(L, index, place);
  }
}

// ---------------------------------------------------------------------------
// Bit-fields
// ---------------------------------------------------------------------------

static size_t bit_bytes(const ViewMember *member) {
  return (size_t)(member->bit_offset + member->bit_size + 7) / 8;
}

static uint64_t bit_mask(const ViewMember *member) {
  assert(member->bit_size > 0);
  return member->bit_size >= 64 ? UINT64_MAX
                                : ((uint64_t)1 << member->bit_size) - 1;
}

// A field of at most 64 bits lies in at most nine bytes; nobody declares one
// that does not lie in eight.
static uint64_t read_bits(const ViewMember *member, const char *address) {
  uint64_t bytes = 0;
  size_t count = bit_bytes(member);
  memcpy(&bytes, address, count < sizeof bytes ? count : sizeof bytes);
  return bytes >> member->bit_offset & bit_mask(member);
}

void view_bits_push(lua_State *L, const ViewMember *member,
                    const char *address) {
  uint64_t bits = read_bits(member, address);
  if (member->type->kind == KIND_BOOL) {
    lua_pushboolean(L, bits != 0);
  } else if (member->type->is_signed && member->bit_size < 64 &&
             (bits >> (member->bit_size - 1)) != 0) {
    lua_pushinteger(L, (lua_Integer)(bits | ~bit_mask(member)));
  } else {
    push_unsigned(L, bits);
  }
}

static void set_bits(lua_State *L, int index, const ViewPlace *place,
                     const ViewMember *member) {
  int64_t value = 0;
  if (member->type->kind == KIND_BOOL) {
    if (lua_type(L, index) != LUA_TBOOLEAN) raise_value(L, index, place);
    value = lua_toboolean(L, index);
  } else {
    bool is_signed = member->type->is_signed;
    int wide = member->bit_size - (is_signed ? 1 : 0);
    int64_t most = wide >= 63 ? INT64_MAX : ((int64_t)1 << wide) - 1;
    if (!to_integer(L, index, &value) || value > most ||
        value < (is_signed ? -most - 1 : 0)) {
      raise_value(L, index, place);
    }
  }
  uint64_t bytes = 0;
  size_t count = bit_bytes(member);
  if (count > sizeof bytes) count = sizeof bytes;
  memcpy(&bytes, place->address, count);
  bytes &= ~(bit_mask(member) << member->bit_offset);
  bytes |= ((uint64_t)value & bit_mask(member)) << member->bit_offset;
  memcpy(place->address, &bytes, count);
}

void view_member_set(lua_State *L, int index, const ViewPlace *whole,
                     const ViewMember *member) {
  index = lua_absindex(L, index);
  char name[160];
  snprintf(name, sizeof name, "%s.%s", whole->whole->name, member->name);
  ViewPlace place = *whole;
  place.type = member->type;
  place.code = member->code;
  place.address = whole->address + member->offset;
  place.name = name;
  if (member->code == VIEW_BITS) {
    set_bits(L, index, &place, member);
  } else {
    view_value_set(L, index, &place);
  }
}
