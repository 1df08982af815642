// Compiled with flags that natives cannot have, for native_object.c.

extern int fixture_nobody(int value);
int tentative;
static int list[10];

int fixture_at(int index) {
  return list[index]++ + tentative;
}

int fixture_user(int value) {
  int twice = value * 2;
  return fixture_nobody(twice) + 1; // line 13
}

static __thread int mine;
int fixture_mine(void) {
  return ++mine;
}

#ifdef NESTED
int fixture_each(int (*function)(int));
int fixture_nested(int value) {
  int add(int more) {
    return value + more;
  }
  return fixture_each(add);
}
#endif
