// SPDX-License-Identifier: MIT

#include "native/stacks_look.h"

#include <stdio.h>
#include <sys/uio.h>
#include <unistd.h>
#include <unwind.h>

#include "base/error.h"
#include "native/crash.h"
#include "native/machine.h"
#include "native/backtrace.h"

enum {
  WORDS = 512,         // read at once
  FARTHEST = 64 << 20, // a mapping may go on behind the stack
  RED_ZONE = 128,      // what a leaf function uses below the stack pointer
  // How far from the stack pointer a return to the unwinder lies at most, while
  // it holds a lock. What is farther up has been left there.
  UNWINDER_ROOM = 4096,
};

// --- What can be read --------------------------------------------------------

static GraftStatus read_maps(StacksLook *self, const GraftAllocator *allocator,
                             FILE *file, GraftError *error) {
  char line[512];
  uintptr_t unwinder = (uintptr_t)_Unwind_Backtrace;
  while (fgets(line, sizeof line, file) != NULL) {
    unsigned long start, end;
    char rights[5];
    if (sscanf(line, "%lx-%lx %4s", &start, &end, rights) != 3) continue;
    if (unwinder >= start && unwinder < end) {
      self->unwinder = (StacksMap){start, end};
    }
    if (rights[0] != 'r') continue;
    StacksMap *map = ARRAY_PUSH(allocator, &self->maps);
    if (map == NULL) return error_memory(error);
    *map = (StacksMap){start, end};
  }
  return GRAFT_OK;
}

GraftStatus stacks_look_init(StacksLook *self, const GraftAllocator *allocator,
                             const StacksDesc *desc, GraftError *error) {
  *self = (StacksLook){.desc = desc};
  FILE *file = fopen("/proc/self/maps", "re");
  if (file == NULL) {
    return error_set(error, GRAFT_EIO, "cannot read /proc/self/maps");
  }
  GraftStatus status = read_maps(self, allocator, file, error);
  fclose(file);
  if (status < 0) stacks_look_clear(self, allocator);
  return status;
}

void stacks_look_clear(StacksLook *self, const GraftAllocator *allocator) {
  memory_free(allocator, self->maps.items);
  *self = (StacksLook){0};
}

void stacks_look_again(StacksLook *self) {
  self->inside = self->in_unwinder = false;
  self->address = 0;
  self->range = 0;
}

static uintptr_t end_of_map(const StacksLook *self, uintptr_t address) {
  for (size_t i = 0; i < self->maps.count; i++) {
    const StacksMap *map = &self->maps.items[i];
    if (address < map->start || address >= map->end) continue;
    return map->end - address > FARTHEST ? address + FARTHEST : map->end;
  }
  return 0;
}

// --- Words -------------------------------------------------------------------

bool stacks_look_word(StacksLook *self, uintptr_t word) {
  const StacksDesc *desc = self->desc;
  for (size_t i = 0; i < desc->count; i++) {
    // A call at the very end of the code returns to behind it.
    if (word < (uintptr_t)desc->ranges[i].start ||
        word > (uintptr_t)desc->ranges[i].end) {
      continue;
    }
    if (self->not_bounds && (word == (uintptr_t)desc->ranges[i].start ||
                             word == (uintptr_t)desc->ranges[i].end)) {
      continue;
    }
    if (!self->inside) {
      self->address = word;
      self->range = i;
    }
    self->inside = true;
    return true;
  }
  return false;
}

static void look_for_unwinder(StacksLook *self, uintptr_t sp, uintptr_t at,
                              uintptr_t word) {
  if (at < sp + UNWINDER_ROOM && word >= self->unwinder.start &&
      word < self->unwinder.end) {
    self->in_unwinder = true;
  }
}

// By way of the kernel, which does not mind what is not there any more, nor do
// sanitizers. Returns how many words.
static size_t read_words(uintptr_t from, uintptr_t *words, size_t count) {
  struct iovec here = {words, count * sizeof *words};
  struct iovec there = {(void *)from, count * sizeof *words};
  ssize_t size = process_vm_readv(getpid(), &here, 1, &there, 1, 0);
  return size > 0 ? (size_t)size / sizeof *words : 0;
}

