// SPDX-License-Identifier: MIT
//
// The swarm: where each firefly is, how it flies and when it blinks. Lua sees
// every function here that is not static: flock_step() is `flock.step`.
//
// A frame is a number of pushes (steer, repel, attract, wind), which add up in
// `pull_x` and `pull_y`, and one step, which turns the sum into movement.
// Fireflies are numbered from 0. Distances are in units of the meadow, y grows
// downwards, times are in seconds, phases are turns: 0 is the flash.

#include <math.h>
#include <stdbool.h>

static const double TAU = 6.28318530717958647692;

enum { FIREFLIES_MOST = 4096, GRID_MOST = 48 };

typedef struct Firefly {
  double x, y;
  double speed_x, speed_y;
  double pull_x, pull_y;
  double heading; // where it would go by itself, an angle
  double phase;
  double pace;         // from -1, slower than the others, to 1, faster
  double fear;         // 1 just frightened, 0 calm
  double sine, cosine; // of the phase, kept for flock_couple()
} Firefly;

// Sums over the neighbours of one firefly.
typedef struct Company {
  int count;
  double x, y;
  double speed_x, speed_y;
  double crowd_x, crowd_y;
  double sine, cosine;
} Company;

static Firefly swarm[FIREFLIES_MOST];
static int swarm_count;
static double meadow_width = 200;
static double meadow_height = 100;
static unsigned dice_state = 1;

// The grid sorts the swarm into squares of at least `reach`, so that all
// neighbours of a firefly are in its own square and the eight around it.
// Square s holds grid_order[grid_start[s]] up to grid_start[s + 1].
static int grid_columns = 1;
static int grid_rows = 1;
static double grid_square = 1;
static int grid_start[GRID_MOST * GRID_MOST + 1];
static int grid_order[FIREFLIES_MOST];
static double reach = 12;

// ---------------------------------------------------------------------------
// Small helpers
// ---------------------------------------------------------------------------

// Also makes what is not a number `low`: scripts are edited live, and a slip
// must not spoil the swarm for good.
static double clamp(double value, double low, double high) {
  if (!(value >= low)) return low;
  return value > high ? high : value;
}

static double turn(double phase) {
  return isfinite(phase) ? phase - floor(phase) : 0;
}

// A number from 0 to 1, the same sequence on every machine.
static double roll(void) {
  dice_state = dice_state * 1664525u + 1013904223u;
  return (dice_state >> 8) / 16777216.0;
}

static Firefly *at(int id) {
  static Firefly nobody;
  return id >= 0 && id < swarm_count ? &swarm[id] : &nobody;
}

static int square_of(double place, int squares) {
  return (int)clamp(place / grid_square, 0, squares - 1);
}

static void fill_grid(void) {
  double longer = fmax(meadow_width, meadow_height);
  grid_square = fmax(reach, longer / GRID_MOST);
  grid_columns = (int)clamp(ceil(meadow_width / grid_square), 1, GRID_MOST);
  grid_rows = (int)clamp(ceil(meadow_height / grid_square), 1, GRID_MOST);
  int squares = grid_columns * grid_rows;

  static int square[FIREFLIES_MOST];
  for (int s = 0; s <= squares; s++) grid_start[s] = 0;
  for (int i = 0; i < swarm_count; i++) {
    square[i] = square_of(swarm[i].y, grid_rows) * grid_columns +
                square_of(swarm[i].x, grid_columns);
    grid_start[square[i]]++;
  }
  for (int s = 1; s <= squares; s++) grid_start[s] += grid_start[s - 1];
  for (int i = swarm_count - 1; i >= 0; i--)
    grid_order[--grid_start[square[i]]] = i;
}

static void meet(Company *company, const Firefly *self, const Firefly *other) {
  double dx = other->x - self->x;
  double dy = other->y - self->y;
  double distance2 = dx * dx + dy * dy;
  if (other == self || distance2 >= reach * reach) return;
  company->count++;
  company->x += dx;
  company->y += dy;
  company->speed_x += other->speed_x;
  company->speed_y += other->speed_y;
  company->crowd_x -= dx / (distance2 + 0.5);
  company->crowd_y -= dy / (distance2 + 0.5);
  company->sine += other->sine;
  company->cosine += other->cosine;
}

