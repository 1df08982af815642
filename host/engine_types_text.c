// SPDX-License-Identifier: MIT
//
// What LuaCATS says of C: numbers are `integer` or `number`, `const char *` is
// a string, a struct by value or behind a pointer its class, other pointers
// lists of what they lead to. C does not say which pointers may be NULL:
// parameters take nil, results and fields are taken to be there.

#include <ctype.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "engine_types.h"

// ---------------------------------------------------------------------------
// Names
// ---------------------------------------------------------------------------

static bool is_one_of(const char *word, size_t size, const char *const *list) {
  for (; *list != NULL; list++) {
    if (strlen(*list) == size && memcmp(*list, word, size) == 0) return true;
  }
  return false;
}

static bool is_keyword(const char *word, size_t size) {
  static const char *const keywords[] = {
      "and",      "break",  "do",   "else", "elseif", "end",   "false", "for",
      "function", "goto",   "if",   "in",   "local",  "nil",   "not",   "or",
      "repeat",   "return", "then", "true", "until",  "while", NULL};
  return is_one_of(word, size, keywords);
}

// Of LuaCATS itself, so that a C struct of that name must not add to it.
static bool is_builtin_type(const char *name) {
  static const char *const types[] = {
      "nil",           "any",      "boolean", "string", "number",
      "integer",       "function", "table",   "thread", "userdata",
      "lightuserdata", "unknown",  "never",   "self",   NULL};
  return is_one_of(name, strlen(name), types);
}

static bool is_word(char character) {
  return isalnum((unsigned char)character) || character == '_';
}

static bool is_name(const char *text, size_t size) {
  for (size_t i = 0; i < size; i++) {
    if (!is_word(text[i])) return false;
  }
  return size > 0 && !isdigit((unsigned char)text[0]) &&
         !is_keyword(text, size);
}

// A name for a local variable or parameter.
static void write_variable(Buffer *text, const char *name, size_t size) {
  if (size == 0 || isdigit((unsigned char)name[0])) buffer_add_text(text, "_");
  for (size_t i = 0; i < size; i++) {
    buffer_add(text, is_word(name[i]) ? name + i : "_", 1);
  }
  if (is_keyword(name, size)) buffer_add_text(text, "_");
}

// "Body"; what would be another thing to LuaCATS has a word in front.
static void write_class(Buffer *text, const Type *type) {
  const char *name = type_name(type);
  if (is_builtin_type(name)) buffer_add_text(text, "struct.");
  buffer_add_text(text, name);
}

bool types_is_class(const Type *type) {
  return type->kind == KIND_STRUCT || type->kind == KIND_UNION;
}

// ---------------------------------------------------------------------------
// Types of C
// ---------------------------------------------------------------------------

static void write_type(Buffer *text, const Type *type, const char *outer);

static bool is_character(const Type *type) {
  return type != NULL && type->kind == KIND_INTEGER && type->size == 1;
}

static void write_pointer(Buffer *text, const Type *type, const char *outer) {
  const Type *target = type->target;
  bool opaque = target == NULL || target->kind == KIND_VOID ||
                target->kind == KIND_FUNCTION || target->kind == KIND_OPAQUE;
  if (opaque) {
    buffer_add_text(text, "graft.pointer");
  } else if (*outer == '\0' && type->is_const && target->is_char) {
    buffer_add_text(text, "string");
  } else if (types_is_class(target)) {
    write_type(text, target, outer);
  } else {
    write_type(text, target, outer);
    buffer_add_text(text, "[]");
  }
}

// `outer` is the class of a struct without a name that a field has, such as
// "Body.inner", and "" for parameters and results: in a field `const char *` is
// a pointer.
static void write_type(Buffer *text, const Type *type, const char *outer) {
  bool named = *type_name(type) != '\0';
  switch (type->kind) {
  case KIND_VOID:
    buffer_add_text(text, "nil");
    break;
  case KIND_BOOL:
    buffer_add_text(text, "boolean");
    break;
  case KIND_INTEGER:
    buffer_add_text(text, "integer");
    break;
  case KIND_FLOAT:
    buffer_add_text(text, "number");
    break;
  case KIND_ENUM:
    if (named) {
      write_class(text, type);
    } else {
      buffer_add_text(text, "integer");
    }
    break;
  case KIND_POINTER:
    write_pointer(text, type, outer);
    break;
  case KIND_ARRAY:
    write_type(text, type->target, outer);
    buffer_add_text(text, "[]");
    break;
  case KIND_STRUCT:
  case KIND_UNION:
    if (named) {
      write_class(text, type);
    } else {
      buffer_add_text(text, *outer != '\0' ? outer : "table");
    }
    break;
  default:
    buffer_add_text(text, "graft.pointer");
  }
}

