// SPDX-License-Identifier: MIT
//
// Views in LuaJIT: cdata of the FFI, so that access to fields is compiled into
// traces. What this file does in Lua is done once for each type, or where the
// interpreter is anyway.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "vm/view_cdef.h"
#include "vm/view_class.h"

enum { TYPE_CDATA = 10 };

// ---------------------------------------------------------------------------
// Objects of the FFI
// ---------------------------------------------------------------------------

// Of a cdata: its header, and its value behind that.
enum { OBJECT_KIND = 9, OBJECT_NUMBER = 10, OBJECT_VALUE = 16 };
enum { THREAD_SHARED = 16, KIND_CDATA = 10 };

static char *read_pointer(const char *place) {
  char *pointer;
  memcpy(&pointer, place, sizeof pointer);
  return pointer;
}

static uint16_t object_number(const char *object) {
  uint16_t number;
  memcpy(&number, object + OBJECT_NUMBER, sizeof number);
  return number;
}

static void set_object_number(char *object, uint16_t number) {
  memcpy(object + OBJECT_NUMBER, &number, sizeof number);
}

static uint16_t type_number(const void *value) {
  return object_number((const char *)value - OBJECT_VALUE);
}

// Where the collector's list of objects begins, in what all threads share: the
// word that is the last object made. 0 when it is not found.
static size_t find_root(Vm *vm, lua_State *L) {
  enum { SEARCHED = 256 };
  const char *shared = read_pointer((const char *)vm->main + THREAD_SHARED);
  size_t found = 0;
  for (int round = 0; round < 2; round++) {
    lua_newtable(L);
    const char *newest = lua_topointer(L, -1);
    size_t at = 8;
    while (at < SEARCHED && read_pointer(shared + at) != newest) at += 8;
    lua_pop(L, 1);
    if (at == SEARCHED || (round > 0 && at != found)) return 0;
    found = at;
  }
  return found;
}

static char *first_object(const Vm *vm) {
  const char *shared = read_pointer((const char *)vm->main + THREAD_SHARED);
  return read_pointer(shared + vm->views->root_offset);
}

// The next cdata from `object` on that is not a type, or NULL.
static char *next_cdata(const Vm *vm, char *object) {
  while (object != NULL && ((unsigned char)object[OBJECT_KIND] != KIND_CDATA ||
                            object_number(object) == vm->views->type_number)) {
    object = read_pointer(object);
  }
  return object;
}

// stack of the chunk: method(pointer type, name) → function or nil
//
// Returns
//   class(declarations, type, pointer, name, methods): a function that makes
//     views of an address, or with nil and a count of memory of their own;
//     without arguments it returns the type
//   describe(): the FFI's text of the probe's type
//   number(text): the number of a type
//   the probe, a cdata that can be given the number of any type
//   a type, which is a cdata, too
static const char glue_text[] =
    "local method = ...\n"
    "local ffi = require 'ffi'\n"
    "local function class(declarations, type, pointer, name, methods)\n"
    "  if declarations ~= '' then ffi.cdef(declarations) end\n"
    "  local whole, to = ffi.typeof(type), ffi.typeof(type .. ' *')\n"
    "  local parted = type:find '^%a+ graft_%d+$'\n"
    "  if parted then\n"
    "    ffi.metatype(whole, {\n"
    "      __index = function(_, key)\n"
    "        local found = methods[key]\n"
    "        if found then return found end\n"
    "        found = method(pointer, key)\n"
    "        if not found then\n"
    "          error(name .. \" has no field '\" .. tostring(key) .. \"'\", "
    "2)\n"
    "        end\n"
    "        methods[key] = found\n"
    "        return found\n"
    "      end,\n"
    "      __newindex = function(_, key)\n"
    "        error(name .. \" has no field '\" .. tostring(key) .. \"'\", 2)\n"
    "      end,\n"
    "      __tostring = function(self)\n"
    "        local address = ffi.cast('uintptr_t', ffi.cast('void *', self))\n"
    "        return ('%s: 0x%x'):format(pointer, tonumber(address))\n"
    "      end,\n"
    "    })\n"
    "  end\n"
    "  return function(address, count)\n"
    "    if not address and not count then return whole end\n"
    "    if not count then return ffi.cast(to, address) end\n"
    "    if count == 1 and parted then return whole() end\n"
    "    return ffi.new(ffi.typeof('$[?]', whole), count)\n"
    "  end\n"
    "end\n"
    "local probe = ffi.new 'intptr_t'\n"
    "return class, function() return tostring(ffi.typeof(probe)) end,\n"
    "  function(type) return tonumber(ffi.typeof(type)) end, probe,\n"
    "  ffi.typeof 'int'\n";

