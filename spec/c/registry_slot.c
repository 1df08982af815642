// SPDX-License-Identifier: MIT
//
// Slots: layers, versions, pins, history, removal, undo, info, memory. Script
// backings are numbers here, and a table counts who was released.

#include "check.h"
#include "registry/slot.h"

enum { SCRIPTS = 256 };

typedef struct World {
  CheckMemory memory;
  Registry *registry;
  int released[SCRIPTS];
  int switches;
  char last_switch[100];
} World;

static GraftStatus call_script(void *context, GraftFn *fn,
                               const Backing *backing, GraftCall *call,
                               GraftError *error) {
  (void)context, (void)fn, (void)error;
  if (call->result_capacity > 0) {
    call->results[0] = (GraftValue){.type = GRAFT_INTEGER};
    call->results[0].as.integer = (int64_t)backing->script;
    call->result_count = 1;
  }
  return GRAFT_OK;
}

static void release_script(void *context, uint64_t script) {
  ((World *)context)->released[script]++;
}

static void on_switch(void *context, GraftFn *fn, const Backing *old_backing,
                      const Backing *new_backing) {
  World *world = context;
  world->switches++;
  snprintf(world->last_switch, sizeof world->last_switch, "%s %s %u -> %s %u",
           fn->name, backing_kind_text(old_backing),
           old_backing != NULL ? old_backing->version : 0,
           backing_kind_text(new_backing),
           new_backing != NULL ? new_backing->version : 0);
}

static bool world_init(World *self, long fail_at) {
  *self = (World){0};
  check_memory_init(&self->memory, fail_at);
  self->registry = registry_new(&(RegistryDesc){
      .allocator = &self->memory.allocator,
      .script = {call_script, release_script, self},
      .context = self,
      .on_switch = on_switch,
  });
  return self->registry != NULL;
}

static void world_clear(World *self, const char *name) {
  registry_free(self->registry);
  CHECK(name, self->memory.alive == 0);
}

static int native_one(void) {
  return 1001;
}
static int native_two(void) {
  return 1002;
}

static GraftStatus set_native(GraftFn *fn, int layer, int (*code)(void),
                              GraftError *error) {
  const GraftAllocator *allocator = fn->registry->desc.allocator;
  Signature *signature;
  GraftStatus status =
      signature_parse(allocator, "int(void)", &signature, error);
  if (status < 0) return status;
  status = slot_set(fn,
                    &(BackingDesc){.layer = layer,
                                   .code = (GraftNative)code,
                                   .signature = signature},
                    error);
  signature_free(allocator, signature);
  return status;
}

static GraftStatus set_script(GraftFn *fn, int layer, uint64_t script,
                              int line) {
  return slot_set(fn,
                  &(BackingDesc){.layer = layer,
                                 .kind = BACKING_SCRIPT,
                                 .script = script,
                                 .file = "physics.lua",
                                 .line = line,
                                 .source = "function() end",
                                 .source_size = 14},
                  NULL);
}

// What a call gives: the script's number or 1001, 1002; -1 for an error.
static int64_t call(GraftFn *fn) {
  GraftValue result;
  GraftCall made = {.results = &result, .result_capacity = 1};
  if (graft_fn_call(fn, &made, NULL) < 0) return -1;
  return result.as.integer;
}

static void names(void) {
  World world;
  world_init(&world, 0);
  char name[32];
  GraftFn *first = registry_add(world.registry, "first");
  for (int i = 0; i < 1000; i++) {
    snprintf(name, sizeof name, "module.f%d", i);
    registry_add(world.registry, name);
  }
  CHECK("a slot does not move",
        registry_find(world.registry, "first") == first &&
            registry_add(world.registry, "first") == first);
  CHECK("slots are in order of adding",
        registry_count(world.registry) == 1001 &&
            registry_at(world.registry, 0) == first &&
            strcmp(graft_fn_name(registry_at(world.registry, 1000)),
                   "module.f999") == 0);
  CHECK("a name that was never added",
        registry_find(world.registry, "second") == NULL);
  world_clear(&world, "names: nothing leaks");
}