// The same by a signature, which knows no more than these words.
static void write_code(Buffer *text, TypeCode code, const char *name) {
  if (code == TYPE_BOOL) {
    buffer_add_text(text, "boolean");
  } else if (code == TYPE_VOID) {
    buffer_add_text(text, "nil");
  } else if (type_is_integer(code)) {
    buffer_add_text(text, "integer");
  } else if (type_is_float(code)) {
    buffer_add_text(text, "number");
  } else if (code == TYPE_STRING) {
    buffer_add_text(text, "string");
  } else {
    size_t size = name != NULL ? strcspn(name, " *") : 0;
    bool is_struct = size > 0 && strcmp(name + size, " *") == 0 &&
                     isupper((unsigned char)name[0]);
    if (is_struct) buffer_add(text, name, size);
    if (!is_struct) buffer_add_text(text, "graft.pointer");
  }
}

// ---------------------------------------------------------------------------
// Functions
// ---------------------------------------------------------------------------

// Comments of the source that are for editors too, above the function.
static bool write_own_comment(Buffer *text, const GraftUnit *unit,
                              const Definition *is) {
  const char *source = unit->source;
  size_t line = is->whole.start;
  while (line > 0 && source[line - 1] != '\n') line--;
  size_t first = line;
  while (first > 0) {
    size_t before = first - 1;
    while (before > 0 && source[before - 1] != '\n') before--;
    size_t at = before;
    while (source[at] == ' ' || source[at] == '\t') at++;
    if (at + 3 > first || strncmp(source + at, "---", 3) != 0) break;
    first = before;
  }
  for (size_t at = first; at < line;) {
    size_t size = strcspn(source + at, "\n");
    size_t indent = strspn(source + at, " \t");
    bool is_ours = strncmp(source + at + indent, "---@meta", 8) != 0;
    if (is_ours) {
      size_t length = size - indent;
      if (length > 0 && source[at + size - 1] == '\r') length--;
      buffer_add(text, source + at + indent, length);
      buffer_add_text(text, "\n");
    }
    at += size + 1;
  }
  return first < line;
}

static size_t parameter_count(const TypesEntry *entry) {
  if (entry->is != NULL) return entry->is->parameter_count;
  if (entry->type != NULL) return entry->type->parameter_count;
  const Signature *signature = entry->backing->signature;
  return signature != NULL ? signature->param_count : 0;
}

static void write_parameter(Buffer *text, const TypesEntry *entry, size_t i) {
  const char *name = "";
  if (entry->is != NULL) {
    name = entry->is->parameters[i];
  } else if (entry->type != NULL) {
    name = entry->type->parameters[i].name;
  }
  if (*name != '\0') {
    write_variable(text, name, strlen(name));
  } else {
    buffer_format(text, "p%zu", i + 1);
  }
}

static bool takes_nil(const Type *type) {
  return type->kind == KIND_POINTER;
}

// Whether what is known of the native's parameters is true of these.
static bool has_native_types(const TypesEntry *entry) {
  if (entry->backing == NULL || entry->backing->signature == NULL ||
      entry->backing->signature->lua) {
    return false;
  }
  return entry->backing->signature->param_count == parameter_count(entry);
}

// `first` is 1 for a method, whose receiver goes without saying.
static void write_native_types(Buffer *text, const TypesEntry *entry,
                               size_t first) {
  const Signature *signature = entry->backing->signature;
  for (size_t i = first; i < signature->param_count; i++) {
    buffer_add_text(text, "---@param ");
    write_parameter(text, entry, i);
    buffer_add_text(text, " ");
    if (entry->type != NULL) {
      const Type *type = entry->type->parameters[i].type;
      write_type(text, type, "");
      if (takes_nil(type)) buffer_add_text(text, "?");
    } else {
      write_code(text, (TypeCode)signature->params[i],
                 signature->param_names[i]);
      if (signature->params[i] == TYPE_POINTER) buffer_add_text(text, "?");
    }
    buffer_add_text(text, "\n");
  }
  if (signature->result == TYPE_VOID) return;
  buffer_add_text(text, "---@return ");
  if (entry->type != NULL) {
    write_type(text, entry->type->target, "");
  } else {
    write_code(text, (TypeCode)signature->result, signature->result_name);
  }
  buffer_add_text(text, "\n");
}

