-- The module in an interpreter: found by require, used, and left at exit.
-- SPDX-License-Identifier: MIT
local path = ...
package.preload.thrum = assert(package.loadlib(path, "luaopen_thrum"))
local thrum = require "thrum"
for text, options in pairs {
  ["no option 'proc'"] = { proc = 2 }, ["no option '?'"] = { 7 },
  ["slice is out of range or no number"] = { slice = "x" },
  ["procs is out of range or no number"] = { procs = -1 },
} do
  local ok, err = pcall(thrum.setup, options)
  assert(not ok and err:find(text, 1, true), err)
end
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