static void layers(void) {
  World world;
  world_init(&world, 0);
  GraftFn *fn = registry_add(world.registry, "physics.step");
  GraftError error;
  GraftCall made = {0};
  CHECK("an empty slot", graft_fn_call(fn, &made, &error) == GRAFT_ENOTFOUND);
  check_text("an empty slot", error.message,
             "physics.step is not defined anywhere");
  set_script(fn, LAYER_SCRIPT, 1, 3);
  CHECK("script alone", call(fn) == 1);
  set_native(fn, LAYER_BUILTIN, native_one, NULL);
  CHECK("built-in stays below a script", call(fn) == 1);
  set_native(fn, LAYER_NATIVE, native_two, NULL);
  CHECK("native file stays below a script", call(fn) == 1);
  int before = world.switches;
  set_script(fn, LAYER_MOD + 1, 2, 3);
  CHECK("mod over script", call(fn) == 2 && world.switches == before + 1);
  set_script(fn, LAYER_MOD, 3, 3);
  CHECK("an earlier mod stays below", call(fn) == 2);
  set_native(fn, LAYER_MOD + 2, native_one, NULL);
  CHECK("a native of a later mod is over it", call(fn) == 1001);
  check_text("a switch is told", world.last_switch,
             "physics.step script 4 -> native 6");
  slot_remove(fn, LAYER_MOD + 2, "mod unloaded", NULL);
  CHECK("the next one takes over", call(fn) == 2);
  slot_remove(fn, LAYER_MOD, "mod unloaded", NULL);
  CHECK("removing below changes nothing", call(fn) == 2);
  slot_remove(fn, LAYER_MOD + 1, "mod unloaded", NULL);
  CHECK("down to the script", call(fn) == 1);
  slot_remove(fn, LAYER_SCRIPT, "deleted", NULL);
  CHECK("down to the native file", call(fn) == 1002);
  slot_remove(fn, LAYER_NATIVE, "deleted", NULL);
  CHECK("down to the built-in", call(fn) == 1001);
  CHECK("nothing to remove",
        slot_remove(fn, LAYER_NATIVE, "x", &error) == GRAFT_ENOTFOUND);
  check_text("nothing to remove", error.message,
             "physics.step has no backing in layer native, it has native "
             "version 2 (built-in)");
  CHECK("switches are told once each", world.switches == 7);
  world_clear(&world, "layers: nothing leaks");
}

static void removal(void) {
  World world;
  world_init(&world, 0);
  GraftFn *fn = registry_add(world.registry, "ai.goblin.think");
  GraftError error;
  GraftCall made = {0};
  set_script(fn, LAYER_SCRIPT, 1, 12);
  slot_remove(fn, LAYER_SCRIPT, "deleted from ai/goblin.lua:12", NULL);
  check_text("switch to none is told", world.last_switch,
             "ai.goblin.think script 1 -> none 0");
  CHECK("removed", graft_fn_call(fn, &made, &error) == GRAFT_EREMOVED);
  check_text("removed", error.message,
             "ai.goblin.think was removed: deleted from ai/goblin.lua:12");
  GraftInfo info;
  graft_fn_info(fn, &info);
  check_text("info of a removed one: kind", info.kind, "none");
  check_text("info of a removed one: layer", info.layer, "none");
  check_text("info of a removed one: removed", info.removed,
             "deleted from ai/goblin.lua:12");
  CHECK("the history keeps it",
        world.released[1] == 0 && slot_history_count(fn) == 1);
  CHECK("it can be put back",
        slot_reinstate(fn, 1, NULL) == 0 && call(fn) == 1);
  graft_fn_info(fn, &info);
  CHECK("and is removed no more", info.removed == NULL && info.version == 1);
  world_clear(&world, "removal: nothing leaks");
  CHECK("closing releases the script once", world.released[1] == 1);
}

