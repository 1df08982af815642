// SPDX-License-Identifier: MIT
//
// N6: functions that changed together switch together, whatever threads do
// meanwhile. Also built with ThreadSanitizer (`ninja graft_tsan`).

#include "guard_support.h"

// Sixteen versions of two functions, which say which they are.
#define VERSIONS(X)                                                            \
  X(0)                                                                         \
  X(1)                                                                         \
  X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define DEFINE(n)                                                              \
  NATIVE int first_##n(int value) {                                            \
    return value + n;                                                          \
  }                                                                            \
  NATIVE int second_##n(int value) {                                           \
    return value + n;                                                          \
  }
VERSIONS(DEFINE)
#define FIRST(n) CODE(first_##n),
#define SECOND(n) CODE(second_##n),
static const GraftNative firsts[] = {VERSIONS(FIRST)};
static const GraftNative seconds[] = {VERSIONS(SECOND)};

enum { COUNT = 16, THREADS = 4, ROUNDS = 12, OTHERS = 2000 };

typedef int Small(int);

static Native first, second, others[OTHERS];
static atomic_int version_wrong;
static atomic_long calls;
static atomic_bool stop;

static void *call_both(void *argument) {
  (void)argument;
  int seen = 0;
  while (!atomic_load(&stop)) {
    int a = CALL(first, Small)(0);
    int b = CALL(second, Small)(0);
    if (a < seen || b < a) atomic_fetch_add(&version_wrong, 1);
    seen = b;
    atomic_fetch_add(&calls, 1);
  }
  return NULL;
}

// Others lie between the two, so that there is time to see one without the
// other.
static void switch_both(int version, bool probation) {
  static GuardChange changes[OTHERS + 2];
  for (int i = 0; i < OTHERS; i++) {
    changes[i + 1] = (GuardChange){.fn = others[i].fn, .code = firsts[version]};
  }
  changes[0] = (GuardChange){
      .fn = first.fn, .code = firsts[version], .probation = probation};
  changes[OTHERS + 1] = (GuardChange){
      .fn = second.fn, .code = seconds[version], .probation = probation};
  guard_switch_begin(guard, changes, OTHERS + 2, NULL);
  if (version % 5 == 4) {
    guard_switch_cancel(guard);
    guard_switch_begin(guard, changes, OTHERS + 2, NULL);
  }
  guard_switch_commit(guard);
}

static void run_round(bool probation) {
  first = new_native(false);
  second = new_native(false);
  switch_both(0, probation);
  atomic_store(&stop, false);
  pthread_t ids[THREADS];
  for (int i = 0; i < THREADS; i++) {
    pthread_create(&ids[i], NULL, call_both, NULL);
  }
  for (int version = 1; version < COUNT; version++) {
    long before = atomic_load(&calls);
    while (atomic_load(&calls) < before + 50) sched_yield();
    switch_both(version, probation);
  }
  atomic_store(&stop, true);
  for (int i = 0; i < THREADS; i++) pthread_join(ids[i], NULL);
}

// What does not change together is not held up.
static atomic_int reached;
static Native waiting;

static void *call_waiting(void *argument) {
  (void)argument;
  atomic_store(&reached, 1);
  int result = CALL(waiting, Small)(100);
  atomic_store(&reached, 2);
  return (void *)(intptr_t)result;
}

static void held(void) {
  waiting = new_native(false);
  Native other = new_native(false);
  switch_to(&waiting, firsts[1], NULL);
  switch_to(&other, firsts[2], NULL);
  GuardChange change = {.fn = waiting.fn, .code = firsts[3]};
  guard_switch_begin(guard, &change, 1, NULL);
  pthread_t id;
  pthread_create(&id, NULL, call_waiting, NULL);
  while (atomic_load(&reached) == 0) sched_yield();
  CHECK("others are called during a switch", CALL(other, Small)(0) == 2);
  CHECK("the switching thread gets through to the new code",
        CALL(waiting, Small)(0) == 3);
  for (int i = 0; i < 100; i++) sched_yield();
  CHECK("another thread waits", atomic_load(&reached) == 1);
  guard_switch_cancel(guard);
  void *result;
  pthread_join(id, &result);
  CHECK("cancelled, it gets the old code", (intptr_t)result == 101);
  guard_switch_begin(guard, &change, 1, NULL);
  guard_switch_commit(guard);
  CHECK("committed without probation, the cell holds the code",
        *waiting.thunk.cell == firsts[3]);
}

int main(void) {
  if (!guard_is_supported()) {
    printf("ok no gates on this processor, nothing is guarded\n");
    return 0;
  }
  open_usual();
  held();
  for (int i = 0; i < OTHERS; i++) others[i] = new_native(false);
  for (int i = 0; i < ROUNDS; i++) run_round(i % 2 == 0);
  CHECK("nobody saw new and then old", atomic_load(&version_wrong) == 0);
  CHECK("nobody is in a call", guard_is_idle(guard));
  close_guard();
  return check_status();
}
