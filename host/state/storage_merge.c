// SPDX-License-Identifier: MIT
//
// Three ways: what the old initialiser gave (base), what is there (live), and
// what the new one gives (next), leaf by leaf.

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "state/storage_inner.h"

enum { EVENTS_MOST = 16, TEXT_MOST = 60 };

typedef struct Merger {
  const GraftAllocator *allocator;
  const MergeDesc *desc;
  Buffer path;
  int events; // of this object; the rest are only counted
  int untold;
  bool failed;
} Merger;

typedef struct Leaves {
  const unsigned char *base;
  const unsigned char *next;
  unsigned char *live;
} Leaves;

// --- Text of values ----------------------------------------------------------

static const unsigned char zeroes[64];

static uint64_t load(const unsigned char *bytes, size_t size) {
  uint64_t bits = 0;
  for (size_t i = 0; i < size && i < 8; i++) {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    bits = bits << 8 | bytes[i];
#else
    bits |= (uint64_t)bytes[i] << 8 * i;
#endif
  }
  return bits;
}

static int64_t extend(uint64_t bits, int width) {
  if (width >= 64) return (int64_t)bits;
  uint64_t sign = UINT64_C(1) << (width - 1);
  return (int64_t)((bits ^ sign) - sign);
}

static void write_integer(Buffer *text, const Type *type, uint64_t bits,
                          int width) {
  if (width < 64) bits &= (UINT64_C(1) << width) - 1;
  if (type->is_signed) bits = (uint64_t)extend(bits, width);
  for (size_t i = 0; i < type->enumerator_count; i++) {
    if ((uint64_t)type->enumerators[i].value != bits) continue;
    buffer_add_text(text, type->enumerators[i].name);
    return;
  }
  if (type->kind == KIND_BOOL) {
    buffer_add_text(text, bits != 0 ? "true" : "false");
  } else if (type->is_signed) {
    buffer_format(text, "%" PRId64, (int64_t)bits);
  } else {
    buffer_format(text, "%" PRIu64, bits);
  }
}

static void write_float(Buffer *text, size_t size, const void *bytes) {
  float single;
  double number;
  long double wide;
  if (size == sizeof single) {
    memcpy(&single, bytes, sizeof single);
    buffer_format(text, "%.7g", (double)single);
  } else if (size == sizeof number) {
    memcpy(&number, bytes, sizeof number);
    buffer_format(text, "%.14g", number);
  } else {
    memcpy(&wide, bytes, sizeof wide);
    buffer_format(text, "%.18Lg", wide);
  }
}

static void write_characters(Buffer *text, const unsigned char *bytes,
                             size_t size) {
  buffer_add_text(text, "\"");
  for (size_t i = 0; i < size && i < TEXT_MOST && bytes[i] != '\0'; i++) {
    bool is_plain = bytes[i] >= ' ' && bytes[i] != '"' && bytes[i] != 127;
    buffer_format(text, is_plain ? "%c" : "\\x%02x", bytes[i]);
  }
  buffer_add_text(text, "\"");
}

static void write_value(Buffer *text, const Type *type,
                        const unsigned char *bytes) {
  switch (type->kind) {
  case KIND_BOOL:
  case KIND_INTEGER:
  case KIND_ENUM:
    write_integer(text, type, load(bytes, type->size), (int)type->size * 8);
    break;
  case KIND_FLOAT:
    write_float(text, type->size, bytes);
    break;
  case KIND_POINTER:
    if (load(bytes, type->size) == 0) {
      buffer_add_text(text, "NULL");
    } else {
      buffer_add_text(text, "a pointer");
    }
    break;
  case KIND_ARRAY:
    write_characters(text, bytes, type->size);
    break;
  default:
    buffer_format(text, "%zu bytes", type->size);
  }
}

// --- Events ------------------------------------------------------------------

// "hp = 40, source now 150", "hp = 100 → 150".
static void tell(Merger *self, bool is_taken, const char *before,
                 const char *after) {
  const MergeDesc *desc = self->desc;
  if (desc->report == NULL) return;
  if (self->events == EVENTS_MOST) {
    self->untold++;
    return;
  }
  self->events++;
  Buffer message;
  buffer_init(&message, self->allocator);
  const char *path = buffer_text(&self->path);
  buffer_format(&message,
                is_taken ? "%s%s = %s → %s" : "%s%s = %s, source now %s",
                desc->object->name, path, before, after);
  Buffer name;
  buffer_init(&name, self->allocator);
  buffer_format(&name, "%s%s", desc->object->name, path);
  StorageEvent *event =
      message.failed || name.failed
          ? NULL
          : storage_report_add(
                desc->report, is_taken ? STORAGE_TAKE : STORAGE_KEEP,
                desc->object, buffer_text(&name), buffer_text(&message));
  if (event == NULL) {
    self->failed = true;
  } else {
    event->line = desc->line;
  }
  buffer_clear(&name);
  buffer_clear(&message);
}

static void tell_untold(Merger *self) {
  if (self->untold == 0) return;
  char message[80];
  snprintf(message, sizeof message, "%d more values of %.40s", self->untold,
           self->desc->object->name);
  StorageEvent *event =
      storage_report_add(self->desc->report, STORAGE_KEEP, self->desc->object,
                         self->desc->object->name, message);
  if (event == NULL) {
    self->failed = true;
    return;
  }
  event->line = self->desc->line;
  event->count = (size_t)self->untold;
}

