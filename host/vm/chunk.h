// SPDX-License-Identifier: MIT
//
// Chunks: texts that were compiled for a script, with the prototypes in them.

#ifndef GRAFT_VM_CHUNK_H
#define GRAFT_VM_CHUNK_H

#include "vm/script.h"
#include "vm/state.h"

// A chunk of the function on top of L, which stays there. Its prototypes are
// known from now on, as SCRIPT_NONE. May raise, and then there is no chunk.
ScriptChunk *chunk_new(Script *script, lua_State *L);

// NULL-safe.
void chunk_free(ScriptChunk *self);

// Says what the `index`-th prototype is; the main function is the first, the
// others follow in the order of their `function` tokens.
void chunk_map(ScriptChunk *self, size_t index, int definition);

// Pushes the function that runs a script's text, which is compiled now. Raises
// the VM's message.
void script_push_chunk(Script *self, lua_State *L);

// Makes the function on top of L, a chunk that runs, the one of the script. May
// raise.
void script_adopt(Script *self, lua_State *L);
// That chunk has returned.
void script_leave(Script *self, lua_State *L);

// Calls the chunk below its arguments on L; leaves its first result. Raises
// what the chunk raises.
void script_run(Script *self, lua_State *L, int arg_count);

// The hook that reads a chunk's variables when it returns, and setting it.
void script_return_hook(lua_State *L, lua_Debug *frame);
void script_watch_return(lua_State *L);

// Says that the chunk has returned, and that the value on top of L, which is
// popped, is what `require` gives.
void script_finish(Script *self, lua_State *L);

// Pushes the module's value or its globals.
void script_push_root(Script *self, lua_State *L, Shown shown);

// Pushes what is where the module shows a definition, by raw access.
void script_push_shown(Script *self, lua_State *L,
                       const Definition *definition);

#endif
