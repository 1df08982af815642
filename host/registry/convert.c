// SPDX-License-Identifier: MIT

#include "registry/convert.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

// Why a value does not convert.
typedef enum Fit { FIT_YES, FIT_TYPE, FIT_RANGE, FIT_FRACTION, FIT_ZERO } Fit;

static const struct {
  int64_t least, most;
} ranges[] = {
    [TYPE_INT8] = {INT8_MIN, INT8_MAX},    [TYPE_UINT8] = {0, UINT8_MAX},
    [TYPE_INT16] = {INT16_MIN, INT16_MAX}, [TYPE_UINT16] = {0, UINT16_MAX},
    [TYPE_INT32] = {INT32_MIN, INT32_MAX}, [TYPE_UINT32] = {0, UINT32_MAX},
    [TYPE_INT64] = {INT64_MIN, INT64_MAX}, [TYPE_UINT64] = {0, INT64_MAX},
};

static const double two_63 = 9223372036854775808.0;
static const double two_64 = 18446744073709551616.0;

// What is wanted: a parameter or the result of a signature.
typedef struct Wanted {
  TypeCode code;
  const char *name;
  const TypeDetail *detail;
} Wanted;

static bool is_within(const Wanted *wanted, int64_t integer) {
  if (wanted->code == TYPE_ENUM) {
    return integer >= wanted->detail->least && integer <= wanted->detail->most;
  }
  return integer >= ranges[wanted->code].least &&
         integer <= ranges[wanted->code].most;
}

static Fit fit_integer(const Wanted *wanted, const GraftValue *value,
                       CallWord *word) {
  TypeCode type = wanted->code;
  int64_t integer = value->as.integer;
  if (value->type == GRAFT_NUMBER) {
    double number = value->as.number;
    if (!(floor(number) == number)) return FIT_FRACTION; // NaN too
    if (type == TYPE_UINT64 && number >= two_63 && number < two_64) {
      word->bits = (uint64_t)number;
      return FIT_YES;
    }
    if (number < -two_63 || number >= two_63) {
      return isinf(number) ? FIT_FRACTION : FIT_RANGE;
    }
    integer = (int64_t)number;
  }
  if (!is_within(wanted, integer)) return FIT_RANGE;
  word->integer = integer;
  return FIT_YES;
}

static Fit fit_float(TypeCode type, const GraftValue *value, CallWord *word) {
  double number = value->type == GRAFT_INTEGER ? (double)value->as.integer
                                               : value->as.number;
  if (type == TYPE_FLOAT) {
    *word = call_float((float)number);
  } else {
    word->number = number;
  }
  return FIT_YES;
}

static Fit fit_pointer(const char *name, const GraftValue *value,
                       CallWord *word) {
  if (value->type == GRAFT_NIL) {
    *word = (CallWord){.pointer = NULL};
    return FIT_YES;
  }
  if (value->type != GRAFT_POINTER) return FIT_TYPE;
  const char *given = value->as.pointer.type;
  bool untyped = given == NULL || strcmp(given, "void *") == 0 ||
                 name == NULL || strcmp(name, "void *") == 0;
  if (!untyped && strcmp(given, name) != 0) return FIT_TYPE;
  *word = (CallWord){.pointer = value->as.pointer.address};
  return FIT_YES;
}

// The bytes of a struct are where a pointer to it leads.
static Fit fit_struct(const char *name, const GraftValue *value,
                      CallWord *word) {
  if (value->type != GRAFT_POINTER || value->as.pointer.address == NULL) {
    return FIT_TYPE;
  }
  return fit_pointer(name, value, word);
}

static Fit fit_string(const GraftValue *value, CallWord *word) {
  if (value->type != GRAFT_STRING) return FIT_TYPE;
  if (memchr(value->as.string.text, '\0', value->as.string.size) != NULL) {
    return FIT_ZERO;
  }
  *word = (CallWord){.pointer = value->as.string.text};
  return FIT_YES;
}

static Fit fit(const Wanted *wanted, const GraftValue *value, CallWord *word) {
  TypeCode type = wanted->code;
  bool is_number = value->type == GRAFT_INTEGER || value->type == GRAFT_NUMBER;
  *word = (CallWord){.bits = 0};
  if (type_is_integer(type)) {
    return is_number ? fit_integer(wanted, value, word) : FIT_TYPE;
  }
  if (type_is_float(type)) {
    return is_number ? fit_float(type, value, word) : FIT_TYPE;
  }
  if (type == TYPE_STRING) return fit_string(value, word);
  if (type == TYPE_POINTER) return fit_pointer(wanted->name, value, word);
  if (type == TYPE_STRUCT) return fit_struct(wanted->name, value, word);
  if (type == TYPE_VOID) return FIT_YES;
  if (value->type != GRAFT_BOOLEAN) return FIT_TYPE;
  word->integer = value->as.boolean;
  return FIT_YES;
}