// stack: pointer type, name
static int find_method(lua_State *L) {
  Vm *vm = vm_of(L);
  const char *name = lua_tostring(L, 2);
  if (vm == NULL || vm->views == NULL || name == NULL ||
      !view_push_method(vm, L, lua_tostring(L, 1), name)) {
    lua_pushnil(L);
  }
  return 1;
}

void view_set_up(Vm *vm, lua_State *L) {
  ViewState *state = vm->views;
  if (luaL_loadbuffer(L, glue_text, sizeof glue_text - 1, "=graft") != 0) {
    lua_error(L);
  }
  lua_pushcfunction(L, find_method);
  lua_call(L, 1, 5);
  state->type_number = type_number(lua_topointer(L, -1));
  lua_pop(L, 1);
  state->probe = (char *)lua_topointer(L, -1) - OBJECT_VALUE;
  vm_ref(vm, L);
  state->number_ref = vm_ref(vm, L);
  state->describe_ref = vm_ref(vm, L);
  state->class_ref = vm_ref(vm, L);
  state->root_offset = find_root(vm, L);
}

// ---------------------------------------------------------------------------
// Making views
// ---------------------------------------------------------------------------

typedef struct Texts {
  Buffer declarations;
  Buffer type;
} Texts;

static void push_texts(lua_State *L, Texts *texts, const ViewClass *class) {
  bool failed = texts->declarations.failed || texts->type.failed;
  if (!failed) {
    lua_pushstring(L, buffer_text(&texts->declarations));
    lua_pushstring(L, buffer_text(&texts->type));
  }
  buffer_clear(&texts->declarations);
  buffer_clear(&texts->type);
  if (failed) luaL_error(L, "not enough memory");
  lua_pushstring(L, class->pointer_name);
  lua_pushstring(L, class->name);
}

// stack: … → …, the function that makes views of the class
static void push_maker(Vm *vm, lua_State *L, ViewClass *class) {
  if (class->metatable_ref != VM_NO_REF) {
    vm_push(vm, L, class->metatable_ref);
    return;
  }
  Texts texts;
  buffer_init(&texts.declarations, &vm->allocator);
  buffer_init(&texts.type, &vm->allocator);
  vm_push(vm, L, vm->views->class_ref);
  view_cdef_declare(vm, class, &texts.declarations);
  view_cdef_write(vm, class, &texts.type);
  push_texts(L, &texts, class);
  view_push_methods(L);
  lua_call(L, 5, 1);
  lua_pushvalue(L, -1);
  class->metatable_ref = vm_ref(vm, L);
}

// What was declared with a class has methods and messages of its own, too.
static void make_parts(Vm *vm, lua_State *L) {
  for (ViewClass *class = vm->views->classes; class != NULL;
       class = class->next) {
    if (!class->is_declared || class->metatable_ref != VM_NO_REF) continue;
    push_maker(vm, L, class);
    lua_pop(L, 1);
  }
}

static void push_class(Vm *vm, lua_State *L, ViewClass *class) {
  bool is_new = class->metatable_ref == VM_NO_REF;
  push_maker(vm, L, class);
  if (is_new) make_parts(vm, L);
}

void view_push(Vm *vm, lua_State *L, const char *pointer_type, void *address) {
  if (address == NULL) {
    lua_pushnil(L);
    return;
  }
  ViewClass *class = view_class_of_pointer(vm, pointer_type);
  if (class == NULL) {
    lua_pushlightuserdata(L, address);
    return;
  }
  push_class(vm, L, class);
  lua_pushlightuserdata(L, address);
  lua_call(L, 1, 1);
}