static Company company_of(const Firefly *self) {
  Company company = {0};
  int column = square_of(self->x, grid_columns);
  int row = square_of(self->y, grid_rows);
  for (int r = row - 1; r <= row + 1; r++) {
    for (int c = column - 1; c <= column + 1; c++) {
      if (r < 0 || c < 0 || r >= grid_rows || c >= grid_columns) continue;
      int s = r * grid_columns + c;
      for (int k = grid_start[s]; k < grid_start[s + 1]; k++)
        meet(&company, self, &swarm[grid_order[k]]);
    }
  }
  return company;
}

static void pull(Firefly *self, double x, double y) {
  self->pull_x += x;
  self->pull_y += y;
}

// ---------------------------------------------------------------------------
// The swarm
// ---------------------------------------------------------------------------

void flock_seed(int seed) {
  dice_state = (unsigned)seed;
}

void flock_bounds(double width, double height) {
  meadow_width = clamp(width, 10, 1000);
  meadow_height = clamp(height, 10, 1000);
}

int flock_count(void) {
  return swarm_count;
}

// Grows or shrinks the swarm; newcomers rise from the grass. Returns how many
// there are now: there is room for 4,096.
int flock_resize(int count) {
  int wanted = (int)clamp(count, 0, FIREFLIES_MOST);
  for (; swarm_count < wanted; swarm_count++) {
    Firefly newcomer = {
        .x = roll() * meadow_width,
        .y = meadow_height * (0.55 + 0.4 * roll()),
        .heading = roll() * TAU,
        .phase = roll(),
    };
    swarm[swarm_count] = newcomer;
  }
  swarm_count = wanted;
  return wanted;
}

double flock_x(int id) {
  return at(id)->x;
}

double flock_y(int id) {
  return at(id)->y;
}

double flock_phase(int id) {
  return at(id)->phase;
}

double flock_fear(int id) {
  return at(id)->fear;
}

void flock_pace(int id, double pace) {
  at(id)->pace = pace;
}

// ---------------------------------------------------------------------------
// Flying
// ---------------------------------------------------------------------------

// The three rules of flocking, for neighbours not further than `radius`.
void flock_steer(double cohesion, double alignment, double separation,
                 double radius) {
  reach = clamp(radius, 1, 100);
  fill_grid();
  for (int i = 0; i < swarm_count; i++) {
    Firefly *self = &swarm[i];
    Company near = company_of(self);
    if (near.count == 0) continue;
    double share = 1.0 / near.count;
    pull(self, cohesion * near.x * share, cohesion * near.y * share);
    pull(self, alignment * (near.speed_x * share - self->speed_x),
         alignment * (near.speed_y * share - self->speed_y));
    pull(self, separation * near.crowd_x * share,
         separation * near.crowd_y * share);
  }
}

// Each firefly follows a heading of its own that changes slowly.
void flock_wander(double strength) {
  for (int i = 0; i < swarm_count; i++) {
    Firefly *self = &swarm[i];
    self->heading += (roll() - 0.5) * 0.7;
    pull(self, strength * cos(self->heading), strength * sin(self->heading));
  }
}

// Drives everybody within `radius` away from a point, and frightens them.
void flock_repel(double x, double y, double radius, double strength) {
  for (int i = 0; i < swarm_count; i++) {
    Firefly *self = &swarm[i];
    double dx = self->x - x;
    double dy = self->y - y;
    double distance = sqrt(dx * dx + dy * dy) + 0.01;
    if (distance >= radius) continue;
    double nearness = 1 - distance / radius;
    pull(self, strength * nearness * dx / distance,
         strength * nearness * dy / distance);
    self->fear = fmax(self->fear, clamp(nearness * 1.6, 0, 1));
  }
}

// Draws everybody within `radius` towards a point.
void flock_attract(double x, double y, double radius, double strength) {
  for (int i = 0; i < swarm_count; i++) {
    Firefly *self = &swarm[i];
    double dx = x - self->x;
    double dy = y - self->y;
    double distance = sqrt(dx * dx + dy * dy) + 0.01;
    if (distance >= radius) continue;
    pull(self, strength * dx / distance, strength * dy / distance);
  }
}

// A steady push on everybody; those high above the grass feel more of it.
void flock_wind(double x, double y) {
  for (int i = 0; i < swarm_count; i++) {
    double height = 1.2 - swarm[i].y / meadow_height;
    pull(&swarm[i], x * height, y * height);
  }
}

// A blow: it changes all speeds at once.
void flock_kick(double x, double y) {
  for (int i = 0; i < swarm_count; i++) {
    swarm[i].speed_x += x * (0.6 + 0.8 * roll());
    swarm[i].speed_y += y * (0.6 + 0.8 * roll());
  }
}

