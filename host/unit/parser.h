// SPDX-License-Identifier: MIT
//
// Parser: what the parts of the parser share. One pass of recursive descent
// over the tokens makes records; `unit_build` (build.c) then turns the records
// into the unit's final arrays. The records of a function's inside are few
// (definition, captures, locals); those of the main chunk also tell what its
// statements read, assign and call.
//
//   parser.c             tokens, errors, functions, the whole
//   parser_statement.c   statements
//   parser_expression.c  expressions
//   parser_value.c       what is recorded of the main chunk's expressions
//   parser_role.c        what functions are called
//   scope.c              locals, captures
//   constant.c           compile-time constants of Lua 5.4
//
// An error leaves the parser by longjmp to parser_run, which holds every
// resource; so no function below may own memory.

#ifndef GRAFT_UNIT_PARSER_H
#define GRAFT_UNIT_PARSER_H

#include <setjmp.h>

#include "unit/lexer.h"
#include "unit/unit.h"

enum {
  PARSER_DEPTH = 220,
  PARSER_PARAMETERS = 255,
  PATH_TEXT_LIMIT = 200, // bytes of a name that appear in a definition's
};

// A path while parsing: keys are `key_count` items of `keys` from `first_key`.
typedef struct ParsedPath {
  Symbol *symbol; // NULL: no name at the base
  int local;      // index into locals, or VARIABLE_GLOBAL
  uint32_t first_key;
  uint32_t key_count;
  bool computed;
} ParsedPath;

typedef struct Local {
  Symbol *symbol;
  const char *constant;
  int shadowed; // the local that the symbol meant before, or -1
  int level;    // of the function that declares it
  int owner;    // its definition
  int statement;
  int captured_level; // the innermost open function that captures it
  int record;         // the capture record of that function
  int variable;       // index into the unit's variables, or VARIABLE_LOCAL
  uint32_t offset;
  int block;
  int block_last;
  VariableAttribute attribute;
  bool top;
  bool captured;
  bool assigned;
  bool parameter;
} Local;

// A chain for each function, by `next`.
typedef struct CaptureRecord {
  Symbol *symbol;
  int local; // or VARIABLE_GLOBAL
  // What held before this record, restored when the function ends: for a
  // local the enclosing function's record, for a global its level.
  int outer;
  int next;
  bool direct;
  bool env_only; // a `local _ENV` that only globals use: none in LuaJIT
} CaptureRecord;

// The unit's own structs serve as records, in arrays that the unit takes over.
// Until unit_build, what refers to something that may still move is an index:
//
//   Path        variable → locals, keys → the first of `keys` (path_pack)
//   Definition  parameters → parameters, captures → the first capture record,
//               or -1, env_variable → locals
//   Statement   first_variable and variable_count → locals
static inline const void *index_pack(intptr_t index) {
  return (const void *)index;
}
static inline intptr_t index_unpack(const void *packed) {
  return (intptr_t)packed;
}
static inline Path path_pack(const ParsedPath *path) {
  if (path->symbol == NULL) {
    return (Path){.variable = VARIABLE_GLOBAL, .computed = path->computed};
  }
  return (Path){.name = path->symbol->text,
                .variable = path->local,
                .key_count = path->key_count,
                .keys = index_pack(path->first_key),
                .computed = path->computed};
}

// A function whose body is being parsed; level 0 is the main chunk.
typedef struct FunctionState {
  struct FunctionState *up;
  int level;
  int definition;
  int block_depth;
  int outer_block; // the one that the function stands in
  int child_count;
  int first_capture;
  int last_capture;
  uint32_t token_count;
  int line;
  int last_line; // of the last token consumed
  uint64_t own;
  uint64_t nested; // of the functions in it
  uint64_t lines;
  bool uses_env;
  int env_local;
} FunctionState;

typedef enum RoleKind {
  ROLE_NONE,     // a place that says nothing
  ROLE_TARGET,   // the value of an assignment
  ROLE_FIELD,    // a field with a constant name
  ROLE_ITEM,     // another field of a table
  ROLE_ARGUMENT, // of a call
  ROLE_RETURN,
} RoleKind;

// Where an expression stands. Roles live on the C stack, the innermost first.
typedef struct Role {
  const struct Role *up;
  RoleKind kind;
  const ParsedPath *path; // ROLE_TARGET, ROLE_ARGUMENT: the target, the callee
  Symbol *key;            // ROLE_FIELD
  int number;             // ROLE_ARGUMENT: from 1
  uint64_t literals;      // ROLE_ARGUMENT: the constants before it
} Role;

typedef enum ExpressionKind {
  EXPRESSION_OTHER,
  EXPRESSION_PATH, // a name, perhaps indexed: may be assigned to
  EXPRESSION_CALL,
  EXPRESSION_DOTS,
  EXPRESSION_NUMBER,
  EXPRESSION_CONSTANT,
  EXPRESSION_TABLE,
  EXPRESSION_FUNCTION,
} ExpressionKind;

typedef struct Expression {
  ExpressionKind kind;
  ParsedPath path; // of a path, and the callee of a call
  bool pending;    // `path` is not among the reads yet
  int index;       // first field, or definition
  int count;       // of fields
  int inner;       // as in Value
} Expression;

