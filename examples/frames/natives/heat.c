// SPDX-License-Identifier: MIT
//
// Compiled by Graft when the host starts, and again whenever it is saved. Plain
// C: heat_step here is `heat.step` to the host and to Lua.

// What a body of this temperature has after `dt` seconds in a room.
double heat_step(double temperature, double dt) {
  double room = 20;
  return temperature + (room - temperature) * dt;
}
