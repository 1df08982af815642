// SPDX-License-Identifier: MIT

#include "native/tier.h"

#include "base/error.h"

bool tier_available(void) {
  return false;
}

GraftStatus tier_compile(const TierDesc *desc, char **object, size_t *size,
                         GraftError *error) {
  (void)desc;
  *object = NULL;
  *size = 0;
  return error_set(error, GRAFT_ENOTFOUND, "this build has no libtcc");
}
