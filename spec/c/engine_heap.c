// SPDX-License-Identifier: MIT
//
// Patches when the VM's own heap runs out: the n-th request for memory during
// one fails, for every n, until one gets through. What is asked of each: it is
// taken whole or not at all, the engine goes on, the next try takes it, and
// nothing is left behind.

#include <lua.h>

#include "engine_support.h"

enum { ATTEMPTS_MOST = 20000 };

// ---------------------------------------------------------------------------
// A heap that fails
// ---------------------------------------------------------------------------

typedef struct Heap {
  lua_Alloc next; // the allocator that the state was made with
  void *next_context;
  double bytes; // alive, of those that the VM counts
  long calls;   // requests since `heap_arm`
  long fail_at; // the request that fails, from 1; 0: none
  bool again;   // the VM collects garbage and asks again; that fails, too
  bool paused;
  bool hit;
} Heap;

static void *heap_resize(void *context, void *block, size_t old_size,
                         size_t size) {
  Heap *self = context;
  bool asks = size > 0 && (block == NULL || size > old_size);
  if (asks && self->fail_at > 0 && !self->paused) {
    if (++self->calls == self->fail_at) {
      self->hit = self->again = true;
      return NULL;
    }
    if (self->again) {
      self->again = false;
      if (strcmp(SPEC_VM, "lua54") == 0) return NULL;
    }
  }
  void *moved = self->next(self->next_context, block, old_size, size);
  if (block == NULL) old_size = 0; // Lua tells a kind there
  if (moved != NULL || size == 0) {
    self->bytes += (double)size - (double)old_size;
  }
  return moved;
}

static void heap_arm(Heap *self, long fail_at) {
  self->calls = 0;
  self->hit = self->again = self->paused = false;
  self->fail_at = fail_at;
}

// What a spec does in between is not counted.
static void heap_pause(Heap *self) {
  self->paused = true;
}

static void heap_resume(Heap *self) {
  self->paused = false;
}

// Until the state is closed.
static void heap_watch(Heap *self, lua_State *L) {
  *self = (Heap){.bytes = lua_gc(L, LUA_GCCOUNT, 0) * 1024.0 +
                          lua_gc(L, LUA_GCCOUNTB, 0)};
  self->next = lua_getallocf(L, &self->next_context);
  lua_setallocf(L, heap_resize, self);
}

// What is alive, after all garbage is gone.
static double live_bytes(lua_State *L) {
  for (int i = 0; i < 3; i++) lua_gc(L, LUA_GCCOLLECT, 0);
  return lua_gc(L, LUA_GCCOUNT, 0) * 1024.0 + lua_gc(L, LUA_GCCOUNTB, 0);
}

// ---------------------------------------------------------------------------
// The cases
// ---------------------------------------------------------------------------

// Each has two texts of the module `m` and one of the module `probe`, whose
// function `state` tells all that matters as one text. Lines of the report
// that a patch from the first to the second has to bring are in `told`.
typedef struct Case {
  const char *name;
  const char *before;
  const char *after;
  const char *probe;
  const char *state_before;
  const char *state_after;
} Case;

static double native_scale(double x) {
  return x + 0.5;
}

static GraftFn *back;

static const char *go_back(const char *text) {
  GraftValue arg = text_value(text), result = nil_value();
  GraftCall call = {
      .args = &arg, .arg_count = 1, .results = &result, .result_capacity = 1};
  GraftError error;
  bool called_back = graft_fn_call(back, &call, &error) == GRAFT_OK;
  return called_back ? result.as.string.text : NULL;
}

