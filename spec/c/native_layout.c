// SPDX-License-Identifier: MIT
//
// Layouts: types, variables and functions as read from the DWARF of
// fixture_layout.c in each way it was built. FIXTURES is the folder of the
// objects, such as gcc-5-O2.so.

#include <dirent.h>

#include "check.h"
#include "native/dwarf_layout.h"

static const char *object; // the name of the one that is looked at

static void check_named(const char *name, bool passed) {
  char text[200];
  snprintf(text, sizeof text, "%s: %s", object, name);
  check_report(text, passed, "is not so");
}

static char *read_whole(const char *path, size_t *size) {
  FILE *file = fopen(path, "rb");
  char *bytes = malloc(1 << 20);
  *size = 0;
  if (file == NULL || bytes == NULL) exit(2);
  *size = fread(bytes, 1, 1 << 20, file);
  fclose(file);
  return bytes;
}

// --- Types -------------------------------------------------------------------

static void check_type_text(const Layout *layout, const char *name,
                            const char *expected) {
  char check[200];
  snprintf(check, sizeof check, "%s: %s", object, name);
  Buffer text;
  buffer_init(&text, &memory_default);
  const Type *type = type_set_find(layout->types, name);
  for (size_t i = 0; type != NULL && i < type->member_count; i++) {
    const TypeMember *member = &type->members[i];
    if (i > 0) buffer_add_text(&text, "; ");
    type_write(&text, member->type, member->name);
    if (member->bit_size > 0) {
      buffer_format(&text, ":%d", member->bit_size);
      buffer_format(&text, " @%zu.%d", member->offset, member->bit_offset);
    } else {
      buffer_format(&text, " @%zu", member->offset);
    }
  }
  for (size_t i = 0; type != NULL && i < type->enumerator_count; i++) {
    const TypeEnumerator *item = &type->enumerators[i];
    buffer_format(&text, "%s%s=%lld", i > 0 ? " " : "", item->name,
                  (long long)item->value);
  }
  check_text(check, buffer_text(&text), expected);
  buffer_clear(&text);
}

static void types(const Layout *layout) {
  check_type_text(layout, "Vec", "double x @0; double y @8");
  check_type_text(layout, "struct Node",
                  "NodeRef next @0; struct Unknown *unknown @8; Callback "
                  "*each @16; union without a name @24; struct without a name "
                  "colour @28");
  check_type_text(layout, "struct Bits",
                  "unsigned int a:3 @0.0; int b:7 @0.3; uint64_t c:40 @1.4; "
                  "bool d:1 @6.4");
  check_type_text(layout, "struct Packed", "char tag @0; int value @1");
  check_type_text(layout, "enum Mood", "CALM=0 WILD=7 LOST=-1");
  check_type_text(layout, "Level", "LOW=0 HIGH=4026531840");
  const Type *node = type_set_find(layout->types, "struct Node");
  check_named("a struct that leads back to itself",
              node->members[0].type->target == node && node->size == 32 &&
                  node->align == 8);
  check_named("a struct that is only declared",
              node->members[1].type->target->is_incomplete);
  check_named("where a struct is declared",
              node->line == 19 &&
                  strstr(node->file, "fixture_layout.c") != NULL);
  size_t base;
  const TypeMember *real = type_member(node, "real", &base);
  check_named("a member of a union without a name",
              real != NULL && real->offset + base == 24 &&
                  real->type->kind == KIND_FLOAT);
  check_named("alignments",
              type_set_find(layout->types, "struct Packed")->align == 1 &&
                  type_set_find(layout->types, "struct Bits")->align == 8);
  check_named("no such type",
              type_set_find(layout->types, "Nobody") == NULL &&
                  type_set_find(layout->types, "union Vec") == NULL);
  const Type *vec = type_set_find(layout->types, "struct Vec");
  check_named("a typedef is its struct",
              vec != NULL &&
                  type_same(vec, type_set_find(layout->types, "Vec")));
}

// --- Variables ---------------------------------------------------------------

typedef struct Expected {
  const char *function, *name, *text;
  int line;
  bool is_const, is_external, is_thread_local;
  bool may_go; // some compiler does not store it, or not as it is
} Expected;

static const Expected expected[] = {
    {"", "fixture_count", "int fixture_count", 45, false, true, false, false},
    {"", "nodes", "struct Node nodes[4]", 46, false, false, false, true},
    {"", "grid", "double grid[2][3]", 47, false, false, false, false},
    {"", "limits", "int limits[2]", 48, true, false, false, false},
    {"", "names", "const char *names[2]", 49, true, false, false, true},
    {"", "bits", "struct Bits bits", 50, false, false, false, false},
    {"", "packed", "struct Packed packed", 51, false, false, false, true},
    {"", "mood", "enum Mood mood", 52, false, false, false, false},
    {"", "level", "Level level", 53, false, false, false, false},
    {"", "callbacks", "Callback *callbacks[2]", 54, false, false, false, false},
    {"", "maker", "double (*(*maker)(int))[3]", 55, false, false, false, false},
    {"", "fixture_local", "int fixture_local", 56, false, true, true, true},
    {"fixture_use", "calls", "int calls", 61, false, false, false, false},
    {"fixture_use", "seen", "long seen", 64, false, false, false, false},
    {"fixture_use#2", "seen", "long seen", 68, false, false, false, false},
    {"twice", "hits", "int hits", 85, false, false, false, false},
};

static const LayoutVariable *find(const Layout *layout,
                                  const Expected *wanted) {
  for (size_t i = 0; i < layout->variables.count; i++) {
    const LayoutVariable *variable = &layout->variables.items[i];
    if (strcmp(variable->function, wanted->function) == 0 &&
        strcmp(variable->name, wanted->name) == 0) {
      return variable;
    }
  }
  return NULL;
}

