// SPDX-License-Identifier: MIT

#include "native/relocation.h"

#include <elf.h>
#include <stddef.h>

#define ENTRY(type, use, basis, field)                                         \
  [type] = {#type, NULL, use, basis, field, 0}
#define REFUSE(type, field, hint)                                              \
  [type] = {#type, hint, USE_REFUSED, BASIS_ABSOLUTE, field, 0}

static const char not_pic[] = "compile with -fPIC";
static const char large_model[] = "compile without -mcmodel=large";
static const char static_local[] =
    "thread-local variables work by the usual model only: compile without "
    "-ftls-model and -mtls-dialect";

static const RelocationType types[] = {
    ENTRY(R_X86_64_NONE, USE_NONE, BASIS_ABSOLUTE, FIELD_WORD32),
    ENTRY(R_X86_64_64, USE_ADDRESS, BASIS_ABSOLUTE, FIELD_WORD64),
    ENTRY(R_X86_64_PC32, USE_ADDRESS, BASIS_RELATIVE, FIELD_WORD32),
    ENTRY(R_X86_64_PC64, USE_ADDRESS, BASIS_RELATIVE, FIELD_WORD64),
    ENTRY(R_X86_64_PLT32, USE_CALL, BASIS_RELATIVE, FIELD_WORD32),
    ENTRY(R_X86_64_GOTPCREL, USE_TABLE, BASIS_RELATIVE, FIELD_WORD32),
    ENTRY(R_X86_64_GOTPCRELX, USE_TABLE, BASIS_RELATIVE, FIELD_WORD32),
    ENTRY(R_X86_64_REX_GOTPCRELX, USE_TABLE, BASIS_RELATIVE, FIELD_WORD32),
    ENTRY(R_X86_64_TLSGD, USE_LOCAL_PAIR, BASIS_RELATIVE, FIELD_WORD32),
    ENTRY(R_X86_64_TLSLD, USE_LOCAL_MODULE, BASIS_RELATIVE, FIELD_WORD32),
    ENTRY(R_X86_64_DTPOFF32, USE_LOCAL_OFFSET, BASIS_ABSOLUTE, FIELD_WORD32),
    ENTRY(R_X86_64_DTPOFF64, USE_LOCAL_OFFSET, BASIS_ABSOLUTE, FIELD_WORD64),
    REFUSE(R_X86_64_32, FIELD_WORD32, not_pic),
    REFUSE(R_X86_64_32S, FIELD_WORD32, not_pic),
    REFUSE(R_X86_64_GOTPC32, FIELD_WORD32, large_model),
    REFUSE(R_X86_64_GOTPC64, FIELD_WORD64, large_model),
    REFUSE(R_X86_64_GOTOFF64, FIELD_WORD64, large_model),
    REFUSE(R_X86_64_PLTOFF64, FIELD_WORD64, large_model),
    REFUSE(R_X86_64_GOT64, FIELD_WORD64, large_model),
    REFUSE(R_X86_64_GOTTPOFF, FIELD_WORD32, static_local),
    REFUSE(R_X86_64_TPOFF32, FIELD_WORD32, static_local),
    REFUSE(R_X86_64_TPOFF64, FIELD_WORD64, static_local),
    REFUSE(R_X86_64_GOTPC32_TLSDESC, FIELD_WORD32, static_local),
    REFUSE(R_X86_64_TLSDESC_CALL, FIELD_WORD32, static_local),
};

RelocationType relocation_x86_64(uint32_t type) {
  if (type >= sizeof types / sizeof *types) return (RelocationType){0};
  return types[type];
}
