// SPDX-License-Identifier: MIT

#include "vm/vm.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "registry/slot.h"
#include "vm/break_state.h"
#include "vm/guest_state.h"
#include "vm/probation_state.h"
#include "vm/proto.h"
#include "vm/raw_stack.h"
#include "vm/script.h"
#include "vm/settle.h"
#include "vm/state.h"
#include "vm/view_state.h"

static const char vm_key = 0; // its address is the key in the Lua registry

const char *vm_name(void) {
  return VM_NAME;
}

const char *vm_version(void) {
#if VM_LUAJIT
  return LUAJIT_VERSION;
#else
  return LUA_RELEASE;
#endif
}

Vm *vm_of(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &vm_key);
  Vm *self = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return self;
}

void *vm_state(const Vm *self) {
  return self->main;
}

void vm_rest(Vm *self) {
  self->L = self->main;
}

void vm_rest_collector(Vm *self) {
  if (self->L != NULL) collector_rest(&self->collector, self->L);
}

void vm_wake_collector(Vm *self) {
  if (self->L != NULL) collector_wake(&self->collector, self->L);
}

void vm_set_engine(Vm *self, void *engine) {
  self->engine = engine;
}

void vm_set_failed(Vm *self, VmFailed *failed, void *context) {
  self->failed = failed;
  self->failed_context = context;
}

// ---------------------------------------------------------------------------
// The private table
// ---------------------------------------------------------------------------

void vm_push_private(Vm *self, lua_State *L) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, self->private_ref);
}

int vm_ref(Vm *self, lua_State *L) {
  vm_push_private(self, L);
  lua_insert(L, -2);
  int ref = luaL_ref(L, -2);
  lua_pop(L, 1);
  return ref;
}

void vm_push_weak(lua_State *L, const char *mode) {
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushstring(L, mode);
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
}

void vm_push(Vm *self, lua_State *L, int ref) {
  if (ref == VM_NO_REF) {
    lua_pushnil(L);
    return;
  }
  vm_push_private(self, L);
  lua_rawgeti(L, -1, ref);
  lua_remove(L, -2);
}

// The reference's field exists, so nothing is allocated.
void vm_unref(Vm *self, int ref) {
  if (ref == VM_NO_REF || self->L == NULL || !vm_reserve(self->L, 4)) return;
  vm_push_private(self, self->L);
  luaL_unref(self->L, -1, ref);
  lua_pop(self->L, 1);
}

// ---------------------------------------------------------------------------
// Errors and protected calls
// ---------------------------------------------------------------------------

// Where an error message has its place: at the front, or behind the first line
// of an "error loading module".
static char *find_place(char *message) {
  static const char loading[] = "error loading module '";
  if (strncmp(message, loading, sizeof loading - 1) != 0) return message;
  char *end = strstr(message, ":\n\t");
  return end != NULL ? end + 3 : message;
}

// A module that could not be loaded is told as its error.
void vm_take_place(GraftError *error) {
  char *message = find_place(error->message);
  size_t length = strcspn(message, "\n"); // a traceback has places, too
  for (char *at = memchr(message, ':', length); at != NULL;
       at = memchr(at + 1, ':', length - (size_t)(at + 1 - message))) {
    char *end = NULL;
    long line = strtol(at + 1, &end, 10);
    if (end == at + 1 || end[0] != ':' || end[1] != ' ') continue;
    size_t size = (size_t)(at - message);
    if (size >= sizeof error->file) return;
    memcpy(error->file, message, size);
    error->file[size] = '\0';
    error->line = (int)line;
    if (message != error->message) error->status = GRAFT_ESYNTAX;
    memmove(error->message, end + 2, strlen(end + 2) + 1);
    return;
  }
}

GraftStatus vm_take_error(lua_State *L, int lua_status, GraftError *error) {
  GraftStatus status = lua_status == LUA_ERRMEM      ? GRAFT_ENOMEM
                       : lua_status == LUA_ERRSYNTAX ? GRAFT_ESYNTAX
                                                     : GRAFT_ERUN;
  int type = lua_type(L, -1);
  if (type == LUA_TSTRING) {
    error_set(error, status, "%s", lua_tostring(L, -1));
  } else if (type == LUA_TNUMBER) { // lua_tostring would ask for memory
    error_set(error, status, "%.14g", (double)lua_tonumber(L, -1));
  } else {
    error_set(error, status, "(error object is a %s value)",
              lua_typename(L, type));
  }
  lua_pop(L, 1);
  if (error == NULL) return status;
  vm_take_place(error);
  return error->status;
}