static const char *value_text(const GraftValue *value) {
  switch (value->type) {
  case GRAFT_NIL:
    return "nil";
  case GRAFT_BOOLEAN:
    return "boolean";
  case GRAFT_INTEGER:
  case GRAFT_NUMBER:
    return "number";
  case GRAFT_STRING:
    return "string";
  case GRAFT_POINTER:
    return value->as.pointer.type != NULL ? value->as.pointer.type : "pointer";
  case GRAFT_OTHER:
    break;
  }
  return value->as.other != NULL ? value->as.other : "unknown value";
}

// "string", or "2.5, which is not an integer".
static void describe_got(Fit reason, const GraftValue *value, char *text,
                         size_t size) {
  char number[40];
  if (value->type == GRAFT_INTEGER) {
    snprintf(number, sizeof number, "%" PRId64, value->as.integer);
  } else {
    snprintf(number, sizeof number, "%.14g",
             value->type == GRAFT_NUMBER ? value->as.number : 0);
  }
  if (reason == FIT_RANGE) {
    snprintf(text, size, "%s, which is out of range", number);
  } else if (reason == FIT_FRACTION) {
    snprintf(text, size, "%s, which is not an integer", number);
  } else if (reason == FIT_ZERO) {
    snprintf(text, size, "a string with a zero byte inside");
  } else {
    snprintf(text, size, "%s", value_text(value));
  }
}

// "Body" of a struct by value, whose name is that of a pointer to it.
static void describe_wanted(const Wanted *wanted, char *text, size_t size) {
  snprintf(text, size, "%s", type_text(wanted->code, wanted->name));
  size_t used = strlen(text);
  if (wanted->code == TYPE_STRUCT && used > 2 && used < size - 1) {
    text[used - 2] = '\0';
  }
}

GraftStatus convert_argument(const Signature *signature, const char *name,
                             int index, const GraftValue *value, CallWord *word,
                             GraftError *error) {
  Wanted wanted = {signature->params[index], signature->param_names[index],
                   signature->param_details[index]};
  Fit reason = fit(&wanted, value, word);
  if (reason == FIT_YES) return GRAFT_OK;
  char got[256], expected[256];
  describe_wanted(&wanted, expected, sizeof expected);
  describe_got(reason, value, got, sizeof got);
  return error_set(error, GRAFT_EARG,
                   "bad argument #%d to '%s' (%s expected, got %s)", index + 1,
                   name, expected, got);
}

GraftStatus convert_result(const Signature *signature, const char *name,
                           const GraftValue *value, CallWord *word,
                           GraftError *error) {
  Wanted wanted = {signature->result, signature->result_name,
                   signature->result_detail};
  if (wanted.code == TYPE_FLOAT)
    wanted.code = TYPE_DOUBLE; // as results have it
  Fit reason = fit(&wanted, value, word);
  if (reason == FIT_YES) return GRAFT_OK;
  wanted.code = signature->result;
  char got[256], expected[256];
  describe_wanted(&wanted, expected, sizeof expected);
  describe_got(reason, value, got, sizeof got);
  return error_set(error, GRAFT_EARG,
                   "bad result of '%s' (%s expected, got %s)", name, expected,
                   got);
}

GraftStatus convert_count_error(const Signature *signature, const char *name,
                                int count, GraftError *error) {
  return error_set(error, GRAFT_EARG, "%s: expected %d argument%s, got %d",
                   name, signature->param_count,
                   signature->param_count == 1 ? "" : "s", count);
}

static GraftValue string_value(const char *text) {
  GraftValue value = {.type = GRAFT_STRING};
  value.as.string.text = text;
  value.as.string.size = strlen(text);
  return value;
}

GraftValue convert_word(TypeCode type, const char *type_name, CallWord word) {
  GraftValue value = {.type = GRAFT_NIL};
  if (type == TYPE_BOOL) {
    value.type = GRAFT_BOOLEAN;
    value.as.boolean = word.integer != 0;
  } else if (type == TYPE_UINT64 && word.bits > INT64_MAX) {
    value.type = GRAFT_NUMBER;
    value.as.number = (double)word.bits;
  } else if (type_is_integer(type)) {
    value.type = GRAFT_INTEGER;
    value.as.integer = word.integer;
  } else if (type_is_float(type)) {
    value.type = GRAFT_NUMBER;
    value.as.number = word.number;
  } else if (type == TYPE_STRING && word.pointer != NULL) {
    return string_value(word.pointer);
  } else if ((type == TYPE_POINTER || type == TYPE_STRUCT) &&
             word.pointer != NULL) {
    value.type = GRAFT_POINTER;
    value.as.pointer.address = (void *)word.pointer;
    value.as.pointer.type = type_name;
  }
  return value;
}