typedef struct Parser {
  Lexer lexer;
  Token token;
  Token ahead;
  bool has_ahead;
  uint32_t last_end; // of the last token consumed
  int last_line;
  int depth;
  FunctionState *function;
  const Role *role;
  int statement;       // the top-level statement, -1 before the first
  uint32_t call_count; // in the main chunk

  const GraftAllocator *allocator;
  Arena *arena; // the unit's
  GraftUnit *unit;
  SymbolTable symbols;
  Buffer buffer; // the lexer's
  Buffer text;   // for names
  Symbol *symbol_goto;
  Symbol *symbol_env;
  Symbol *symbol_self;
  Symbol *symbol_setmetatable;

  ARRAY(Local) locals; // all there ever were
  int block;           // the innermost open one
  int block_count;     // all there ever were
  ARRAY(int) active;   // the visible ones
  ARRAY(CaptureRecord) captures;
  ARRAY(Definition) definitions;
  ARRAY(Symbol *) parameters;
  ARRAY(Symbol *) keys;
  ARRAY(ParsedPath) targets; // a stack
  ARRAY(Path) reads;
  ARRAY(Value) values;
  ARRAY(Field) fields;
  ARRAY(Assignment) assignments;
  ARRAY(Statement) statements;
  bool odd_keys; // some constant key is no name, such as `["a.b"]`
  bool main_uses_env;
  int return_statement;

  jmp_buf escape;
  GraftStatus status;
  GraftError *error;
} Parser;

// Parses the unit's source into records. On failure `error` is filled.
// parser_clear must follow in either case.
GraftStatus parser_run(Parser *self, GraftUnit *unit, GraftError *error);
void parser_clear(Parser *self);

// Turns the records into the unit's arrays; false when out of memory.
bool unit_build(GraftUnit *unit, Parser *parser);

// The rest is for the parser's own files.

_Noreturn void parser_no_memory(Parser *self);
_Noreturn void parser_fail(Parser *self, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
_Noreturn void parser_fail_near(Parser *self, const char *message);

// A new item at the end, to be set whole, or out by longjmp.
#define PARSER_PUSH(parser, array)                                             \
  ((array)->count < (array)->capacity                                          \
       ? &(array)->items[(array)->count++]                                     \
       : (parser_reserve((parser), (void **)&(array)->items,                   \
                         &(array)->capacity, sizeof *(array)->items),          \
          &(array)->items[(array)->count++]))
void parser_reserve(Parser *self, void **items, size_t *capacity, size_t size);

static inline bool parser_in_main(const Parser *self) {
  return self->function->level == 0;
}

void parser_advance(Parser *self);
const Token *parser_peek(Parser *self);
bool parser_accept(Parser *self, uint32_t kind);
void parser_expect(Parser *self, uint32_t kind);
void parser_expect_close(Parser *self, uint32_t kind, uint32_t opener,
                         int line);
Symbol *parser_expect_name(Parser *self);
void parser_enter(Parser *self);
static inline void parser_leave(Parser *self) {
  self->depth--;
}

// Statements.
void parse_block(Parser *self);
// The body of a function from its parameters on. `token` is the `function`
// keyword, `line` the VM's linedefined.
typedef struct BodyDesc {
  Token token;
  int line;
  DefinitionKind kind;
  bool has_self;
} BodyDesc;
int parse_body(Parser *self, const BodyDesc *desc);

// Expressions. Left and right priority of a binary operator; 0 for what is
// none.
enum { PRIORITY_UNARY = 12 };
int parser_priority(uint32_t kind, int *right);
void parse_expression(Parser *self, Expression *expression);
// With one more role around it.
void parse_in_role(Parser *self, const Role *role, Expression *expression);
// What may stand left of = or be called as a statement. The path is read only
// if it is more than a target.
void parse_suffixed(Parser *self, Expression *expression);
// An expression list's values; in the main chunk they are recorded, and the
// index of the first is returned (-1 elsewhere). The `count`-th value is for
// the `count`-th of `target_count` targets on top of the stack of targets.
typedef struct ValueList {
  int first;        // record of the first value, -1
  int last;         // record of the last value, -1
  int count;        // of expressions
  Range last_range; // of the last expression
  int last_line;
  int first_assignment; // records to give values to, -1
  size_t first_target;  // in targets
  int target_count;
} ValueList;
void parse_value_list(Parser *self, ValueList *list);
int parse_value(Parser *self, const Role *role);
void parse_add_read(Parser *self, Expression *expression);
void parse_table(Parser *self, Expression *expression);
// The string that is the current token, if a path may have it as a key, or
// NULL.
Symbol *parse_string_key(Parser *self);

// Scopes.
int scope_declare(Parser *self, Symbol *symbol, uint32_t offset);
void scope_close(Parser *self, size_t active_count);

// A block inside a function; `scope_close_block` is given what opening it gave.
typedef struct ScopeBlock {
  size_t active_count;
  int outer;
} ScopeBlock;
ScopeBlock scope_open_block(Parser *self);
void scope_close_block(Parser *self, ScopeBlock block);
// What a name is bound to here: a local's index or VARIABLE_GLOBAL; the
// functions on the way capture it.
int scope_use(Parser *self, Symbol *symbol);
void scope_open_function(Parser *self, FunctionState *state);
void scope_close_function(Parser *self);

// Roles: fills `segment`, `named`, `target`, `role` of a new definition.
void role_describe(Parser *self, Definition *definition);
void role_describe_target(Parser *self, Definition *definition,
                          const ParsedPath *target);

// The value of the expression in the range as Lua text, in the arena, if Lua
// 5.4 takes it for a compile-time constant; else NULL.
const char *constant_fold(Parser *self, Range range, int line);

#endif