static const Case cases[] = {
    {.name = "a function and its closures",
     .before = "local M = {}\n"
               "local count = 0\n"
               "function M.step(n) count = count + n return count end\n"
               "function M.counter(start)\n"
               "  local n = start\n"
               "  return function() n = n + 1 return 'old', n end\n"
               "end\n"
               "function M.reset() count = 0 end\n"
               "return M\n",
     .after = "local M = {}\n"
              "local count = 0\n"
              "function M.step(n) count = count + 2 * n return count end\n"
              "function M.counter(start)\n"
              "  local n = start\n"
              "  return function() n = n + 1 return 'new', n, count end\n"
              "end\n"
              "function M.reset() count = 0 end\n"
              "return M\n",
     .probe = "local m = require 'm'\n"
              "local step, a, b = m.step, m.counter(10), m.counter(20)\n"
              "local keys = {[step] = 'step', [a] = 'a'}\n"
              "local P = {}\n"
              "function P.state()\n"
              "  m.reset()\n"
              "  local first = step(1)\n"
              "  local kind, n = a()\n"
              "  local other, k = b()\n"
              "  return table.concat({first, kind, other, k - n,\n"
              "    keys[m.step], keys[a], tostring(step == m.step)}, ' ')\n"
              "end\n"
              "return P\n",
     .state_before = "1 old old 10 step a true",
     .state_after = "2 new new 10 step a true"},
    {.name = "functions that come and go",
     .before = "local M = {}\n"
               "local function help(n) return n + 1 end\n"
               "function M.a() return help(1) end\n"
               "function M.gone() return help(2) end\n"
               "return M\n",
     .after = "local M = {}\n"
              "local function help(n) return n + 10 end\n"
              "local function more(n) return help(n) * 2 end\n"
              "function M.a() return more(1) end\n"
              "function M.b(...) return more(...) end\n"
              "return M\n",
     .probe = "local m = require 'm'\n"
              "local P = {}\n"
              "function P.state()\n"
              "  return table.concat({m.a(), m.gone and m.gone() or '-',\n"
              "    m.b and m.b(5) or '-'}, ' ')\n"
              "end\n"
              "return P\n",
     .state_before = "2 3 -",
     .state_after = "22 - 30"},
    {.name = "statements and values",
     .before = "local graft = require 'graft'\n"
               "local M = {log = {}}\n"
               "local base = 1\n"
               "M.config = {a = base, list = {1, 2}, deep = {x = 1}}\n"
               "M.double = base * 2\n"
               "M.gone = 5\n"
               "M.live = 7\n"
               "M.called = math.max(1, 2)\n"
               "do M.block = 1 graft.defer(function() M.cleaned = 1 end) end\n"
               "function M.sum() return base + M.config.a end\n"
               "return M\n",
     .after = "local graft = require 'graft'\n"
              "local M = {log = {}}\n"
              "local base = 2\n"
              "M.config = {a = base, list = {1, 2, 3}, deep = {y = 1}}\n"
              "M.double = base * 2\n"
              "M.live = 8\n"
              "M.called = math.max(1, 3)\n"
              "do M.block = 2 graft.defer(function() M.cleaned = 2 end) end\n"
              "function M.sum() return base + M.config.a end\n"
              "return M\n",
     .probe = "local m = require 'm'\n"
              "m.live = 40\n"
              "local config, deep = m.config, m.config.deep\n"
              "local P = {}\n"
              "function P.state()\n"
              "  local same = config == m.config and deep == m.config.deep\n"
              "  return table.concat({m.sum(), #config.list,\n"
              "    tostring(deep.x), tostring(deep.y), m.double,\n"
              "    tostring(m.gone), m.live, m.called, m.block,\n"
              "    tostring(same)}, ' ')\n"
              "end\n"
              "return P\n",
     .state_before = "2 2 1 nil 2 5 40 2 1 true",
     .state_after = "4 3 nil 1 4 nil 40 3 2 true"},
    {.name = "a script over a native, and the native again",
     .before = "local M = {}\n"
               "function M.scale(x) return x * 100 end\n"
               "function M.other() return 1 end\n"
               "return M\n",
     .after = "local M = {}\n"
              "function M.other() return 2 end\n"
              "return M\n",
     .probe = "local m = require 'm'\n"
              "local held = {m.scale}\n"
              "local P = {}\n"
              "function P.state()\n"
              "  return table.concat({m.scale(2), held[1](4), m.other()},\n"
              "    ' ')\n"
              "end\n"
              "return P\n",
     .state_before = "200 400 1",
     .state_after = "2.5 4.5 2"},
    {.name = "listeners, a coroutine and lines that move",
     .before =
         "local graft = require 'graft'\n"
         "local M = {seen = 0}\n"
         "graft.on('update', function() M.seen = M.seen + 1 end)\n"
         "local function body() return 'old' end\n"
         "M.co = coroutine.wrap(function()\n"
         "  local f = body\n"
         "  while true do coroutine.yield(f()) end\n"
         "end)\n"
         "M.co()\n"
         "function M.line() return debug.getinfo(1, 'l').currentline end\n"
         "return M\n",
     .after = "local graft = require 'graft'\n"
              "\n"
              "local M = {seen = 0}\n"
              "graft.on('update', function() M.seen = M.seen + 1 end)\n"
              "local function body() return 'new' end\n"
              "M.co = coroutine.wrap(function()\n"
              "  local f = body\n"
              "  while true do coroutine.yield(f()) end\n"
              "end)\n"
              "M.co()\n"
              "function M.line() return debug.getinfo(1, 'l').currentline end\n"
              "return M\n",
     .probe = "local m = require 'm'\n"
              "local P = {}\n"
              "function P.state() return m.co() .. ' ' .. m.line() end\n"
              "return P\n",
     .state_before = "old 10",
     .state_after = "new 11"},
};

