// The other file of native_link.c's fixtures.

int fixture_shared = 1000;
int fixture_callee(int value);

int fixture_other(int value) {
  return fixture_callee(value) + fixture_shared;
}