static GraftStatus closed_error(GraftError *error) {
  return error_set(error, GRAFT_ERUN,
                   "the lua_State of this engine was closed");
}

GraftStatus vm_check_open(const Vm *self, GraftError *error) {
  return self->L != NULL ? GRAFT_OK : closed_error(error);
}

typedef struct Protected {
  Vm *vm;
  VmBody *body;
  void *context;
} Protected;

static int run_protected(lua_State *L) {
  Protected *protected = lua_touserdata(L, 1);
  lua_settop(L, 0);
  protected->body(protected->vm, L, protected->context);
  return 0;
}

GraftStatus vm_protect(Vm *self, VmBody *body, void *context,
                       GraftError *error) {
  Protected protected = {self, body, context};
  lua_State *L = self->L;
  if (L == NULL) return closed_error(error);
#if VM_LUAJIT
  // It raises when the stack cannot grow, but keeps room for a call by C.
  int status = lua_cpcall(L, run_protected, &protected);
#else
  if (!lua_checkstack(L, 4)) return error_memory(error);
  lua_pushcfunction(L, run_protected);
  lua_pushlightuserdata(L, &protected);
  int status = lua_pcall(L, 1, 0, 0);
#endif
  return status == LUA_OK ? GRAFT_OK : vm_take_error(L, status, error);
}

// A C function has this much room on the stack without asking for it, and so
// has the host.
enum { ROOM = LUA_MINSTACK / 2 };

#if VM_LUAJIT
static int grow_stack(lua_State *L) {
  luaL_checkstack(L, *(int *)lua_touserdata(L, 1), "call");
  return 0;
}
#endif

bool vm_reserve(lua_State *L, int count) {
  if (count <= ROOM && lua_gettop(L) <= ROOM) return true;
#if VM_LUAJIT
  count += LUA_MINSTACK; // what the function below takes for itself
  if (lua_cpcall(L, grow_stack, &count) == LUA_OK) return true;
  lua_pop(L, 1);
  return false;
#else
  return lua_checkstack(L, count) != 0;
#endif
}

// stack: error value → message with traceback
static int handle_error(lua_State *L, bool can_retry) {
  const char *text = lua_tostring(L, 1);
  if (text == NULL) {
    if (!luaL_callmeta(L, 1, "__tostring") || lua_type(L, -1) != LUA_TSTRING) {
      lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
    }
    text = lua_tostring(L, -1);
  }
  luaL_traceback(L, L, text, 1);
  Vm *vm = vm_of(L);
  if (vm->at != NULL) return 1; // somebody looks at another error
  probation_note_error(vm, L, text);
  if (vm->failure.script != NULL) {
    break_ask(vm, L, &(BreakDesc){text, can_retry});
  }
  return 1;
}

static int add_traceback(lua_State *L) {
  return handle_error(L, false);
}

// For calls of slots, which can be made once more.
static int add_traceback_of_slot(lua_State *L) {
  return handle_error(L, true);
}

static inline void begin_call(Vm *self) {
  if (self->busy++ > 0) return;
  atomic_store_explicit(&self->outer_call, ++self->call_count,
                        memory_order_relaxed);
}

static inline void end_call(Vm *self) {
  if (--self->busy > 0) return;
  atomic_store_explicit(&self->outer_call, 0, memory_order_relaxed);
}

// A call may have failed because of new code. That is known of the outermost
// one, and of one where the host was asked. `again` is set when the call is to
// be made once more.
static GraftStatus fail_call(Vm *self, lua_State *L, int lua_status,
                             GraftError *error, bool *again) {
  GraftError local;
  if (error == NULL) error = &local;
  GraftStatus status = vm_take_error(L, lua_status, error);
  *again = false;
  if (self->at != NULL) return status;
  // Without memory no handler has run: what it noted is of another error.
  if (lua_status == LUA_ERRMEM) self->failure.script = NULL;
  bool inside = self->busy > 0 && !self->failure.asked;
  if (inside || self->failed == NULL) return status;
  ProbationFailure failure = probation_take_failure(self);
  if (failure.script == NULL) return status;
  status = self->failed(self->failed_context, &failure, error);
  *again = failure.again;
  error->status = status;
  return status;
}

