// SPDX-License-Identifier: MIT
//
// Units in Lua: userdata `graft.unit`, graft.compile and graft.merge.
//
// What a predicate says is collected first and applied afterwards, so that an
// error in it passes through no call that has half done its work.

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "graft_module.h"

static const char unit_key[] = "graft.unit";

typedef struct Unit {
  GraftUnit *unit;  // NULL before it is made and after it was collected
  unsigned changes; // how often its lists were changed
} Unit;

static Unit *check_unit(lua_State *L, int index) {
  Unit *self = luaL_checkudata(L, index, unit_key);
  if (self->unit == NULL) luaL_error(L, "the unit has been collected");
  return self;
}

static Unit *push_unit(lua_State *L) {
  Unit *self = lua_newuserdata(L, sizeof *self);
  *self = (Unit){NULL, 0};
  luaL_getmetatable(L, unit_key);
  lua_setmetatable(L, -2);
  return self;
}

// Pushes nil, "file:line:column: message", code; returns 3.
static int fail(lua_State *L, const GraftError *error) {
  lua_pushnil(L);
  if (error->line > 0 && error->column > 0) {
    lua_pushfstring(L, "%s:%d:%d: %s", error->file, error->line, error->column,
                    error->message);
  } else if (error->line > 0) {
    lua_pushfstring(L, "%s:%d: %s", error->file, error->line, error->message);
  } else {
    lua_pushstring(L, error->message);
  }
  lua_pushinteger(L, error->status);
  return 3;
}

// ---------------------------------------------------------------------------
// Functions as tables
// ---------------------------------------------------------------------------

static void set_text(lua_State *L, const char *key, const char *text) {
  lua_pushstring(L, text);
  lua_setfield(L, -2, key);
}

static void set_integer(lua_State *L, const char *key, int number) {
  lua_pushinteger(L, number);
  lua_setfield(L, -2, key);
}

static void set_boolean(lua_State *L, const char *key, bool value) {
  lua_pushboolean(L, value);
  lua_setfield(L, -2, key);
}

static void push_function(lua_State *L, const GraftUnitFunction *function) {
  char fingerprint[24];
  snprintf(fingerprint, sizeof fingerprint, "%016" PRIx64,
           function->fingerprint);
  lua_createtable(L, 0, 12);
  set_text(L, "name", function->name);
  set_text(L, "path", function->path);
  set_text(L, "file", function->file);
  set_integer(L, "line", function->line);
  set_integer(L, "last_line", function->last_line);
  set_integer(L, "column", function->column);
  set_boolean(L, "vararg", function->vararg);
  set_boolean(L, "method", function->method);
  set_boolean(L, "shown", function->shown);
  set_text(L, "fingerprint", fingerprint);
  lua_pushlstring(L, function->source, function->source_size);
  lua_setfield(L, -2, "source");
  lua_createtable(L, (int)function->parameter_count, 0);
  for (size_t i = 0; i < function->parameter_count; i++) {
    lua_pushstring(L, function->parameters[i]);
    lua_rawseti(L, -2, (int)i + 1);
  }
  lua_setfield(L, -2, "parameters");
}

// upvalues: list, place
static int next_function(lua_State *L) {
  int place = (int)lua_tointeger(L, lua_upvalueindex(2)) + 1;
  lua_pushinteger(L, place);
  lua_replace(L, lua_upvalueindex(2));
  lua_rawgeti(L, lua_upvalueindex(1), place);
  return 1;
}

// unit:functions() → iterator over what it holds now
static int functions(lua_State *L) {
  const Unit *self = check_unit(L, 1);
  size_t count = graft_unit_function_count(self->unit);
  lua_createtable(L, (int)count, 0);
  GraftUnitFunction function;
  for (size_t i = 0; graft_unit_function(self->unit, i, &function); i++) {
    push_function(L, &function);
    lua_rawseti(L, -2, (int)i + 1);
  }
  lua_pushinteger(L, 0);
  lua_pushcclosure(L, next_function, 2);
  return 1;
}

// ---------------------------------------------------------------------------
// Predicates
// ---------------------------------------------------------------------------

// What a predicate said of each function of a unit, in their order.
typedef struct Verdicts {
  const bool *kept;
  size_t next;
} Verdicts;

static bool keep_next(void *context, const GraftUnitFunction *function) {
  (void)function;
  Verdicts *self = context;
  return self->kept[self->next++];
}

// Calls the predicate at `index` for every function; pushes what holds the
// answers.
static const bool *ask(lua_State *L, const Unit *unit, int index) {
  size_t count = graft_unit_function_count(unit->unit);
  unsigned changes = unit->changes;
  bool *kept = lua_newuserdata(L, count + 1);
  for (size_t i = 0; i < count; i++) {
    GraftUnitFunction function;
    graft_unit_function(unit->unit, i, &function);
    lua_pushvalue(L, index);
    push_function(L, &function);
    lua_call(L, 1, 1);
    kept[i] = lua_toboolean(L, -1) != 0;
    lua_pop(L, 1);
    if (unit->changes != changes) {
      luaL_error(L, "the predicate has changed the unit that it is asked of");
    }
  }
  return kept;
}