static void check_variable(const Layout *layout, const Expected *wanted) {
  const LayoutVariable *found = find(layout, wanted);
  if (found == NULL) {
    check_named(wanted->name, false);
    return;
  }
  char name[200];
  snprintf(name, sizeof name, "%s: %s", object, wanted->name);
  Buffer text;
  buffer_init(&text, &memory_default);
  type_write(&text, found->type, found->name);
  check_text(name, buffer_text(&text), wanted->text);
  buffer_clear(&text);
  check_named(wanted->name,
              found->line == wanted->line &&
                  found->is_const == wanted->is_const &&
                  found->is_external == wanted->is_external &&
                  found->is_thread_local == wanted->is_thread_local &&
                  (found->has_address || wanted->may_go) &&
                  !(found->has_address && found->is_split));
}

static void variables(const Layout *layout) {
  size_t count = sizeof expected / sizeof *expected;
  for (size_t i = 0; i < count; i++) check_variable(layout, &expected[i]);
  bool distinct = true;
  for (size_t i = 0; i < layout->variables.count; i++) {
    const LayoutVariable *a = &layout->variables.items[i];
    for (size_t j = 0; j < i; j++) {
      const LayoutVariable *b = &layout->variables.items[j];
      distinct &=
          !a->has_address || !b->has_address || a->address != b->address;
    }
  }
  check_named("no variable is there twice", distinct);
}

// --- Functions ---------------------------------------------------------------

static void functions(const Layout *layout) {
  const LayoutFunction *use = NULL;
  for (size_t i = 0; i < layout->functions.count; i++) {
    const LayoutFunction *function = &layout->functions.items[i];
    if (strcmp(function->name, "fixture_use") == 0) use = function;
  }
  check_named("a function", use != NULL && use->line == 60 &&
                                use->is_external && use->address > 0);
  if (use == NULL) return;
  Buffer text;
  buffer_init(&text, &memory_default);
  type_write(&text, use->type, use->name);
  check_text("its type", buffer_text(&text),
             "int fixture_use(int, Vec, struct Node *, void (*)(void))");
  buffer_clear(&text);
  check_named("its parameters have names",
              strcmp(use->type->parameters[1].name, "at") == 0);
}

// --- Objects -----------------------------------------------------------------

static TypeSet *first_types; // of the first object, to compare with

static void compare(const Layout *layout) {
  if (first_types == NULL) {
    first_types = type_set_retain(layout->types);
    return;
  }
  static const char *const names[] = {"Vec",         "struct Node",
                                      "struct Bits", "struct Packed",
                                      "enum Mood",   "Level"};
  bool same = true;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    const Type *a = type_set_find(first_types, names[i]);
    const Type *b = type_set_find(layout->types, names[i]);
    same &= a != NULL && b != NULL && type_same(a, b) &&
            type_same_deep(&memory_default, a, b) &&
            type_hash(a) == type_hash(b);
  }
  check_named("types agree between compilers", same);
  check_named("and differ among each other",
              !type_same(type_set_find(first_types, "Vec"),
                         type_set_find(layout->types, "struct Node")));
}

static void check_object(const char *path) {
  object = strrchr(path, '/') + 1;
  size_t size;
  char *image = read_whole(path, &size);
  Layout layout;
  GraftError error;
  if (layout_read(&memory_default, image, size, object, &layout, &error) < 0) {
    check_report(object, false, error.message);
  } else {
    free(image); // nothing of it is needed any more
    image = NULL;
    types(&layout);
    variables(&layout);
    functions(&layout);
    compare(&layout);
    layout_clear(&layout);
  }
  free(image);
}

// Every prefix of an object, and one with any byte wrong: an error or a layout,
// and no crash.
static void broken(const char *path) {
  size_t size;
  char *image = read_whole(path, &size);
  Layout layout;
  bool clean = true;
  for (size_t part = 0; part < size; part += 1 + size / 200) {
    char *copy = malloc(part + 1);
    memcpy(copy, image, part);
    GraftStatus status =
        layout_read(&memory_default, copy, part, "part", &layout, NULL);
    clean &= status <= GRAFT_OK;
    if (status == GRAFT_OK) layout_clear(&layout);
    free(copy);
  }
  CHECK("objects that are cut off", clean);
  GraftError error;
  CHECK("what is no object", layout_read(&memory_default, "int f();", 8, "x.o",
                                         &layout, &error) == GRAFT_EIO &&
                                 layout.types == NULL);
  check_text("what is no object", error.message, "x.o is no object file");
  free(image);
}

static void out_of_memory(const char *path) {
  size_t size;
  char *image = read_whole(path, &size);
  bool done = false, clean = true;
  for (long at = 1; !done && clean; at++) {
    CheckMemory memory;
    check_memory_init(&memory, at);
    Layout layout;
    GraftStatus status =
        layout_read(&memory.allocator, image, size, "x.o", &layout, NULL);
    done = status == GRAFT_OK;
    if (done) layout_clear(&layout);
    clean = (done || status == GRAFT_ENOMEM) && memory.alive == 0;
  }
  CHECK("layout out of memory leaks nothing", clean);
  free(image);
}

int main(void) {
  DIR *folder = opendir(FIXTURES);
  char path[600] = "";
  int count = 0;
  for (struct dirent *entry; folder != NULL && (entry = readdir(folder));) {
    if (strstr(entry->d_name, ".so") == NULL) continue;
    snprintf(path, sizeof path, "%s/%s", FIXTURES, entry->d_name);
    check_object(path);
    count++;
  }
  if (folder != NULL) closedir(folder);
  CHECK("there are objects", count >= 4);
  if (count > 0) {
    broken(path);
    out_of_memory(path);
  }
  type_set_release(first_types);
  return check_status();
}