GraftStatus vm_pcall(Vm *self, lua_State *L, int arg_count, int result_count,
                     GraftError *error) {
  int handler = lua_gettop(L) - arg_count;
  vm_push(self, L, self->traceback_ref);
  lua_insert(L, handler);
  lua_State *previous = self->L;
  self->L = L;
  begin_call(self);
  int status = lua_pcall(L, arg_count, result_count, handler);
  end_call(self);
  self->L = previous;
  lua_remove(L, handler);
  bool again;
  return status == LUA_OK ? GRAFT_OK
                          : fail_call(self, L, status, error, &again);
}

// ---------------------------------------------------------------------------
// Values, and calls from C
// ---------------------------------------------------------------------------

// A view where the type is known.
static void push_pointer(lua_State *L, const GraftValue *value) {
  const char *type = value->as.pointer.type;
  Vm *vm = type != NULL ? vm_of(L) : NULL;
  if (vm != NULL) {
    view_push(vm, L, type, value->as.pointer.address);
  } else {
    lua_pushlightuserdata(L, value->as.pointer.address);
  }
}

void vm_push_value(lua_State *L, const GraftValue *value) {
  switch (value->type) {
  case GRAFT_BOOLEAN:
    lua_pushboolean(L, value->as.boolean);
    break;
  case GRAFT_INTEGER:
    lua_pushinteger(L, (lua_Integer)value->as.integer);
    break;
  case GRAFT_NUMBER:
    lua_pushnumber(L, value->as.number);
    break;
  case GRAFT_STRING:
    lua_pushlstring(L, value->as.string.text, value->as.string.size);
    break;
  case GRAFT_POINTER:
    push_pointer(L, value);
    break;
  case GRAFT_NIL:
  case GRAFT_OTHER:
    lua_pushnil(L);
    break;
  }
}

// Written field by field: a value that is built first and copied then costs
// calls from C a tenth of their time.
static inline void take_number(lua_State *L, int index, GraftValue *value) {
#if !VM_LUAJIT
  if (lua_isinteger(L, index)) {
    value->type = GRAFT_INTEGER;
    value->as.integer = lua_tointeger(L, index);
    return;
  }
#endif
  value->type = GRAFT_NUMBER;
  value->as.number = lua_tonumber(L, index);
}

static void take_view(lua_State *L, int index, GraftValue *value) {
  Vm *vm = vm_of(L);
  value->type = GRAFT_POINTER;
  if (vm != NULL && view_get(vm, L, index, &value->as.pointer.address,
                             &value->as.pointer.type)) {
    return;
  }
  value->type = GRAFT_INTEGER;
  if (vm != NULL && view_get_integer(vm, L, index, &value->as.integer)) {
    return;
  }
  value->type = GRAFT_OTHER;
  value->as.other = luaL_typename(L, index);
}

GraftValue vm_to_value(lua_State *L, int index) {
  GraftValue value = {.type = GRAFT_NIL};
  switch (lua_type(L, index)) {
  case LUA_TNIL:
  case LUA_TNONE:
    break;
  case LUA_TBOOLEAN:
    value.type = GRAFT_BOOLEAN;
    value.as.boolean = lua_toboolean(L, index) != 0;
    break;
  case LUA_TNUMBER:
    take_number(L, index, &value);
    break;
  case LUA_TSTRING:
    value.type = GRAFT_STRING;
    value.as.string.text = lua_tolstring(L, index, &value.as.string.size);
    break;
  case LUA_TLIGHTUSERDATA:
    value.type = GRAFT_POINTER;
    value.as.pointer.address = lua_touserdata(L, index);
    break;
  default:
    take_view(L, index, &value);
  }
  return value;
}

// Whether the VM asks for memory, and so may raise, when it is handed over.
static inline bool needs_memory(const GraftValue *value) {
  return value->type == GRAFT_STRING || value->type == GRAFT_POINTER;
}