// Below the current folder, as reports name files.
static const char *plain_file(const char *file, char here[PATH_MAX]) {
  if (getcwd(here, PATH_MAX) == NULL) return file;
  size_t size = strlen(here);
  bool below = strncmp(file, here, size) == 0 && file[size] == '/';
  return below ? file + size + 1 : file;
}

static void write_place(Buffer *text, const char *file, int line) {
  char here[PATH_MAX];
  if (file == NULL || *file == '\0') return;
  buffer_format(text, "---%s:%d\n", plain_file(file, here), line);
}

static void write_native_place(Buffer *text, const TypesEntry *entry) {
  const Backing *native = entry->backing;
  if (native->signature != NULL) {
    buffer_format(text, "---`%s`\n---\n", native->signature->text);
  } else if (native->why_not != NULL) {
    buffer_format(text, "---Cannot be called from Lua: %s.\n---\n",
                  native->why_not);
  }
  write_place(text, native->file, native->line);
}

static void write_comment(Buffer *text, const TypesEntry *entry, size_t first) {
  bool own =
      entry->is != NULL && write_own_comment(text, entry->unit, entry->is);
  if (entry->is != NULL) {
    if (own) buffer_add_text(text, "---\n");
    write_place(text, entry->unit->file, entry->is->line);
  } else {
    write_native_place(text, entry);
  }
  if (!own && has_native_types(entry)) write_native_types(text, entry, first);
}

// "(self, by, ...)"
static void write_parameters(Buffer *text, const TypesEntry *entry,
                             size_t first) {
  buffer_add_text(text, "(");
  size_t count = parameter_count(entry);
  for (size_t i = first; i < count; i++) {
    if (i > first) buffer_add_text(text, ", ");
    write_parameter(text, entry, i);
  }
  bool is_lua_c = entry->is == NULL && entry->backing->signature != NULL &&
                  entry->backing->signature->lua;
  bool vararg = entry->is != NULL ? entry->is->vararg : is_lua_c;
  if (vararg) buffer_add_text(text, count > first ? ", ..." : "...");
  buffer_add_text(text, ")");
}

// ".Brain" or "[\"a b\"]" behind what is in `text`.
static void write_key(Buffer *text, const char *key, size_t size) {
  if (is_name(key, size)) {
    buffer_add_text(text, ".");
    buffer_add(text, key, size);
    return;
  }
  buffer_add_text(text, "[\"");
  for (size_t i = 0; i < size; i++) {
    char character = key[i];
    if (character == '"' || character == '\\') {
      buffer_format(text, "\\%c", character);
    } else if ((unsigned char)character < ' ') {
      buffer_format(text, "\\%03d", character);
    } else {
      buffer_add(text, &character, 1);
    }
  }
  buffer_add_text(text, "\"]");
}

// ---------------------------------------------------------------------------
// Modules
// ---------------------------------------------------------------------------

static void write_head(Buffer *text, const char *module, size_t size) {
  buffer_add_text(text, "---@meta ");
  buffer_add(text, module, size);
  buffer_add_text(text, "\n" TYPES_MARK ", which go by it; it is written again "
                        "when the program changes.\n\n");
}

// What stands before a path's last key, which is `size` bytes: "Brain".
static size_t table_size(const char *path) {
  const char *dot = strrchr(path, '.');
  return dot != NULL ? (size_t)(dot - path) : 0;
}

typedef struct ModuleText {
  Buffer *text;
  const TypesEntry *entries; // of the module
  size_t count;
  Buffer variable;  // "goblin"
  bool is_function; // the module is one itself
} ModuleText;

static void write_path(Buffer *text, const char *variable, const char *path,
                       size_t size) {
  buffer_add_text(text, variable);
  for (size_t at = 0; at < size;) {
    size_t length = strcspn(path + at, ".");
    if (length > size - at) length = size - at;
    write_key(text, path + at, length);
    at += length + 1;
  }
}

static bool has_table(const ModuleText *self, size_t index, const char *path,
                      size_t size) {
  for (size_t i = 0; i < index; i++) {
    const char *other = self->entries[i].path;
    if (strncmp(other, path, size) == 0 && other[size] == '.') return true;
  }
  return false;
}

