-- bindings/lua/EXAMPLES.md: each block runs and prints what it says, and together they
-- call every function and method that there is.
-- SPDX-License-Identifier: MIT

-- Each runs where none has before it: the setup comes first, then the loop of a host.
local blocks, all = { {}, {}, {} }, ""
for needs, block in of_binding("EXAMPLES.md"):gmatch("```lua *([%d.]*)\n(.-)```") do
  local at = block:find("thrum.setup", 1, true) and 1 or block:find("thrum.pump", 1, true) and 2 or 3
  if needs == "" or V54 then table.insert(blocks[at], block) end
  all = all .. block
end
assert(#blocks[1] == 1 and #blocks[2] == 1 and #blocks[3] > 5)

local function run(block)
  local printed, said = {}, {}
  for line in block:gmatch("%-%->[ ]?([^\n]-)%f[\n%-]") do said[#said + 1] = line end
  local own = print
  function print(...)
    local words = { ... }
    for i = 1, select("#", ...) do words[i] = tostring(words[i]) end
    printed[#printed + 1] = table.concat(words, " ")
  end
  local ok, err = xpcall(assert((loadstring or load)(block, "=EXAMPLES.md")), debug.traceback)
  print = own
  if not ok then error(block .. "\n" .. err, 0) end
  for i = 1, #said do said[i] = said[i]:gsub("%s+$", "") end
  for i = 1, #printed do printed[i] = printed[i]:gsub("%s+$", "") end
  if not equal(printed, said) then
    error(("%s\nprinted:\n%s"):format(block, table.concat(printed, "\n")), 0)
  end
end
for _, part in ipairs(blocks) do
  for _, block in ipairs(part) do run(block) end
end

-- As annotations.lua has them, which docs.lua compares with the module.
local n = 0
for name in of_binding("annotations.lua"):gmatch("\nfunction %w+[.:](%w+)%(") do
  assert(all:find("[.:]" .. name .. "[ (,]"), "no example calls " .. name)
  n = n + 1
end
assert(n > 50)
