// SPDX-License-Identifier: MIT
//
// Project: a folder of Lua files that are made up, and an engine that has
// loaded them. All files are like one another, so that sizes compare.

#ifndef GRAFT_TOOLS_BENCH_PROJECT_H
#define GRAFT_TOOLS_BENCH_PROJECT_H

#include "base/buffer.h"
#include "vm/compat.h"

enum { TEXT_EDIT_NONE = -1, TEXT_EDIT_ALL = -2 };

typedef struct TextDesc {
  int functions;   // in the module
  int edited;      // which of them is edited, from 0, or TEXT_EDIT_...
  int variant;     // the edit: texts of two variants differ in one number
  int blank_lines; // above everything
} TextDesc;

// Adds the text of a module: `functions` functions f1, f2, … of six lines.
void text_make(Buffer *buffer, const TextDesc *desc);

typedef struct Project {
  char folder[64];
  GraftEngine *engine;
  lua_State *L; // the engine's
  bool watched;
} Project;

// A new folder and an engine; ends the program when there cannot be one.
Project *project_new(void);
Project *project_new_with(const GraftEngineDesc *desc);
void project_free(Project *self); // removes the folder, too

// Writes or replaces FOLDER/`name`.
void project_write(const Project *self, const char *name, const char *text);
void project_path(const Project *self, const char *name, char path[128]);

// Makes the folder a root; `watched`: watches it as well.
void project_open(Project *self, bool watched);
void project_require(Project *self, const char *module);
void project_run_text(Project *self, const char *text);

// Reloads a file and ends the program unless that is a patch that succeeds.
void project_reload(Project *self, const char *name);

// The same in a watched folder, in two steps: until the watcher has a change
// ready for the host, and taking it.
void project_wait(Project *self);
void project_update(Project *self);

#endif