// Puts such arguments into a table, where they can be had without raising.
static void make_args(Vm *vm, lua_State *L, void *context) {
  const GraftCall *call = context;
  vm_push(vm, L, vm->args_ref);
  for (int i = 0; i < call->arg_count; i++) {
    if (!needs_memory(&call->args[i])) continue;
    vm_push_value(L, &call->args[i]);
    lua_rawseti(L, -2, i + 1);
  }
}

// stack: …, arguments as made
static void push_made(Vm *self, lua_State *L, const GraftCall *call) {
  vm_push(self, L, self->args_ref);
  int made = lua_gettop(L);
  for (int i = 0; i < call->arg_count; i++) {
    if (needs_memory(&call->args[i])) {
      lua_rawgeti(L, made, i + 1);
    } else {
      vm_push_value(L, &call->args[i]);
    }
  }
  lua_remove(L, made);
}

// Numbers, which are most of what is passed, take the short way.
static inline void push_args(lua_State *L, const GraftCall *call) {
  const GraftValue *value = call->args;
  for (int i = 0; i < call->arg_count; i++, value++) {
    if (value->type == GRAFT_NUMBER) {
      lua_pushnumber(L, value->as.number);
    } else {
      vm_push_value(L, value);
    }
  }
}

enum { RESULTS = 16 }; // that are kept without asking for memory

static void make_results(Vm *vm, lua_State *L, void *context) {
  const int *count = context;
  vm_push_private(vm, L);
  lua_createtable(L, *count, 0);
  lua_rawseti(L, -2, vm->results_ref);
}

// stack: …, results from `base` on. Strings are kept until the next call.
static bool keep_strings(Vm *self, lua_State *L, int base, int count) {
  if (!vm_reserve(L, 4) ||
      (count > RESULTS && vm_protect(self, make_results, &count, NULL) < 0)) {
    return false;
  }
  vm_push(self, L, self->results_ref);
  for (int i = 0; i < count; i++) {
    lua_pushvalue(L, base + i);
    lua_rawseti(L, -2, i + 1);
  }
  return true;
}

// Most calls give one number, which is read in place.
static inline bool take_one(const Vm *self, lua_State *L, int base,
                            GraftCall *call) {
  if (!self->raw_stack || call->result_capacity < 1 ||
      raw_stack_count(L) != base) {
    return false;
  }
  const char *slot = raw_stack_slot(L, base);
  GraftValue *result = call->results;
  call->result_count = 1;
  if (!VM_LUAJIT && raw_stack_integer(slot, &result->as.integer)) {
    result->type = GRAFT_INTEGER;
    return true;
  }
  result->type = GRAFT_NUMBER;
  return raw_stack_number(slot, &result->as.number);
}

// stack: …, results from `base` on. False when out of memory.
static inline bool take_results(Vm *self, lua_State *L, int base,
                                GraftCall *call) {
  if (take_one(self, L, base, call)) return true;
  bool has_string = false;
  int count = lua_gettop(L) - base + 1;
  if (count > call->result_capacity) {
    count = call->result_capacity;
    lua_settop(L, base + count - 1);
  }
  GraftValue *result = call->results;
  for (int i = 0; i < count; i++, result++) {
    if (lua_type(L, base + i) == LUA_TNUMBER) {
      take_number(L, base + i, result);
    } else {
      *result = vm_to_value(L, base + i);
      has_string |=
          result->type == GRAFT_STRING || result->type == GRAFT_POINTER;
    }
  }
  call->result_count = count;
  return !has_string || keep_strings(self, L, base, count);
}

// The private table stays below the call: one look-up serves for the handler
// and the function, and nothing on the stack has to be shifted.
static void push_handler(const Vm *self, lua_State *L, int private_index) {
#if VM_LUAJIT
  lua_rawgeti(L, private_index, self->slot_traceback_ref);
#else
  (void)self, (void)private_index;
  lua_pushcfunction(L, add_traceback_of_slot);
#endif
}

