// SPDX-License-Identifier: MIT

#include "state/migrate.h"

#include <string.h>

#include "base/error.h"
#include "state/migrate_inner.h"

typedef enum OpKind {
  OP_COPY,
  OP_CONVERT,
  OP_LOOP,      // over the elements of an array; its ops follow
  OP_TERMINATE, // the zero byte of a char array that shrank
  OP_CUSTOM,
} OpKind;

// Offsets count from the element that the op is for.
typedef struct Op {
  OpKind kind;
  size_t from, to;
  size_t size;  // copy: bytes; loop: elements
  size_t end;   // loop: the op behind its last
  size_t steps; // loop: the bytes of an old element, and `step` of a new one
  size_t step;
  Leaf old, new; // convert
  MigrateFunction function;
} Op;

struct MigratePlan {
  const GraftAllocator *allocator;
  ARRAY(Op) ops;
  size_t from_size;
  size_t to_size;
  bool is_copies;  // nothing but OP_COPY
  bool has_custom; // some OP_CUSTOM
};

// --- Making a plan -----------------------------------------------------------

typedef struct Maker {
  MigratePlan *plan;
  const MigrateDesc *desc;
  GraftError *error;
  GraftStatus status;
  Buffer path;     // ".body.pos", for messages
  int lenient;     // within this many types that have a custom function
  size_t joinable; // the first op that may be joined with what comes
} Maker;

// One thing to be migrated to another.
typedef struct Task {
  const Type *from;
  const Type *to;
  size_t from_at;
  size_t to_at;
} Task;

static void make(Maker *self, Task task);

static Op *push(Maker *self, OpKind kind, size_t from, size_t to) {
  Op *op = ARRAY_PUSH(self->plan->allocator, &self->plan->ops);
  if (op == NULL) {
    self->status = error_memory(self->error);
    return NULL;
  }
  *op = (Op){.kind = kind, .from = from, .to = to};
  return op;
}

// What comes must not be joined with copies before it.
static void part(Maker *self) {
  self->joinable = self->plan->ops.count;
}

static void refuse(Maker *self, const Type *from, const Type *to) {
  part(self);
  if (self->lenient > 0 || self->status < 0) return;
  Buffer old, new;
  buffer_init(&old, self->plan->allocator);
  buffer_init(&new, self->plan->allocator);
  type_write(&old, from, "");
  type_write(&new, to, "");
  bool same_text = strcmp(buffer_text(&old), buffer_text(&new)) == 0;
  self->status = error_set(
      self->error, GRAFT_ESIGNATURE, "%s%s: %s cannot become %s%s",
      self->desc->name != NULL ? self->desc->name : "",
      buffer_text(&self->path), buffer_text(&old),
      same_text ? "what it is now" : buffer_text(&new),
      from->kind == KIND_UNION ? "; nobody knows which member it holds" : "");
  buffer_clear(&old);
  buffer_clear(&new);
}

// Copies that lie side by side on both sides are one. Between two members that
// come from the same distance there is only padding, since `part` is called
// for all else.
static void make_copy(Maker *self, Task task, size_t size) {
  MigratePlan *plan = self->plan;
  if (size == 0) return;
  if (plan->ops.count > self->joinable) {
    Op *last = &plan->ops.items[plan->ops.count - 1];
    if (last->kind == OP_COPY && task.to_at >= last->to + last->size &&
        task.from_at - last->from == task.to_at - last->to) {
      last->size = task.to_at + size - last->to;
      return;
    }
  }
  Op *op = push(self, OP_COPY, task.from_at, task.to_at);
  if (op != NULL) op->size = size;
}

static void make_leaf(Maker *self, Task task, Leaf old, Leaf new) {
  if (!leaf_converts(&old, &new)) {
    refuse(self, task.from, task.to);
    return;
  }
  part(self);
  Op *op = push(self, OP_CONVERT, task.from_at, task.to_at);
  if (op == NULL) return;
  op->old = old;
  op->new = new;
  part(self);
}