// The tables that lead to an entry, each when it is first needed.
static void write_tables(const ModuleText *self, size_t index) {
  const char *path = self->entries[index].path;
  for (size_t size = strcspn(path, "."); path[size] != '\0';
       size += 1 + strcspn(path + size + 1, ".")) {
    if (has_table(self, index, path, size)) continue;
    write_path(self->text, buffer_text(&self->variable), path, size);
    buffer_add_text(self->text, " = {}\n\n");
  }
}

static void write_function(const ModuleText *self, size_t index) {
  const TypesEntry *entry = &self->entries[index];
  Buffer *text = self->text;
  bool is_global = entry->is != NULL && entry->is->shown == SHOWN_GLOBAL;
  if (*entry->path == '\0') return; // the module itself
  if (!is_global) write_tables(self, index);
  const char *path = entry->path;
  size_t before = table_size(path);
  const char *key = before > 0 ? path + before + 1 : path;
  bool method = entry->is != NULL && entry->is->has_self && before > 0 &&
                is_name(key, strlen(key));
  method |= entry->is != NULL && entry->is->has_self && !is_global &&
            is_name(key, strlen(key));
  write_comment(text, entry, method ? 1 : 0);
  Buffer name;
  buffer_init(&name, text->allocator);
  if (is_global) {
    write_path(&name, "_G", path, strlen(path));
  } else if (method) {
    write_path(&name, buffer_text(&self->variable), path, before);
    buffer_format(&name, ":%s", key);
  } else {
    write_path(&name, buffer_text(&self->variable), path, strlen(path));
  }
  const char *shown = buffer_text(&name);
  if (is_global && strncmp(shown, "_G.", 3) == 0) shown += 3;
  bool plain = strchr(shown, '[') == NULL;
  buffer_format(text, plain ? "function %s" : "%s = function", shown);
  write_parameters(text, entry, method ? 1 : 0);
  buffer_add_text(text, " end\n\n");
  text->failed |= name.failed;
  buffer_clear(&name);
}

// `---@class` of a module; a struct of that name keeps it.
static void write_module_class(const TypesText *self, Buffer *text,
                               const char *module, size_t size) {
  buffer_add_text(text, "---@class ");
  buffer_add(text, module, size);
  for (size_t i = 0; i < self->structs->count; i++) {
    const char *name = type_name(self->structs->items[i]);
    if (strlen(name) != size || memcmp(name, module, size) != 0) continue;
    buffer_add_text(text, ".module");
    break;
  }
  buffer_add_text(text, "\n");
}

// What the module's table has from the start: `return {MOST = 3}`, or `local M
// = {hp = 10}` and `return M`.
static const Value *exported_table(const GraftUnit *unit) {
  if (unit->return_statement < 0 || unit->statement_count == 0) return NULL;
  int index = unit->statements[unit->return_statement].value;
  if (index < 0) return NULL;
  const Value *value = &unit->values[index];
  if (value->kind != VALUE_NAME) return value;
  for (int i = 0; i < unit->assignment_count; i++) {
    const Assignment *assignment = &unit->assignments[i];
    if (assignment->value >= 0 && assignment->result == 0 &&
        path_equal(&assignment->target, &value->path)) {
      return &unit->values[assignment->value];
    }
  }
  return NULL;
}

static const char *constant_type(const char *text, size_t size) {
  if (*text == '"' || *text == '\'' || *text == '[') return "string";
  if (*text == 't' || *text == 'f') return "boolean";
  if (*text == 'n') return NULL; // nil
  bool hexadecimal = size > 1 && (text[1] == 'x' || text[1] == 'X');
  for (size_t i = 0; i < size; i++) {
    bool fraction = text[i] == '.' || text[i] == 'p' || text[i] == 'P';
    fraction |= !hexadecimal && (text[i] == 'e' || text[i] == 'E');
    if (fraction) return "number";
  }
  return "integer";
}

static void write_constant(Buffer *text, const GraftUnit *unit,
                           const Field *field) {
  const Value *value = &unit->values[field->value];
  if (field->kind != FIELD_NAME || value->kind != VALUE_CONSTANT) return;
  const char *source = unit_text(unit, value->range);
  size_t size = range_size(value->range);
  const char *type = constant_type(source, size);
  if (type == NULL || strpbrk(field->name, "\"\\\n") != NULL) return;
  bool plain = is_name(field->name, strlen(field->name));
  buffer_format(text, plain ? "---@field %s %s" : "---@field [\"%s\"] %s",
                field->name, type);
  bool is_short = size < 40 && memchr(source, '\n', size) == NULL;
  if (is_short) buffer_format(text, " # %.*s", (int)size, source);
  buffer_add_text(text, "\n");
}