bool view_push_type(Vm *vm, lua_State *L, const char *pointer_type) {
  ViewClass *class = view_class_of_pointer(vm, pointer_type);
  if (class == NULL) return false;
  push_class(vm, L, class);
  lua_call(L, 0, 1);
  return true;
}

bool view_push_new(Vm *vm, lua_State *L, const char *type, size_t count) {
  ViewClass *class = view_class_find(vm, type);
  if (class == NULL || class->type->size == 0) return false;
  push_class(vm, L, class);
  lua_pushnil(L);
  lua_pushnumber(L, (lua_Number)count);
  lua_call(L, 2, 1);
  return true;
}

// ---------------------------------------------------------------------------
// Reading views
// ---------------------------------------------------------------------------

// What the FFI says of a type: whose it is, and whether a value of it holds an
// address (a pointer or a reference) or the thing itself.
typedef struct ViewShape {
  bool is_view; // else a number
  bool holds_address;
  ViewClass *class;       // of a struct or union, or NULL
  char text[96];          // the FFI's: "struct graft_1 *"
  char pointer_name[160]; // "Body *"
} ViewShape;

// The class that "struct graft_1" is, or NULL.
static ViewClass *find_number(const Vm *vm, const char *text) {
  int number = 0;
  if (sscanf(text, "%*6[a-z] graft_%d", &number) != 1) return NULL;
  ViewClass *class = vm->views->classes;
  while (class != NULL && class->number != number) class = class->next;
  return class;
}

// What signatures call the FFI's number types.
static const char *number_name(const char *type, size_t size) {
  static const char *const names[][2] = {
      {"short", "int16_t"},
      {"unsigned short", "uint16_t"},
      {"signed char", "int8_t"},
      {"unsigned char", "uint8_t"},
      {"int", "int"},
      {"unsigned int", "unsigned int"},
      {"char", "char"},
      {"bool", "bool"},
      {"float", "float"},
      {"double", "double"},
      {"int64_t", "int64_t"},
      {"uint64_t", "uint64_t"},
      {"void", "void"},
  };
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (strlen(names[i][0]) == size && memcmp(names[i][0], type, size) == 0) {
      return names[i][1];
    }
  }
  return NULL;
}

// "ctype<const struct graft_1 *>" is "Body *", "ctype<int (&)[10]>" is
// "int *".
static void read_shape(const Vm *vm, const char *text, ViewShape *shape) {
  const char *type = text + strlen("ctype<");
  snprintf(shape->text, sizeof shape->text, "%.*s", (int)strlen(type) - 1,
           type);
  if (strncmp(type, "const ", 6) == 0) type += 6;
  const char *behind = type + strcspn(type, "*&[(>");
  size_t size = (size_t)(behind - type);
  while (size > 0 && type[size - 1] == ' ') size--;
  int stars = 0;
  for (const char *at = behind; *at != '\0'; at++) stars += *at == '*';
  ViewClass *class = find_number(vm, type);
  const char *name = class != NULL ? class->name : number_name(type, size);
  bool is_number = class == NULL && *behind == '>';
  if (strstr(behind, "(*)") != NULL) name = NULL; // a function
  shape->holds_address = strpbrk(behind, "*&") != NULL;
  shape->class = class;
  shape->is_view = name != NULL && !is_number;
  if (!shape->is_view) return;
  if (class != NULL && class->is_old) name = "older layout of it";
  snprintf(shape->pointer_name, sizeof shape->pointer_name, "%s %.*s", name,
           stars > 0 ? stars : 1, "****");
}

static void describe(Vm *vm, lua_State *L, void *context) {
  vm_push(vm, L, vm->views->describe_ref);
  lua_call(L, 0, 1);
  read_shape(vm, lua_tostring(L, -1), context);
}