static void make_array(Maker *self, Task task) {
  const Type *old = task.from->target, *new = task.to->target;
  bool shrinks = task.to->count < task.from->count;
  size_t count = shrinks ? task.to->count : task.from->count;
  if (count == 0) return;
  if (type_same(old, new)) {
    make_copy(self, task, count * new->size);
    if (shrinks && old->is_char) {
      push(self, OP_TERMINATE, task.from_at, task.to_at + count - 1);
    }
    part(self);
    return;
  }
  size_t at = self->plan->ops.count;
  Op *op = push(self, OP_LOOP, task.from_at, task.to_at);
  if (op == NULL) return;
  op->size = count;
  op->steps = old->size;
  op->step = new->size;
  part(self);
  size_t size = self->path.size;
  buffer_add_text(&self->path, "[]");
  make(self, (Task){old, new, 0, 0});
  if (!self->path.failed) self->path.text[self->path.size = size] = '\0';
  self->plan->ops.items[at].end = self->plan->ops.count;
  part(self);
}

static void make_member(Maker *self, Task task, const FlatMember *new) {
  FlatMember old;
  if (!flat_member_like(task.from, new, &old)) {
    part(self); // new: its bytes stay as they are
    return;
  }
  Task inner = {old.type, new->type, task.from_at + old.offset,
                task.to_at + new->offset};
  size_t size = self->path.size;
  buffer_format(&self->path, ".%s", *new->name ? new->name : "(union)");
  if (old.bit_size > 0 || new->bit_size > 0) {
    make_leaf(self, inner, (Leaf){old.type, old.bit_offset, old.bit_size},
              (Leaf){new->type, new->bit_offset, new->bit_size});
  } else {
    make(self, inner);
  }
  if (!self->path.failed) self->path.text[self->path.size = size] = '\0';
}

static MigrateFunction find_custom(Maker *self, const Type *to) {
  if (self->desc->find == NULL || *type_name(to) == '\0') return NULL;
  return self->desc->find(self->desc->context, to);
}

static void make_struct(Maker *self, Task task) {
  MigrateFunction custom = find_custom(self, task.to);
  self->lenient += custom != NULL;
  FlatMember member;
  if (task.from->kind == KIND_STRUCT && task.to->kind == KIND_STRUCT) {
    for (size_t i = 0; flat_member_at(task.to, i, &member); i++) {
      make_member(self, task, &member);
    }
    // What follows may not be joined over the tail of this one.
    part(self);
  } else if (task.from->kind == task.to->kind &&
             union_keeps(task.from, task.to)) {
    make_copy(self, task, task.from->size);
  } else {
    refuse(self, task.from, task.to);
  }
  self->lenient -= custom != NULL;
  if (custom == NULL) return;
  Op *op = push(self, OP_CUSTOM, task.from_at, task.to_at);
  if (op != NULL) op->function = custom;
  self->plan->has_custom = true;
  part(self);
}

static bool has_members(const Type *type) {
  return type->kind == KIND_STRUCT || type->kind == KIND_UNION;
}

static void make(Maker *self, Task task) {
  if (self->status < 0) return;
  if (type_same(task.from, task.to)) {
    make_copy(self, task, task.to->size);
  } else if (has_members(task.to)) {
    make_struct(self, task);
  } else if (task.from->kind == KIND_ARRAY && task.to->kind == KIND_ARRAY) {
    make_array(self, task);
  } else if (type_is_scalar(task.from) && type_is_scalar(task.to)) {
    Leaf old = {.type = task.from}, new = {.type = task.to};
    make_leaf(self, task, old, new);
  } else {
    refuse(self, task.from, task.to);
  }
}

static bool is_copies(const MigratePlan *plan) {
  for (size_t i = 0; i < plan->ops.count; i++) {
    if (plan->ops.items[i].kind != OP_COPY) return false;
  }
  return true;
}

