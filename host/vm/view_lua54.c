// SPDX-License-Identifier: MIT
//
// Views in Lua 5.4: userdata with a metatable for each class.

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "vm/view_class.h"
#include "vm/view_value.h"

typedef struct View {
  ViewClass *class;
  char *address;
  size_t count; // elements from `address` on; 0: not known
} View;

// Bytes that a view owns lie behind it, aligned for any type.
enum { OWNED_OFFSET = 32 };
_Static_assert(sizeof(View) <= OWNED_OFFSET, "room for the view itself");

static const char class_key = 0; // in metatables: the class

// ---------------------------------------------------------------------------
// Making views
// ---------------------------------------------------------------------------

static int view_index(lua_State *L);
static int view_assign(lua_State *L);
static int view_length(lua_State *L);
static int view_equal(lua_State *L);
static int view_text(lua_State *L);

// stack: … → …, metatable
static void push_new_metatable(Vm *vm, lua_State *L, ViewClass *class) {
  lua_createtable(L, 0, 8);
  lua_pushlightuserdata(L, class);
  lua_rawsetp(L, -2, &class_key);
  lua_createtable(L, 0, (int)class->member_count);
  for (size_t i = 0; i < class->member_count; i++) {
    lua_pushlightuserdata(L, &class->members[i]);
    lua_setfield(L, -2, class->members[i].name);
  }
  lua_pushvalue(L, -1);
  view_push_methods(L);
  lua_pushcclosure(L, view_index, 2);
  lua_setfield(L, -3, "__index");
  lua_pushcclosure(L, view_assign, 1);
  lua_setfield(L, -2, "__newindex");
  lua_pushcfunction(L, view_length);
  lua_setfield(L, -2, "__len");
  lua_pushcfunction(L, view_equal);
  lua_setfield(L, -2, "__eq");
  lua_pushcfunction(L, view_text);
  lua_setfield(L, -2, "__tostring");
  lua_pushstring(L, class->pointer_name);
  lua_setfield(L, -2, "__name");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pushvalue(L, -1);
  class->metatable_ref = vm_ref(vm, L);
}

static void push_metatable(Vm *vm, lua_State *L, ViewClass *class) {
  if (class->metatable_ref != VM_NO_REF) {
    vm_push(vm, L, class->metatable_ref);
  } else {
    push_new_metatable(vm, L, class);
  }
}

// Views of memory that is not theirs are found again when that moves.
static void remember(Vm *vm, lua_State *L) {
  vm_push(vm, L, vm->views->views_ref);
  lua_pushvalue(L, -2);
  lua_rawseti(L, -2, ++vm->views->view_count);
  lua_pop(L, 1);
}

// `owner` is where the view stands that owns the memory, or 0.
static void push_view(Vm *vm, lua_State *L, View place, int owner) {
  if (owner != 0) owner = lua_absindex(L, owner);
  View *view = lua_newuserdatauv(L, sizeof *view, owner != 0);
  *view = place;
  push_metatable(vm, L, place.class);
  lua_setmetatable(L, -2);
  if (owner != 0) {
    lua_pushvalue(L, owner);
    lua_setiuservalue(L, -2, 1);
  } else {
    remember(vm, L);
  }
}

void view_push(Vm *vm, lua_State *L, const char *pointer_type, void *address) {
  if (address == NULL) {
    lua_pushnil(L);
    return;
  }
  ViewClass *class = view_class_of_pointer(vm, pointer_type);
  if (class != NULL) {
    push_view(vm, L, (View){.class = class, .address = address}, 0);
  } else {
    lua_pushlightuserdata(L, address);
  }
}

bool view_push_new(Vm *vm, lua_State *L, const char *type, size_t count) {
  ViewClass *class = view_class_find(vm, type);
  if (class == NULL || class->type->size == 0) return false;
  if (count > (SIZE_MAX / 2 - OWNED_OFFSET) / class->type->size) {
    luaL_error(L, "not enough memory");
  }
  size_t size = count * class->type->size;
  View *view = lua_newuserdatauv(L, OWNED_OFFSET + size, 0);
  char *bytes = (char *)view + OWNED_OFFSET;
  memset(bytes, 0, size);
  *view = (View){.class = class, .address = bytes, .count = count};
  push_metatable(vm, L, class);
  lua_setmetatable(L, -2);
  return true;
}

