// SPDX-License-Identifier: MIT

#include "vm/stub_ffi.h"

#include <stdio.h>
#include <string.h>

#include "vm/proto.h"
#include "vm/stub.h"
#include "vm/view_class.h"

// make(entry, calls, stub, name, result, parameters, views): the function.
// Types go by their names in messages; `views` has the FFI's types of what
// pointers lead to, the result's at [0].
static const char glue_text[] =
    "local ffi, bit = require 'ffi', require 'bit'\n"
    "local ranges = {\n"
    "  int8_t = { -128, 127 }, uint8_t = { 0, 255 },\n"
    "  int16_t = { -32768, 32767 }, uint16_t = { 0, 65535 },\n"
    "}\n"
    "local wide = {\n"
    "  ['unsigned int'] = { 0, 4294967295 },\n"
    "  int64_t = { -2^53, 2^53 }, uint64_t = { 0, 2^53 },\n"
    "}\n"
    "local function c_type(name)\n"
    "  if name == 'string' then return 'const char *' end\n"
    "  if name:find '^enum ' then return 'int' end\n"
    "  return name:find '%*' and 'void *' or name\n"
    "end\n"
    "local function wrong(name, i, has_view)\n"
    "  local a = 'a' .. i\n"
    "  local no_number = ('type(%s) ~= \"number\"'):format(a)\n"
    "  if name == 'double' or name == 'float' then return no_number end\n"
    "  if name == 'bool' then return ('type(%s) ~= \"boolean\"'):format(a) "
    "end\n"
    "  if name == 'int' then\n"
    "    return ('%s or tobit(%s) ~= %s'):format(no_number, a, a)\n"
    "  end\n"
    "  if name == 'string' then\n"
    "    return ('type(%s) ~= \"string\" or find(%s, \"\\\\0\", 1, true)')\n"
    "      :format(a, a)\n"
    "  end\n"
    "  local range = ranges[name] or { name:match '^enum (%S+) (%S+)$' }\n"
    "  if range[1] then\n"
    "    return ('%s or tobit(%s) ~= %s or %s < %d or %s > %d')\n"
    "      :format(no_number, a, a, a, range[1], a, range[2])\n"
    "  end\n"
    "  range = wide[name]\n"
    "  if range then\n"
    "    return ('%s or floor(%s) ~= %s or %s < %.17g or %s > %.17g')\n"
    "      :format(no_number, a, a, a, range[1], a, range[2])\n"
    "  end\n"
    "  if has_view then\n"
    "    return ('%s ~= nil and not istype(views[%d], %s)'):format(a, i, a)\n"
    "  end\n"
    "  return ('%s ~= nil'):format(a)\n"
    "end\n"
    "local function call(result, args)\n"
    "  if result == 'void' then return 'fn(' .. args .. ')' end\n"
    "  if result == 'int64_t' or result == 'uint64_t' then\n"
    "    return 'return tonumber(fn(' .. args .. '))'\n"
    "  end\n"
    "  if result == 'string' or result:find '%*' then\n"
    "    local convert = result == 'string' and 'text(r)' or 'cast(to, r)'\n"
    "    return ('local r = fn(%s)\\n  if r == nil then return nil end\\n'\n"
    "      .. '  return %s'):format(args, convert)\n"
    "  end\n"
    "  return 'return fn(' .. args .. ')'\n"
    "end\n"
    "local source = [[\n"
    "local fn, stub, calls, views, to, tobit, floor, find, istype, cast, "
    "text,\n"
    "  select, type, tonumber = ...\n"
    "return function(...)\n"
    "  %s\n"
    "  if select('#', ...) ~= %d%s then return stub(...) end\n"
    "  calls[0] = calls[0] + 1\n"
    "  %s\n"
    "end]]\n"
    "return function(entry, calls, stub, name, result, parameters, views)\n"
    "  local names, checks, types = {}, {}, {}\n"
    "  for i, parameter in ipairs(parameters) do\n"
    "    names[i] = 'a' .. i\n"
    "    types[i] = c_type(parameter)\n"
    "    checks[i] = ' or ' .. wrong(parameter, i, views[i] ~= nil)\n"
    "  end\n"
    "  local args = table.concat(names, ', ')\n"
    "  local text = source:format(\n"
    "    #names > 0 and 'local ' .. args .. ' = ...' or '', #names,\n"
    "    table.concat(checks), call(result, args))\n"
    "  local fn = ffi.cast(('%s (*)(%s)'):format(c_type(result),\n"
    "    table.concat(types, ', ')), entry)\n"
    "  local to = views[0] and ffi.typeof('$ *', views[0])\n"
    "  return assert(loadstring(text, '=' .. name))(fn, stub,\n"
    "    ffi.cast('uint64_t *', calls), views, to, bit.tobit, math.floor,\n"
    "    string.find, ffi.istype, ffi.cast, ffi.string, select, type, "
    "tonumber)\n"
    "end\n";