GraftStatus migrate_plan_new(const GraftAllocator *allocator,
                             const MigrateDesc *desc, MigratePlan **plan,
                             GraftError *error) {
  *plan = NULL;
  MigratePlan *self = memory_new(allocator, sizeof *self);
  if (self == NULL) return error_memory(error);
  self->allocator = allocator;
  self->from_size = desc->from->size;
  self->to_size = desc->to->size;
  Maker maker = {.plan = self, .desc = desc, .error = error};
  buffer_init(&maker.path, allocator);
  make(&maker, (Task){desc->from, desc->to, 0, 0});
  if (maker.path.failed && maker.status == GRAFT_OK) {
    maker.status = error_memory(error);
  }
  buffer_clear(&maker.path);
  if (maker.status < 0) {
    migrate_plan_free(self);
    return maker.status;
  }
  self->is_copies = is_copies(self);
  *plan = self;
  return GRAFT_OK;
}

void migrate_plan_free(MigratePlan *self) {
  if (self == NULL) return;
  memory_free(self->allocator, self->ops.items);
  memory_free(self->allocator, self);
}

// --- Running it --------------------------------------------------------------

// Which ops run: those by name, or the custom functions after them, since what
// comes between the two passes is not migrate's to know.
typedef struct Runner {
  const MigratePlan *plan;
  bool custom;
  size_t lost;
} Runner;

static void run_ops(Runner *self, size_t first, size_t end, const char *from,
                    char *to);

// Returns the op behind the loop.
static size_t run_loop(Runner *self, size_t at, const char *from, char *to) {
  const Op *op = &self->plan->ops.items[at];
  for (size_t i = 0; i < op->size; i++) {
    run_ops(self, at + 1, op->end, from + op->from + i * op->steps,
            to + op->to + i * op->step);
  }
  return op->end;
}

static void run_op(Runner *self, const Op *op, const char *from, char *to) {
  switch (op->kind) {
  case OP_COPY:
    memcpy(to, from, op->size);
    break;
  case OP_CONVERT:
    self->lost += leaf_convert(&op->old, from, &op->new, to);
    break;
  case OP_TERMINATE:
    self->lost += *to != '\0';
    *to = '\0';
    break;
  case OP_LOOP:
  case OP_CUSTOM:
    break;
  }
}

static void run_ops(Runner *self, size_t first, size_t end, const char *from,
                    char *to) {
  for (size_t at = first; at < end;) {
    const Op *op = &self->plan->ops.items[at++];
    if (op->kind == OP_LOOP) {
      at = run_loop(self, at - 1, from, to);
    } else if (!self->custom) {
      run_op(self, op, from + op->from, to + op->to);
    } else if (op->kind == OP_CUSTOM) {
      op->function(from + op->from, to + op->to);
    }
  }
}

// A few bytes, most of them eight at a time: a call of memcpy for each run of
// each element would take longer than the bytes do.
static inline void copy_run(char *to, const char *from, size_t size) {
  for (; size >= 8; size -= 8, to += 8, from += 8) memcpy(to, from, 8);
  for (; size > 0; size--) *to++ = *from++;
}

static void run_copies(const MigratePlan *self, const char *from, char *to,
                       size_t count) {
  const Op *ops = self->ops.items;
  size_t op_count = self->ops.count;
  for (size_t i = 0; i < count; i++) {
    for (size_t at = 0; at < op_count; at++) {
      const Op *op = &ops[at];
      if (op->size <= 128) {
        copy_run(to + op->to, from + op->from, op->size);
      } else {
        memcpy(to + op->to, from + op->from, op->size);
      }
    }
    from += self->from_size;
    to += self->to_size;
  }
}

static void run(Runner *self, const char *from, char *to, size_t count) {
  const MigratePlan *plan = self->plan;
  for (size_t i = 0; i < count; i++) {
    run_ops(self, 0, plan->ops.count, from + i * plan->from_size,
            to + i * plan->to_size);
  }
}

