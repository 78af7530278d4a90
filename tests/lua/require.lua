-- The module in an interpreter: found by require, used, and left at exit.
-- SPDX-License-Identifier: MIT
local path = ...
package.preload.thrum = assert(package.loadlib(path, "luaopen_thrum"))
local thrum = require "thrum"
assert(thrum.run(function(n)
  local g = thrum.spawn(function(n) return n * 2 end, n)
  return thrum.go(g.join, g):join()
end, 21) == 42)
-- Left running at exit: one that waits, one that computes.
thrum.run(function()
  thrum.spawn(function() require("thrum").sleep(1000) end)
  thrum.spawn(function() while true do end end)
  thrum.yield()
end)
