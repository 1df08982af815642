// SPDX-License-Identifier: MIT
//
// Lua C functions under guard, in both VMs: errors, yields and crashes must
// leave the VM and the guard in order.

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "guard_support.h"
#include "vm/guarded.h"

// --- As the engine does it ---------------------------------------------------

static void lua_enter(void *context, void *of,
                      uintptr_t words[GUARD_LUA_WORDS]) {
  (void)context;
  guarded_enter(of, words);
}

static bool lua_can_resume(void *context, void *of,
                           const uintptr_t words[GUARD_LUA_WORDS]) {
  (void)context;
  return guarded_can_resume(of, words);
}

static void lua_resume_stack(void *context, void *of,
                             const uintptr_t words[GUARD_LUA_WORDS]) {
  (void)context;
  guarded_resume(of, words);
}

static void open_lua_guard(void) {
  GuardDesc desc = guard_desc();
  desc.host.lua_enter = lua_enter;
  desc.host.lua_can_resume = lua_can_resume;
  desc.host.lua_resume = lua_resume_stack;
  open_guard(&desc);
}

// --- Natives -----------------------------------------------------------------

NATIVE int old(lua_State *L) {
  lua_pushinteger(L, lua_gettop(L));
  return 1;
}
NATIVE int adds(lua_State *L) {
  lua_pushnumber(L, luaL_checknumber(L, 1) + luaL_checknumber(L, 2));
  return 1;
}
NATIVE int crashes(lua_State *L) {
  lua_settop(L, 0);
  for (int i = 0; i < 10; i++) lua_pushinteger(L, i);
  AT(8) = 1;
  return 0;
}
NATIVE int yields(lua_State *L) {
  if (lua_toboolean(L, 1)) return lua_yield(L, 1);
  return 1;
}
NATIVE int calls(lua_State *L) {
  lua_call(L, lua_gettop(L) - 1, 1);
  return 1;
}
NATIVE int calls_protected(lua_State *L) {
  lua_pushboolean(L, lua_pcall(L, lua_gettop(L) - 1, 0, 0) == 0);
  return 1;
}
NATIVE int crash_inside(lua_State *L) {
  AT(8) = 1;
  return lua_gettop(L);
}

static lua_State *L;

// A function on probation as the global `native`.
static Native expose(lua_CFunction code, lua_CFunction previous) {
  Native native = new_native(true);
  switch_to(&native, CODE(code), CODE(previous));
  lua_pushcfunction(L, (lua_CFunction)native.thunk.entry);
  lua_setglobal(L, "native");
  return native;
}

static bool run(const char *text) {
  if (luaL_dostring(L, text) == 0) return true;
  fprintf(stderr, "%s\n", lua_tostring(L, -1));
  return false;
}

static bool is_unproven(const Native *native) {
  return guard_fn_on_probation(native->fn);
}

// --- Cases -------------------------------------------------------------------

static void errors(void) {
  open_lua_guard();
  Native native = expose(adds, old);
  CHECK("an error passes through the guard",
        run("local good, why = pcall(native, 1, {})\n"
            "assert(not good and why:find 'number expected, got table', why)"));
  CHECK("it proves nothing", is_unproven(&native));
  CHECK("the call is over",
        guard_take_left(guard) == native.fn && guard_is_idle(guard));
  CHECK("an error through scripts and coroutines",
        run("local function deep(n) if n == 0 then native() end\n"
            "  deep(n - 1) return n end\n"
            "local co = coroutine.wrap(function() deep(20) end)\n"
            "assert(not pcall(co))"));
  CHECK("a thousand errors",
        run("for i = 1, 1000 do assert(not pcall(native, i, {})) end"));
  CHECK("then it returns", run("assert(native(1, 2) == 3)"));
  CHECK("and is proven", !is_unproven(&native) && guard_is_idle(guard));
  close_guard();
}

static void crash(void) {
  open_lua_guard();
  Native native = expose(crashes, old);
  CHECK("the code before sees the arguments",
        run("assert(native('a', 'b', 'c') == 3)"));
  CHECK("it went back", *native.thunk.cell == CODE(old) &&
                            take_crash().outcome == GUARD_WENT_BACK);
  expose(crashes, NULL);
  CHECK("without one there are no results",
        run("assert(select('#', native(1)) == 0)"));
  CHECK("the VM goes on",
        run("local t = {} for i = 1, 1000 do t[i] = {native(i)} end\n"
            "collectgarbage() assert(#t == 1000)"));
  expose(crashes, old);
  CHECK("in a coroutine",
        run("local co = coroutine.wrap(function()\n"
            "  coroutine.yield(native(1, 2)) return native(1) end)\n"
            "assert(co() == 2 and co() == 1)"));
  close_guard();
}

