// SPDX-License-Identifier: MIT
//
// Hash: 64-bit hashing of bytes, not for adversaries.

#ifndef GRAFT_BASE_HASH_H
#define GRAFT_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

enum { HASH_EMPTY = 0 };

uint64_t hash_bytes(uint64_t seed, const void *bytes, size_t size);

// Mixes a number into a hash; the order of mixing matters.
static inline uint64_t hash_mix(uint64_t hash, uint64_t number) {
  hash ^= number + 0x9e3779b97f4a7c15u + (hash << 6) + (hash >> 2);
  hash ^= hash >> 32;
  hash *= 0xd6e8feb86659fd93u;
  return hash ^ (hash >> 32);
}

#endif
