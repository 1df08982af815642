// SPDX-License-Identifier: MIT
//
// A whole host, as the README shows it: it registers a native, watches
// scripts/ below the folder it is started in, and calls Lua once a frame.

#include <graft.h>
#include <stdio.h>

static double gravity(double mass) {
  return mass * 9.81;
}

int main(void) {
  GraftEngine *engine = NULL;
  GraftError error;
  if (graft_engine_open(&(GraftEngineDesc){0}, &engine, &error) == GRAFT_OK &&
      graft_engine_register(engine, "physics.gravity", (GraftNative)gravity,
                            "double(double)", &error) == GRAFT_OK &&
      graft_engine_watch(engine, "scripts", &error) == GRAFT_OK &&
      graft_engine_require(engine, "main", &error) == GRAFT_OK) {
    GraftFn *update = graft_engine_fn(engine, "main.update");
    GraftCall call = {.results = &(GraftValue){0}, .result_capacity = 1};
    while (call.result_count == 0) {     // until main.update returns a value
      graft_engine_update(engine, NULL); // saved files take effect here
      if (graft_fn_call(update, &call, &error) < 0) puts(error.message);
    }
  } else {
    printf("%s:%d: %s\n", error.file, error.line, error.message);
  }
  graft_engine_close(engine);
}