void stub_ffi_set_up(Vm *vm, lua_State *L) {
  if (luaL_loadbuffer(L, glue_text, sizeof glue_text - 1, "=graft") != 0) {
    lua_error(L);
  }
  lua_call(L, 0, 1);
  vm->ffi_maker_ref = vm_ref(vm, L);
  lua_newtable(L);
  vm->ffi_stubs_ref = vm_ref(vm, L);
}

static bool is_plain(TypeCode type) {
  return type != TYPE_POINTER && type != TYPE_STRING;
}

// The FFI cannot convert to what it does not know: pointers of unknown types go
// the slow way, where they are light userdata.
static bool can_convert(Vm *vm, lua_State *L, const Signature *signature) {
  if (signature->lua || signature->result == TYPE_STRUCT) return false;
  for (int i = 0; i < signature->param_count; i++) {
    if (signature->params[i] == TYPE_STRUCT) return false;
  }
  if (signature->result != TYPE_POINTER) return true;
  bool known = view_push_type(vm, L, signature->result_name);
  if (known) lua_pop(L, 1);
  return known;
}

// stack: …, views. What pointers lead to, by parameter; the result's is 0.
static void set_view(Vm *vm, lua_State *L, TypeCode type, const char *name,
                     int index) {
  if (is_plain(type) || type == TYPE_STRING) return;
  if (!view_push_type(vm, L, name)) return;
  lua_rawseti(L, -2, index);
}

// A number type by its name; an enum by its bounds.
static void push_type(lua_State *L, TypeCode type, const char *name,
                      const TypeDetail *detail) {
  if (type != TYPE_ENUM) {
    lua_pushstring(L, type_text(type, name));
    return;
  }
  char text[64];
  snprintf(text, sizeof text, "enum %lld %lld",
           detail != NULL ? (long long)detail->least : (long long)INT32_MIN,
           detail != NULL ? (long long)detail->most : (long long)INT32_MAX);
  lua_pushstring(L, text);
}

// stack: … → …, function
static void push_new(Vm *vm, lua_State *L, GraftFn *fn,
                     const Signature *signature, GraftNative entry) {
  vm_push(vm, L, vm->ffi_maker_ref);
  lua_pushlightuserdata(L, (void *)(uintptr_t)entry);
  lua_pushlightuserdata(L, &fn->calls);
  stub_push(vm, L, fn);
  lua_pushstring(L, fn->name);
  push_type(L, signature->result, signature->result_name,
            signature->result_detail);
  lua_createtable(L, signature->param_count, 0);
  for (int i = 0; i < signature->param_count; i++) {
    push_type(L, signature->params[i], signature->param_names[i],
              signature->param_details[i]);
    lua_rawseti(L, -2, i + 1);
  }
  lua_newtable(L);
  set_view(vm, L, signature->result, signature->result_name, 0);
  for (int i = 0; i < signature->param_count; i++) {
    set_view(vm, L, signature->params[i], signature->param_names[i], i + 1);
  }
  lua_call(L, 7, 1);
}

// stack: …, function. Whether it may be compiled.
static void set_compiled(lua_State *L, bool allowed) {
  luaJIT_setmode(
      L, -1, LUAJIT_MODE_FUNC | (allowed ? LUAJIT_MODE_ON : LUAJIT_MODE_OFF));
}

// stack: … → …, the slot's functions by signature
static void push_functions(Vm *vm, lua_State *L, GraftFn *fn) {
  vm_push(vm, L, vm->ffi_stubs_ref);
  lua_pushlightuserdata(L, fn);
  lua_rawget(L, -2);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushlightuserdata(L, fn);
    lua_pushvalue(L, -2);
    lua_rawset(L, -4);
  }
  lua_remove(L, -2);
}

// stack: …, functions → …, functions, a new function. False, and nothing
// pushed, when the native cannot have one.
static bool push_made(Vm *vm, lua_State *L, GraftFn *fn,
                      const Backing *backing) {
  const ViewHooks *hooks = vm->views->hooks;
  GraftNative entry = hooks->entry(hooks->context, fn, backing);
  if (entry == NULL || !can_convert(vm, L, backing->signature)) return false;
  push_new(vm, L, fn, backing->signature, entry);
  set_compiled(L, !vm->ffi_interpreted);
  lua_pushlightuserdata(L, (void *)backing->signature);
  lua_pushvalue(L, -2);
  lua_rawset(L, -4);
  return true;
}