// unit:retain_functions(predicate)
static int retain_functions(lua_State *L) {
  Unit *self = check_unit(L, 1);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  Verdicts verdicts = {ask(L, self, 2), 0};
  graft_unit_retain_functions(self->unit,
                              &(GraftUnitFilter){keep_next, &verdicts});
  self->changes++;
  return 0;
}

// ---------------------------------------------------------------------------
// Clearing and merging
// ---------------------------------------------------------------------------

// unit:clear_statements()
static int clear_statements(lua_State *L) {
  Unit *self = check_unit(L, 1);
  graft_unit_clear_statements(self->unit);
  self->changes++;
  return 0;
}

// unit:clear_functions()
static int clear_functions(lua_State *L) {
  Unit *self = check_unit(L, 1);
  graft_unit_clear_functions(self->unit);
  self->changes++;
  return 0;
}

// The filter of argument 3, if there is one.
static const GraftUnitFilter *check_filter(lua_State *L, const Unit *right,
                                           Verdicts *verdicts,
                                           GraftUnitFilter *filter) {
  if (lua_isnoneornil(L, 3)) return NULL;
  luaL_checktype(L, 3, LUA_TFUNCTION);
  *verdicts = (Verdicts){ask(L, right, 3), 0};
  *filter = (GraftUnitFilter){keep_next, verdicts};
  return filter;
}

// unit:merge(other[, filter]) → unit
static int merge_units(lua_State *L) {
  const Unit *left = check_unit(L, 1);
  const Unit *right = check_unit(L, 2);
  Verdicts verdicts;
  GraftUnitFilter filter;
  const GraftUnitFilter *given = check_filter(L, right, &verdicts, &filter);
  Unit *merged = push_unit(L);
  merged->unit = graft_unit_merge(left->unit, right->unit, given);
  if (merged->unit == NULL) return luaL_error(L, "not enough memory");
  return 1;
}

// unit:combine(other[, filter])
static int combine(lua_State *L) {
  Unit *self = check_unit(L, 1);
  const Unit *right = check_unit(L, 2);
  Verdicts verdicts;
  GraftUnitFilter filter;
  const GraftUnitFilter *given = check_filter(L, right, &verdicts, &filter);
  if (graft_unit_combine(self->unit, right->unit, given) < 0) {
    return luaL_error(L, "not enough memory");
  }
  self->changes++;
  return 0;
}

// a + b
static int add(lua_State *L) {
  for (int i = 1; i <= 2; i++) {
    if (lua_type(L, i) == LUA_TUSERDATA) continue;
    return luaL_error(L, "attempt to merge a unit with a %s value",
                      luaL_typename(L, i));
  }
  lua_settop(L, 2);
  return merge_units(L);
}

// ---------------------------------------------------------------------------
// What a unit is
// ---------------------------------------------------------------------------

// unit:source() → the whole text, byte for byte
static int source(lua_State *L) {
  const Unit *self = check_unit(L, 1);
  size_t size = 0;
  const char *text = graft_unit_source(self->unit, &size);
  lua_pushlstring(L, text, size);
  return 1;
}

static int count_functions(lua_State *L) {
  const Unit *self = check_unit(L, 1);
  lua_pushinteger(L, (lua_Integer)graft_unit_function_count(self->unit));
  return 1;
}

// upvalue: methods
static int get_field(lua_State *L) {
  const Unit *self = check_unit(L, 1);
  const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  const char *text = NULL;
  if (strcmp(key, "statements") == 0) {
    lua_pushinteger(L, (lua_Integer)graft_unit_statement_count(self->unit));
    return 1;
  }
  if (strcmp(key, "name") == 0) text = self->unit->module;
  if (strcmp(key, "file") == 0) text = self->unit->file;
  if (text == NULL) {
    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(1));
  } else if (*text == '\0') {
    lua_pushnil(L);
  } else {
    lua_pushstring(L, text);
  }
  return 1;
}

static int to_text(lua_State *L) {
  const Unit *self = check_unit(L, 1);
  const GraftUnit *unit = self->unit;
  const char *name = unit->module;
  if (*name == '\0') name = unit->definitions != NULL ? "no name" : "merged";
  lua_pushfstring(L, "%s: %s (%d functions, %d statements)", unit_key, name,
                  (int)graft_unit_function_count(unit),
                  (int)graft_unit_statement_count(unit));
  return 1;
}

static int collect(lua_State *L) {
  Unit *self = luaL_checkudata(L, 1, unit_key);
  graft_unit_free(self->unit);
  self->unit = NULL;
  return 0;
}

// ---------------------------------------------------------------------------
// graft.compile
// ---------------------------------------------------------------------------