static const ViewShape *find_shape(Vm *vm, uint16_t number) {
  ViewState *state = vm->views;
  const void *key = (const void *)(uintptr_t)(number + 1u);
  ViewShape *shape = pointer_map_find(&state->shapes, key);
  if (shape != NULL) return shape;
  shape = memory_new(&vm->allocator, sizeof *shape);
  if (shape == NULL) return NULL;
  uint16_t own = object_number(state->probe);
  set_object_number(state->probe, number);
  GraftStatus status = vm_protect(vm, describe, shape, NULL);
  set_object_number(state->probe, own);
  if (status < 0 || !pointer_map_set(&state->shapes, key, shape)) {
    memory_free(&vm->allocator, shape);
    return NULL;
  }
  return shape;
}

bool view_get(Vm *vm, lua_State *L, int index, void **address,
              const char **pointer_type) {
  if (lua_type(L, index) != TYPE_CDATA || vm->views == NULL) return false;
  const void *value = lua_topointer(L, index);
  uint16_t number = type_number(value);
  if (number == vm->views->type_number) return false;
  const ViewShape *shape = find_shape(vm, number);
  if (shape == NULL || !shape->is_view) return false;
  *pointer_type = shape->pointer_name;
  if (shape->holds_address) {
    memcpy(address, value, sizeof *address);
  } else {
    *address = (void *)value;
  }
  return true;
}

bool view_get_integer(Vm *vm, lua_State *L, int index, int64_t *integer) {
  if (lua_type(L, index) != TYPE_CDATA || vm->views == NULL) return false;
  const void *value = lua_topointer(L, index);
  uint16_t number = type_number(value);
  if (number == vm->views->type_number) return false;
  const ViewShape *shape = find_shape(vm, number);
  if (shape == NULL) return false;
  bool is_unsigned = strcmp(shape->text, "uint64_t") == 0;
  if (!is_unsigned && strcmp(shape->text, "int64_t") != 0) return false;
  memcpy(integer, value, sizeof *integer);
  return !is_unsigned || *integer >= 0;
}

// Of an array: "char (&)[16]".
size_t view_extent(lua_State *L, int index) {
  Vm *vm = vm_of(L);
  if (vm == NULL || lua_type(L, index) != TYPE_CDATA) return 0;
  const ViewShape *shape = find_shape(vm, type_number(lua_topointer(L, index)));
  const char *count = shape != NULL ? strchr(shape->text, '[') : NULL;
  return count != NULL ? strtoul(count + 1, NULL, 10) : 0;
}

// ---------------------------------------------------------------------------
// When layouts change
// ---------------------------------------------------------------------------
//
// Every cdata is in the collector's list of objects, where those that hold an
// address are found and rewritten in place: the address, and in the header the
// number of the type. So everybody who holds one sees it.

typedef struct Former {
  char *object;
  uint16_t was_number, number;
  char *was_address, *address;
} Former;

typedef struct Formers {
  ARRAY(Former) list;
} Formers;

typedef struct Renumbering {
  const char *text; // "struct graft_1 *", of the old class
  ViewClass *to;
  uint16_t number;
} Renumbering;

// The number of the type that is to a new class what this text is to the old.
static void find_new_number(Vm *vm, lua_State *L, void *context) {
  Renumbering *self = context;
  Buffer type;
  push_class(vm, L, self->to);
  vm_push(vm, L, vm->views->number_ref);
  buffer_init(&type, &vm->allocator);
  view_cdef_write(vm, self->to, &type);
  const char *behind = strstr(self->text, "graft_") + strlen("graft_");
  behind += strspn(behind, "0123456789");
  bool is_const = strncmp(self->text, "const ", 6) == 0;
  lua_pushfstring(L, "%s%s%s", is_const ? "const " : "", buffer_text(&type),
                  behind);
  buffer_clear(&type);
  lua_call(L, 1, 1);
  self->number = (uint16_t)lua_tointeger(L, -1);
}