// Frightens everybody, and makes them lose the common beat by up to `scatter`
// turns.
void flock_startle(double scatter) {
  for (int i = 0; i < swarm_count; i++) {
    swarm[i].phase = turn(swarm[i].phase + scatter * roll());
    swarm[i].fear = 1;
  }
}

// The edges of the meadow are soft: the nearer, the stronger they push back.
static void stay_inside(Firefly *self) {
  double margin = 0.12 * fmin(meadow_width, meadow_height);
  double left = margin - self->x;
  double right = self->x - (meadow_width - margin);
  double top = 2.5 * margin - self->y;
  double bottom = self->y - (meadow_height - 1.3 * margin);
  pull(self, 3 * (fmax(left, 0) - fmax(right, 0)),
       3 * (fmax(top, 0) - fmax(bottom, 0)));
}

static void move(Firefly *self, double dt, double cruise) {
  self->speed_x += self->pull_x * dt;
  self->speed_y += self->pull_y * dt;
  self->pull_x = self->pull_y = 0;

  // Fear lifts the limit; whoever is faster than it slows down softly.
  double limit = cruise * (1 + 2.5 * self->fear);
  double speed =
      sqrt(self->speed_x * self->speed_x + self->speed_y * self->speed_y);
  if (!isfinite(speed)) self->speed_x = self->speed_y = speed = 0;
  if (speed > limit) {
    double slower = 1 - (1 - limit / speed) * clamp(6 * dt, 0, 1);
    self->speed_x *= slower;
    self->speed_y *= slower;
  }
  self->x = clamp(self->x + self->speed_x * dt, 0, meadow_width);
  self->y = clamp(self->y + self->speed_y * dt, 0, meadow_height);
}

// Moves everybody by all that pushed them since the last step.
void flock_step(double dt, double cruise) {
  for (int i = 0; i < swarm_count; i++) {
    stay_inside(&swarm[i]);
    move(&swarm[i], dt, cruise);
    swarm[i].fear = clamp(swarm[i].fear - 0.45 * dt, 0, 1);
  }
}

// ---------------------------------------------------------------------------
// Blinking
// ---------------------------------------------------------------------------

// Where the swarm as a whole is in its beat: the mean of all phases taken as
// points on a circle. Its length is 1 when all blink as one.
static void mean_phase(double *cosine, double *sine) {
  double c = 0, s = 0;
  for (int i = 0; i < swarm_count; i++) {
    c += cos(TAU * swarm[i].phase);
    s += sin(TAU * swarm[i].phase);
  }
  *cosine = swarm_count ? c / swarm_count : 0;
  *sine = swarm_count ? s / swarm_count : 0;
}

// From 0, everybody blinks when they like, to 1, all blink as one.
double flock_unison(void) {
  double cosine, sine;
  mean_phase(&cosine, &sine);
  return sqrt(cosine * cosine + sine * sine);
}

// The phase of the swarm as a whole, 0 to 1.
double flock_beat(void) {
  double cosine, sine;
  mean_phase(&cosine, &sine);
  double phase = atan2(sine, cosine) / TAU;
  return phase < 0 ? phase + 1 : phase;
}

// Kuramoto's rule: everybody runs at a tempo of their own, `tempo` flashes a
// second and up to `spread` of it faster or slower, and leans towards the phase
// of those they see: `near` weighs the neighbours, `far` the glow of the whole
// swarm. The frightened look at nobody. Neighbours are those of the last
// flock_steer().
void flock_couple(double tempo, double spread, double near, double far,
                  double dt) {
  double all_cosine, all_sine;
  mean_phase(&all_cosine, &all_sine);
  for (int i = 0; i < swarm_count; i++) {
    swarm[i].cosine = cos(TAU * swarm[i].phase);
    swarm[i].sine = sin(TAU * swarm[i].phase);
  }
  for (int i = 0; i < swarm_count; i++) {
    Firefly *self = &swarm[i];
    Company seen = company_of(self);
    double share = seen.count ? near / seen.count : 0;
    double sine = share * seen.sine + far * all_sine;
    double cosine = share * seen.cosine + far * all_cosine;
    double lean = (sine * self->cosine - cosine * self->sine) / TAU;
    double speed = tempo * (1 + spread * self->pace) + lean * (1 - self->fear);
    self->phase = turn(self->phase + dt * speed);
  }
}
