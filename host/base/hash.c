// SPDX-License-Identifier: MIT

#include "base/hash.h"

#include <string.h>

uint64_t hash_bytes(uint64_t seed, const void *bytes, size_t size) {
  const unsigned char *at = bytes;
  uint64_t hash = hash_mix(seed, size);
  for (; size >= 8; size -= 8, at += 8) {
    uint64_t word;
    memcpy(&word, at, 8);
    hash = hash_mix(hash, word);
  }
  uint64_t tail = 0;
  if (size > 0) memcpy(&tail, at, size);
  return hash_mix(hash, tail);
}