// --- Leaves ------------------------------------------------------------------

static void write(Merger *self, void *live, const void *bytes, size_t size) {
  if (self->desc->change == NULL) {
    memcpy(live, bytes, size);
  } else if (!change_overwrite(self->desc->change, live, bytes, size)) {
    self->failed = true;
  }
}

static void merge_leaf(Merger *self, const Type *type, Leaves at) {
  if (memcmp(at.base, at.next, type->size) == 0 ||
      memcmp(at.live, at.next, type->size) == 0) {
    return;
  }
  bool is_taken = memcmp(at.live, at.base, type->size) == 0;
  Buffer before, after;
  buffer_init(&before, self->allocator);
  buffer_init(&after, self->allocator);
  write_value(&before, type, at.live);
  write_value(&after, type, at.next);
  self->failed |= before.failed || after.failed;
  tell(self, is_taken, buffer_text(&before), buffer_text(&after));
  buffer_clear(&before);
  buffer_clear(&after);
  if (is_taken) write(self, at.live, at.next, type->size);
}

static uint64_t load_bits(const unsigned char *bytes, const TypeMember *field) {
  uint64_t bits = 0;
  for (int i = 0; i < field->bit_size; i++) {
    int at = field->bit_offset + i;
    bits |= (uint64_t)(bytes[at / 8] >> at % 8 & 1) << i;
  }
  return bits;
}

static void merge_bits(Merger *self, const TypeMember *field, Leaves at) {
  uint64_t base = load_bits(at.base, field), next = load_bits(at.next, field);
  uint64_t live = load_bits(at.live, field);
  if (base == next || live == next) return;
  Buffer before, after;
  buffer_init(&before, self->allocator);
  buffer_init(&after, self->allocator);
  write_integer(&before, field->type, live, field->bit_size);
  write_integer(&after, field->type, next, field->bit_size);
  self->failed |= before.failed || after.failed;
  tell(self, live == base, buffer_text(&before), buffer_text(&after));
  buffer_clear(&before);
  buffer_clear(&after);
  if (live != base) return;
  unsigned char bytes[9];
  size_t size = (size_t)(field->bit_offset + field->bit_size + 7) / 8;
  memcpy(bytes, at.live, size);
  for (int i = 0; i < field->bit_size; i++) {
    int bit = field->bit_offset + i;
    unsigned char mask = (unsigned char)(1u << bit % 8);
    bytes[bit / 8] =
        (unsigned char)((bytes[bit / 8] & ~mask) | (next >> i & 1 ? mask : 0));
  }
  write(self, at.live, bytes, size);
}

static void merge(Merger *self, const Type *type, Leaves at);

static void merge_member(Merger *self, const TypeMember *member, Leaves at) {
  at.base += member->offset, at.next += member->offset;
  at.live += member->offset;
  size_t size = self->path.size;
  if (*member->name) buffer_format(&self->path, ".%s", member->name);
  if (member->bit_size > 0) {
    merge_bits(self, member, at);
  } else {
    merge(self, member->type, at);
  }
  if (self->path.text != NULL) self->path.text[self->path.size = size] = '\0';
}

static void merge_array(Merger *self, const Type *type, Leaves at) {
  const Type *element = type->target;
  for (size_t i = 0; i < type->count && !self->failed; i++) {
    size_t size = self->path.size, skip = i * element->size;
    if (memcmp(at.base + skip, at.next + skip, element->size) == 0) continue;
    buffer_format(&self->path, "[%zu]", i);
    merge(self, element,
          (Leaves){at.base + skip, at.next + skip, at.live + skip});
    if (self->path.text != NULL) self->path.text[self->path.size = size] = '\0';
  }
}

static void merge(Merger *self, const Type *type, Leaves at) {
  if (self->failed || memcmp(at.base, at.next, type->size) == 0) return;
  if (type->kind == KIND_ARRAY && !type->target->is_char) {
    merge_array(self, type, at);
  } else if (type->kind == KIND_STRUCT) {
    for (size_t i = 0; i < type->member_count && !self->failed; i++) {
      merge_member(self, &type->members[i], at);
    }
  } else {
    merge_leaf(self, type, at);
  }
}

// `bytes`, or as many zeroes; `*owned` is to be freed.
static const unsigned char *or_zeroes(const GraftAllocator *allocator,
                                      const unsigned char *bytes, size_t size,
                                      unsigned char **owned) {
  *owned = NULL;
  if (bytes != NULL) return bytes;
  if (size <= sizeof zeroes) return zeroes;
  return *owned = memory_new(allocator, size);
}

bool merge_values(const GraftAllocator *allocator, const MergeDesc *desc) {
  if (desc->base == NULL && desc->next == NULL) return true;
  size_t size = desc->type->size;
  unsigned char *owned_base, *owned_next;
  Leaves at = {or_zeroes(allocator, desc->base, size, &owned_base),
               or_zeroes(allocator, desc->next, size, &owned_next), desc->live};
  Merger merger = {.allocator = allocator, .desc = desc};
  buffer_init(&merger.path, allocator);
  merger.failed = at.base == NULL || at.next == NULL;
  if (!merger.failed) merge(&merger, desc->type, at);
  if (!merger.failed) tell_untold(&merger);
  bool done = !merger.failed && !merger.path.failed;
  buffer_clear(&merger.path);
  memory_free(allocator, owned_base);
  memory_free(allocator, owned_next);
  return done;
}
