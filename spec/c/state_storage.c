// SPDX-License-Identifier: MIT
//
// Storage: what becomes of variables and persistent arrays when a file of
// natives is saved (N4).

#include <signal.h>
#include <sys/wait.h>

#include "state_support.h"

static Storage *storage;
static GraftError error;
static StorageReport report;

static void begin(void) {
  storage = storage_new(&(StorageDesc){0});
  error.message[0] = '\0';
}

static void finish(void) {
  storage_free(storage);
}

// Saves text as a.c; the unit may go, since types are counted.
static GraftStatus save_text(const char *file, const char *text) {
  Unit unit = unit_compile(text);
  GraftStatus status = save(storage, file, &unit, &report, &error);
  unit_clear(&unit);
  return status;
}

#define SAVE(file, text)                                                       \
  do {                                                                         \
    GraftStatus status_ = save_text(file, text);                               \
    check_report("saved", status_ == GRAFT_OK,                                 \
                 status_ < 0 ? error.message : "");                            \
    storage_report_clear(&report);                                             \
  } while (0)

static void values_stay(void) {
  begin();
  SAVE("a.c", "int score = 3; static double speed = 1.5;"
              "int f(void) { static int calls = 7; return ++calls; }");
  int *score = address_of(storage, "a.c", "score");
  double *speed = address_of(storage, "a.c", "speed");
  int *calls =
      storage_object_address(storage_find(storage, "a.c", "f", "calls"));
  CHECK("a variable begins with its initialiser",
        *score == 3 && *speed == 1.5 && *calls == 7);
  *score = 40, *speed = 2.5, *calls = 9;
  SAVE("a.c", "static double speed = 1.5; static short added = -2;"
              "int score = 3; int other; "
              "int f(void) { static int calls = 7; return calls; }");
  CHECK("values and addresses stay",
        address_of(storage, "a.c", "score") == score && *score == 40 &&
            address_of(storage, "a.c", "speed") == speed && *speed == 2.5 &&
            storage_object_address(
                storage_find(storage, "a.c", "f", "calls")) == calls &&
            *calls == 9);
  CHECK("a new static has its initialiser",
        *(short *)address_of(storage, "a.c", "added") == -2 &&
            *(int *)address_of(storage, "a.c", "other") == 0);
  SAVE("b.c", "static int score = 8;");
  CHECK("another file's static is another",
        *(int *)address_of(storage, "b.c", "score") == 8 && *score == 40);
  finish();
}

// What the report says of one kind, against the rule.
#define SAYS(kind, text)                                                       \
  check_text("report", event_text(&report, (kind)), (text))

// --- Initialisers ------------------------------------------------------------

static void initialisers(void) {
  begin();
  SAVE("a.c", "int lives = 3, hp = 100; char name[8] = \"ann\"; int gone = 1;"
              "struct { int x, y; } at = {1, 2}; const int limit = 10;"
              "static unsigned mode = 1; double zero;");
  int *hp = address_of(storage, "a.c", "hp");
  int *at = address_of(storage, "a.c", "at");
  *hp = 40;
  at[0] = 9;
  Unit unit = unit_compile(
      "int lives = 5, hp = 150; char name[8] = \"bob\"; int gone = 1;"
      "struct { int x, y; } at = {3, 4}; const int limit = 20;"
      "static unsigned mode = 1; double zero = 0.5;");
  check_report("saved", save(storage, "a.c", &unit, &report, &error) == 0,
               error.message);
  unit_clear(&unit);
  CHECK("an initialiser that nobody changed is taken",
        *(int *)address_of(storage, "a.c", "lives") == 5 &&
            *(double *)address_of(storage, "a.c", "zero") == 0.5);
  CHECK("a changed value is kept", *hp == 40);
  CHECK("a struct goes leaf by leaf", at[0] == 9 && at[1] == 4);
  CHECK("a text is one leaf",
        strcmp(address_of(storage, "a.c", "name"), "bob") == 0);
  CHECK("a constant is overwritten",
        *(const int *)address_of(storage, "a.c", "limit") == 20);
  const char *expected[] = {"lives = 3 → 5",
                            "hp = 40, source now 150",
                            "name = \"ann\" → \"bob\"",
                            "at.x = 9, source now 3",
                            "at.y = 2 → 4",
                            "zero = 0 → 0.5"};
  CHECK("there is one event for each leaf", report.events.count == 6);
  for (size_t i = 0; i < 6; i++) {
    bool found = false;
    for (size_t j = 0; j < report.events.count; j++) {
      found |= strcmp(report.events.items[j].message, expected[i]) == 0;
    }
    check_report(expected[i], found, "not reported");
  }
  storage_report_clear(&report);
  SAVE("a.c", "int lives = 5, hp = 160; char name[8] = \"bob\";"
              "struct { int x, y; } at = {3, 4}; const int limit = 20;"
              "static unsigned mode = 1; double zero = 0.5;");
  CHECK("a kept value stays kept at the next edit", *hp == 40);
  CHECK("a variable that goes is gone",
        storage_find(storage, "a.c", "", "gone") == NULL);
  SAVE("a.c", "int lives, hp; int gone = 1;");
  CHECK("one that comes back begins anew",
        *(int *)address_of(storage, "a.c", "gone") == 1);
  finish();
}

