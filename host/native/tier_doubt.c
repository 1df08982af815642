// SPDX-License-Identifier: MIT
//
// What tcc is not trusted with.

#include <string.h>

#include "base/error.h"
#include "native/source_token.h"
#include "native/tier.h"

// --- Texts -------------------------------------------------------------------

// Attributes that change no layout, call or linkage. tcc may ignore them; with
// the C library's headers it never even sees one.
static const char *const harmless[] = {"unused",
                                       "used",
                                       "noinline",
                                       "always_inline",
                                       "noclone",
                                       "noreturn",
                                       "pure",
                                       "const",
                                       "format",
                                       "printf",
                                       "scanf",
                                       "cold",
                                       "hot",
                                       "nonnull",
                                       "returns_nonnull",
                                       "malloc",
                                       "leaf",
                                       "nothrow",
                                       "warn_unused_result",
                                       "deprecated",
                                       "fallthrough",
                                       "flatten",
                                       "sentinel",
                                       "alloc_size",
                                       "format_arg",
                                       "visibility",
                                       "artificial",
                                       "gnu_inline",
                                       "no_sanitize",
                                       "optimize",
                                       "assume_aligned",
                                       "unavailable"};

// Words that tcc does not know, or takes otherwise.
static const char *const doubtful[] = {
    "_Complex",      "complex",      "_Imaginary",       "_Atomic",
    "_Thread_local", "thread_local", "__thread",         "asm",
    "__asm__",       "__asm",        "_Alignas",         "alignas",
    "_Pragma",       "__int128",     "__int128_t",       "__uint128_t",
    "_Float16",      "_Float128",    "__float128",       "__fp16",
    "__m128",        "__m128i",      "__m128d",          "__m256",
    "__m256i",       "__m256d",      "__m512",           "float32x4_t",
    "alloca",        "va_start",     "__COUNTER__",      "typeof_unqual",
    "_BitInt",       "__declspec",   "__builtin_setjmp", "setjmp"};

static const char lua_state[] = "lua_State";

// Compares without the underscores around a word: __unused__ is unused.
static bool is_bare(const SourceToken *token, const char *word) {
  const char *start = token->start;
  size_t size = token->size;
  if (size > 4 && memcmp(start, "__", 2) == 0 &&
      memcmp(start + size - 2, "__", 2) == 0) {
    start += 2;
    size -= 4;
  }
  return size == strlen(word) && memcmp(start, word, size) == 0;
}

static bool is_harmless(const SourceToken *token) {
  for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++) {
    if (is_bare(token, harmless[i])) return true;
  }
  return false;
}

static GraftStatus distrust(const SourceToken *token, GraftError *error) {
  return error_set(error, GRAFT_ENOTFOUND, "tcc is not trusted with %.*s",
                   token->size < 80 ? (int)token->size : 80, token->start);
}

// Reads the parentheses behind __attribute__.
static GraftStatus trust_attribute(SourceLexer *lexer, GraftError *error) {
  for (int depth = 0;;) {
    SourceToken token = source_lexer_next(lexer);
    if (token.kind == SOURCE_END || token.kind == SOURCE_BROKEN) {
      return GRAFT_OK;
    }
    if (token.kind == SOURCE_SIGN && token.sign == '(') depth++;
    if (token.kind == SOURCE_SIGN && token.sign == ')') depth--;
    if (token.kind == SOURCE_NAME && !is_harmless(&token)) {
      return distrust(&token, error);
    }
    if (depth <= 0) return GRAFT_OK;
  }
}

// Words that a condition asks the compiler with; tcc answers otherwise.
static const char *const questions[] = {
    "__GNUC__",        "__clang__",
    "__TINYC__",       "__STDC_VERSION__",
    "__has_attribute", "__has_builtin",
    "__has_feature",   "__OPTIMIZE__",
    "__FAST_MATH__",   "__SSE2__",
    "__AVX__",         "__AVX2__",
    "__ARM_NEON",      "__STDC_NO_ATOMICS__"};

static GraftStatus trust_condition(SourceLexer *lexer, GraftError *error) {
  for (;;) {
    SourceToken token = source_lexer_next(lexer);
    if (token.kind == SOURCE_END || token.kind == SOURCE_BROKEN) {
      return GRAFT_OK;
    }
    for (size_t i = 0; i < sizeof questions / sizeof *questions; i++) {
      if (source_token_is(&token, questions[i])) return distrust(&token, error);
    }
  }
}

static bool is_condition(const SourceToken *word) {
  return source_token_is(word, "if") || source_token_is(word, "ifdef") ||
         source_token_is(word, "ifndef") || source_token_is(word, "elif");
}