// One that was made is found again also when the slot has another C type
// meanwhile, since it is to be exchanged then.
bool stub_ffi_push(Vm *vm, lua_State *L, GraftFn *fn, const Backing *backing) {
  if (vm->views == NULL || backing->signature == NULL) return false;
  push_functions(vm, L, fn);
  lua_pushlightuserdata(L, (void *)backing->signature);
  lua_rawget(L, -2);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    if (!push_made(vm, L, fn, backing)) {
      lua_pop(L, 1);
      return false;
    }
  }
  lua_remove(L, -2);
  return true;
}

// stack: …, table. Calls `visit` with each of the functions on top.
static void each_function(Vm *vm, lua_State *L,
                          void (*visit)(lua_State *L, bool flag), bool flag) {
  vm_push(vm, L, vm->ffi_stubs_ref);
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    lua_pushnil(L);
    while (lua_next(L, -2)) {
      if (lua_isfunction(L, -1)) visit(L, flag);
      lua_pop(L, 1);
    }
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

static void allow(Vm *vm, lua_State *L, void *context) {
  each_function(vm, L, set_compiled, *(bool *)context);
  luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_FLUSH);
}

void view_allow_compiled(Vm *vm, bool allowed) {
  if (vm->ffi_interpreted != allowed) return;
  vm->ffi_interpreted = !allowed;
  GraftError error;
  vm_protect(vm, allow, &allowed, &error);
}

// stack: …, function. The upvalue of that name, 0 for none.
static int find_upvalue(lua_State *L, const char *wanted) {
  const char *name = NULL;
  for (int n = 1; (name = lua_getupvalue(L, -1, n)) != NULL; n++) {
    lua_pop(L, 1);
    if (strcmp(name, wanted) == 0) return n;
  }
  return 0;
}

// stack: …, function. Its code and its counter are gone: the stub, which
// raises, takes their places.
static void disarm(lua_State *L, bool flag) {
  (void)flag;
  static const char *const names[] = {"fn", "calls"};
  int stub = find_upvalue(L, "stub");
  for (int i = 0; i < 2 && stub > 0; i++) {
    int n = find_upvalue(L, names[i]);
    if (n == 0) continue;
    lua_getupvalue(L, -1, stub);
    proto_unlock_cell(L, -2, n);
    lua_setupvalue(L, -2, n);
  }
}

void stub_ffi_clear(Vm *vm, lua_State *L) {
  each_function(vm, L, disarm, false);
}

// stack: …, functions, function → …, functions. Its code goes, or comes back:
// `functions` keeps it by the function meanwhile.
static void set_armed(lua_State *L, bool armed) {
  int function = lua_gettop(L);
  int functions = function - 1;
  int n = find_upvalue(L, "fn");
  int stub = find_upvalue(L, "stub");
  lua_pushvalue(L, function);
  lua_rawget(L, functions); // stack: …, functions, function, kept code or nil
  bool is_armed = lua_isnil(L, -1);
  if (n == 0 || stub == 0 || armed == is_armed) {
    lua_settop(L, functions);
    return;
  }
  lua_pushvalue(L, function);
  if (armed) {
    lua_pushnil(L);
  } else {
    lua_getupvalue(L, function, n);
    lua_getupvalue(L, function, stub);
    lua_replace(L, function + 1);
  }
  lua_rawset(L, functions); // stack: …, functions, function, code
  proto_unlock_cell(L, function, n);
  lua_setupvalue(L, function, n);
  lua_settop(L, functions);
}

void stub_ffi_follow(Vm *vm, lua_State *L, GraftFn *fn, const Backing *to) {
  if (vm->views == NULL) return;
  push_functions(vm, L, fn);
  int functions = lua_gettop(L);
  int count = 0;
  luaL_checkstack(L, 8, "graft");
  lua_newtable(L); // a table that is walked through takes no new keys
  lua_pushnil(L);
  while (lua_next(L, functions)) {
    if (lua_isfunction(L, -1)) {
      lua_pushvalue(L, -2);
      lua_rawseti(L, functions + 1, ++count);
    }
    lua_pop(L, 1);
  }
  for (int i = 1; i <= count; i++) {
    lua_rawgeti(L, functions + 1, i);
    const void *signature = lua_touserdata(L, -1);
    lua_pushvalue(L, functions);
    lua_insert(L, -2);
    lua_rawget(L, functions);
    set_armed(L, to != NULL && to->signature == signature);
    lua_settop(L, functions + 1);
  }
  lua_settop(L, functions - 1);
}
