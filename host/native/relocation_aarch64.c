// SPDX-License-Identifier: MIT

#include "native/relocation.h"

#include <elf.h>
#include <stddef.h>

#define ENTRY(type, use, basis, field)                                         \
  case type:                                                                   \
    return (RelocationType) {                                                  \
#type, NULL, use, basis, field, 0                                        \
    }
#define LOAD(type, use, scale)                                                 \
  case type:                                                                   \
    return (RelocationType) {                                                  \
#type, NULL, use, BASIS_LOW, FIELD_LOAD12, scale                         \
    }
#define REFUSE(type, hint)                                                     \
  case type:                                                                   \
    return (RelocationType) {                                                  \
#type, hint, USE_REFUSED, BASIS_ABSOLUTE, FIELD_WORD32, 0                \
    }

static const char large_model[] = "compile with -fPIC, without -mcmodel=large";
static const char static_local[] =
    "thread-local variables work by the usual model only: compile without "
    "-ftls-model and -mtls-dialect";

RelocationType relocation_aarch64(uint32_t type) {
  switch (type) {
    ENTRY(R_AARCH64_NONE, USE_NONE, BASIS_ABSOLUTE, FIELD_WORD32);
    ENTRY(R_AARCH64_ABS64, USE_ADDRESS, BASIS_ABSOLUTE, FIELD_WORD64);
    ENTRY(R_AARCH64_PREL64, USE_ADDRESS, BASIS_RELATIVE, FIELD_WORD64);
    ENTRY(R_AARCH64_PREL32, USE_ADDRESS, BASIS_RELATIVE, FIELD_WORD32);
    ENTRY(R_AARCH64_CALL26, USE_CALL, BASIS_RELATIVE, FIELD_BRANCH26);
    ENTRY(R_AARCH64_JUMP26, USE_CALL, BASIS_RELATIVE, FIELD_BRANCH26);
    ENTRY(R_AARCH64_CONDBR19, USE_CALL, BASIS_RELATIVE, FIELD_BRANCH19);
    ENTRY(R_AARCH64_TSTBR14, USE_CALL, BASIS_RELATIVE, FIELD_BRANCH14);
    ENTRY(R_AARCH64_LD_PREL_LO19, USE_ADDRESS, BASIS_RELATIVE, FIELD_BRANCH19);
    ENTRY(R_AARCH64_ADR_PREL_LO21, USE_ADDRESS, BASIS_RELATIVE, FIELD_ADR);
    ENTRY(R_AARCH64_ADR_PREL_PG_HI21, USE_ADDRESS, BASIS_PAGE, FIELD_ADR);
    ENTRY(R_AARCH64_ADD_ABS_LO12_NC, USE_ADDRESS, BASIS_LOW, FIELD_ADD12);
    LOAD(R_AARCH64_LDST8_ABS_LO12_NC, USE_ADDRESS, 0);
    LOAD(R_AARCH64_LDST16_ABS_LO12_NC, USE_ADDRESS, 1);
    LOAD(R_AARCH64_LDST32_ABS_LO12_NC, USE_ADDRESS, 2);
    LOAD(R_AARCH64_LDST64_ABS_LO12_NC, USE_ADDRESS, 3);
    LOAD(R_AARCH64_LDST128_ABS_LO12_NC, USE_ADDRESS, 4);
    ENTRY(R_AARCH64_ADR_GOT_PAGE, USE_TABLE, BASIS_PAGE, FIELD_ADR);
    LOAD(R_AARCH64_LD64_GOT_LO12_NC, USE_TABLE, 3);
    ENTRY(R_AARCH64_LD64_GOTPAGE_LO15, USE_TABLE, BASIS_TABLE_PAGE,
          FIELD_LOAD15);
    ENTRY(R_AARCH64_TLSDESC_ADR_PAGE21, USE_LOCAL_DESCRIPTOR, BASIS_PAGE,
          FIELD_ADR);
    LOAD(R_AARCH64_TLSDESC_LD64_LO12, USE_LOCAL_DESCRIPTOR, 3);
    ENTRY(R_AARCH64_TLSDESC_ADD_LO12, USE_LOCAL_DESCRIPTOR, BASIS_LOW,
          FIELD_ADD12);
    ENTRY(R_AARCH64_TLSDESC_CALL, USE_NONE, BASIS_ABSOLUTE, FIELD_WORD32);
    ENTRY(R_AARCH64_TLSGD_ADR_PAGE21, USE_LOCAL_PAIR, BASIS_PAGE, FIELD_ADR);
    ENTRY(R_AARCH64_TLSGD_ADD_LO12_NC, USE_LOCAL_PAIR, BASIS_LOW, FIELD_ADD12);
    ENTRY(R_AARCH64_TLS_DTPREL, USE_LOCAL_OFFSET, BASIS_ABSOLUTE, FIELD_WORD64);
    REFUSE(R_AARCH64_ABS32, large_model);
    REFUSE(R_AARCH64_MOVW_UABS_G0_NC, large_model);
    REFUSE(R_AARCH64_MOVW_UABS_G1_NC, large_model);
    REFUSE(R_AARCH64_MOVW_UABS_G2_NC, large_model);
    REFUSE(R_AARCH64_MOVW_UABS_G3, large_model);
    REFUSE(R_AARCH64_TLSIE_ADR_GOTTPREL_PAGE21, static_local);
    REFUSE(R_AARCH64_TLSIE_LD64_GOTTPREL_LO12_NC, static_local);
    REFUSE(R_AARCH64_TLSLE_ADD_TPREL_HI12, static_local);
    REFUSE(R_AARCH64_TLSLE_ADD_TPREL_LO12_NC, static_local);
  default:
    return (RelocationType){0};
  }
}