static void yielding(void) {
  open_lua_guard();
  Native native = expose(yields, old);
  CHECK("a yield passes through the guard",
        run("local co = coroutine.create(function() return native('x') end)\n"
            "local good, value = coroutine.resume(co)\n"
            "assert(good and value == 'x')\n"
            "assert(select(2, coroutine.resume(co, 'y')) == 'y')"));
  guard_take_left(guard);
  CHECK("the call is over", guard_is_idle(guard));
  CHECK("many at a time",
        run("local all = {}\n"
            "for i = 1, 200 do all[i] = coroutine.wrap(function()\n"
            "  return native(i) end) assert(all[i]() == i) end\n"
            "for i = 1, 200 do assert(all[i](-i) == -i) end"));
  CHECK("it can be proven", run("native(false)") && !is_unproven(&native));
  close_guard();
}

static void scripts(void) {
  open_lua_guard();
  Native native = expose(calls, old);
  CHECK("a native that calls a script which raises",
        run("local good, why = pcall(native, function() error 'oh' end)\n"
            "assert(not good and why:find 'oh')"));
  CHECK("and one that does not", run("assert(native(function(a)\n"
                                     "  return a end, 5) == 5)"));
  CHECK("is proven", !is_unproven(&native));
  native = expose(calls_protected, old);
  CHECK("one that catches",
        run("assert(native(function() error 'oh' end) == false)"));
  CHECK("is proven too", !is_unproven(&native));
  native = expose(calls, old);
  Native inner = new_native(true);
  switch_to(&inner, CODE(crashes), CODE(old));
  lua_pushcfunction(L, (lua_CFunction)inner.thunk.entry);
  lua_setglobal(L, "inner");
  CHECK("a crash in a native that a script calls is that one's",
        run("assert(native(function() return inner(1, 2, 3) end) == 3)"));
  CHECK("the outer one is proven", !is_unproven(&native));
  close_guard();
}

// --- From compiled traces ----------------------------------------------------

static Native traced;

NATIVE int traced_old(int value) {
  return value + 1;
}
NATIVE int traced_crash(int value) {
  AT(8) = value;
  return 0;
}
// Called by the trace as well, so that it need not be left.
static void change_traced(int step) {
  if (step != 500) return;
  switch_to(&traced, CODE(traced_crash), CODE(traced_old));
}

static void traces(void) {
  open_lua_guard();
  traced = new_native(false);
  guard_fn_set(traced.fn, CODE(traced_old), false);
  lua_pushlightuserdata(L, (void *)(uintptr_t)traced.thunk.entry);
  lua_setglobal(L, "entry");
  lua_pushlightuserdata(L, (void *)(uintptr_t)change_traced);
  lua_setglobal(L, "change");
  CHECK("a crash in a native that a compiled trace calls",
        run("local found, ffi = pcall(require, 'ffi')\n"
            "if not found then return end\n"
            "local call = ffi.cast('int (*)(int)', entry)\n"
            "local step = ffi.cast('void (*)(int)', change)\n"
            "local sum, size = 0, 0.5\n"
            "for i = 1, 1000 do\n"
            "  step(i)\n"
            "  sum, size = sum + call(i), size * 1.001\n"
            "end\n"
            "assert(sum == 501500 and math.abs(size - 1.3584) < 0.001, size)"));
  lua_getglobal(L, "jit");
  CHECK("is taken out of", lua_isnil(L, -1) || take_crash().fn == traced.fn);
  lua_pop(L, 1);
  close_guard();
}

// The outer native is on probation, but the VM is inside a script's call.
static void crash_in_script(void) {
  open_lua_guard();
  name_native("crash_inside", CODE(crash_inside));
  expose(calls, old);
  Native inner = new_native(true);
  guard_fn_set(inner.fn, CODE(crash_inside), false);
  lua_pushcfunction(L, (lua_CFunction)inner.thunk.entry);
  lua_setglobal(L, "inner");
  run("native(function() inner() end)");
}

int main(int count, char **arguments) {
  only_child = count > 1 ? arguments[1] : NULL;
  if (!guard_is_supported()) {
    printf("ok no gates on this processor, nothing is guarded\n");
    return 0;
  }
  L = luaL_newstate();
  luaL_openlibs(L);
  check_child("errors", errors);
  check_child("crash", crash);
  check_child("yielding", yielding);
  check_child("scripts", scripts);
  check_child("traces", traces);
  check_dies("a crash within a script is not taken out of", crash_in_script,
             SIGSEGV,
             "A native crashed with SIGSEGV, " WRITING " 0x8 at crash_inside");
  lua_close(L);
  return check_status();
}