// #pragma once and #pragma GCC diagnostic change no code.
static GraftStatus trust_directive(const SourceToken *token,
                                   GraftError *error) {
  SourceLexer lexer;
  source_lexer_init(&lexer, token->start + 1, token->size - 1);
  lexer.at_line_start = false;
  SourceToken word = source_lexer_next(&lexer);
  if (source_token_is(&word, "define")) {
    return tier_trust_text(word.start + word.size,
                           (size_t)(lexer.end - lexer.next), error);
  }
  if (is_condition(&word)) return trust_condition(&lexer, error);
  if (!source_token_is(&word, "pragma")) return GRAFT_OK;
  word = source_lexer_next(&lexer);
  if (source_token_is(&word, "once")) return GRAFT_OK;
  SourceToken second = source_lexer_next(&lexer);
  bool diagnostic =
      source_token_is(&second, "diagnostic") &&
      (source_token_is(&word, "GCC") || source_token_is(&word, "clang"));
  return diagnostic ? GRAFT_OK : distrust(token, error);
}

static GraftStatus trust_word(SourceLexer *lexer, const SourceToken *before,
                              const SourceToken *token, GraftError *error) {
  if (source_token_is(token, "__attribute__") ||
      source_token_is(token, "__attribute")) {
    return trust_attribute(lexer, error);
  }
  if (source_token_is(token, "double") && before->start != NULL &&
      source_token_is(before, "long")) {
    return error_set(error, GRAFT_ENOTFOUND,
                     "tcc is not trusted with long double");
  }
  if (source_token_is(token, lua_state)) {
    return error_set(error, GRAFT_ENOTFOUND,
                     "tcc gives no unwind tables, which Lua's errors need");
  }
  for (size_t i = 0; i < sizeof doubtful / sizeof *doubtful; i++) {
    if (source_token_is(token, doubtful[i])) return distrust(token, error);
  }
  return GRAFT_OK;
}

GraftStatus tier_trust_text(const char *text, size_t size, GraftError *error) {
  SourceLexer lexer;
  source_lexer_init(&lexer, text, size);
  SourceToken before = {0};
  for (;;) {
    SourceToken token = source_lexer_next(&lexer);
    GraftStatus status = GRAFT_OK;
    if (token.kind == SOURCE_END) return GRAFT_OK;
    if (token.kind == SOURCE_BROKEN) {
      return error_set(error, GRAFT_ENOTFOUND, "the text is cut short");
    }
    if (token.kind == SOURCE_DIRECTIVE) status = trust_directive(&token, error);
    if (token.kind == SOURCE_NAME) {
      status = trust_word(&lexer, &before, &token, error);
    }
    if (status < 0) return status;
    before = token;
  }
}

// --- Flags -------------------------------------------------------------------

// What starts like this lays data out, calls or reads texts otherwise.
static const char *const distrusted[] = {"-fshort-",
                                         "-fpack-struct",
                                         "-funsigned-bitfields",
                                         "-fsigned-",
                                         "-fpcc-struct",
                                         "-freg-struct",
                                         "-ffixed-",
                                         "-fcall-",
                                         "-fleading-underscore",
                                         "-fexec-charset",
                                         "-finput-charset",
                                         "-fwide-exec-charset",
                                         "-fms-extensions",
                                         "-fplan9-extensions",
                                         "-finstrument-functions",
                                         "-fopenmp",
                                         "-fopenacc",
                                         "-malign-double",
                                         "-mlong-double",
                                         "-m96bit",
                                         "-m128bit",
                                         "-mms-bitfields",
                                         "-msoft-float",
                                         "-mno-sse",
                                         "-mabi",
                                         "-mcmodel",
                                         "-imacros",
                                         "-isysroot",
                                         "--sysroot",
                                         "-iprefix",
                                         "-iwithprefix",
                                         "-nostdinc",
                                         "-trigraphs",
                                         "-Wp,",
                                         "-Xpreprocessor",
                                         "-Xclang",
                                         "-x",
                                         "@",
                                         "-fplugin",
                                         "-fsanitize"};

GraftStatus tier_trust_flag(const char *flag, GraftError *error) {
  for (size_t i = 0; i < sizeof distrusted / sizeof *distrusted; i++) {
    if (strncmp(flag, distrusted[i], strlen(distrusted[i])) == 0) {
      return error_set(error, GRAFT_ENOTFOUND, "tcc is not trusted with %s",
                       flag);
    }
  }
  return GRAFT_OK;
}