static void pins(void) {
  World world;
  world_init(&world, 0);
  GraftFn *fn = registry_add(world.registry, "physics.step");
  GraftError error;
  CHECK("pin of an empty slot",
        slot_pin_text(fn, "script", &error) == GRAFT_ENOTFOUND);
  check_text("pin of an empty slot", error.message,
             "physics.step has no script backing, it has nothing");
  CHECK("pin to a version of an empty slot",
        slot_pin_text(fn, "1", &error) == GRAFT_ENOTFOUND);
  check_text("pin to a version of an empty slot", error.message,
             "physics.step has no version 1, it has no versions");
  set_native(fn, LAYER_BUILTIN, native_one, NULL);
  CHECK("pin to what it lacks",
        slot_pin(fn, GRAFT_PIN_SCRIPT, 0, &error) == GRAFT_ENOTFOUND);
  check_text("pin to what it lacks", error.message,
             "physics.step has no script backing, it has native version 1 "
             "(built-in)");
  set_script(fn, LAYER_SCRIPT, 2, 3);
  set_script(fn, LAYER_SCRIPT, 3, 3);
  set_script(fn, LAYER_MOD, 4, 3);
  slot_pin_text(fn, "native", NULL);
  CHECK("pinned to native", call(fn) == 1001);
  set_native(fn, LAYER_NATIVE, native_two, NULL);
  CHECK("the highest native", call(fn) == 1002);
  set_script(fn, LAYER_SCRIPT, 5, 3);
  CHECK("a new script does not move the pin", call(fn) == 1002);
  slot_pin_text(fn, "2", NULL);
  CHECK("pinned to a version", call(fn) == 2);
  CHECK("a version it lacks",
        slot_pin_text(fn, "9", &error) == GRAFT_ENOTFOUND);
  check_text("a version it lacks", error.message,
             "physics.step has no version 9, it has versions 1, 2, 3, 4, 5, 6");
  CHECK("a failed pin changes nothing", call(fn) == 2);
  CHECK("no such word", slot_pin_text(fn, "lua", &error) == GRAFT_EARG);
  check_text("no such word", error.message,
             "'lua' is not native, script, auto or a version");
  CHECK("no such number",
        slot_pin_text(fn, "-1", &error) == GRAFT_EARG &&
            slot_pin_text(fn, "3x", &error) == GRAFT_EARG &&
            slot_pin_text(fn, "", &error) == GRAFT_EARG &&
            slot_pin_text(fn, "99999999999999999999", &error) == GRAFT_EARG);
  for (int i = 0; i < 40; i++) set_script(fn, LAYER_SCRIPT, 6, 3);
  CHECK("a pinned version outlives the history",
        call(fn) == 2 && world.released[2] == 0);
  GraftInfo info;
  graft_fn_info(fn, &info);
  CHECK("info tells the pin",
        info.pin == GRAFT_PIN_VERSION && info.version == 2);
  slot_pin_text(fn, "script", NULL);
  CHECK("pinned to script, the highest", call(fn) == 4);
  CHECK("the version is let go", world.released[2] == 1);
  slot_remove(fn, LAYER_MOD, "x", NULL);
  CHECK("the next script", call(fn) == 6);
  slot_remove(fn, LAYER_SCRIPT, "x", NULL);
  CHECK("no script left: the native takes over", call(fn) == 1002);
  set_script(fn, LAYER_SCRIPT, 7, 3);
  slot_pin_text(fn, "native", NULL);
  slot_pin_text(fn, "auto", NULL);
  CHECK("auto", call(fn) == 7);
  world_clear(&world, "pins: nothing leaks");
}