// The number that views with an old one have now. 0 when out of memory.
static uint16_t new_number(Vm *vm, const ViewShape *shape, uint16_t number,
                           GraftError *error) {
  ViewClass *class = shape->class;
  if (class == NULL || !class->is_old) return number;
  ViewClass *newest = view_class_newest(vm, class);
  if (newest == NULL || newest == class) return number;
  Renumbering self = {.text = shape->text, .to = newest};
  if (vm_protect(vm, find_new_number, &self, error) < 0) return 0;
  return self.number;
}

static GraftStatus move_object(Vm *vm, char *object, ViewForward *forward,
                               void *context, GraftError *error) {
  uint16_t number = object_number(object);
  const ViewShape *shape = find_shape(vm, number);
  if (shape == NULL) return error_memory(error);
  if (!shape->is_view || !shape->holds_address) return GRAFT_OK;
  char *address = read_pointer(object + OBJECT_VALUE);
  if (address == NULL) return GRAFT_OK;
  Former former = {.object = object,
                   .was_number = number,
                   .was_address = address,
                   .address = forward(context, address)};
  if (former.address == NULL) former.address = address; // gone, and C knows it
  former.number = new_number(vm, shape, number, error);
  if (former.number == 0) return GRAFT_ENOMEM;
  if (former.number == number && former.address == address) return GRAFT_OK;
  Former *place = ARRAY_PUSH(&vm->allocator, &vm->views->formers->list);
  if (place == NULL) return error_memory(error);
  *place = former;
  set_object_number(object, former.number);
  memcpy(object + OBJECT_VALUE, &former.address, sizeof former.address);
  return GRAFT_OK;
}

// What is made meanwhile comes in front of the list, and needs no moving.
GraftStatus view_move_all(Vm *vm, ViewForward *forward, void *context,
                          GraftError *error) {
  if (vm->views->root_offset == 0) {
    return error_set(error, GRAFT_ERUN,
                     "this build of LuaJIT keeps its objects in a way that "
                     "Graft does not know, so layouts cannot change");
  }
  vm->views->formers = memory_new(&vm->allocator, sizeof(Formers));
  if (vm->views->formers == NULL) return error_memory(error);
  GraftStatus status = GRAFT_OK;
  lua_gc(vm->main, LUA_GCSTOP, 0);
  for (char *object = next_cdata(vm, first_object(vm));
       object != NULL && status == GRAFT_OK;
       object = next_cdata(vm, read_pointer(object))) {
    status = move_object(vm, object, forward, context, error);
  }
  lua_gc(vm->main, LUA_GCRESTART, 0);
  return status;
}

static int compare_formers(const void *a, const void *b) {
  const Former *x = a, *y = b;
  return x->object < y->object ? -1 : x->object > y->object;
}

// Some may have been collected meanwhile, and their place may be another's: it
// must be what it was made.
void view_move_back(Vm *vm) {
  Formers *formers = vm->views->formers;
  if (formers == NULL || formers->list.count == 0) return;
  qsort(formers->list.items, formers->list.count, sizeof *formers->list.items,
        compare_formers);
  for (char *object = next_cdata(vm, first_object(vm)); object != NULL;
       object = next_cdata(vm, read_pointer(object))) {
    Former key = {.object = object};
    const Former *former =
        bsearch(&key, formers->list.items, formers->list.count,
                sizeof *formers->list.items, compare_formers);
    if (former == NULL || object_number(object) != former->number ||
        read_pointer(object + OBJECT_VALUE) != former->address) {
      continue;
    }
    set_object_number(object, former->was_number);
    memcpy(object + OBJECT_VALUE, &former->was_address,
           sizeof former->was_address);
  }
}

void view_forget_moves(Vm *vm) {
  Formers *formers = vm->views->formers;
  if (formers == NULL) return;
  vm->views->formers = NULL;
  memory_free(&vm->allocator, formers->list.items);
  memory_free(&vm->allocator, formers);
}

void view_forget_shapes(Vm *vm) {
  PointerMap *shapes = &vm->views->shapes;
  for (size_t i = 0; i < shapes->capacity; i++) {
    memory_free(&vm->allocator, shapes->entries[i].value);
  }
  pointer_map_clear(shapes);
}