// ---------------------------------------------------------------------------
// Running one
// ---------------------------------------------------------------------------

typedef struct Trial {
  Host host;
  Heap heap;
  lua_State *L;
  CheckMemory memory;
  GraftFn *state;
  int files;             // that came later
  int half, lost, wrong; // counts of what went wrong
} Trial;

// Until the next call.
static const char *state_of(Trial *self) {
  GraftValue value = host_call(&self->host, self->state, nil_value());
  return value.type == GRAFT_STRING ? value.as.string.text
                                    : self->host.error.message;
}

static bool is_state(Trial *self, long n, const char *when,
                     const char *expected) {
  const char *text = state_of(self);
  if (strcmp(text, expected) == 0) return true;
  printf("# %ld, %s: %s, expected %s\n", n, when, text, expected);
  return false;
}

static bool was_applied(const GraftReport *report) {
  bool applied = false;
  for (size_t i = 0; report != NULL && i < graft_report_count(report); i++) {
    const GraftEvent *event = graft_report_event(report, i);
    if (event->kind == GRAFT_EVENT_PATCH) applied = event->ok;
  }
  return applied;
}

// One attempt; false when it was not in the way of any request.
static bool attempt(Trial *self, const Case *tried, long n) {
  const GraftReport *report = NULL;
  host_write(&self->host, "m.lua", tried->after);
  self->host.events[0] = '\0';
  heap_arm(&self->heap, n);
  graft_engine_reload(self->host.engine, NULL, &report);
  self->heap.fail_at = 0;
  bool applied = was_applied(report);
  self->half += !is_state(self, n, applied ? "applied" : "undone",
                          applied ? tried->state_after : tried->state_before);
  bool hit = self->heap.hit;
  graft_engine_reload(self->host.engine, NULL, NULL);
  self->lost += !is_state(self, n, "next try", tried->state_after);
  host_write(&self->host, "m.lua", tried->before);
  graft_engine_reload(self->host.engine, NULL, NULL);
  self->wrong += !is_state(self, n, "and back", tried->state_before);
  return hit;
}

// Opens the engine with natives and the case's files. LuaJIT 2.1 of 2022 and
// before crashes by itself when memory runs out in compiled code, and traces,
// which come and go, would hide what is left behind: no code is compiled.
static void trial_open(Trial *self, const Case *tried) {
  *self = (Trial){0};
  check_memory_init(&self->memory, 0);
  host_open(&self->host,
            &(GraftEngineDesc){.allocator = &self->memory.allocator});
  host_register(&self->host, "m.scale", (GraftNative)native_scale,
                "double(double)");
  host_register(&self->host, "native.back", (GraftNative)go_back,
                "const char *(const char *)");
  host_write(&self->host, "m.lua", tried->before);
  host_write(&self->host, "probe.lua", tried->probe);
  host_require(&self->host, "probe");
  self->state = graft_engine_fn(self->host.engine, "probe.state");
  self->L = graft_engine_state(self->host.engine);
  graft_engine_run_text(self->host.engine, "if jit then jit.off() end", "=jit",
                        NULL);
  heap_watch(&self->heap, self->L);
}

static void report(const char *name, const char *what, bool passed) {
  char text[160];
  snprintf(text, sizeof text, "%s: %s", name, what);
  check_report(text, passed, "see above");
}

// After the engine was closed.
static void report_left(const Trial *self, const char *name) {
  // LuaJIT counts a closure short by 8 bytes for each of its variables that
  // there was no memory for.
  double most = strcmp(SPEC_VM, "luajit") == 0 ? 1024 : 0;
  bool nothing = self->memory.alive == 0 && self->heap.bytes <= most;
  if (!nothing) {
    printf("# %ld blocks, %.0f bytes\n", self->memory.alive, self->heap.bytes);
  }
  report(name, "and nothing is left", nothing);
}

// Every request in turn; the first one that does not come ends it.
static long attempt_all(Trial *self, const Case *tried) {
  long n = 1;
  while (n < ATTEMPTS_MOST && attempt(self, tried, n)) n++;
  return n - 1;
}

