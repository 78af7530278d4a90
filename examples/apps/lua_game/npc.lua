-- The scripts of one group: what kind it is, and how many.
-- SPDX-License-Identifier: MIT
local kind, n = ...
local thrum = require "thrum"

steps, alive, starved = 0, 0, 0

-- Each waits for its neighbour's word now and then, and looks as if it blocked.
local words = {}

local life = {}

function life.villagers(i)
  while true do
    thrum.sleep(0.02 + math.random() * 0.1)
    steps = steps + 1
    words[i % n + 1]:send("hello", 0)
  end
end

function life.guards(i)
  while true do
    local word = words[i]:recv(0.05 + math.random() * 0.1)
    steps = steps + 1
    if word then
      words[i % n + 1]:send(word, 0)
    end
  end
end

-- Never sleep: their group's budget is what stops them.
function life.thinkers(i)
  local route = 0
  while true do
    for k = 1, 200 do
      route = (route * 31 + k * i) % 65521
    end
    steps = steps + 1
    thrum.yield()
  end
end

-- Keep all that they find, until there is no more.
function life.hoarders(i)
  local found = {}
  local function find()
    found[#found + 1] = ("gold"):rep(500 + #found)
    steps = steps + 1
  end
  while true do
    if not pcall(find) then
      starved = starved + 1
      for k = #found, 1, -1 do found[k] = nil end
    end
    thrum.sleep(0.01 + math.random() * 0.05)
  end
end

for i = 1, n do
  words[i] = thrum.localchannel(1)
end
for i = 1, n do
  thrum.go(function()
    alive = alive + 1
    life[kind](i)
  end)
end
