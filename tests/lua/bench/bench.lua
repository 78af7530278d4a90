-- One subject of bench.py, timed in this process: prints ns per operation, or from
-- when to when each gap was, in ns.
-- SPDX-License-Identifier: MIT
local thrum = require "thrum"
local subject = os.getenv("SUBJECT")
thrum.setup { procs = PROCS, slice = tonumber(os.getenv("SLICE")),
  preempt = subject:find("hooked") ~= nil }
local N = tonumber(os.getenv("N")) or 100000

local function timed(n, f)
  local began = thrum.now()
  f(n)
  return (thrum.now() - began) / n * 1e9
end

-- 11 values: the list's three, three and the others of the issue's table.
local VALUE = { 1, 2, { 3, 4, 5 }, x = "a", y = { z = true, w = 2.5 } }

-- n messages from one isolated state to another.
local function messages(n, value, cap)
  local ch = thrum.channel(cap)
  local to = thrum.spawn(function(ch)
    local n = 0
    for _ in ch:iter() do n = n + 1 end
    return n
  end, ch)
  local from = thrum.spawn(function(ch, n, value)
    for _ = 1, n do ch:send(value) end
    ch:close()
  end, ch, n, value)
  from:join()
  assert(to:join() == n)
end

-- Spawns n, 8 at a time, and joins them.
local function spawns(n, spawn, f)
  for _ = 1, n / 8 do
    local all = {}
    for i = 1, 8 do all[i] = spawn(f) end
    for i = 1, 8 do all[i]:join() end
  end
end

-- A computation of about as long for each of k states.
local function compute(k)
  local function work()
    local s = 0
    for i = 1, 1e8 do s = s + i % 7 end
    return s
  end
  local all = {}
  for i = 1, k do all[i] = thrum.spawn(work) end
  for i = 1, k do all[i]:join() end
end

-- From one turn to the next, of one that wants one every 0.1 ms beside a hog.
local function gaps(spawn_hog)
  local stop = thrum.now() + 0.5
  local all = {}
  local hog = spawn_hog(stop)
  local last = thrum.now()
  repeat
    thrum.sleep(0.0001)
    local now = thrum.now()
    all[#all + 1] = ("%.0f %.0f"):format(last * 1e9, now * 1e9)
    last = now
  until now > stop
  hog:join()
  return table.concat(all, "\n")
end

local subjects = {
  ["coroutine resume+yield"] = function()
    local co = coroutine.wrap(function() while true do coroutine.yield() end end)
    return timed(N * 10, function(n) for _ = 1, n do co() end end)
  end,
  ["go yield"] = function()
    return timed(N * 10, function(n)
      local function loop() for _ = 1, n / 2 do thrum.yield() end end
      local a, b = thrum.go(loop), thrum.go(loop)
      a:join()
      b:join()
    end)
  end,
  ["go spawn"] = function()
    return timed(N, function(n) spawns(n, thrum.go, function() end) end)
  end,
  ["spawn"] = function()
    return timed(N, function(n) spawns(n, thrum.spawn, function() end) end)
  end,
  ["spawn globals"] = function()
    return timed(N, function(n) spawns(n, thrum.spawn, function() return math.pi end) end)
  end,
  -- What Lua itself takes for one end of a message: a call, a table.
  ["Lua: call"] = function()
    local ch = thrum.channel()
    return timed(N * 10, function(n) for _ = 1, n do ch:len() end end)
  end,
  ["Lua: table"] = function()
    return timed(N * 5, function(n)
      for _ = 1, n do
        local _ = { 1, 2, { 3, 4, 5 }, x = "a", y = { z = true, w = 2.5 } }
      end
    end)
  end,
  ["message integer"] = function()
    return timed(N * 5, function(n) messages(n, 42, 64) end)
  end,
  ["message integer, no buffer"] = function()
    return timed(N * 5, function(n) messages(n, 42, 0) end)
  end,
  ["message table"] = function()
    return timed(N, function(n) messages(n, VALUE, 64) end)
  end,
  ["compute 1"] = function() return timed(1, function() compute(1) end) end,
  ["compute 2"] = function() return timed(1, function() compute(2) end) end,
  ["gap isolated"] = function()
    return gaps(function(stop)
      return thrum.spawn(function(stop)
        local t = require "thrum"
        while t.now() < stop do for _ = 1, 1e6 do end end
      end, stop)
    end)
  end,
  ["gap hooked"] = function()
    return gaps(function(stop)
      return thrum.go(function()
        while thrum.now() < stop do for _ = 1, 1e6 do end end
      end)
    end)
  end,
}

print(thrum.run(function()
  local f = subjects[subject]
  f() -- warm
  return f()
end))