static void run_case(const Case *tried) {
  Trial trial;
  trial_open(&trial, tried);
  report(tried->name, "before all",
         is_state(&trial, 0, "start", tried->state_before));
  // Twice, since histories and tables have grown to their size by then.
  attempt_all(&trial, tried);
  double bytes = live_bytes(trial.L);
  long alive = trial.memory.alive;
  long n = attempt_all(&trial, tried);
  double more = live_bytes(trial.L) - bytes;
  long more_blocks = trial.memory.alive - alive;
  printf("# %s: %ld requests; %.0f bytes and %ld blocks more\n", tried->name, n,
         more, more_blocks);
  report(tried->name, "asks for memory, and gets through at last",
         n > 10 && n < ATTEMPTS_MOST);
  report(tried->name, "all or nothing", trial.half == 0);
  report(tried->name, "the next try takes it", trial.lost == 0);
  report(tried->name, "and goes back again", trial.wrong == 0);
  report(tried->name, "the VM's heap does not grow", more < 1024);
  report(tried->name, "nor does Graft's", more_blocks < 4);
  host_close(&trial.host);
  report_left(&trial, tried->name);
}

// ---------------------------------------------------------------------------
// What a host does besides
// ---------------------------------------------------------------------------

static const char called[] =
    "local M = {}\n"
    "function M.join(...) return table.concat({...}, ',') end\n"
    "function M.parts(n)\n"
    "  local t = {}\n"
    "  for i = 1, n do t[i] = ('part %d '):format(i):rep(9) end\n"
    "  return (unpack or table.unpack)(t)\n"
    "end\n"
    "function M.raise(value) error(value) end\n"
    "function M.scale(x) return x * 100 end\n"
    "function M.through(text) return native.back(text) end\n"
    "return M\n";

// What the call does, and whether it has done it, unless it says it has not.
typedef GraftStatus Act(Trial *self, bool *right);

static GraftStatus call_with(Trial *self, const char *name, GraftCall *call) {
  GraftFn *fn = graft_engine_fn(self->host.engine, name);
  return graft_fn_call(fn, call, &self->host.error);
}

enum { ARGS = 40 };

static GraftStatus pass_texts(Trial *self, bool *right) {
  static const char text[] =
      "a text that is longer than those which the VM keeps only once";
  GraftValue args[ARGS], result = nil_value();
  for (int i = 0; i < ARGS; i++) args[i] = text_value(text);
  GraftCall call = {.args = args,
                    .arg_count = ARGS,
                    .results = &result,
                    .result_capacity = 1};
  GraftStatus status = call_with(self, "m.join", &call);
  *right = result.type == GRAFT_STRING &&
           result.as.string.size == ARGS * sizeof text - 1;
  return status;
}

static GraftStatus take_texts(Trial *self, bool *right) {
  GraftValue arg = integer_value(ARGS), results[ARGS];
  GraftCall call = {.args = &arg,
                    .arg_count = 1,
                    .results = results,
                    .result_capacity = ARGS};
  GraftStatus status = call_with(self, "m.parts", &call);
  *right =
      call.result_count == ARGS && results[ARGS - 1].type == GRAFT_STRING &&
      strncmp(results[ARGS - 1].as.string.text, "part 40 part 40", 15) == 0;
  return status;
}

// A call that fails tells why, whatever was raised.
static GraftStatus raise_number(Trial *self, bool *right) {
  GraftValue arg = number_value(42);
  GraftCall call = {.args = &arg, .arg_count = 1};
  GraftStatus status = call_with(self, "m.raise", &call);
  *right =
      status == GRAFT_ERUN && strstr(self->host.error.message, "42") != NULL;
  return *right ? GRAFT_OK : status;
}

static GraftStatus call_through(Trial *self, bool *right) {
  GraftValue arg = text_value("there and back, longer than forty characters"),
             result = nil_value();
  GraftCall call = {
      .args = &arg, .arg_count = 1, .results = &result, .result_capacity = 1};
  back = graft_engine_fn(self->host.engine, "m.join");
  GraftStatus status = call_with(self, "m.through", &call);
  *right = is_text(&result, arg.as.string.text);
  if (status == GRAFT_OK && result.type == GRAFT_NIL) status = GRAFT_ENOMEM;
  return status;
}

static GraftStatus run_text(Trial *self, bool *right) {
  *right = true;
  return graft_engine_run_text(self->host.engine,
                               "local t = {} for i = 1, 50 do t[i] = {} end",
                               "=text", &self->host.error);
}

