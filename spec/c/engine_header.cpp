// SPDX-License-Identifier: MIT
//
// graft.h as C++: it compiles with nothing in front, and its calls link.

#include "graft.h"

#include <cstdio>

namespace {

double gravity(double mass) {
  return mass * 2;
}

bool calls_a_native(GraftEngine *engine) {
  GraftError error;
  graft_engine_register(engine, "physics.gravity",
                        reinterpret_cast<GraftNative>(gravity),
                        "double(double)", &error);
  GraftFn *fn = graft_engine_fn(engine, "physics.gravity");
  GraftNative const *typed = graft_fn_typed(fn, "double(double)", &error);
  if (typed == nullptr) return false;
  auto *code = reinterpret_cast<double (*)(double)>(GRAFT_LOAD(typed));
  return code(21) == 42;
}

} // namespace

int main() {
  GraftEngineDesc desc{};
  GraftEngine *engine = nullptr;
  GraftError error;
  bool passed = graft_engine_open(&desc, &engine, &error) == GRAFT_OK &&
                calls_a_native(engine);
  graft_engine_close(engine);
  std::puts(passed ? "ok graft.h as C++" : "FAIL graft.h as C++");
  return passed ? 0 : 1;
}
