// SPDX-License-Identifier: MIT
//
// Fuzzing the reader of objects and the linker: any bytes give an object or an
// error; what the object says of itself holds together, and it is placed or
// refused, for whichever processor it is. Its code does not run. The corpus is
// a folder of objects.

#include <string.h>

#include "fuzz_support.h"
#include "native/link.h"

typedef struct Place {
  NativeRegion *region;
  LiteralPool *literals;
  Tls *tls;
} Place;

static void *entry(void *context, const ObjectFile *object, size_t index) {
  (void)object;
  return (char *)context + index % 4096;
}

// Every third variable is the link's.
static bool storage(void *context, const ObjectFile *object, size_t index,
                    LinkStorage *place) {
  const ObjectData *data = object_data(object, index);
  if (data->thread_local_) {
    place->local = 64;
  } else if (index % 3 != 0) {
    place->address = (char *)context + index % 4096;
  }
  return true;
}

static void *external(void *context, const ObjectUndefined *symbol) {
  return symbol->called ? (char *)context + (1ull << 40) : context;
}

static bool external_local(void *context, const ObjectUndefined *symbol,
                           size_t *offset) {
  (void)context, (void)symbol;
  *offset = 128;
  return true;
}

static uint64_t sum_references(ObjectReferences references) {
  uint64_t sum = 0;
  for (size_t i = 0; i < references.count; i++) {
    const ObjectReference *reference = &references.items[i];
    FUZZ_CHECK(reference->called || reference->address);
    FUZZ_CHECK(reference->function < 0 || reference->data < 0);
    sum += strlen(reference->name) + reference->offset;
  }
  return sum;
}

// Touches all that the object gives out.
static uint64_t look(const ObjectFile *object) {
  uint64_t sum = 0;
  for (size_t i = 0; i < object_function_count(object); i++) {
    const ObjectFunction *function = object_function(object, i);
    sum += strlen(function->symbol) + strlen(function->name) + function->hash;
    sum += sum_references(function->references);
  }
  for (size_t i = 0; i < object_data_count(object); i++) {
    const ObjectData *data = object_data(object, i);
    const unsigned char *image = data->image;
    FUZZ_CHECK(data->zero == (image == NULL));
    if (image != NULL && data->size > 0)
      sum += image[0] + image[data->size - 1];
    sum += strlen(data->name) + sum_references(data->references);
  }
  for (size_t i = 0; i < object_undefined_count(object); i++) {
    const ObjectUndefined *undefined = object_undefined(object, i);
    FUZZ_CHECK(undefined->function < (int)object_function_count(object));
    sum += strlen(undefined->name);
  }
  return sum;
}

static void place(const ObjectFile *object) {
  static const GraftAllocator *const allocator = &memory_default;
  GraftError error = {0};
  Place at = {0};
  FUZZ_CHECK(region_open(allocator, (size_t)64 << 20, &at.region, &error) == 0);
  at.literals = literal_pool_new(allocator, at.region);
  at.tls = tls_new(allocator);
  void *base = region_take(at.region, 1 << 16);
  FUZZ_CHECK(at.literals != NULL && at.tls != NULL && base != NULL);
  LinkHost host = {base, entry, storage, external, external_local};
  LinkDesc desc = {.allocator = allocator,
                   .region = at.region,
                   .literals = at.literals,
                   .tls = at.tls,
                   .host = &host,
                   .object = object,
                   .foreign = true};
  Link *link;
  if (link_new(&desc, &link, &error) < 0) {
    FUZZ_CHECK(error.message[0] != '\0' && link == NULL);
  } else {
    LinkRange range = link_code(link);
    for (const char *code = range.start; code < range.end; code += 37) {
      LinkPlace found;
      FUZZ_CHECK(link_find(link, code, &found));
    }
  }
  link_free(link);
  region_give(at.region, base, 1 << 16);
  literal_pool_free(at.literals);
  FUZZ_CHECK(region_used(at.region) == 0);
  tls_free(at.tls);
  region_close(at.region);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  ObjectFile *object;
  GraftError error = {0};
  if (object_read(&memory_default, "fuzz.o", data, size, &object, &error) < 0) {
    FUZZ_CHECK(object == NULL && strncmp(error.message, "fuzz.o: ", 8) == 0);
    return 0;
  }
  volatile uint64_t sum = look(object);
  (void)sum;
  ObjectImage image;
  if (object_debug_image(object, &image, &error) == 0) {
    object_image_clear(object, &image);
  }
  place(object);
  object_free(object);
  return 0;
}