// Outside of a protected call nothing may raise: what needs memory is made
// inside of one first.
static inline bool prepare_call(Vm *self, lua_State *L, GraftCall *call,
                                bool *made, GraftError *error) {
  *made = false;
  for (int i = 0; i < call->arg_count && !*made; i++) {
    *made = needs_memory(&call->args[i]);
  }
  if (*made && vm_protect(self, make_args, call, error) < 0) return false;
  int count = call->arg_count + (*made ? 8 : 4);
  if (self->raw_stack && count <= ROOM && raw_stack_count(L) <= ROOM) {
    return true;
  }
  if (vm_reserve(L, count)) return true;
  error_memory(error);
  return false;
}

GraftStatus vm_call(void *vm, GraftFn *fn, const Backing *backing,
                    GraftCall *call, GraftError *error) {
  Vm *self = vm;
  lua_State *L = self->L;
  if (L == NULL) return closed_error(error);
  bool made = false;
  if (!prepare_call(self, L, call, &made, error)) return GRAFT_ENOMEM;
  int base = self->raw_stack ? raw_stack_count(L) : lua_gettop(L);
  vm_push_private(self, L);
  push_handler(self, L, base + 1);
  lua_rawgeti(L, base + 1, (int)backing->script);
  if (made) {
    push_made(self, L, call);
  } else {
    push_args(L, call);
  }
  begin_call(self);
  int status = lua_pcall(L, call->arg_count, LUA_MULTRET, base + 2);
  end_call(self);
  self->L = L;
  GraftStatus code = GRAFT_OK;
  bool again = false;
  if (status != LUA_OK) {
    code = fail_call(self, L, status, error, &again);
  } else if (!take_results(self, L, base + 3, call)) {
    code = error_memory(error);
  }
  if (code < 0) call->result_count = 0;
  lua_settop(L, base);
  // By another backing, perhaps.
  if (again) return graft_fn_call(fn, call, error);
  return code;
}

void vm_release(void *vm, uint64_t script) {
  vm_unref(vm, (int)script);
}

static void copy_ref(Vm *vm, lua_State *L, void *context) {
  uint64_t *ref = context;
  vm_push(vm, L, (int)*ref);
  *ref = (uint64_t)vm_ref(vm, L);
}

uint64_t vm_copy_ref(Vm *self, uint64_t script) {
  return vm_protect(self, copy_ref, &script, NULL) == GRAFT_OK ? script : 0;
}

typedef struct TextRun {
  const char *text;
  const char *name;
  GraftStatus status;
  GraftError *error;
} TextRun;

static void run_text(Vm *vm, lua_State *L, void *context) {
  TextRun *run = context;
  int status = luaL_loadbuffer(L, run->text, strlen(run->text), run->name);
  if (status != LUA_OK) {
    run->status = vm_take_error(L, status, run->error);
    return;
  }
  run->status = vm_pcall(vm, L, 0, 0, run->error);
}

GraftStatus vm_run_text(Vm *self, const char *text, const char *chunk_name,
                        GraftError *error) {
  TextRun run = {text, chunk_name, GRAFT_OK, error};
  GraftStatus status = vm_protect(self, run_text, &run, error);
  return status < 0 ? status : run.status;
}

// ---------------------------------------------------------------------------
// Opening and closing
// ---------------------------------------------------------------------------

// A maker of cells: a function that holds one variable. It assigns it, so that
// LuaJIT does not take the variable for a constant.
static const char cell_text[] = "local x; return function(v) x = v end";

static void set_up(Vm *self, lua_State *L, void *context) {
  bool *fits = context;
  self->main = guest_main_thread(L);
  if (self->owned) luaL_openlibs(L);
  lua_settop(L, 0);
  lua_newtable(L);
  self->private_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  self->walker = lua_newthread(L);
  vm_ref(self, L);
  if (luaL_loadbuffer(L, cell_text, sizeof cell_text - 1, "=graft")) {
    lua_error(L);
  }
  self->cell_ref = vm_ref(self, L);
  if (luaL_loadstring(L, "return function() end")) lua_error(L);
  self->silent_ref = vm_ref(self, L);
  lua_newtable(L);
  self->own_ref = vm_ref(self, L);
  remnant_init(self, L);
  lua_pushcfunction(L, add_traceback);
  self->traceback_ref = vm_ref(self, L);
  lua_pushcfunction(L, add_traceback_of_slot);
  self->slot_traceback_ref = vm_ref(self, L);
  lua_newtable(L);
  self->stubs_ref = vm_ref(self, L);
  lua_createtable(L, RESULTS, 0);
  self->results_ref = vm_ref(self, L);
  lua_newtable(L);
  self->args_ref = vm_ref(self, L);
  // LuaJIT asks for memory when it meets a part of the address space for the
  // first time; the heap's and the stack's are known from here on.
  lua_pushlightuserdata(L, context);
  lua_pop(L, 1);
  lua_pushlightuserdata(L, self);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &vm_key);
  guest_enter(self, L);
  *fits = proto_check(L);
  self->raw = *fits && settle_check(L);
  self->raw_stack = *fits && raw_stack_check(L);
  if (self->raw) heap_check(&self->heap, L);
  collector_check(&self->collector, &self->heap, L);
}

