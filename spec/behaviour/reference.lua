-- SPDX-License-Identifier: MIT
--
-- bindings/README.md says what there is: each name of the `graft` module has a
-- section, each section an example, and each example prints what it says.

local engine = require "spec.support.engine"

local function read_reference()
  local file = assert(io.open(engine.root .. "/bindings/README.md"))
  local text = file:read "*a"
  file:close()
  return text
end

-- The sections {title, name, examples}, and the files that examples share.
local function parse(text)
  local sections, shared, block = {}, {}, nil
  for line in text:gmatch "([^\n]*)\n" do
    if block and line == "```" then
      local body = table.concat(block.lines, "\n") .. "\n"
      if block.path ~= "" then
        shared[block.path] = body
      else
        table.insert(sections[#sections].examples, body)
      end
      block = nil
    elseif block then
      table.insert(block.lines, line)
    elseif line:find "^```" then
      block = { path = line:match "^```%a+ ?(.*)$", lines = {} }
    elseif line:find "^### " then
      local title = line:sub(5)
      table.insert(sections,
        { title = title, name = title:match "^[%w_.:]+", examples = {} })
    end
  end
  return sections, shared
end

-- White space between values is a tab in Lua and a space in comments.
local function plain(line)
  return (line:gsub("%s+", " "):gsub(" $", ""))
end

local function expected_output(example)
  local lines = {}
  for line in example:gmatch "[^\n]+" do
    local expected = line:match "%-%-> ?(.*)$"
    if expected then lines[#lines + 1] = plain(expected) end
  end
  return table.concat(lines, "\n")
end

local function project(shared, main)
  local all = { ["scripts/main.lua"] = main }
  for path, text in pairs(shared) do all[path] = text end
  return engine.project(all)
end

local function run(vm, folder, arguments)
  local all = { "--no-watch" }
  for _, argument in ipairs(arguments) do all[#all + 1] = argument end
  all[#all + 1] = "scripts/main.lua"
  local program = engine.run(vm, all, { cwd = folder.path })
  if program.status ~= 0 then program:fail "did not end with 0" end
  return program
end

return function(vm)
  after_each(engine.clean_up)
  local sections, shared = parse(read_reference())

  for _, section in ipairs(sections) do
    it("the example of " .. section.title .. " prints what it says", function()
      assert.is_true(#section.examples > 0, "no example")
      for _, example in ipairs(section.examples) do
        local folder = project(shared, example)
        local program = run(vm, folder,
          { "--natives", engine.build_natives(folder, "physics") })
        local lines = {}
        for line in program.text.out:gmatch "([^\n]*)\n" do
          lines[#lines + 1] = plain(line)
        end
        local printed = table.concat(lines, "\n")
        if printed ~= expected_output(example) then
          program:fail("should have printed\n" .. expected_output(example))
        end
      end
    end)
  end

  it("has every name of the module, and no other", function()
    local folder = project(shared, [[
      for name in pairs(require "graft") do print(name) end
    ]])
    local names, documented = {}, {}
    for name in run(vm, folder, {}).text.out:gmatch "%S+" do
      names[#names + 1] = "graft." .. name
    end
    for _, section in ipairs(sections) do
      if section.name:find "^graft%." then
        documented[#documented + 1] = section.name
      end
    end
    table.sort(names)
    table.sort(documented)
    assert.equal(table.concat(names, "\n"), table.concat(documented, "\n"))
  end)

  it("has links that lead somewhere", function()
    local text = read_reference()
    local anchors = {}
    for heading in text:gmatch "\n##+ ([^\n]*)" do
      local anchor = heading:lower():gsub("[^%w _-]", ""):gsub(" ", "-")
      anchors["#" .. anchor] = true
    end
    local count = 0
    for link in text:gmatch "%]%((#[^)]*)%)" do
      assert.is_true(anchors[link], link)
      count = count + 1
    end
    assert.is_true(count > 10)
  end)

  it("has every method of units, and no other", function()
    local folder = project(shared, [[
      local unit = require "graft".compile { source = "" }
      local index = debug.getmetatable(unit).__index
      if type(index) == "function" then index = select(2, debug.getupvalue(index, 1)) end
      for name in pairs(index) do print(name) end
    ]])
    local there, documented = {}, {}
    for name in run(vm, folder, {}).text.out:gmatch "%S+" do
      there[#there + 1] = "unit:" .. name
    end
    for _, section in ipairs(sections) do
      if section.name:find "^unit:" then documented[#documented + 1] = section.name end
    end
    table.sort(there)
    table.sort(documented)
    assert.equal(table.concat(there, "\n"), table.concat(documented, "\n"))
    assert.is_true(#there > 0)
  end)

  it("has every event, and no other", function()
    local section = read_reference():match "\n### graft%.on%(.-\n### "
    local words = section:match "%- `event`:(.-)%. Another word raises"
    local folder = project(shared, ([[
      local graft = require "graft"
      for word in (%q):gmatch '"([%%a*]+)"' do graft.on(word, print) end
    ]]):format(words))
    run(vm, folder, {})
    local source = assert(io.open(engine.root .. "/host/include/graft.h"))
    local text = source:read "*a"
    source:close()
    local count = 0
    for word in text:gmatch "\n  GRAFT_EVENT_(%u+)," do
      assert.is_truthy(words:find('"' .. word:lower() .. '"', 1, true), word)
      count = count + 1
    end
    assert.is_true(count > 10)
  end)
end
