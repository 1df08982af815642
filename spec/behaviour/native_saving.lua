-- SPDX-License-Identifier: MIT
--
-- Ways in which .c files and headers are saved: broken and mended, together,
-- new ones that cannot be linked, renamed, emptied, deleted.

local engine = require "spec.support.engine"
local natives = require "spec.support.natives"

local physics = "int physics_step(int n) { return n + 1; }\n"
local render = [[
#include "base.h"
int physics_step(int n);
int render_draw(int n) { return physics_step(n) + BASE; }
]]
local audio = [[
#include "base.h"
int audio_base(void) { return BASE; }
]]

return function(vm)
  after_each(engine.clean_up)

  local function start(show, desc)
    desc = desc or {}
    desc.show = show
    desc.sources = { ["natives/physics.c"] = physics,
      ["natives/render.c"] = render, ["natives/audio.c"] = audio,
      ["natives/base.h"] = "#define BASE 1000\n" }
    return natives.start(vm, desc)
  end

  it("a mended text goes live at once, and fails no second time", function()
    local game = start({ "physics.step(1)" }, {})
    game:shows("physics.step(1)", 2)
    game:edit("natives/physics.c", "n + 1", "n + ;")
    game:reports "^Patch failed"
    game:edit("natives/physics.c", "n + ;", "n + 3")
    game:shows("physics.step(1)", 4)
    game:edit("natives/audio.c", "BASE;", "BASE + 1;")
    game:reports "^Update audio%.base$"
    assert.equal(1, game.program:count("err", "^Patch failed"))
    game:stop()
  end)

  it("a broken header rejects who includes it, and a mended one is taken", function()
    local game = start { "render.draw(1) + audio.base()" }
    game:shows("render.draw(1) + audio.base()", 2002)
    game:write("natives/base.h", "#define BASE 2000 +\n")
    game:reports "^Reject .*natives/%l+%.c:%d+:%d+: "
    game:reports "^Reject .*natives/%l+%.c:%d+:%d+: "
    game:reports "^Patch failed"
    assert.equal("2002", game:ask "render.draw(1) + audio.base()")
    game:write("natives/base.h", "#define BASE 3000\n")
    game:shows("render.draw(1) + audio.base()", 6002)
    game:stop()
  end)

  it("a new file that cannot be linked waits until it can", function()
    local game = start { "render.draw(1)" }
    game:write("natives/extra.c",
      "int missing_one(int n);\nint extra_use(void) { return missing_one(2); }\n")
    game:reports "^Reject .*natives/extra%.c.*missing_one"
    game:edit("natives/physics.c", "n + 1", "n + 2")
    game:shows("render.draw(1)", 1003)
    game:write("natives/missing.c", "int missing_one(int n) { return 7 * n; }\n")
    game:reports "^Add extra%.use$"
    assert.equal("14", game:ask "require('extra').use()")
    game:stop()
  end)

  it("a renamed file goes on under its new name", function()
    local game = start { "audio.base()" }
    game.folder:rename("natives/audio.c", "natives/sound.c")
    repeat
      local file = game:ask "graft.info('audio.base').file"
    until file:find("sound.c", 1, true)
    assert.equal("1000", game:ask "audio.base()")
    game:edit("natives/sound.c", "BASE;", "BASE + 5;")
    game:shows("audio.base()", 1005)
    assert.equal(0, game.program:count("err", "^Reject"))
    assert.equal(0, game.program:count("err", "^Delete audio"))
    game:stop()
  end)

  it("an emptied file has its grace time", function()
    local game = start { "audio.base()" }
    game:write("natives/audio.c", "")
    game:edit("natives/physics.c", "n + 1", "n + 2")
    game:reports "^Update physics%.step$"
    assert.equal("1000", game:ask "audio.base()")
    game:write("natives/audio.c", audio)
    game:edit("natives/physics.c", "n + 2", "n + 3")
    game:reports "^Update physics%.step$"
    assert.equal(0, game.program:count("err", "^Delete"))
    game:write("natives/audio.c", "")
    game:reports "^Delete audio%.base$"
    game:stop()
  end)

  it("who calls what is gone is told its name, and where it was", function()
    local game = start({ "render.draw(1)" }, {})
    game:ask "(function() step = physics.step end)()"
    game.folder:remove "natives/physics.c"
    game:reports "^Delete physics%.step$"
    game:reports "^Error physics%.step was removed: deleted from .*natives/physics%.c:1"
    game:shows("render.draw(1)", 1000)
    local message = game:ask "select(2, pcall(step, 1))"
    assert.is_truthy(message:find
      "^physics%.step was removed: deleted from .*natives/physics%.c:1$", message)
    game:write("natives/physics.c", physics)
    game:shows("render.draw(1)", 1002)
    assert.equal("2", game:ask "step(1)")
    game:stop()
  end)
end