// --- Layouts -----------------------------------------------------------------

typedef struct Old {
  double x;
  int hp;
  float mass;
} Old;

// Reads a byte in a child process; true when that kills it.
static bool is_deadly(const volatile char *address) {
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    fclose(stderr); // a sanitizer has much to say
    signal(SIGSEGV, SIG_DFL);
    _exit(*address == 1 ? 2 : 0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

static void inserted_field(void) {
  begin();
  const char *before = "struct Body { double x; int hp; float mass; };"
                       "struct Body bodies[1000];";
  SAVE("a.c", before);
  Old *old = address_of(storage, "a.c", "bodies");
  for (int i = 0; i < 1000; i++) old[i] = (Old){i + 0.5, i, (float)i * 2};
  Unit unit =
      unit_compile("struct Body { double x; double y; int hp; float mass; };"
                   "struct Body bodies[1000] = {[5] = {.y = 3}};");
  check_report("saved", save(storage, "a.c", &unit, &report, &error) == 0,
               error.message);
  unit_clear(&unit);
  struct {
    double x, y;
    int hp;
    float mass;
  } *new = address_of(storage, "a.c", "bodies");
  bool same = true;
  for (int i = 0; i < 1000; i++) {
    same &= new[i].x == i + 0.5 && new[i].y == (i == 5 ? 3 : 0) &&
            new[i].hp == i &&new[i].mass == (float)i * 2;
  }
  CHECK("1,000 structs with an inserted field", same);
  CHECK("are in another place", (void *)new != (void *)old);
  CHECK("and who stays in the old one crashes", is_deadly((char *)old));
  SAYS(STORAGE_MIGRATE, "struct Body[1000], 16000 → 24000 bytes: y added");
  CHECK("1,000 are counted", report.events.items[0].count == 1000);
  storage_report_clear(&report);
  finish();
}

static void conversions(void) {
  begin();
  SAVE("a.c", "int hp = 7; double big = 1; int wide = 1; float real = 2;"
              "unsigned char small = 1; bool flag; long count; int zero;"
              "enum Mood { CALM, WILD } mood = WILD;");
  *(int *)address_of(storage, "a.c", "wide") = 70000;
  *(float *)address_of(storage, "a.c", "real") = -2.75f;
  *(double *)address_of(storage, "a.c", "big") = 1e300;
  *(long *)address_of(storage, "a.c", "count") = 5;
  *(unsigned char *)address_of(storage, "a.c", "small") = 200;
  Unit unit =
      unit_compile("float hp = 7; float big = 1; short wide = 1; int real = 2;"
                   "long small = 1; int flag; bool count; double zero;"
                   "enum Mood { NEW, CALM, WILD } mood = WILD;");
  check_report("saved", save(storage, "a.c", &unit, &report, &error) == 0,
               error.message);
  unit_clear(&unit);
  CHECK("int hp → float hp by value",
        *(float *)address_of(storage, "a.c", "hp") == 7);
  CHECK("a double beyond a float is the largest",
        *(float *)address_of(storage, "a.c", "big") == 3.40282347e38f);
  CHECK("an int beyond a short is the largest",
        *(short *)address_of(storage, "a.c", "wide") == 32767);
  CHECK("a float loses its fraction",
        *(int *)address_of(storage, "a.c", "real") == -2);
  CHECK("a byte is unsigned",
        *(long *)address_of(storage, "a.c", "small") == 200);
  CHECK("a number that is not zero is true",
        *(bool *)address_of(storage, "a.c", "count") == true);
  CHECK("an enumerator keeps its name",
        *(int *)address_of(storage, "a.c", "mood") == 2);
  size_t lost = 0, events = 0;
  for (size_t i = 0; i < report.events.count; i++) {
    lost += report.events.items[i].lost;
    events += report.events.items[i].kind == STORAGE_MIGRATE;
  }
  CHECK("lossy conversions are counted", lost == 4);
  CHECK("each variable is reported", events == 9);
  storage_report_clear(&report);
  finish();
}

static void no_rename(void) {
  begin();
  SAVE("a.c", "struct Body { int id; int hp; }; struct Body body = {1, 100};");
  int *old = address_of(storage, "a.c", "body");
  old[0] = 5, old[1] = 60;
  Unit unit = unit_compile(
      "struct Body { int id; int ammo; }; struct Body body = {1, 30};");
  check_report("saved", save(storage, "a.c", &unit, &report, &error) == 0,
               error.message);
  unit_clear(&unit);
  int *new = address_of(storage, "a.c", "body");
  CHECK("hp removed and ammo added is no rename", new[0] == 5 && new[1] == 30);
  SAYS(STORAGE_MIGRATE, "struct Body: ammo added, hp removed");
  storage_report_clear(&report);
  finish();
}

static void shapes(void) {
  begin();
  SAVE("a.c", "struct In { short a; int b; };"
              "struct Out { struct In in[2]; char tag[8]; unsigned low : 3;"
              " int high : 9; struct { int deep; }; int list[4]; } out;"
              "int numbers[3] = {1, 2, 3}; int shrinks[4]; int grid[2][2];");
  struct {
    struct {
      short a;
      int b;
    } in[2];
    char tag[8];
    unsigned low : 3;
    int high : 9;
    int deep;
    int list[4];
  } *old = address_of(storage, "a.c", "out");
  old->in[0].a = -3, old->in[1].b = 77, old->low = 5, old->high = -200;
  strcpy(old->tag, "abcdefg");
  old->deep = 12, old->list[3] = 9, old->list[1] = 4;
  int *numbers = address_of(storage, "a.c", "numbers");
  numbers[1] = 20;
  int *shrinks = address_of(storage, "a.c", "shrinks");
  for (int i = 0; i < 4; i++) shrinks[i] = i + 1;
  int *grid = address_of(storage, "a.c", "grid");
  for (int i = 0; i < 4; i++) grid[i] = 10 + i;
  SAVE("a.c",
       "struct In { int b; long c; int a; };"
       "struct Out { int list[2]; struct In in[3]; int high : 12;"
       " unsigned low : 2; char tag[4]; int deep; } out;"
       "int numbers[5] = {1, 5, 3, 4, 6}; int shrinks[2]; float grid[3][3];");
  struct {
    int list[2];
    struct {
      int b;
      long c;
      int a;
    } in[3];
    int high : 12;
    unsigned low : 2;
    char tag[4];
    int deep;
  } *new = address_of(storage, "a.c", "out");
  CHECK("nested structs in an array that grows",
        new->in[0].a == -3 && new->in[1].b == 77 && new->in[2].a == 0 &&
            new->in[0].c == 0);
  CHECK("a bit-field that widens, and one that narrows",
        new->high == -200 && new->low == 3);
  CHECK("a text that shrinks ends", strcmp(new->tag, "abc") == 0);
  CHECK("a member of an anonymous struct", new->deep == 12);
  CHECK("an array that shrinks", new->list[0] == 0 && new->list[1] == 4);
  numbers = address_of(storage, "a.c", "numbers");
  CHECK("a variable array that grows, merged with its initialiser",
        numbers[0] == 1 && numbers[1] == 20 && numbers[2] == 3 &&
            numbers[3] == 4 && numbers[4] == 6);
  shrinks = address_of(storage, "a.c", "shrinks");
  CHECK("a variable array that shrinks", shrinks[0] == 1 && shrinks[1] == 2);
  float *wide = address_of(storage, "a.c", "grid");
  CHECK("an array of arrays", wide[0] == 10 && wide[1] == 11 && wide[3] == 12 &&
                                  wide[4] == 13 && wide[2] == 0);
  finish();
}

// --- What is refused ---------------------------------------------------------

static void refuse(const char *name, const char *text, const char *message) {
  Unit unit = unit_compile(text);
  GraftStatus status = save(storage, "a.c", &unit, &report, &error);
  CHECK(name, status == GRAFT_ESIGNATURE && report.events.count == 0);
  check_text(name, error.message, message);
  CHECK("it says where",
        error.line > 0 && strstr("a.c b.c", error.file) && *error.file != '\0');
  unit_clear(&unit);
  storage_report_clear(&report);
}

static void refused(void) {
  begin();
  SAVE("a.c", "union U { int i; float f; }; struct S { int a; union U u; };"
              "struct S s = {1, {2}}; int count = 5; void (*hook)(int);");
  int *s = address_of(storage, "a.c", "s");
  s[1] = 77;
  SAVE("a.c", "union U { int i; float f; double d; };"
              "struct S { int b; int a; union U u; };"
              "struct S s = {.a = 1, .u = {2}}; int count = 5;"
              "void (*hook)(int);");
  s = address_of(storage, "a.c", "s");
  CHECK("a union that only gains members is kept", s[1] == 1 && s[2] == 77);
  refuse(
      "a union that loses a member",
      "union U { float f; double d; }; struct S { int b; int a; union U u; };"
      "struct S s; int count = 9; void (*hook)(int);",
      "s.u: union U cannot become what it is now; nobody knows which "
      "member it holds");
  refuse("a number that becomes a struct",
         "union U { int i; float f; double d; };"
         "struct S { int b; int a; union U u; }; struct S s;"
         "struct { int n; } count;",
         "count: int cannot become struct without a name");
  refuse("a function pointer of another type",
         "union U { int i; float f; double d; };"
         "struct S { int b; int a; union U u; }; struct S s; int count = 9;"
         "void (*hook)(float);",
         "hook: void (*)(int) cannot become void (*)(float)");
  CHECK("nothing has changed",
        address_of(storage, "a.c", "s") == s && s[2] == 77 &&
            *(int *)address_of(storage, "a.c", "count") == 5);
  finish();
}

static void explicit_migration(void) {
  begin();
  SAVE("a.c", "struct Body { int celsius; struct { int n; } in; int same; };"
              "struct Body bodies[3] = {{1}};");
  int *old = address_of(storage, "a.c", "bodies");
  old[0] = 100, old[3] = 10, old[6] = -40, old[5] = 8;
  SAVE("a.c",
       "struct Body { int kelvin; int same; float in; };"
       "struct Body bodies[3];"
       "void unit_migrate_Body(const void *from, struct Body *to) {"
       "  const int *old = from; to->kelvin = old[0] + 273; to->in = old[1];"
       "}");
  struct {
    int kelvin, same;
    float in;
  } *new = address_of(storage, "a.c", "bodies");
  CHECK("a migration function runs for each element",
        new[0].kelvin == 373 && new[1].kelvin == 283 && new[2].kelvin == 233);
  CHECK("after what goes by name", new[1].same == 8);
  finish();
}

// --- Pointers ----------------------------------------------------------------

static void pointers(void) {
  begin();
  SAVE("a.c", "typedef struct Node { struct Node *next; int value; } Node;"
              "Node nodes[4]; Node *first = &nodes[1]; int *inner;"
              "Node *end; void *any; static Node *none;"
              "struct { Node **where; } holder = {&first};");
  typedef struct Old_ {
    struct Old_ *next;
    int value;
  } OldNode;
  OldNode *old = address_of(storage, "a.c", "nodes");
  for (int i = 0; i < 4; i++) {
    old[i].next = i < 3 ? &old[i + 1] : NULL;
    old[i].value = i * 10;
  }
  OldNode **first = address_of(storage, "a.c", "first");
  CHECK("an initialiser points to storage", *first == &old[1]);
  *first = &old[2];
  *(int **)address_of(storage, "a.c", "inner") = &old[3].value;
  *(void **)address_of(storage, "a.c", "any") = &old[2];
  *(void **)address_of(storage, "a.c", "end") = old + 4;
  Unit unit = unit_compile(
      "typedef struct Node { int id; int value; struct Node *next; double w; }"
      " Node;"
      "Node nodes[4]; Node *first = &nodes[1]; int *inner;"
      "Node *end; void *any; static Node *none;"
      "struct { Node **where; } holder = {&first};");
  check_report("saved", save(storage, "a.c", &unit, &report, &error) == 0,
               error.message);
  unit_clear(&unit);
  typedef struct New_ {
    int id, value;
    struct New_ *next;
    double w;
  } NewNode;
  NewNode *new = address_of(storage, "a.c", "nodes");
  CHECK("a list within an array",
        new[0].next == &new[1] && new[1].next == &new[2] &&
            new[2].next == &new[3] && new[3].next == NULL);
  CHECK("a pointer to an element",
        *(NewNode **)address_of(storage, "a.c", "first") == &new[2]);
  CHECK("a pointer to a member",
        *(int **)address_of(storage, "a.c", "inner") == &new[3].value);
  CHECK("a pointer without a type",
        *(NewNode **)address_of(storage, "a.c", "any") == &new[2]);
  CHECK("a pointer behind the end",
        *(NewNode **)address_of(storage, "a.c", "end") == new + 4);
  CHECK("a pointer to a pointer",
        *(void **)address_of(storage, "a.c", "holder") ==
            address_of(storage, "a.c", "first"));
  CHECK("moved pointers are no edits", report.events.count == 1);
  storage_report_clear(&report);
  finish();
}

static void pointer_refusals(void) {
  begin();
  const char *text = "struct Body { int hp; int ammo; }; struct Body *mine;"
                     "struct Body bodies[2]; int *watched;";
  SAVE("a.c", text);
  void **mine = address_of(storage, "a.c", "mine");
  int *bodies = address_of(storage, "a.c", "bodies");
  int foreign[4] = {0};
  *mine = foreign;
  bodies[1] = 5;
  refuse("a pointer to foreign memory of a changed layout",
         "struct Body { int hp; int id; int ammo; }; struct Body *mine;"
         "struct Body bodies[2]; int *watched;",
         "mine points to memory that Graft cannot migrate, and struct "
         "Body has another layout now: take it from graft_state_new, or set "
         "the pointer to NULL");
  *mine = NULL;
  int **watched = address_of(storage, "a.c", "watched");
  *watched = &bodies[2];
  refuse("a pointer to a member that goes",
         "struct Body { int id; int ammo; }; struct Body *mine;"
         "struct Body bodies[2]; int *watched;",
         "watched points to bodies[1].hp, which would be gone: "
         "clear it first");
  CHECK("nothing has moved", address_of(storage, "a.c", "bodies") == bodies &&
                                 *watched == &bodies[2] && bodies[1] == 5);
  *watched = NULL;
  *mine = &bodies[2];
  SAVE("b.c", "struct Body { int hp; int ammo; }; struct Body *other;");
  *(void **)address_of(storage, "b.c", "other") = bodies;
  refuse("another file's view of a struct",
         "struct Body { int hp; int id; int ammo; }; struct Body *mine;"
         "struct Body bodies[2]; int *watched;",
         "other points to a struct Body that would have another layout "
         "than b.c knows");
  finish();
}

// --- Transactions ------------------------------------------------------------

static const char *const first_text =
    "typedef struct Node { struct Node *next; int value; } Node;"
    "Node nodes[3] = {{0, 5}}; Node *first = &nodes[1]; int speed = 3;"
    "static int gone = 4; struct { int a; } small; static int kept;";
static const char *const second_text =
    "typedef struct Node { int value; int id; struct Node *next; } Node;"
    "Node nodes[3] = {{6}}; Node *first = &nodes[2]; int speed = 4;"
    "struct { double a; } small; static int kept; int added = 9;";

typedef struct Snapshot {
  int *nodes, *speed, *gone, *small;
  void *first;
  int value, small_value;
} Snapshot;

static Snapshot look(const Storage *at) {
  Snapshot shot = {
      .nodes = address_of(at, "a.c", "nodes"),
      .speed = address_of(at, "a.c", "speed"),
      .gone = address_of(at, "a.c", "gone"),
      .small = address_of(at, "a.c", "small"),
      .first = *(void **)address_of(at, "a.c", "first"),
  };
  shot.value = shot.nodes[2];
  shot.small_value = *shot.small;
  return shot;
}

static bool is_as_before(const Storage *at, const Snapshot *before) {
  Snapshot now = look(at);
  return now.nodes == before->nodes && now.speed == before->speed &&
         now.gone == before->gone && now.small == before->small &&
         now.first == before->first && now.value == before->value &&
         now.small_value == before->small_value && *now.speed == 3 &&
         *now.gone == 44 && storage_find(at, "a.c", "", "added") == NULL;
}

static void undoing(void) {
  begin();
  SAVE("a.c", first_text);
  Snapshot before = look(storage);
  *before.gone = 44, *before.small = 6;
  before = look(storage);
  Unit unit = unit_compile(second_text);
  StorageChange *change =
      storage_change_new(storage, &(StorageChangeDesc){NULL, NULL});
  storage_report_init(&report, &memory_default);
  CHECK("a change is made",
        change_add(change, "a.c", &unit, &error) == GRAFT_OK);
  CHECK("nothing has happened until it is applied",
        is_as_before(storage, &before));
  CHECK("it is applied",
        storage_change_apply(change, &report, &error) == GRAFT_OK &&
            *(int *)address_of(storage, "a.c", "speed") == 4 &&
            *(double *)address_of(storage, "a.c", "small") == 6);
  TypeSet *set;
  CHECK("its types are those that are found",
        storage_find_type(storage, "Node", &set)->size == 16 &&
            set == unit.layout.types);
  void *nodes = address_of(storage, "a.c", "nodes");
  CHECK("what others hold is told where it went",
        storage_change_forward(change, before.nodes) == nodes &&
            storage_change_forward(change, &before.nodes[6]) ==
                (char *)nodes + 16 &&
            storage_change_forward(change, before.speed) == before.speed);
  storage_change_undo(change);
  CHECK("undone, all is as it was", is_as_before(storage, &before));
  CHECK("with the types that were",
        storage_find_type(storage, "Node", &set) != NULL &&
            set != unit.layout.types &&
            storage_find_type(storage, "Nobody", &set) == NULL);
  storage_change_free(change);
  storage_report_clear(&report);
  change = storage_change_new(storage, &(StorageChangeDesc){NULL, NULL});
  storage_change_unit(change, "a.c", NULL, &error);
  storage_report_init(&report, &memory_default);
  CHECK("a file goes",
        storage_change_apply(change, &report, &error) == GRAFT_OK &&
            storage_find(storage, "a.c", "", "speed") == NULL);
  SAYS(STORAGE_REMOVE, "no longer declared");
  storage_change_undo(change);
  CHECK("and comes back", is_as_before(storage, &before));
  storage_change_free(change);
  storage_report_clear(&report);
  unit_clear(&unit);
  finish();
}

static void out_of_memory(void) {
  Unit first = unit_compile(first_text), second = unit_compile(second_text);
  bool done = false, clean = true;
  long at = 0;
  while (!done && clean) {
    CheckMemory memory;
    check_memory_init(&memory, 0);
    Storage *small =
        storage_new(&(StorageDesc){.allocator = &memory.allocator});
    clean = save(small, "a.c", &first, &report, NULL) == GRAFT_OK;
    storage_report_clear(&report);
    HeapDesc heap = {.name = "all", .type = "Node", .count = 3};
    clean &= heap_new(small, &heap, NULL) != NULL;
    Snapshot before = look(small);
    *before.gone = 44, *before.small = 6;
    before = look(small);
    memory.fail_at = memory.calls + ++at;
    GraftStatus status = save(small, "a.c", &second, &report, NULL);
    done = status == GRAFT_OK;
    memory.fail_at = 0;
    clean &= done || (status == GRAFT_ENOMEM && is_as_before(small, &before));
    if (!done) {
      storage_report_clear(&report);
      clean &= save(small, "a.c", &second, &report, NULL) == GRAFT_OK;
    }
    storage_report_clear(&report);
    storage_free(small);
    clean &= memory.alive == 0;
  }
  char why[60];
  snprintf(why, sizeof why, "at request %ld", at);
  check_report("without memory at every place, nothing changes", clean, why);
  CHECK("there were many places", at > 20);
  unit_clear(&first);
  unit_clear(&second);
}

// --- Removed variables -------------------------------------------------------

static void removed(void) {
  begin();
  SAVE("a.c", "int n = 1; static int *p;");
  int **p = address_of(storage, "a.c", "p");
  *p = address_of(storage, "a.c", "n");
  StorageObject *n = storage_find(storage, "a.c", "", "n");
  storage_object_retain(n);
  **p = 6;
  SAVE("a.c", "static int *p; int n2;");
  CHECK("what old code and pointers use stays",
        *p == storage_object_address(n) && **p == 6);
  storage_object_release(storage, n);
  CHECK("a pointer is enough", storage_count(storage) == 3 && **p == 6);
  *p = NULL;
  SAVE("a.c", "static int *p; int n2;");
  CHECK("then it goes", storage_count(storage) == 2);
  finish();
}

// --- Persistent arrays -------------------------------------------------------

static void heap(void) {
  begin();
  SAVE("a.c", "typedef struct Body { double x; struct Body *near; } Body;"
              "static Body *bodies; static Body *picked;");
  HeapDesc desc = {
      .name = "bodies", .type = "Body", .element_size = 16, .count = 1000};
  struct Before {
    double x;
    struct Before *near;
  } *old = heap_new(storage, &desc, &error);
  CHECK("a persistent array", old != NULL && old[999].x == 0);
  CHECK("the same again", heap_new(storage, &desc, &error) == old);
  for (int i = 0; i < 1000; i++) {
    old[i].x = i;
    old[i].near = &old[999 - i];
  }
  *(void **)address_of(storage, "a.c", "bodies") = old;
  *(void **)address_of(storage, "a.c", "picked") = &old[700];
  Unit unit = unit_compile(
      "typedef struct Body { struct Body *near; int hp; float x; } Body;"
      "static Body *bodies; static Body *picked;");
  check_report("saved", save(storage, "a.c", &unit, &report, &error) == 0,
               error.message);
  unit_clear(&unit);
  struct After {
    struct After *near;
    int hp;
    float x;
  } *new = heap_find(storage, "bodies", NULL);
  bool same = true;
  for (int i = 0; i < 1000; i++) {
    same &= new[i].x == (float)i &&new[i].near == &new[999 - i];
  }
  CHECK("it is migrated with its pointers", same && (void *)new != (void *)old);
  CHECK("and what points to it follows",
        *(void **)address_of(storage, "a.c", "bodies") ==
            new &&*(void **)address_of(storage, "a.c", "picked") == &new[700]);
  SAYS(STORAGE_MIGRATE, "Body: hp added, x double → float");
  storage_report_clear(&report);
  size_t count;
  struct After *more = heap_resize(storage, "bodies", 1500, &error);
  CHECK("it grows", more != NULL && more[1499].near == NULL && more[3].x == 3 &&
                        heap_find(storage, "bodies", &count) == more &&
                        count == 1500);
  CHECK("pointers follow when it grows",
        more[3].near == &more[996] &&
            *(void **)address_of(storage, "a.c", "picked") == &more[700]);
  CHECK("it is freed", heap_free(storage, "bodies") &&
                           heap_find(storage, "bodies", NULL) == NULL &&
                           !heap_free(storage, "bodies"));
  *(void **)address_of(storage, "a.c", "bodies") = NULL;
  *(void **)address_of(storage, "a.c", "picked") = NULL;
  finish();
}

static void heap_errors(void) {
  begin();
  SAVE("a.c", "struct Body { int a; }; struct Body body; struct Other *other;");
  HeapDesc desc = {.name = "b", .type = "Bird", .count = 2};
  CHECK("no such type", heap_new(storage, &desc, &error) == NULL &&
                            error.status == GRAFT_ENOTFOUND);
  check_text("no such type", error.message,
             "state 'b': no native has a type Bird");
  desc = (HeapDesc){.name = "b", .type = "struct Body", .element_size = 12};
  CHECK("another size", heap_new(storage, &desc, &error) == NULL);
  check_text("another size", error.message,
             "state 'b': no native has a type struct Body of 12 bytes");
  desc = (HeapDesc){.name = "", .type = "int"};
  CHECK("no name",
        heap_new(storage, &desc, &error) == NULL && error.status == GRAFT_EARG);
  desc = (HeapDesc){.name = "b", .type = "int", .count = 4};
  CHECK("a number's array", heap_new(storage, &desc, &error) != NULL);
  desc.count = 5;
  CHECK("another count", heap_new(storage, &desc, &error) == NULL);
  check_text("another count", error.message,
             "state 'b' is there already, as 4 of int with 4 bytes");
  CHECK("no such state", heap_resize(storage, "c", 2, &error) == NULL &&
                             error.status == GRAFT_ENOTFOUND);
  SAVE("b.c", "struct Body { float f; }; struct Body body;");
  desc = (HeapDesc){.name = "c", .type = "struct Body", .count = 1};
  CHECK("two views", heap_new(storage, &desc, &error) == NULL);
  check_text("two views", error.message,
             "state 'c': struct Body is laid out differently in a.c and b.c");
  desc.file = "b.c";
  CHECK("the caller's view", heap_new(storage, &desc, &error) != NULL);
  finish();
}

static void many_saves(void) {
  begin();
  Unit units[2] = {unit_compile(first_text), unit_compile(second_text)};
  SAVE("a.c", first_text);
  void *before = address_of(storage, "a.c", "kept");
  for (int i = 0; i < 200; i++) {
    if (save(storage, "a.c", &units[(i + 1) % 2], &report, &error) < 0) {
      stop("200 saves", error.message);
    }
    storage_report_clear(&report);
  }
  CHECK("200 layouts later the objects are those of the file",
        storage_count(storage) == 6 &&
            address_of(storage, "a.c", "kept") == before);
  unit_clear(&units[0]);
  unit_clear(&units[1]);
  finish();
}

int main(void) {
  values_stay();
  initialisers();
  inserted_field();
  conversions();
  no_rename();
  shapes();
  refused();
  explicit_migration();
  pointers();
  pointer_refusals();
  undoing();
  out_of_memory();
  removed();
  heap();
  heap_errors();
  many_saves();
  return check_status();
}