static GraftStatus require_again(Trial *self, bool *right) {
  heap_pause(&self->heap);
  graft_engine_run_text(self->host.engine, "package.loaded.m = nil", "=text",
                        NULL);
  heap_resume(&self->heap);
  *right = true;
  return graft_engine_require(self->host.engine, "m", &self->host.error);
}

// Pins the native and lets go of it. Lua sees it at the latest when the next
// swap is shown.
static GraftStatus swap(Trial *self, bool *right) {
  GraftEngine *engine = self->host.engine;
  GraftStatus status =
      graft_engine_swap(engine, "m.scale", "native", &self->host.error);
  if (status == GRAFT_OK) {
    status = graft_engine_swap(engine, "m.scale", "auto", &self->host.error);
  }
  heap_pause(&self->heap);
  graft_engine_swap(engine, "m.scale", "auto", NULL);
  *right = host_number(&self->host, graft_engine_fn(engine, "probe.held"), 1) ==
           host_number(&self->host, graft_engine_fn(engine, "m.scale"), 1);
  heap_resume(&self->heap);
  return status;
}

static GraftStatus register_native(Trial *self, bool *right) {
  GraftStatus status = graft_engine_register(
      self->host.engine, "m.more", (GraftNative)native_scale, "double(double)",
      &self->host.error);
  *right = true;
  return status;
}

// A file that comes later, over a native: as the watcher, and as a host by
// reloading it.
static GraftStatus add_file(Trial *self, bool *right) {
  const GraftReport *report = NULL;
  char file[32], name[32];
  heap_pause(&self->heap);
  snprintf(file, sizeof file, "later%d.lua", ++self->files);
  snprintf(name, sizeof name, "later%d.f", self->files);
  host_register(&self->host, name, (GraftNative)native_scale, "double(double)");
  host_write(&self->host, file,
             "local M = {}\nfunction M.f(x) return x * 3 end\nreturn M\n");
  heap_resume(&self->heap);
  graft_engine_reload(self->host.engine, host_path(&self->host, file), &report);
  heap_pause(&self->heap);
  bool applied = was_applied(report);
  double value =
      host_number(&self->host, graft_engine_fn(self->host.engine, name), 2);
  *right = value == (applied ? 6 : 2.5);
  if (!*right) printf("# %d %g\n", applied, value);
  heap_resume(&self->heap);
  return applied ? GRAFT_OK : GRAFT_ENOMEM;
}

static const struct {
  const char *name;
  Act *act;
} acts[] = {
    {"many long texts as arguments", pass_texts},
    {"many long texts as results", take_texts},
    {"a number that is raised", raise_number},
    {"a native that calls a script", call_through},
    {"running a text", run_text},
    {"loading a module again", require_again},
    {"choosing a backing", swap},
    {"registering a native", register_native},
    {"a file that comes later", add_file},
};

static const char act_probe[] = "native = require 'native'\n"
                                "local m = require 'm'\n"
                                "local P = {}\n"
                                "function P.held(x) return m.scale(x) end\n"
                                "return P\n";

static void open_acts(Trial *self) {
  static Case none;
  none.before = called;
  none.probe = act_probe;
  trial_open(self, &none);
}

static void run_act(size_t index) {
  Trial trial;
  open_acts(&trial);
  int top = lua_gettop(trial.L);
  long n = 1;
  bool balanced = true, told = true, hit = true;
  for (; n < ATTEMPTS_MOST && hit; n++) {
    bool right = false;
    heap_arm(&trial.heap, n);
    GraftStatus status = acts[index].act(&trial, &right);
    trial.heap.fail_at = 0;
    hit = trial.heap.hit;
    trial.half += status == GRAFT_OK && !right;
    told &= status == GRAFT_OK || hit;
    balanced &= lua_gettop(trial.L) == top;
    status = acts[index].act(&trial, &right);
    trial.lost += status < 0 || !right;
    if (status < 0) printf("# %ld: %s\n", n, trial.host.error.message);
  }
  printf("# %s: %ld requests\n", acts[index].name, n - 2);
  report(acts[index].name, "asks for memory, and gets through at last",
         n > 2 && n < ATTEMPTS_MOST);
  report(acts[index].name, "done, or said why not", trial.half == 0 && told);
  report(acts[index].name, "the stack is as it was", balanced);
  report(acts[index].name, "the next time it is done", trial.lost == 0);
  host_close(&trial.host);
  report_left(&trial, acts[index].name);
}

int main(void) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    run_case(&cases[i]);
  }
  for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) run_act(i);
  return check_status();
}
