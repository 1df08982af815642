// SPDX-License-Identifier: MIT
//
// Unit: one parsed source file as plain data: its definitions (functions),
// its top-level statements, and the variables that tie them together. There is
// no VM and no thread in it, and compiling one runs nothing (U1).
//
// A unit never changes once compiled, except for two lists: which functions
// and which statements are *kept* (U2). So a unit may be shared between
// threads with unit_retain, as long as only one of them changes the lists. The
// lists refer to `origins`, the units of a source each, which have no lists
// and never change. A compiled unit shows the content of its one origin as its
// own; a merged unit (U3) has no content of its own.
//
// There is no syntax tree: the parser hashes tokens while it reads them, and
// keeps byte ranges into the source. What needs the text of an expression
// takes it from there and leaves evaluating to the VM. Traded away: a rewrite
// that keeps the tokens' meaning but not the tokens (`x = (1)`) is a change.
// No change: comments, white space, the kind of quotes around a string, and
// how it is escaped.
//
// Limits: 2 GB of source, 220 levels of nesting as in the VMs, 16-bit counts
// of parameters and upvalues (the VMs stop at 255).
//
// How definitions are named (R1), by example in module `ai.goblin`:
//
//   function M.think()            shown as ai.goblin.think   (M is returned)
//   function M.Brain:tick()       ai.goblin.Brain.tick
//   function update()             ai.goblin.update           (a global)
//   return function() end         ai.goblin                  (path "")
//   local function helper()       ai.goblin:helper
//     local function inner()      ai.goblin:helper.inner
//     return function() end       ai.goblin:helper/1         (1st without name)
//     bus.on(function() end)      ai.goblin:helper.bus.on/1  (1st so passed)
//   bus.on("hit", function() end) ai.goblin:bus.on/1
//   local t = memo(function()…)   ai.goblin:t/1              (what it goes to)
//   M.list = {function() end}     ai.goblin:list/1
//   M.hooks = {tick = function…}  ai.goblin.hooks.tick
//   a second `local function f`   ai.goblin:f~2
//   a `function M.think` that a later one of the same name replaces
//                                 ai.goblin:think~1
//
// Rhai's rules for ASTs beside ours. A rule's spec is the check of that name
// in spec/c/unit_merge.c; spec/behaviour/units.lua shows the same in Lua.
//
//   Rhai                              here                    check
//   compile runs nothing              the same                (no VM is there)
//   iter_functions in hash order      source order, always    functions and
//                                                             statements
//   clear_statements                  the same                clear statements
//   clear_functions                   the same                clear functions
//   retain_functions by scope, name   by all that is known    retain functions
//   and number of parameters          of a function
//   merge is pure                     the same                merge leaves the
//                                                             left side
//   merge replaces by name and        by registry name, in    merge replaces in
//   number of parameters              the old one's place     place and adds
//                                                             behind
//   the later wins                    the same                the later wins
//   combine is in place               the same                combine changes
//                                                             the left side
//   merge_filtered forgets the        the filter holds        the filter holds
//   filter when the receiver has no                           for an empty
//   functions                                                 receiver
//   statements concatenate            the same                merge replaces …
//   no source is kept by default      all of it, also when    sources live on
//                                     merged

#ifndef GRAFT_UNIT_UNIT_H
#define GRAFT_UNIT_UNIT_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/array.h"
#include "base/memory.h"
#include "graft.h"

// Byte offsets into the unit's source; `end` is not included.
typedef struct Range {
  uint32_t start;
  uint32_t end;
} Range;

// What a name is bound to, where it is not an index into `variables`.
enum {
  VARIABLE_GLOBAL = -1, // a field of the environment
  VARIABLE_LOCAL = -2,  // a local of a function that no other captures
};

// A name with constant keys behind it: `M.hooks.tick`, `t["a"].b`, `x`.
typedef struct Path {
  const char *name; // NULL: no name at the base, as in `f().x = 1`
  int variable;     // index into variables, or VARIABLE_…
  uint32_t key_count;
  const char *const *keys;
  bool computed; // more follows that is no constant key: `M.list[i]`
} Path;

typedef enum VariableAttribute {
  ATTRIBUTE_NONE,
  ATTRIBUTE_CONST,    // `<const>` with a value that only the run gives
  ATTRIBUTE_CLOSE,    // `<close>`
  ATTRIBUTE_CONSTANT, // `<const>` that Lua 5.4 compiles away: see `constant`
} VariableAttribute;

// A local variable: every one of the main chunk, and in functions those that
// a nested function captures. In order of declaration.
typedef struct Variable {
  const char *name;
  const char *constant; // the value as Lua text, for ATTRIBUTE_CONSTANT
  int owner;            // the definition that declares it, -1: main chunk
  int occurrence;       // 0: the first record of that name in that owner
  int statement;        // the top-level statement it is declared in
  uint32_t offset;      // of the name, where it is declared
  int block;            // the block it is declared in; blocks are numbered as
  int block_last;       // they open, so those inside reach up to `block_last`
  VariableAttribute attribute;
  bool top;       // in the outermost block of its chunk or function, so alive
                  // until that returns
  bool captured;  // by a nested function
  bool assigned;  // after its declaration, anywhere
  bool parameter; // of its owner
} Variable;