// Pushes a field of argument 1: text, or NULL for nil. `size` NULL: it is a
// name, and ends at no zero byte of its own.
static const char *check_field(lua_State *L, const char *key, size_t *size) {
  lua_getfield(L, 1, key);
  if (lua_isnil(L, -1)) return NULL;
  size_t length = 0;
  if (lua_type(L, -1) != LUA_TSTRING) {
    luaL_error(L, "bad field '%s' (string expected, got %s)", key,
               luaL_typename(L, -1));
  }
  const char *text = lua_tolstring(L, -1, &length);
  if (size != NULL) {
    *size = length;
  } else if (strlen(text) != length) {
    luaL_error(L, "bad field '%s' (it has a zero byte)", key);
  }
  return text;
}

static char *file_module(GraftEngine *engine, const char *path) {
  EngineFile *file = engine_find_file(engine, path);
  if (file != NULL) {
    return memory_copy_string(&engine->allocator, file->module,
                              strlen(file->module));
  }
  return engine_module_of(engine, path);
}

static GraftStatus compile_file(GraftEngine *engine, const char *path,
                                const char *name, GraftUnit **unit,
                                GraftError *error) {
  GraftUnitDesc desc = {.file = engine_plain_path(path),
                        .module = name,
                        .allocator = &engine->allocator};
  char *text = engine_read_file(engine, desc.file, &desc.size, error);
  if (text == NULL) return error->status;
  char *module = name == NULL ? file_module(engine, desc.file) : NULL;
  if (module != NULL) desc.module = module;
  desc.source = text;
  GraftStatus status = engine_compile_unit(engine, &desc, unit, error);
  memory_free(&engine->allocator, module);
  memory_free(&engine->allocator, text);
  return status;
}

static GraftStatus compile_source(GraftEngine *engine,
                                  const GraftUnitDesc *given, GraftUnit **unit,
                                  GraftError *error) {
  GraftUnitDesc desc = *given;
  desc.allocator = &engine->allocator;
  desc.file = desc.module != NULL && *desc.module != '\0' ? desc.module : "?";
  return engine_compile_unit(engine, &desc, unit, error);
}

// graft.compile{file = …} or {source = …, name = …} → unit
static int compile(lua_State *L) {
  GraftEngine *engine = module_engine(L);
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  GraftUnitDesc desc = {0};
  desc.source = check_field(L, "source", &desc.size);
  const char *path = check_field(L, "file", NULL);
  desc.module = check_field(L, "name", NULL);
  if ((desc.source == NULL) == (path == NULL)) {
    return luaL_error(L, "graft.compile takes either source or file");
  }
  Unit *self = push_unit(L);
  GraftError error = {.status = GRAFT_OK};
  GraftStatus status =
      path != NULL
          ? compile_file(engine, path, desc.module, &self->unit, &error)
          : compile_source(engine, &desc, &self->unit, &error);
  return status < 0 ? fail(L, &error) : 1;
}

// ---------------------------------------------------------------------------
// graft.merge
// ---------------------------------------------------------------------------

// graft.merge(unit) → report
static int merge(lua_State *L) {
  GraftEngine *engine = module_engine(L);
  const Unit *self = check_unit(L, 1);
  const GraftReport *report = NULL;
  GraftError error = {.status = GRAFT_OK};
  lua_State *previous = module_enter(L);
  GraftStatus status = graft_engine_merge(engine, self->unit, &report, &error);
  module_leave(L, previous);
  if (status < 0) return fail(L, &error);
  events_push_report(L, report != NULL ? report : &(GraftReport){0});
  return 1;
}

// ---------------------------------------------------------------------------
// The module's part
// ---------------------------------------------------------------------------

static const luaL_Reg methods[] = {
    {"functions", functions},
    {"clear_statements", clear_statements},
    {"clear_functions", clear_functions},
    {"retain_functions", retain_functions},
    {"merge", merge_units},
    {"combine", combine},
    {"source", source},
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__add", add},
    {"__len", count_functions},
    {"__tostring", to_text},
    {"__gc", collect},
    {NULL, NULL},
};

static void set_functions(lua_State *L, const luaL_Reg *list) {
  for (; list->name != NULL; list++) {
    lua_pushcfunction(L, list->func);
    lua_setfield(L, -2, list->name);
  }
}

static void make_metatable(lua_State *L) {
  luaL_newmetatable(L, unit_key);
  set_functions(L, metamethods);
  lua_newtable(L);
  set_functions(L, methods);
  lua_pushcclosure(L, get_field, 1);
  lua_setfield(L, -2, "__index");
  // What collects units is nobody's to call.
  set_text(L, "__metatable", unit_key);
  lua_pop(L, 1);
}

void unit_add_functions(lua_State *L) {
  make_metatable(L);
  lua_pushcfunction(L, compile);
  lua_setfield(L, -2, "compile");
  lua_pushcfunction(L, merge);
  lua_setfield(L, -2, "merge");
}