static bool is_owner(const View *view) {
  return view->address == (const char *)view + OWNED_OFFSET;
}

// stack: …; the view at 1. Where the view stands that owns its memory, which
// may be pushed, or 0.
static int push_owner(lua_State *L, const View *view) {
  if (is_owner(view)) return 1;
  if (lua_getiuservalue(L, 1, 1) == LUA_TUSERDATA) return lua_gettop(L);
  lua_pop(L, 1);
  return 0;
}

// ---------------------------------------------------------------------------
// Reading and writing
// ---------------------------------------------------------------------------

static ViewClass *class_at(lua_State *L, int index) {
  if (lua_type(L, index) != LUA_TUSERDATA || !lua_getmetatable(L, index)) {
    return NULL;
  }
  lua_rawgetp(L, -1, &class_key);
  ViewClass *class = lua_touserdata(L, -1);
  lua_pop(L, 2);
  return class;
}

bool view_get(Vm *vm, lua_State *L, int index, void **address,
              const char **pointer_type) {
  (void)vm;
  if (class_at(L, index) == NULL) return false;
  const View *view = lua_touserdata(L, index);
  *address = view->address;
  *pointer_type =
      view->class->is_old ? "an older layout of it" : view->class->pointer_name;
  return true;
}

// Pushes what lies at `address`. The view that it is part of is at 1.
static int push_value(lua_State *L, const View *whole, const Type *type,
                      ViewCode code, char *address) {
  if (view_value_push(L, code, address)) return 1;
  Vm *vm = vm_of(L);
  if (vm == NULL) return luaL_error(L, "the engine is closed");
  if (code == VIEW_POINTER) {
    memcpy(&address, (const void *)address, sizeof address);
    if (address == NULL) {
      lua_pushnil(L);
      return 1;
    }
  }
  // An array is seen by its elements.
  bool is_array = code == VIEW_PART && type->kind == KIND_ARRAY;
  const Type *seen = code == VIEW_POINTER || is_array ? type->target : type;
  ViewClass *class = view_class_of(vm, whole->class, seen);
  if (class == NULL) return luaL_error(L, "not enough memory");
  View place = {.class = class, .address = address};
  if (code != VIEW_POINTER) place.count = is_array ? type->count : 1;
  push_view(vm, L, place, code == VIEW_PART ? push_owner(L, whole) : 0);
  return 1;
}

static int raise_no_field(lua_State *L, const ViewClass *class) {
  return luaL_error(L, "%s has no field '%s'", class->name, lua_tostring(L, 2));
}

static int raise_range(lua_State *L, const View *view, lua_Integer index,
                       size_t before, size_t count) {
  char range[64];
  lua_Integer first = -(lua_Integer)before;
  snprintf(range, sizeof range, "%lld to %lld", (long long)first,
           (long long)count - 1);
  return luaL_error(L, "index %I is out of range of %s (%s)", index,
                    view->class->pointer_name, range);
}

static void check_range(lua_State *L, const View *view, lua_Integer index) {
  size_t before = 0;
  size_t count = view->count;
  if (count == 0) {
    const Vm *vm = vm_of(L);
    if (vm == NULL || view->class->type->size == 0) return;
    const ViewHooks *hooks = vm->views->hooks;
    count = hooks->extent(hooks->context, view->address,
                          view->class->type->size, &before);
    if (count == 0) return; // C would not know either
  }
  if (index < -(lua_Integer)before || index >= (lua_Integer)count) {
    raise_range(L, view, index, before, count);
  }
}

static char *element_address(lua_State *L, const View *view) {
  int is_whole = 0;
  lua_Integer index = lua_tointegerx(L, 2, &is_whole);
  if (!is_whole || lua_type(L, 2) != LUA_TNUMBER) {
    luaL_error(L, "%s has no element %s", view->class->pointer_name,
               luaL_tolstring(L, 2, NULL));
  }
  if (index != 0 || view->count != 1) check_range(L, view, index);
  return view->address + index * (lua_Integer)view->class->type->size;
}

