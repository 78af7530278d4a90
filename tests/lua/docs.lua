-- What is written down is what there is: annotations.lua names all that the module
-- gives and nothing else, README.md has every name, and its example runs.
-- SPDX-License-Identifier: MIT

local function sorted(set)
  local list = {}
  for name in pairs(set) do list[#list + 1] = name end
  table.sort(list)
  return table.concat(list, " ")
end

-- Class -> the names that it is said to have.
local function annotated()
  local classes, of_local, class = {}, {}, nil
  for line in of_binding("annotations.lua"):gmatch("[^\n]+") do
    local name = line:match("^%-%-%-@class ([%w.]+)")
    local field = line:match("^%-%-%-@field (%w+)")
    local var = line:match("^local (%w+) = {}")
    local owner, method = line:match("^function (%w+)[.:](%w+)%(")
    if name then
      class = {}
      classes[name] = class
    elseif field then
      class[field] = true
    elseif var then
      of_local[var] = class
    elseif owner then
      of_local[owner][method] = true
    end
  end
  classes["thrum.case"] = nil -- a table of the caller's
  return classes
end

-- The names of a table's, or of the methods of a handle's.
local function names(of)
  local set = {}
  for name in pairs(type(of) == "table" and of or debug.getmetatable(of).__index) do
    if name:sub(1, 2) ~= "__" then set[name] = true end
  end
  return set
end

test("the annotations say what there is", function()
  local net = thrum.net
  local listener = net.listen("127.0.0.1", 0)
  local conn = net.dial("127.0.0.1", listener:port())
  local udp = net.udp("127.0.0.1", 0)
  local there = {
    thrum = names(thrum),
    ["thrum.net"] = names(net),
    ["thrum.G"] = names(thrum.go(function() end)),
    ["thrum.channel"] = names(thrum.channel()),
    ["thrum.mutex"] = names(thrum.mutex()),
    ["thrum.wg"] = names(thrum.wg()),
    ["thrum.sem"] = names(thrum.sem(1)),
    ["thrum.buffer"] = names(thrum.buffer("x")),
    ["thrum.scope"] = names(getmetatable(thrum.scope()).__index),
    ["thrum.listener"] = names(listener),
    ["thrum.conn"] = names(conn),
    ["thrum.udp"] = names(udp),
  }
  local said = annotated()
  eq(sorted(said), sorted(there))
  for class, set in pairs(there) do
    eq(class .. ": " .. sorted(said[class]), class .. ": " .. sorted(set))
  end
  eq(names(thrum.localchannel()), there["thrum.channel"])
  listener:close()
  conn:close()
  udp:close()
end)

local README = of_binding("README.md")

test("the README has every name", function()
  for name in pairs(names(thrum)) do
    if not README:find("[`.]" .. name .. "[`({.]") then
      error("README.md does not have " .. name)
    end
  end
end)

-- Its example, as it stands there.
local blocks, printed = 0, {}
for block in README:gmatch("```lua\n(.-)```") do
  blocks = blocks + 1
  local env = setmetatable({ print = function(...)
    printed[#printed + 1] = { ... }
  end }, { __index = _G })
  local f
  if setfenv then
    f = setfenv(assert(loadstring(block, "=README.md")), env)
  else
    f = assert(load(block, "=README.md", "t", env))
  end
  f()
end
eq(blocks, 1)
eq(#printed, 100)
local sum = 0
for k = 1, 1e5 do sum = sum + k * k end
local ids = {}
for _, line in ipairs(printed) do
  eq(line[2], sum)
  ids[line[1]] = true
end
for i = 1, 100 do assert(ids[i]) end
