// SPDX-License-Identifier: MIT
//
// The slots of scripts: what they are given, and putting it back.

#include "base/error.h"
#include "engine.h"

BackingDesc engine_backing(const Script *script, int definition) {
  const GraftUnit *unit = script->unit;
  const Definition *origin = &unit->definitions[definition];
  return (BackingDesc){.layer = LAYER_SCRIPT,
                       .kind = BACKING_SCRIPT,
                       .file = script->path,
                       .line = origin->line,
                       .source = unit_text(unit, origin->whole),
                       .source_size = range_size(origin->whole)};
}

GraftStatus engine_keep_slot(GraftEngine *self, EngineSlots *slots, GraftFn *fn,
                             GraftError *error) {
  SlotSnapshot *snapshot = fn != NULL ? slot_snapshot(fn) : NULL;
  SlotSnapshot **place =
      snapshot != NULL ? ARRAY_PUSH(&self->allocator, &slots->snapshots) : NULL;
  if (place != NULL) {
    *place = snapshot;
    return GRAFT_OK;
  }
  slot_snapshot_free(snapshot);
  return error_memory(error);
}

static GraftStatus bind_slot(GraftEngine *self, Script *script, int definition,
                             EngineSlots *slots, GraftError *error) {
  int ref = 0;
  GraftStatus status = script_find_shown(script, definition, &ref, error);
  if (status < 0 || ref == 0) return status;
  const char *name = script->unit->definitions[definition].name;
  GraftFn *fn = registry_add(self->registry, name);
  BackingDesc desc = engine_backing(script, definition);
  desc.script = (uint64_t)ref;
  status = engine_keep_slot(self, slots, fn, error);
  if (status == GRAFT_OK) status = slot_set(fn, &desc, error);
  if (status < 0) {
    vm_release(self->vm, (uint64_t)ref);
  } else {
    script->slot_refs[definition] = ref;
  }
  return status;
}

GraftStatus engine_bind_slots(GraftEngine *self, Script *script,
                              EngineSlots *slots, GraftError *error) {
  GraftStatus status = GRAFT_OK;
  for (int i = 0; i < script->unit->definition_count && status == GRAFT_OK;
       i++) {
    if (script->unit->definitions[i].shown != SHOWN_NOT &&
        script->slot_refs[i] == 0) {
      status = bind_slot(self, script, i, slots, error);
    }
  }
  return status;
}

void engine_restore_slots(GraftEngine *self, EngineSlots *slots) {
  engine_undo_swaps(self, slots->first_swap);
  self->undoing = true;
  while (slots->snapshots.count > 0) {
    slot_restore(slots->snapshots.items[--slots->snapshots.count]);
  }
  self->undoing = false;
}

void engine_forget_slots(const GraftEngine *self, EngineSlots *slots) {
  for (size_t i = 0; i < slots->snapshots.count; i++) {
    slot_snapshot_free(slots->snapshots.items[i]);
  }
  memory_free(&self->allocator, slots->snapshots.items);
}