typedef struct Capture {
  const char *name;
  int variable; // index into variables, or VARIABLE_GLOBAL
  bool direct;  // used by the function itself, not just by one nested in it
} Capture;

typedef enum DefinitionKind {
  DEFINITION_FUNCTION,  // function a.b.c()
  DEFINITION_METHOD,    // function a.b:c()
  DEFINITION_LOCAL,     // local function f()
  DEFINITION_ASSIGNED,  // x = function, local x = function, {x = function}
  DEFINITION_ANONYMOUS, // any other
} DefinitionKind;

typedef enum Shown {
  SHOWN_NOT,
  SHOWN_EXPORT, // `shown_path` leads to it from what the file returns
  SHOWN_GLOBAL, // … from the globals
} Shown;

// One function. The order is that of their `function` tokens, so what is
// nested in a definition follows it directly, up to `subtree_end`.
typedef struct Definition {
  const char *name;       // registry name, unique in the unit
  const char *path;       // identity: "M.think", "spawn.inner", "spawn/1"
  const char *segment;    // its own part of the path, without ~k or /k
  const char *shown_path; // "Brain.tick"; NULL when not shown
  Shown shown;
  DefinitionKind kind;
  Path target; // what it is assigned to; name NULL for anonymous ones

  int parent;      // -1: main chunk
  int child_index; // among the parent's, as in the VM's prototype
  int child_count;
  int subtree_end; // the index after the last definition nested in it
  int depth;       // 0: directly in the main chunk
  int statement;   // the top-level statement it stands in

  const char *const *parameters; // with "self" first for a method
  uint16_t parameter_count;
  bool has_self; // by way of `:`
  bool vararg;
  bool named;    // `path` stems from the source; else from role and number
  bool in_block; // inside a block of the main chunk or function, such as `if`

  Range whole;               // "function … end"
  uint32_t parameters_start; // of "("
  Range body;                // between ")" and "end"
  int line;                  // as the VM's linedefined
  int last_line;             // as the VM's lastlinedefined
  int column;                // of `function`, from 1
  int start_line;            // of `function`

  const Capture *captures;    // in order of first use
  uint16_t capture_count_jit; // upvalues in LuaJIT
  uint16_t upvalue_count_54;  // upvalues in Lua 5.4, with _ENV
  uint32_t capture_count;
  bool uses_env;    // it or one nested in it reads or sets a global
  int env_variable; // a `local _ENV` its globals are in, or VARIABLE_GLOBAL

  // `role` tells apart what anonymous functions are for: argument 2 of
  // `bus.on` after "hit", item of a table, returned value.
  uint64_t role;
  uint64_t place; // the same without the other arguments and names of fields
  uint64_t own;   // parameters and body, without functions nested in it
  uint64_t deep;  // with them
  uint64_t lines; // how its tokens lie on lines, relative to `line`
} Definition;

// What comparing definitions looks at first, apart from them so that many fit
// into the processor's cache.
typedef struct DefinitionKey {
  uint64_t name;     // hash of `segment`
  uint64_t deep;     // as in the definition
  uint64_t place;    // hash of all its lines, from the top of the file
  uint64_t bindings; // sum over the variables that it uses itself
  int subtree_end;   // these as in the definition
  int parent;
  int child_index;
  bool named;
} DefinitionKey;

typedef enum ValueKind {
  VALUE_CONSTANT, // nil, true, false, a number with or without -, a string
  VALUE_TABLE,    // a table constructor
  VALUE_FUNCTION, // a function
  VALUE_NAME,     // a name with constant keys
  VALUE_OTHER,    // anything else
} ValueKind;

// An expression of a top-level statement. Lists are given as first index and
// count (reads) or as a chain that ends in -1 (fields).
typedef struct Value {
  ValueKind kind;
  Range range;
  int line;
  int definition;  // VALUE_FUNCTION
  Path path;       // VALUE_NAME
  int first_field; // VALUE_TABLE, into fields
  int field_count;
  int inner; // `x` of the call `setmetatable(x, …)`, else -1
  uint32_t first_read;
  uint32_t read_count;  // names that it reads, outside functions
  bool has_call;        // outside functions
  bool open;            // a call or `...`: gives any number of values
  uint64_t fingerprint; // its tokens, functions left out
} Value;

typedef enum FieldKind {
  FIELD_NAME,     // {key = v} or {["key"] = v}
  FIELD_ITEM,     // {v}: `number` is its index from 1
  FIELD_CONSTANT, // {[constant] = v}: `key` is the constant's range
  FIELD_COMPUTED, // {[expression] = v}
} FieldKind;