static void check_there(lua_State *L, const View *view) {
  if (view->address != NULL) return;
  luaL_error(L, "what this %s pointed to is gone", view->class->pointer_name);
}

// The function of a native whose first parameter is such a struct.
static int push_method(lua_State *L, const ViewClass *class) {
  lua_pushvalue(L, 2);
  lua_rawget(L, lua_upvalueindex(2));
  if (!lua_isnil(L, -1)) return 1;
  Vm *vm = vm_of(L);
  const char *name = lua_tostring(L, 2);
  if (vm == NULL || !view_push_method(vm, L, class->pointer_name, name)) {
    return raise_no_field(L, class);
  }
  lua_pushvalue(L, 2);
  lua_pushvalue(L, -2);
  lua_rawset(L, lua_upvalueindex(2));
  return 1;
}

// stack: view, key
static int view_index(lua_State *L) {
  const View *view = lua_touserdata(L, 1);
  check_there(L, view);
  if (lua_type(L, 2) != LUA_TSTRING) {
    return push_value(L, view, view->class->type, view->class->code,
                      element_address(L, view));
  }
  lua_pushvalue(L, 2);
  lua_rawget(L, lua_upvalueindex(1));
  const ViewMember *member = lua_touserdata(L, -1);
  if (member == NULL) return push_method(L, view->class);
  char *address = view->address + member->offset;
  if (member->code == VIEW_BITS) {
    view_bits_push(L, member, address);
    return 1;
  }
  return push_value(L, view, member->type, member->code, address);
}

// Numbers that fit, which are most of what is assigned, take a short way.
static bool set_number_fast(lua_State *L, ViewCode code, char *address) {
  if (code == VIEW_DOUBLE && lua_type(L, 3) == LUA_TNUMBER) {
    double number = lua_tonumber(L, 3);
    memcpy(address, &number, sizeof number);
    return true;
  }
  if (code == VIEW_INT32 && lua_isinteger(L, 3)) {
    lua_Integer integer = lua_tointeger(L, 3);
    int32_t stored = (int32_t)integer;
    if (stored != integer) return false;
    memcpy(address, &stored, sizeof stored);
    return true;
  }
  return false;
}

static ViewPlace place_of(lua_State *L, const View *view, char *address) {
  Vm *vm = vm_of(L);
  if (vm == NULL) luaL_error(L, "the engine is closed");
  return (ViewPlace){.vm = vm,
                     .whole = view->class,
                     .type = view->class->type,
                     .code = view->class->code,
                     .address = address,
                     .name = view->class->name};
}

// stack: view, key, value
static int view_assign(lua_State *L) {
  const View *view = lua_touserdata(L, 1);
  check_there(L, view);
  if (lua_type(L, 2) != LUA_TSTRING) {
    char *address = element_address(L, view);
    if (set_number_fast(L, view->class->code, address)) return 0;
    ViewPlace place = place_of(L, view, address);
    view_value_set(L, 3, &place);
    return 0;
  }
  lua_pushvalue(L, 2);
  lua_rawget(L, lua_upvalueindex(1));
  const ViewMember *member = lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (member == NULL) return raise_no_field(L, view->class);
  if (set_number_fast(L, member->code, view->address + member->offset)) {
    return 0;
  }
  ViewPlace whole = place_of(L, view, view->address);
  view_member_set(L, 3, &whole, member);
  return 0;
}

size_t view_extent(lua_State *L, int index) {
  return class_at(L, index) != NULL ? ((View *)lua_touserdata(L, index))->count
                                    : 0;
}

// ---------------------------------------------------------------------------
// The other operations
// ---------------------------------------------------------------------------

static int view_length(lua_State *L) {
  const View *view = lua_touserdata(L, 1);
  if (view->count == 0) {
    return luaL_error(L, "how many elements a %s has is not known",
                      view->class->pointer_name);
  }
  lua_pushinteger(L, (lua_Integer)view->count);
  return 1;
}