void migrate_run(const MigratePlan *self, const void *from, void *to,
                 size_t count, size_t *lost) {
  if (self->is_copies) {
    run_copies(self, from, to, count);
    return;
  }
  Runner runner = {.plan = self};
  run(&runner, from, to, count);
  *lost += runner.lost;
}

void migrate_run_custom(const MigratePlan *self, const void *from, void *to,
                        size_t count) {
  Runner runner = {.plan = self, .custom = true};
  if (self->has_custom) run(&runner, from, to, count);
}

// --- Saying what changes -----------------------------------------------------

typedef struct Teller {
  Buffer *text;
  Buffer path;
  bool any;
} Teller;

static void tell(Teller *self, const Type *from, const Type *to);

static void begin(Teller *self) {
  if (self->any) buffer_add_text(self->text, ", ");
  self->any = true;
}

static void tell_types(Teller *self, const Type *from, const Type *to) {
  begin(self);
  if (self->path.size > 0) {
    buffer_format(self->text, "%s ", buffer_text(&self->path) + 1);
  }
  type_write(self->text, from, "");
  buffer_add_text(self->text, " → ");
  type_write(self->text, to, "");
}

static void tell_bits(Teller *self, const FlatMember *old,
                      const FlatMember *new) {
  if (old->bit_size == new->bit_size && type_same(old->type, new->type)) return;
  begin(self);
  const FlatMember *sides[] = {old, new};
  buffer_add_text(self->text, buffer_text(&self->path) + 1);
  for (int i = 0; i < 2; i++) {
    buffer_add_text(self->text, i == 0 ? " " : " → ");
    type_write(self->text, sides[i]->type, "");
    if (sides[i]->bit_size > 0) {
      buffer_format(self->text, " : %d", sides[i]->bit_size);
    }
  }
}

static void tell_one_side(Teller *self, const char *name, const char *what) {
  begin(self);
  buffer_format(self->text, "%s%s%s %s",
                self->path.size > 0 ? buffer_text(&self->path) + 1 : "",
                self->path.size > 0 ? "." : "", *name ? name : "a union", what);
}

static void tell_members(Teller *self, const Type *from, const Type *to) {
  FlatMember old, new;
  for (size_t i = 0; flat_member_at(to, i, &new); i++) {
    if (!flat_member_like(from, &new, &old)) {
      tell_one_side(self, new.name, "added");
    }
  }
  for (size_t i = 0; flat_member_at(from, i, &old); i++) {
    if (!flat_member_like(to, &old, &new)) {
      tell_one_side(self, old.name, "removed");
    }
  }
  for (size_t i = 0; flat_member_at(to, i, &new); i++) {
    if (!flat_member_like(from, &new, &old)) continue;
    size_t size = self->path.size;
    buffer_format(&self->path, ".%s", *new.name ? new.name : "(union)");
    if (old.bit_size > 0 || new.bit_size > 0) {
      tell_bits(self, &old, &new);
    } else {
      tell(self, old.type, new.type);
    }
    if (!self->path.failed) self->path.text[self->path.size = size] = '\0';
  }
}

static void tell(Teller *self, const Type *from, const Type *to) {
  if (type_same(from, to)) return;
  if (from->kind == KIND_STRUCT && to->kind == KIND_STRUCT) {
    tell_members(self, from, to);
  } else if (from->kind == KIND_ARRAY && to->kind == KIND_ARRAY &&
             from->count == to->count) {
    tell(self, from->target, to->target);
  } else {
    tell_types(self, from, to);
  }
}

void migrate_describe(const Type *from, const Type *to, Buffer *text) {
  Teller teller = {.text = text};
  buffer_init(&teller.path, text->allocator);
  tell(&teller, from, to);
  text->failed |= teller.path.failed;
  buffer_clear(&teller.path);
}