typedef struct Field {
  FieldKind kind;
  const char *name;
  int number;
  Range key; // the name, or what stands between the brackets
  int value; // into values
  int next;  // into fields, -1 at the end
} Field;

// One assignment of the main chunk: `target = value`, `local target = value`,
// `function target`. In `local a, b = f()` both have the value `f()`, and
// `result` is 0 and 1.
typedef struct Assignment {
  Path target;
  int value; // into values, -1: none, which is nil
  int result;
  int statement;
  Range range;   // of the target
  bool declares; // a new local
  bool in_block; // in a block inside the statement, so perhaps never run
} Assignment;

typedef enum StatementKind {
  STATEMENT_LOCAL,
  STATEMENT_ASSIGNMENT,
  STATEMENT_FUNCTION,
  STATEMENT_LOCAL_FUNCTION,
  STATEMENT_CALL,
  STATEMENT_DO,
  STATEMENT_WHILE,
  STATEMENT_IF,
  STATEMENT_FOR,
  STATEMENT_REPEAT,
  STATEMENT_RETURN,
  STATEMENT_GOTO,
  STATEMENT_LABEL,
  STATEMENT_BREAK,
} StatementKind;

// One top-level statement, without semicolons around it.
typedef struct Statement {
  StatementKind kind;
  Range range;
  int line;
  int last_line;
  int column;
  int first_definition; // those in it, nested ones too, are contiguous
  int definition_count;
  uint32_t first_assignment; // those in blocks inside it too
  uint32_t assignment_count;
  uint32_t first_read; // names read, outside functions
  uint32_t read_count;
  int first_variable; // those declared in it, its functions' too
  int variable_count;
  int value;     // STATEMENT_RETURN: the first value; else -1
  Path callee;   // STATEMENT_CALL: what is called, as far as it is a path
  bool has_call; // outside functions
  uint64_t fingerprint; // tokens, functions' parameters and bodies left out
  uint64_t exact;       // with functions
} Statement;

// A function or statement of an origin.
typedef struct UnitRef {
  const GraftUnit *origin;
  int index; // into the origin's definitions or statements
} UnitRef;

// Memory of an origin beside its arena.
typedef enum UnitBlock {
  UNIT_DEFINITIONS,
  UNIT_STATEMENTS,
  UNIT_ASSIGNMENTS,
  UNIT_VALUES,
  UNIT_FIELDS,
  UNIT_READS,
  UNIT_BLOCK_COUNT,
} UnitBlock;

struct GraftUnit {
  atomic_int references;
  GraftAllocator allocator; // a copy: a unit may outlive who made it
  Arena arena;
  void *blocks[UNIT_BLOCK_COUNT];

  // All below is NULL or empty in a merged unit.
  const char *module; // "ai.goblin"; never NULL, "" where there is none
  const char *file;   // as given, for messages; never NULL
  const char *source; // own copy, all bytes, terminated
  size_t size;
  size_t code_start; // what the VM may see: see unit_find_code
                     // with # (its line end is still seen)
  const Definition *definitions;
  const DefinitionKey *keys;      // one for each definition
  const uint64_t *statement_keys; // hashes of fingerprint and exact
  const Variable *variables;
  const Statement *statements;
  const Assignment *assignments;
  const Value *values;
  const Field *fields;
  const Path *reads;
  int definition_count;
  int variable_count;
  int statement_count;
  int assignment_count;
  int value_count;
  int field_count;
  int read_count;
  int return_statement; // the one that ends the main chunk, or -1
  bool main_uses_env;

  // What is kept. Functions are those directly in the main chunk (parent
  // -1): a nested one is part of its outermost function.
  ARRAY(UnitRef) kept_functions;
  ARRAY(UnitRef) kept_statements;
  ARRAY(GraftUnit *) origins; // retained, each once
};

// graft_unit_compile and graft_unit_free of graft.h make and release one.
// unit_new makes an empty one with one reference, or NULL.
GraftUnit *unit_new(const GraftAllocator *allocator);

// Where the code of a source begins: behind a byte order mark and a first line
// with #.
size_t unit_find_code(const char *source, size_t size);

// unit_retain returns its argument; both are NULL-safe and for any thread.
GraftUnit *unit_retain(GraftUnit *self);
void unit_release(GraftUnit *self);

// The definition with this registry name, or NULL.
const Definition *unit_find(const GraftUnit *self, const char *name);

// The definition directly in the main chunk that `definition` is nested in.
int unit_outermost(const GraftUnit *self, int definition);

// Text of a range, borrowed, not terminated.
static inline const char *unit_text(const GraftUnit *self, Range range) {
  return self->source + range.start;
}

static inline size_t range_size(Range range) {
  return range.end - range.start;
}

bool path_equal(const Path *left, const Path *right);

#endif