static void history(void) {
  World world;
  world_init(&world, 0);
  GraftFn *fn = registry_add(world.registry, "ai.goblin.think");
  for (uint64_t i = 1; i <= 20; i++) set_script(fn, LAYER_SCRIPT, i, (int)i);
  CHECK("16 versions are kept", slot_history_count(fn) == SLOT_HISTORY &&
                                    slot_history(fn, 0)->version == 5 &&
                                    slot_history(fn, 15)->version == 20);
  CHECK("older ones are released",
        world.released[4] == 1 && world.released[5] == 0);
  const Backing *old = slot_find_version(fn, 7);
  CHECK("a version with source",
        old != NULL && old->script == 7 && old->line == 7 &&
            strcmp(old->file, "physics.lua") == 0 &&
            strcmp(old->source, "function() end") == 0);
  CHECK("a version that is gone", slot_find_version(fn, 4) == NULL);
  CHECK("rollback", slot_reinstate(fn, 7, NULL) == 0 && call(fn) == 7);
  GraftError error;
  CHECK("rollback to none",
        slot_reinstate(fn, 4, &error) == GRAFT_ENOTFOUND &&
            strstr(error.message, "has no version 4, it has versions 5, 6, 7, "
                                  "8") != NULL);
  set_script(fn, LAYER_SCRIPT, 21, 1);
  CHECK("the next version has the next number",
        fn->active->version == 21 && call(fn) == 21);
  // A function that only moved.
  int switches = world.switches;
  slot_set(fn,
           &(BackingDesc){.layer = LAYER_SCRIPT,
                          .kind = BACKING_SCRIPT,
                          .script = 22,
                          .file = "physics.lua",
                          .line = 90,
                          .keep_version = true},
           NULL);
  CHECK("a move keeps the version",
        fn->active->version == 21 && fn->active->line == 90 && call(fn) == 22);
  CHECK("a move replaces the history's entry",
        slot_history_count(fn) == SLOT_HISTORY &&
            slot_find_version(fn, 21)->line == 90 && world.released[21] == 1);
  CHECK("a move is told", world.switches == switches + 1);
  world_clear(&world, "history: nothing leaks");
  int wrong = 0;
  for (int i = 1; i <= 22; i++) wrong += world.released[i] != 1;
  CHECK("each script is released once", wrong == 0);
}

static void undo(void) {
  World world;
  world_init(&world, 0);
  GraftFn *fn = registry_add(world.registry, "ai.goblin.think");
  set_native(fn, LAYER_BUILTIN, native_one, NULL);
  set_script(fn, LAYER_SCRIPT, 1, 1);
  slot_pin_text(fn, "native", NULL);
  SlotSnapshot *snapshot = slot_snapshot(fn);
  slot_pin_text(fn, "auto", NULL);
  for (uint64_t i = 2; i < 30; i++) set_script(fn, LAYER_SCRIPT, i, 1);
  set_script(fn, LAYER_MOD, 30, 1);
  slot_remove(fn, LAYER_BUILTIN, "x", NULL);
  slot_remove(fn, LAYER_SCRIPT, "x", NULL);
  slot_remove(fn, LAYER_MOD, "x", NULL);
  slot_restore(snapshot);
  GraftInfo info;
  graft_fn_info(fn, &info);
  CHECK("undo puts everything back",
        info.version == 1 && info.pin == GRAFT_PIN_NATIVE &&
            info.removed == NULL && slot_history_count(fn) == 2 &&
            call(fn) == 1001);
  CHECK("undo releases what came after", world.released[1] == 0 &&
                                             world.released[2] == 1 &&
                                             world.released[30] == 1);
  slot_pin_text(fn, "auto", NULL);
  CHECK("undo keeps the old script", call(fn) == 1);
  set_script(fn, LAYER_SCRIPT, 31, 1);
  CHECK("undo takes the numbers back", fn->active->version == 3);
  snapshot = slot_snapshot(fn);
  set_script(fn, LAYER_SCRIPT, 32, 1);
  slot_snapshot_free(snapshot);
  slot_snapshot_free(NULL);
  CHECK("a snapshot that is not needed", call(fn) == 32);
  GraftFn *removed = registry_add(world.registry, "ai.goblin.gone");
  set_script(removed, LAYER_SCRIPT, 40, 1);
  slot_remove(removed, LAYER_SCRIPT, "deleted from a.lua:1", NULL);
  snapshot = slot_snapshot(removed);
  set_script(removed, LAYER_SCRIPT, 41, 1);
  slot_restore(snapshot);
  graft_fn_info(removed, &info);
  check_text("undo of a return", info.removed, "deleted from a.lua:1");
  world_clear(&world, "undo: nothing leaks");
}