static bool look_between(StacksLook *self, uintptr_t from, uintptr_t to) {
  uintptr_t words[WORDS];
  from &= ~(uintptr_t)(sizeof *words - 1);
  bool any = false;
  uintptr_t begin = from;
  while (from < to) {
    size_t left = (to - from) / sizeof *words;
    size_t count = read_words(from, words, left < WORDS ? left : WORDS);
    if (count == 0) break;
    any = true;
    for (size_t i = 0; i < count; i++) {
      stacks_look_word(self, words[i]);
      look_for_unwinder(self, begin, from + i * sizeof *words, words[i]);
    }
    from += count * sizeof *words;
  }
  return any;
}

bool stacks_look_from(StacksLook *self, uintptr_t sp) {
  uintptr_t end = end_of_map(self, sp);
  return end != 0 && look_between(self, sp - RED_ZONE, end);
}

// --- The calling thread ------------------------------------------------------

typedef struct Here {
  StacksLook *look;
  uintptr_t last; // address; 0: the thread's beginning was reached
} Here;

static bool visit_here(void *context, const BacktraceFrame *frame) {
  Here *here = context;
  here->last = frame->address;
  stacks_look_word(here->look, frame->address);
  return true;
}

static void walk_here(void *argument) {
  backtrace_walk_here(visit_here, argument);
}

// Registers that a caller wants kept are on the stack once something is called
// here, which the builtin makes sure of.
__attribute__((noinline)) void stacks_look_here(StacksLook *self) {
  __builtin_unwind_init();
  stacks_look_again(self);
  Here here = {self, 1};
  bool whole = crash_try(walk_here, &here);
  if (!self->inside && (!whole || here.last != 0)) {
    self->not_bounds = true;
    stacks_look_from(self, (uintptr_t)__builtin_frame_address(0));
    self->not_bounds = false;
  }
}

// --- A thread that was interrupted -------------------------------------------

typedef struct Exact {
  StacksLook *look;
  const void *machine;
  bool asleep;
  int frames;     // seen
  uintptr_t last; // address; 0: the thread's beginning was reached
} Exact;

static bool visit(void *context, const BacktraceFrame *frame) {
  Exact *exact = context;
  // What the innermost function has on its stack may be a pointer that it is
  // about to call.
  if (exact->frames++ == 1 && !exact->asleep) {
    look_between(exact->look, machine_sp(exact->machine) - RED_ZONE, frame->sp);
  }
  exact->last = frame->address;
  stacks_look_word(exact->look, frame->address);
  return true;
}

static void walk(void *argument) {
  Exact *exact = argument;
  backtrace_walk(exact->machine, visit, exact);
}

static void look_at_registers(StacksLook *self, const void *machine) {
  uintptr_t words[MACHINE_WORDS];
  size_t count = machine_registers(machine, words);
  for (size_t i = 0; i < count; i++) stacks_look_word(self, words[i]);
}

// A call of the system that a signal has interrupted is made again, so the pc
// is at the instruction that makes it.
static bool is_asleep(const StacksLook *self, uintptr_t pc, uintptr_t sp) {
  enum { CALL_SIZE = 4 };
  return sp == self->sleep.sp && pc <= self->sleep.pc &&
         pc + CALL_SIZE >= self->sleep.pc;
}

void stacks_look_poked(void *argument, void *machine) {
  StacksLook *self = argument;
  stacks_look_again(self);
  uintptr_t pc = machine_pc(machine), sp = machine_sp(machine);
  bool asleep = is_asleep(self, pc, sp);
  stacks_look_word(self, pc);
  if (!asleep) look_at_registers(self, machine); // else left from before
  if (self->inside) return;
  if (!stacks_look_from(self, sp)) self->inside = true;
  bool calm = asleep && self->sleep.calm;
  if (!self->inside || self->address == 0) return;
  if (self->in_unwinder && !calm) return;
  StacksLook found = *self;
  Exact exact = {self, machine, asleep, 0, 1};
  stacks_look_again(self);
  bool whole = crash_try(walk, &exact);
  if (!whole || exact.last != 0) *self = found;
}
