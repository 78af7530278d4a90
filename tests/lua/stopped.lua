-- A scope is in a wait when the host ends: canceled, it waits for what it has begun.
-- SPDX-License-Identifier: MIT
thrum.run(function()
  local begun = thrum.channel()
  thrum.spawn(function(begun)
    local thrum = require "thrum"
    thrum.scope(function(s)
      s:go(thrum.sleep, 1000)
      s:go(thrum.sleep, 1000)
      begun:send(true)
    end)
  end, begun)
  begun:recv()
end)
ENDS = true -- runner.c: no thread is left
