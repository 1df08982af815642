// SPDX-License-Identifier: MIT
//
// Types for editors: LuaCATS files (`---@meta`) for lua-language-server: the
// `graft` module, each module of scripts and natives, and the C structs that
// natives use. They lie in a folder that the user names, and are written again
// after transactions that change what they say.
//
//   engine_types.c        what there is to describe, and when
//   engine_types_text.c   a module, a function, a struct as text
//   engine_types_files.c  the folder: written atomically and only where the
//                         contents differ; what is gone is removed
//
// Scripts that nothing has loaded are parsed, not run, so that the first file
// that a user opens is described. Traded away: those are read once, when the
// folder is first written; types of values that scripts make.

#ifndef GRAFT_ENGINE_TYPES_H
#define GRAFT_ENGINE_TYPES_H

#include "engine.h"
#include "state/type.h"

// Begins the second line of each file that is ours.
#define TYPES_MARK "-- Written by Graft for editors"

// Something that a module has.
typedef struct TypesEntry {
  const char *module; // "ai.goblin"; borrowed, `module_size` bytes of it
  size_t module_size;
  const char *path;       // within: "Brain.tick"; "": the module itself
  const GraftUnit *unit;  // of a script; else NULL
  const Definition *is;   // the script's
  const GraftFn *fn;      // of a native, which a script's may override
  const Backing *backing; // the native; NULL: there is none
  const Type *type;       // of the native, KIND_FUNCTION; NULL: not known
} TypesEntry;

typedef ARRAY(TypesEntry) TypesEntries;   // by module and path
typedef ARRAY(const Type *) TypesStructs; // with names, by name, each once

// A script that a module's constants are read from.
typedef struct TypesModule {
  const char *name;
  const GraftUnit *unit;
} TypesModule;
typedef ARRAY(TypesModule) TypesModules;

typedef struct TypesFile {
  char *path; // below the folder
  uint64_t hash;
  bool needed; // it was written, or is to stay, this time
} TypesFile;

// A script that nobody has loaded.
typedef struct TypesScript {
  char *path;
  char *module;
  GraftUnit *unit; // NULL: it is broken, and what was written of it stays
} TypesScript;

typedef struct Types {
  GraftEngine *engine;
  const GraftAllocator *allocator; // the engine's
  char *folder;
  ARRAY(TypesFile *) files;
  Map by_path; // → TypesFile
  ARRAY(TypesScript) scripts;
  bool keep;        // they are written again
  bool dirty;       // something has changed since
  bool has_scanned; // the folder, and the roots
  GraftError shown; // the last failure, so that it is told once
} Types;

void types_free(Types *self); // NULL-safe
// An event may mean that something has changed.
void types_note(Types *self, const GraftEvent *event);

// The `graft` module, from bindings/graft_types.lua.
extern const char types_of_graft[];

// --- engine_types_text.c -----------------------------------------------------

typedef struct TypesText {
  const TypesEntries *entries;
  const TypesStructs *structs;
  const TypesModules *scripts;
} TypesText;

// The file of the module whose entries are from `first` up to `end`.
void types_write_module(const TypesText *self, Buffer *text, size_t first,
                        size_t end);
void types_write_structs(const TypesText *self, Buffer *text);
// All names that can be called, for completion in strings.
void types_write_names(const TypesText *self, Buffer *text);
// Whether a C type is a class to LuaCATS: a struct or a union.
bool types_is_class(const Type *type);

// --- engine_types_files.c ----------------------------------------------------

// Whether the folder may be written to: not where scripts are looked for.
GraftStatus types_check_folder(const Types *self, GraftError *error);
// Notes the files in the folder that are ours.
GraftStatus types_scan_folder(Types *self, GraftError *error);
// The path of a module's file, such as "ai/goblin.lua".
void types_path_of(const char *module, size_t size, Buffer *path);
// Keeps a file as it is.
void types_keep_file(Types *self, const char *path);
GraftStatus types_write_file(Types *self, const char *path, const Buffer *text,
                             GraftError *error);
// Removes ours that were not needed.
void types_remove_rest(Types *self);
// Reads the scripts below the roots that are not loaded.
GraftStatus types_read_scripts(Types *self, GraftError *error);
void types_clear_files(Types *self);

#endif