static void write_constants(Buffer *text, const GraftUnit *unit) {
  const Value *table = exported_table(unit);
  if (table == NULL || table->kind != VALUE_TABLE) return;
  for (int i = table->first_field; i >= 0; i = unit->fields[i].next) {
    write_constant(text, unit, &unit->fields[i]);
  }
}

static void write_module_variable(const TypesText *self,
                                  const ModuleText *module) {
  Buffer *text = module->text;
  const TypesEntry *first = module->entries;
  const char *variable = buffer_text(&module->variable);
  if (!module->is_function) {
    write_module_class(self, text, first->module, first->module_size);
    const GraftUnit *unit = NULL;
    for (size_t i = 0; i < self->scripts->count && unit == NULL; i++) {
      const TypesModule *script = &self->scripts->items[i];
      bool same = strlen(script->name) == first->module_size &&
                  memcmp(script->name, first->module, first->module_size) == 0;
      if (same) unit = script->unit;
    }
    if (unit != NULL) write_constants(text, unit);
    buffer_format(text, "local %s = {}\n\n", variable);
    return;
  }
  write_comment(text, first, 0);
  buffer_format(text, "local function %s", variable);
  write_parameters(text, first, 0);
  buffer_add_text(text, " end\n\n");
}

void types_write_module(const TypesText *self, Buffer *text, size_t first,
                        size_t end) {
  ModuleText module = {.text = text,
                       .entries = self->entries->items + first,
                       .count = end - first};
  const TypesEntry *entry = module.entries;
  const char *name = entry->module;
  size_t size = entry->module_size;
  size_t start = size;
  while (start > 0 && name[start - 1] != '.') start--;
  buffer_init(&module.variable, text->allocator);
  write_variable(&module.variable, name + start, size - start);
  module.is_function = *entry->path == '\0';
  write_head(text, name, size);
  write_module_variable(self, &module);
  for (size_t i = 0; i < module.count; i++) write_function(&module, i);
  buffer_format(text, "return %s\n", buffer_text(&module.variable));
  text->failed |= module.variable.failed;
  buffer_clear(&module.variable);
}

void types_write_names(const TypesText *self, Buffer *text) {
  write_head(text, "_", 1);
  buffer_add_text(text, "---What can be called by name.\n"
                        "---@alias graft.Name\n"
                        "---| string\n");
  for (size_t i = 0; i < self->entries->count; i++) {
    const TypesEntry *entry = &self->entries->items[i];
    bool plain = strpbrk(entry->path, "\"\\\n") == NULL;
    if (!plain) continue;
    buffer_add_text(text, "---| \"");
    buffer_add(text, entry->module, entry->module_size);
    if (*entry->path != '\0') buffer_format(text, ".%s", entry->path);
    buffer_add_text(text, "\"\n");
  }
}

// ---------------------------------------------------------------------------
// Structs
// ---------------------------------------------------------------------------

static void write_struct(const TypesText *self, Buffer *text, const Type *type,
                         const char *class);

static const Type *innermost(const Type *type) {
  while (type != NULL &&
         (type->kind == KIND_POINTER || type->kind == KIND_ARRAY)) {
    type = type->target;
  }
  return type;
}

// Arrays of char take a string as well.
static void write_field(Buffer *text, const TypeMember *member,
                        const char *class) {
  bool plain = is_name(member->name, strlen(member->name));
  buffer_format(text, plain ? "---@field %s " : "---@field [\"%s\"] ",
                member->name);
  Buffer inner;
  buffer_init(&inner, text->allocator);
  buffer_format(&inner, "%s.%s", class, member->name);
  const Type *type = member->type;
  bool is_text = type->kind == KIND_ARRAY && is_character(type->target);
  bool is_flag = member->bit_size > 0 && type->kind == KIND_BOOL;
  if (is_text) buffer_add_text(text, "string|");
  if (is_flag) {
    buffer_add_text(text, "boolean");
  } else {
    write_type(text, type, buffer_text(&inner));
  }
  buffer_add_text(text, " # `");
  type_write(text, type, member->name);
  if (member->bit_size > 0) buffer_format(text, " : %d", member->bit_size);
  buffer_add_text(text, "`\n");
  text->failed |= inner.failed;
  buffer_clear(&inner);
}

static bool is_inline(const TypeMember *member) {
  return *member->name == '\0' && types_is_class(member->type);
}

