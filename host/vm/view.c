// SPDX-License-Identifier: MIT

#include "vm/view.h"

#include "base/error.h"
#include "vm/stub.h"
#include "vm/stub_ffi.h"
#include "vm/view_class.h"

static void set_up(Vm *vm, lua_State *L, void *context) {
  (void)context;
  view_set_up(vm, L);
#if VM_LUAJIT
  stub_ffi_set_up(vm, L);
#endif
}

GraftStatus view_open(Vm *vm, const ViewHooks *hooks, GraftError *error) {
  ViewState *self = memory_new(&vm->allocator, sizeof *self);
  if (self == NULL) return error_memory(error);
  self->hooks = hooks;
  map_init(&self->by_name, &vm->allocator);
  pointer_map_init(&self->types, &vm->allocator);
  pointer_map_init(&self->shapes, &vm->allocator);
  vm->views = self;
  return vm_protect(vm, set_up, NULL, error);
}

bool view_push_method(Vm *vm, lua_State *L, const char *pointer_type,
                      const char *name) {
  const ViewHooks *hooks = vm->views->hooks;
  GraftFn *fn = hooks->method(hooks->context, pointer_type, name);
  if (fn != NULL) stub_push_backing(vm, L, fn, fn->active);
  return fn != NULL;
}

void view_push_methods(lua_State *L) {
  static const char key[] = "graft.methods";
  lua_newtable(L);
  lua_getfield(L, LUA_REGISTRYINDEX, key);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, key);
  }
  // stack: methods, list
  lua_pushvalue(L, -2);
  lua_rawseti(L, -2, (int)lua_rawlen(L, -2) + 1);
  lua_pop(L, 1);
}

// A class whose name has another layout now is old; the name is free for a
// class of the new one.
static bool age_class(Vm *vm, ViewClass *class) {
  ViewState *state = vm->views;
  TypeSet *types = NULL;
  const Type *type =
      state->hooks->find(state->hooks->context, class->name, &types);
  if (type == NULL || type_same(type, class->type)) return true;
  ViewClass **place = ARRAY_PUSH(&vm->allocator, &state->aged);
  if (place == NULL) return false;
  *place = class;
  class->is_old = true;
  map_remove(&state->by_name, class->name);
  return true;
}

static bool age_classes(Vm *vm) {
  ViewState *state = vm->views;
  for (ViewClass *class = state->classes; class != NULL; class = class->next) {
    bool is_number = class->types == NULL;
    if (is_number || map_find(&state->by_name, class->name) != class) continue;
    if (!age_class(vm, class)) return false;
  }
  return true;
}

ViewClass *view_class_newest(Vm *vm, ViewClass *class) {
  return class->is_old ? view_class_find(vm, class->name) : class;
}

GraftStatus view_migrate(Vm *vm, ViewForward *forward, void *context,
                         GraftError *error) {
  if (vm->views == NULL) return GRAFT_OK;
  view_keep(vm);
  GraftStatus status = age_classes(vm)
                           ? view_move_all(vm, forward, context, error)
                           : error_memory(error);
  view_forget_shapes(vm);
  if (status < 0) view_undo(vm);
  return status;
}

void view_undo(Vm *vm) {
  ViewState *state = vm->views;
  if (state == NULL) return;
  for (size_t i = 0; i < state->aged.count; i++) {
    ViewClass *class = state->aged.items[i];
    ViewClass *newer = map_find(&state->by_name, class->name);
    if (newer != NULL) newer->is_old = true;
    class->is_old = false;
    map_remove(&state->by_name, class->name);
    map_set(&state->by_name, class->name, class);
  }
  view_move_back(vm);
  view_forget_shapes(vm);
  view_keep(vm);
}

void view_keep(Vm *vm) {
  if (vm->views == NULL) return;
  view_forget_moves(vm);
  memory_free(&vm->allocator, vm->views->aged.items);
  vm->views->aged.items = NULL;
  vm->views->aged.count = vm->views->aged.capacity = 0;
}

void view_close(Vm *vm) {
  if (vm == NULL || vm->views == NULL) return;
  view_keep(vm);
  view_forget_shapes(vm);
  view_class_free_all(vm);
  memory_free(&vm->allocator, vm->views);
  vm->views = NULL;
}