static int view_equal(lua_State *L) {
  const View *a = lua_touserdata(L, 1);
  const View *b = lua_touserdata(L, 2);
  bool both = class_at(L, 1) != NULL && class_at(L, 2) != NULL;
  lua_pushboolean(L, both && a->address == b->address);
  return 1;
}

static int view_text(lua_State *L) {
  const View *view = lua_touserdata(L, 1);
  lua_pushfstring(L, "%s: %p", view->class->pointer_name, view->address);
  return 1;
}

// ---------------------------------------------------------------------------
// When layouts change
// ---------------------------------------------------------------------------

// What a view was, for undoing; a list beside it keeps it alive.
typedef struct Former {
  View *view;
  View was;
} Former;

typedef struct Formers {
  ARRAY(Former) list;
  int list_ref;
} Formers;

typedef struct Migration {
  ViewForward *forward;
  void *context;
  Formers *formers;
  bool complete;
} Migration;

// stack: list, …, view
static bool move_view(Vm *vm, lua_State *L, const Migration *self, View *view) {
  char *address = self->forward(self->context, view->address);
  ViewClass *class =
      address != NULL ? view_class_newest(vm, view->class) : NULL;
  if (class == NULL) class = view->class;
  if (address == view->address && class == view->class) return true;
  Former *former = ARRAY_PUSH(&vm->allocator, &self->formers->list);
  if (former == NULL) return false;
  *former = (Former){view, *view};
  lua_pushvalue(L, -1);
  lua_rawseti(L, 1, (lua_Integer)self->formers->list.count);
  if (class != view->class) {
    push_metatable(vm, L, class);
    lua_setmetatable(L, -2);
  }
  view->class = class;
  view->address = address;
  return true;
}

static void migrate(Vm *vm, lua_State *L, void *context) {
  Migration *self = context;
  lua_newtable(L);
  lua_pushvalue(L, -1);
  self->formers->list_ref = vm_ref(vm, L);
  vm_push(vm, L, vm->views->views_ref);
  // stack: list, views
  lua_pushnil(L);
  while (self->complete && lua_next(L, 2)) {
    self->complete = move_view(vm, L, self, lua_touserdata(L, -1));
    lua_pop(L, 1);
  }
}

GraftStatus view_move_all(Vm *vm, ViewForward *forward, void *context,
                          GraftError *error) {
  Formers *formers = memory_new(&vm->allocator, sizeof *formers);
  if (formers == NULL) return error_memory(error);
  vm->views->formers = formers;
  Migration migration = {forward, context, formers, true};
  GraftStatus status = vm_protect(vm, migrate, &migration, error);
  if (status < 0) return status;
  return migration.complete ? GRAFT_OK : error_memory(error);
}

static void restore_views(Vm *vm, lua_State *L, void *context) {
  const Formers *formers = context;
  vm_push(vm, L, formers->list_ref);
  for (size_t i = 0; i < formers->list.count; i++) {
    const Former *former = &formers->list.items[i];
    *former->view = former->was;
    lua_rawgeti(L, -1, (lua_Integer)i + 1);
    vm_push(vm, L, former->was.class->metatable_ref);
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
  }
}

void view_move_back(Vm *vm) {
  Formers *formers = vm->views->formers;
  if (formers == NULL || formers->list_ref == VM_NO_REF) return;
  vm_protect(vm, restore_views, formers, NULL);
}

void view_forget_moves(Vm *vm) {
  Formers *formers = vm->views->formers;
  if (formers == NULL) return;
  vm->views->formers = NULL;
  vm_unref(vm, formers->list_ref);
  memory_free(&vm->allocator, formers->list.items);
  memory_free(&vm->allocator, formers);
}

void view_set_up(Vm *vm, lua_State *L) {
  vm_push_weak(L, "v");
  vm->views->views_ref = vm_ref(vm, L);
}

void view_forget_shapes(Vm *vm) {
  (void)vm;
}

void view_allow_compiled(Vm *vm, bool allowed) {
  (void)vm, (void)allowed;
}

bool view_get_integer(Vm *vm, lua_State *L, int index, int64_t *integer) {
  (void)vm, (void)L, (void)index, (void)integer;
  return false;
}
