// SPDX-License-Identifier: MIT
//
// The bat's body: it flies after a point like a weight on a spring, beats its
// wings harder when it climbs, and glides when it dives. Where it wants to go
// is for scripts/bat.lua to say.

#include <math.h>

static const double TAU = 6.28318530717958647692;

static double place_x = 20;
static double place_y = 20;
static double speed_x;
static double speed_y;
static double stroke; // of the wings, in turns

double wings_x(void) {
  return place_x;
}

double wings_y(void) {
  return place_y;
}

// How fast it goes, in units a second.
double wings_speed(void) {
  return sqrt(speed_x * speed_x + speed_y * speed_y);
}

// Which way it leans: -1 far to the left, 1 far to the right.
double wings_lean(void) {
  return tanh(speed_x / 30);
}

// Where the wing tips are: 1 is up, -1 is down.
double wings_tips(void) {
  return sin(TAU * stroke);
}

// A script may send it anywhere, also where there are no numbers.
static void come_back(void) {
  place_x = place_y = 20;
  speed_x = speed_y = 0;
}

// Flies towards a point, `eager` times a second correcting its course.
void wings_seek(double x, double y, double eager, double dt) {
  double pull = eager * eager;
  speed_x += (pull * (x - place_x) - 2 * 0.7 * eager * speed_x) * dt;
  speed_y += (pull * (y - place_y) - 2 * 0.7 * eager * speed_y) * dt;
  place_x += speed_x * dt;
  place_y += speed_y * dt;
  if (!isfinite(place_x) || !isfinite(place_y)) come_back();

  double climb = fmax(-0.6, fmin(1, -speed_y / 25));
  stroke += dt * (2.2 + 1.6 * climb);
  stroke = isfinite(stroke) ? stroke - floor(stroke) : 0;
}
