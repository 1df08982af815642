// SPDX-License-Identifier: MIT

#include "vm/collector.h"

static int64_t read_pace(const Collector *self) {
  int64_t pace;
  memcpy(&pace, self->pace, sizeof pace);
  return pace;
}

#if VM_LUAJIT

// The amount of memory at which the next step is due, behind the amount that
// there is; both lie in front of the first list.
enum { PACE_BEFORE_LIST = 16, TOTAL_BEFORE_LIST = 24 };

static int64_t total_of(const char *pace) {
  int64_t total;
  memcpy(&total, pace - TOTAL_BEFORE_LIST + PACE_BEFORE_LIST, sizeof total);
  return total;
}

static int64_t count_bytes(lua_State *L) {
  return (int64_t)lua_gc(L, LUA_GCCOUNT, 0) * 1024 + lua_gc(L, LUA_GCCOUNTB, 0);
}

static char *find_pace(const Heap *heap, lua_State *L) {
  char *pace = (char *)heap->global + heap->first[0] - PACE_BEFORE_LIST;
  Collector found = {.pace = pace};
  lua_gc(L, LUA_GCRESTART, 0); // it is due at once
  bool fits =
      total_of(pace) == count_bytes(L) && read_pace(&found) == total_of(pace);
  lua_gc(L, LUA_GCSTOP, 0);
  return fits && read_pace(&found) > total_of(pace) ? pace : NULL;
}

static void begin(Collector *self) {
  if (self->pace != NULL) self->due = read_pace(self);
}

static void end(Collector *self, lua_State *L) {
  lua_gc(L, LUA_GCRESTART, 0);
  if (self->pace == NULL || self->due <= total_of(self->pace)) return;
  memcpy(self->pace, &self->due, sizeof self->due);
}

#else

// How much more memory there is than at the next step, less than 0 until then.
enum { GLOBAL_DEBT = 24, CHECK_KILOBYTES = 64 };

static char *find_pace(const Heap *heap, lua_State *L) {
  char *pace = (char *)heap->global + GLOBAL_DEBT;
  Collector found = {.pace = pace};
  lua_gc(L, LUA_GCRESTART);
  bool fits = read_pace(&found) == 0;
  lua_gc(L, LUA_GCSTEP, -CHECK_KILOBYTES);
  fits = fits && read_pace(&found) == -CHECK_KILOBYTES * 1024;
  lua_gc(L, LUA_GCSTOP);
  return fits ? pace : NULL;
}

static void begin(Collector *self) {
  (void)self;
}

static void end(Collector *self, lua_State *L) {
  int64_t debt = self->pace != NULL ? read_pace(self) : 0;
  lua_gc(L, LUA_GCRESTART);
  // A step of less than nothing puts off the next one.
  if (debt <= -1024 && debt / 1024 >= INT32_MIN) {
    lua_gc(L, LUA_GCSTEP, (int)(debt / 1024));
  }
}

#endif

void collector_check(Collector *self, const Heap *heap, lua_State *L) {
  *self = (Collector){.pace = NULL};
  if (heap->global == NULL || lua_gc(L, LUA_GCISRUNNING, 0) == 0) return;
  lua_gc(L, LUA_GCSTOP, 0);
  self->pace = find_pace(heap, L);
  lua_gc(L, LUA_GCRESTART, 0);
}

void collector_rest(Collector *self, lua_State *L) {
  if (self->depth++ > 0) return;
  self->has_rested = lua_gc(L, LUA_GCISRUNNING, 0) != 0;
  if (!self->has_rested) return;
  begin(self);
  lua_gc(L, LUA_GCSTOP, 0);
}

void collector_wake(Collector *self, lua_State *L) {
  if (--self->depth == 0 && self->has_rested) end(self, L);
}

int collector_interrupt_rest(Collector *self, lua_State *L) {
  int depth = self->depth;
  if (depth == 0) return 0;
  self->depth = 1;
  collector_wake(self, L);
  return depth;
}

void collector_resume_rest(Collector *self, lua_State *L, int depth) {
  if (depth == 0) return;
  collector_rest(self, L);
  self->depth = depth;
}