static GraftStatus check_free(Vm *self, GraftError *error) {
  if (self->main == NULL) return error_memory(error);
  if (!lua_checkstack(self->main, 4)) return error_memory(error);
  if (self->owned || !guest_is_taken(self->main)) return GRAFT_OK;
  self->main = self->L = NULL; // somebody else's
  return error_set(error, GRAFT_EARG,
                   "this lua_State has an engine already; close that first");
}

GraftStatus vm_open(const VmDesc *desc, Vm **vm, GraftError *error) {
  const GraftAllocator *allocator =
      desc->allocator != NULL ? desc->allocator : &memory_default;
  *vm = NULL;
  Vm *self = memory_new(allocator, sizeof *self);
  if (self == NULL) return error_memory(error);
  self->allocator = *allocator;
  self->owned = desc->state == NULL;
  self->closed = desc->closed;
  self->closed_context = desc->context;
  self->main = self->owned ? luaL_newstate() : desc->state;
  self->L = self->main;
  pointer_map_init(&self->protos, &self->allocator);
  bool fits = false;
  GraftStatus status = check_free(self, error);
  if (status == GRAFT_OK) status = vm_protect(self, set_up, &fits, error);
  if (status == GRAFT_OK && !fits) {
    status = error_set(error, GRAFT_ERUN,
                       "this build of %s keeps functions in a way that Graft "
                       "does not know; use a 64-bit build of Lua 5.4 or a "
                       "LuaJIT 2.1 with GC64",
                       vm_version());
  }
  if (status < 0) {
    vm_close(self);
    return status;
  }
  *vm = self;
  return GRAFT_OK;
}

void vm_forget(lua_State *L) {
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &vm_key);
}

static void leave(Vm *self, lua_State *L, void *context) {
  (void)context;
  guest_leave(self, L);
}

void vm_stop(Vm *self) {
  if (self == NULL || self->main == NULL) return;
  remnant_clear(self);
  self->engine = NULL;
  if (self->owned) {
    lua_close(self->main);
  } else {
    vm_protect(self, leave, NULL, NULL);
  }
  self->main = self->L = self->walker = NULL;
}

void vm_close(Vm *self) {
  if (self == NULL) return;
  vm_stop(self);
  while (self->scripts != NULL) script_free(self->scripts);
  view_close(self);
  remnant_clear(self);
  pointer_map_clear(&self->protos);
  GraftAllocator allocator = self->allocator;
  memory_free(&allocator, self);
}

// ---------------------------------------------------------------------------
// The checker
// ---------------------------------------------------------------------------

// A checker is a bare lua_State by another name.
VmChecker *vm_checker_new(void) {
  return (VmChecker *)luaL_newstate();
}

void vm_checker_free(VmChecker *self) {
  if (self != NULL) lua_close((lua_State *)self);
}

GraftStatus vm_checker_check(VmChecker *self, const char *text, size_t size,
                             const char *file, GraftError *error) {
  lua_State *L = (lua_State *)self;
  int status = luaL_loadbufferx_text(L, text, size, "=?");
  if (status == LUA_OK) {
    lua_settop(L, 0);
    return GRAFT_OK;
  }
  GraftStatus code = vm_take_error(L, status, error);
  lua_settop(L, 0);
  if (error != NULL && error->line > 0) {
    error_at(error, file, error->line, error->column);
  }
  return code;
}
