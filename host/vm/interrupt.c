// SPDX-License-Identifier: MIT

#include "vm/interrupt.h"

#include <pthread.h>
#include <signal.h>

#include "base/error.h"
#include "vm/probation_state.h"
#include "vm/chunk.h"
#include "vm/running.h"
#include "vm/state.h"

enum { SIGNAL = SIGURG };

static void hook(lua_State *L, lua_Debug *frame) {
  (void)frame;
  Vm *vm = vm_of(L);
  lua_sethook(L, NULL, 0, 0);
  if (vm == NULL || vm->safe_point == NULL) return;
  if (vm->hook_depth > 0) script_watch_return(L);
  lua_State *previous = vm->L;
  vm->L = L;
  vm->safe_point(vm->safe_point_context);
  vm->L = previous;
}

static void stop_hook(lua_State *L, lua_Debug *frame) {
  (void)frame;
  lua_sethook(L, NULL, 0, 0);
  luaL_error(L, "interrupted");
}

void interrupt_stop(Vm *vm) {
  if (interrupt_call(vm) == 0) return;
  lua_State *outermost = vm->evaluating != NULL ? vm->evaluating : vm->main;
  lua_sethook(running_thread(&vm->running, outermost), stop_hook,
              LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
}

void interrupt_forget(void *state) {
  lua_State *L = state;
  if (lua_gethook(L) == stop_hook) lua_sethook(L, NULL, 0, 0);
}

// Async-signal-safe, as far as the VM's own handler for Ctrl-C is.
static void on_signal(int number, siginfo_t *info, void *machine) {
  (void)number;
  (void)machine;
  if (info->si_code != SI_QUEUE) return;
  Vm *vm = info->si_value.sival_ptr;
  if (interrupt_call(vm) == 0) return;
  lua_State *running = running_thread(&vm->running, vm->main);
  lua_Hook present = lua_gethook(running);
  bool ours = present == NULL || present == probation_hook ||
              present == script_return_hook;
  if (!ours) return; // a debugger's
  lua_sethook(running, hook, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
}

static bool is_free(const struct sigaction *action) {
  if ((action->sa_flags & SA_SIGINFO) != 0) {
    return action->sa_sigaction == on_signal;
  }
  return action->sa_handler == SIG_DFL || action->sa_handler == SIG_IGN;
}

static void init_running(Vm *vm, lua_State *L, void *context) {
  (void)context;
  running_init(&vm->running, L);
}

GraftStatus interrupt_open(Vm *vm, VmSafePoint *safe_point, void *context,
                           GraftError *error) {
  GraftStatus status = vm_protect(vm, init_running, NULL, error);
  if (status < 0) return status;
  struct sigaction old;
  sigaction(SIGNAL, NULL, &old);
  if (!is_free(&old)) {
    return error_set(error, GRAFT_EIO,
                     "SIGURG is in use, so a script that never returns gets "
                     "changes only when it calls graft.update()");
  }
  struct sigaction action = {.sa_flags = SA_SIGINFO | SA_RESTART};
  action.sa_sigaction = on_signal;
  sigemptyset(&action.sa_mask);
  sigaction(SIGNAL, &action, NULL);
  vm->host = pthread_self();
  vm->safe_point = safe_point;
  vm->safe_point_context = context;
  return GRAFT_OK;
}

void interrupt_send(Vm *vm) {
  if (vm->safe_point == NULL || interrupt_call(vm) == 0) return;
  pthread_sigqueue(vm->host, SIGNAL, (union sigval){.sival_ptr = vm});
}

uint64_t interrupt_call(const Vm *vm) {
  return atomic_load_explicit(&vm->outer_call, memory_order_relaxed);
}