static void write_fields(Buffer *text, const Type *type, const char *class) {
  for (size_t i = 0; i < type->member_count; i++) {
    const TypeMember *member = &type->members[i];
    if (is_inline(member)) {
      write_fields(text, member->type, class);
    } else if (*member->name != '\0') {
      write_field(text, member, class);
    }
  }
}

// Structs without a name that fields have, before what they are in.
static void write_inner(const TypesText *self, Buffer *text, const Type *type,
                        const char *class) {
  for (size_t i = 0; i < type->member_count; i++) {
    const TypeMember *member = &type->members[i];
    const Type *inner = innermost(member->type);
    if (is_inline(member)) {
      write_inner(self, text, member->type, class);
      continue;
    }
    if (inner == NULL || !types_is_class(inner) || *type_name(inner) != '\0') {
      continue;
    }
    Buffer name;
    buffer_init(&name, text->allocator);
    buffer_format(&name, "%s.%s", class, member->name);
    write_struct(self, text, inner, buffer_text(&name));
    text->failed |= name.failed;
    buffer_clear(&name);
  }
}

static bool is_method(const TypesEntry *entry, const Type *type) {
  const Type *function = entry->type;
  if (function == NULL || function->parameter_count == 0 ||
      entry->backing->signature == NULL) {
    return false;
  }
  const Type *first = function->parameters[0].type;
  return first->kind == KIND_POINTER && first->target != NULL &&
         types_is_class(first->target) &&
         strcmp(type_name(first->target), type_name(type)) == 0;
}

// A script's function over the native has its names for the parameters, and
// the receiver in front.
static void write_methods(const TypesText *self, Buffer *text, const Type *type,
                          const char *variable) {
  for (size_t i = 0; i < self->entries->count; i++) {
    const TypesEntry *entry = &self->entries->items[i];
    if (entry->backing == NULL || !is_method(entry, type)) continue;
    size_t base;
    if (type_member(type, entry->path, &base) != NULL) continue;
    TypesEntry native = *entry;
    native.is = NULL;
    native.unit = NULL;
    bool plain = is_name(entry->path, strlen(entry->path));
    write_comment(text, &native, plain ? 1 : 0);
    buffer_format(text, plain ? "function %s:%s" : "%s[\"%s\"] = function",
                  variable, entry->path);
    write_parameters(text, &native, plain ? 1 : 0);
    buffer_add_text(text, " end\n\n");
  }
}

// Where there is a view, there may be more behind it, as in C.
static void write_struct(const TypesText *self, Buffer *text, const Type *type,
                         const char *class) {
  write_inner(self, text, type, class);
  if (*type_name(type) != '\0') {
    buffer_add_text(text, "---`");
    type_write(text, type, "");
    buffer_add_text(text, "`\n---\n");
  }
  write_place(text, type->file, type->line);
  buffer_format(text, "---@class %s\n", class);
  write_fields(text, type, class);
  buffer_format(text, "---@field [integer] %s\n", class);
  Buffer variable;
  buffer_init(&variable, text->allocator);
  write_variable(&variable, class, strlen(class));
  buffer_format(text, "local %s = {}\n\n", buffer_text(&variable));
  if (*type_name(type) != '\0') {
    write_methods(self, text, type, buffer_text(&variable));
  }
  text->failed |= variable.failed;
  buffer_clear(&variable);
}

static void write_enum(Buffer *text, const Type *type) {
  write_place(text, type->file, type->line);
  buffer_add_text(text, "---@alias ");
  write_class(text, type);
  buffer_add_text(text, "\n---| integer\n");
  for (size_t i = 0; i < type->enumerator_count; i++) {
    const TypeEnumerator *enumerator = &type->enumerators[i];
    buffer_format(text, "---| %lld # %s\n", (long long)enumerator->value,
                  enumerator->name);
  }
  buffer_add_text(text, "\n");
}

void types_write_structs(const TypesText *self, Buffer *text) {
  write_head(text, "_", 1);
  for (size_t i = 0; i < self->structs->count; i++) {
    const Type *type = self->structs->items[i];
    if (type->kind == KIND_ENUM) {
      write_enum(text, type);
      continue;
    }
    Buffer class;
    buffer_init(&class, text->allocator);
    write_class(&class, type);
    // Each in a block of its own: Lua has room for 200 local variables.
    buffer_add_text(text, "do\n");
    write_struct(self, text, type, buffer_text(&class));
    buffer_add_text(text, "end\n\n");
    text->failed |= class.failed;
    buffer_clear(&class);
  }
}
