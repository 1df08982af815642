---@meta graft
-- Written by Graft for editors, which go by it; it is written again when the program changes.
-- SPDX-License-Identifier: MIT

---A C pointer that Lua can only hand on: `void *`, a pointer to a function.
---@alias graft.pointer lightuserdata|userdata

---@alias graft.EventName
---| "watch" # a file was loaded
---| "add" # a function is new
---| "update" # a function has new code
---| "move" # a function is on another line
---| "delete" # a function is gone
---| "swap" # another backing is active
---| "run" # a statement ran
---| "keep" # a value changed at run time is kept
---| "stale" # closures keep the old code
---| "orphan" # closures of a deleted function are held
---| "silent" # closures of a removed statement do nothing now
---| "depends" # a value needs a call to follow another
---| "reject" # a change was not taken
---| "revert" # a function's previous version is back
---| "break" # a script is stopped in new code that raised
---| "crash" # new native code crashed, and there is no version before it
---| "migrate" # a native variable has the new layout of its type
---| "error" # a script raised, or calls from C failed
---| "notice" # something that the user should know
---| "patch" # ends a transaction
---| "sweep" # ends a sweep under a budget

---@class graft.Event
---@field event graft.EventName
---@field name? string in the registry
---@field file? string
---@field line? integer
---@field column? integer
---@field version? integer
---@field count? integer
---@field from? string
---@field to? string
---@field message? string
---@field source? string the line of source that an error is about

---What a safe point did.
---@class graft.Report: graft.Event
---@field ok boolean
---@field settle_ms number
---@field plan_ms number
---@field apply_ms number
---@field sweep_ms number
---@field sweeping? boolean old references follow at the next safe points
---@field safe_points? integer
---@field added graft.Event[]
---@field updated graft.Event[]
---@field moved graft.Event[]
---@field deleted graft.Event[]
---@field ran graft.Event[]
---@field kept graft.Event[]
---@field stale graft.Event[]
---@field orphaned graft.Event[]
---@field depends graft.Event[]
---@field silenced graft.Event[]
---@field errors graft.Event[]

---@class graft.Backing
---@field kind "native"|"script"
---@field layer string
---@field version integer
---@field file? string
---@field line? integer
---@field signature? string

---@class graft.Info
---@field name string
---@field backing "native"|"script"|"none"
---@field layer string
---@field version integer
---@field file? string
---@field line? integer
---@field signature? string the C type, for natives
---@field calls integer through the slot
---@field pin? "native"|"script"|integer what `swap` has set
---@field removed? string what removed the last backing
---@field backings graft.Backing[] the highest first
---@field old { running: integer, closures: integer } who still has old code

---@class graft.Version
---@field version integer
---@field kind "native"|"script"
---@field file? string
---@field line? integer
---@field source? string

---@class graft.UnitFunction
---@field name string in the registry: `ai.goblin.think`
---@field path string in the source: `M.think`
---@field file? string
---@field line integer
---@field last_line integer
---@field column integer
---@field parameters string[]
---@field vararg boolean
---@field method boolean
---@field shown boolean whether it can be called by its name
---@field source string
---@field fingerprint string equal when only comments and white space differ

---A source file as data: its functions, and the statements at its top level.
---@class graft.Unit
---@field name? string the module
---@field file? string nil when merged
---@field statements integer how many
---@operator add(graft.Unit): graft.Unit
---@operator len: integer
local Unit = {}

---The functions that the unit holds, in source order.
---@return fun(): graft.UnitFunction?
function Unit:functions() end

---Keeps the functions for which `predicate` is true.
---@param predicate fun(f: graft.UnitFunction): boolean?
function Unit:retain_functions(predicate) end

---Lets go of all functions; the statements stay.
function Unit:clear_functions() end

---Lets go of all statements; the functions stay.
function Unit:clear_statements() end

---A new unit, in which functions of `other` replace those of the same name.
---@param other graft.Unit
---@param filter? fun(f: graft.UnitFunction): boolean?
---@return graft.Unit
function Unit:merge(other, filter) end

---The same in place.
---@param other graft.Unit
---@param filter? fun(f: graft.UnitFunction): boolean?
function Unit:combine(other, filter) end

---The whole text that the unit was compiled from; `""` for a merged one.
---@return string
function Unit:source() end

---@class graft
---@field vm "lua54"|"luajit"
---@field version string the version of Graft, such as "0.1.0"
local graft = {}

---Calls `f` at each event of a kind; returns a function that ends this.
---If `f` returns true, the event counts as shown.
---@param event graft.EventName|"*"
---@param f fun(event: graft.Event): boolean?
---@return fun() off
---@overload fun(event: "patch", f: fun(report: graft.Report): boolean?): fun()
function graft.on(event, f) end

---Watches a folder, which becomes a root for `require`, or one file.
---@param path string
---@return true? watched
---@return string? message
---@return integer? code
function graft.watch(path) end

---A safe point: takes the changes that were noticed so far, all or none.
---@return graft.Report? report nil when there was nothing to do
function graft.update() end

---Takes what is on disk now, as one transaction.
---@param path? string a loaded file; default: all
---@return graft.Report? report
---@return string? message
function graft.reload(path) end

---Calls `f` as a host does: true and its results, or false, the message and,
---when new code was put back, `"reverted"`.
---@param f function
---@param ... any
---@return boolean ok
---@return any ...
function graft.call(f, ...) end

---A function that always calls what `name` is at that time.
---@param name graft.Name
---@return fun(...): ...
function graft.fn(name) end

---The sorted list of all names that can be called now.
---@param pattern? string of Lua
---@return string[]
function graft.names(pattern) end

---What is known of a function.
---@param name graft.Name
---@return graft.Info? info
---@return string? message
---@return integer? code
function graft.info(name) end

---Makes another backing active everywhere, and keeps it.
---@param name graft.Name
---@param backing "native"|"script"|"auto"|string or a version as text
---@return true? swapped
---@return string? message
---@return integer? code
function graft.swap(name, backing) end

---The versions that a function still has, the oldest first.
---@param name graft.Name
---@return graft.Version[]? versions
---@return string? message
---@return integer? code
function graft.history(name) end

---Puts an old version back, by default the one before this.
---@param name graft.Name
---@param version? integer
---@return true? done
---@return string? message
---@return integer? code
function graft.rollback(name, version) end

---A unit of a text or a file; nothing of it runs.
---@param desc { source?: string, file?: string, name?: string }
---@return graft.Unit? unit
---@return string? message
---@return integer? code
function graft.compile(desc) end

---Patches the functions of a unit into the running program.
---@param unit graft.Unit
---@return graft.Report? report
---@return string? message
---@return integer? code
function graft.merge(unit) end

---Memory for a C type of a native, zeroed; with a table, its fields.
---@generic T
---@param type `T`
---@param count? integer|table
---@return T
function graft.new(type, count) end

---The text that a pointer to `char`, or an array of it, leads to.
---@param pointer string|integer[]|nil
---@param size? integer in bytes; default: up to the zero
---@return string
function graft.string(pointer, size) end

---Inside a top-level statement: `f` is its cleanup.
---@param f fun()
function graft.defer(f) end

---Gives a value what the source gives it.
---@param name string such as `ai.goblin.hp`, or `ai.goblin:count` for a local
---@return true? done
---@return string? message
---@return integer? code
function graft.reset(name) end

---Calls `callback` after each transaction that gave `f` new code.
---@param f function
---@param callback fun(new: function?)
function graft.conform(f, callback) end

return graft