static void info(void) {
  World world;
  world_init(&world, 0);
  GraftFn *fn = registry_add(world.registry, "physics.step");
  set_native(fn, LAYER_BUILTIN, native_one, NULL);
  GraftInfo info;
  graft_fn_info(fn, &info);
  check_text("info: name", info.name, "physics.step");
  check_text("info: kind", info.kind, "native");
  check_text("info: layer", info.layer, "built-in");
  check_text("info: signature", info.signature, "int(void)");
  CHECK("info: rest", info.version == 1 && info.file == NULL &&
                          info.line == 0 && info.calls == 0 &&
                          info.pin == GRAFT_PIN_AUTO && info.removed == NULL);
  set_script(fn, LAYER_MOD + 3, 1, 12);
  call(fn);
  call(fn);
  graft_fn_info(fn, &info);
  check_text("info of a script: kind", info.kind, "script");
  check_text("info of a script: layer", info.layer, "mod");
  check_text("info of a script: file", info.file, "physics.lua");
  check_text("info of a script: signature of the native beneath",
             info.signature, "int(void)");
  CHECK("info of a script: rest", info.mod == 3 && info.version == 2 &&
                                      info.line == 12 && info.calls == 2);
  world_clear(&world, "info: nothing leaks");
}

// All that can run out of memory. False when it did, and then the slot is as
// it was.
static bool all_changes(World *world) {
  GraftFn *fn = registry_add(world->registry, "physics.step");
  if (fn == NULL) return false;
  GraftError error = {.status = GRAFT_OK};
  if (set_native(fn, LAYER_BUILTIN, native_one, &error) < 0) return false;
  for (uint64_t i = 1; i <= 3; i++) {
    int64_t before = call(fn);
    if (set_script(fn, LAYER_SCRIPT, i, 1) < 0) {
      world->released[i] = 1; // still ours
      return call(fn) != before;
    }
  }
  if (slot_pin_text(fn, "native", &error) < 0) return call(fn) != 3;
  SlotSnapshot *snapshot = slot_snapshot(fn);
  if (snapshot == NULL) return call(fn) != 1001;
  GraftStatus status = slot_remove(fn, LAYER_BUILTIN, "deleted", &error);
  if (status == GRAFT_OK) status = slot_reinstate(fn, 2, &error);
  slot_restore(snapshot);
  if (status < 0 || call(fn) != 1001) return false;
  return graft_fn_typed(fn, "int(void)", &error) != NULL &&
         graft_fn_pointer(fn, "int(void)", &error) != NULL;
}

static void out_of_memory(void) {
  long at = 1;
  int leaks = 0;
  for (bool done = false; !done; at++) {
    World world;
    if (world_init(&world, at)) {
      done = all_changes(&world);
      registry_free(world.registry);
    }
    leaks += world.memory.alive != 0;
    for (int i = 0; i < SCRIPTS; i++) leaks += world.released[i] > 1;
    if (done && world.memory.calls >= at) leaks++;
  }
  CHECK("out of memory at any call leaks nothing", leaks == 0);
  CHECK("out of memory was tried", at > 30);
}

int main(void) {
  names();
  layers();
  removal();
  pins();
  history();
  undo();
  info();
  out_of_memory();
  return check_status();
}
