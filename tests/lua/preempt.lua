-- With preemption on a loop in Lua gives way to the other Gs of its state, also
-- inside coroutines and inside C functions that call back.
-- SPDX-License-Identifier: MIT
local can, why = pcall(thrum.procs)
if not can then
  print("skipped: " .. why)
  os.exit(77)
end
local go, spawn, yield = thrum.go, thrum.spawn, thrum.yield

-- Others go on until they have been served `n` times beside `hog`.
local function beside(hog)
  test("beside a hog", function()
    local stop = false
    local g = go(function() return hog(function() return stop end) end)
    for _ = 1, 5 do yield() end
    stop = true
    g:join()
  end)
end

beside(function(stopped) while not stopped() do end end)
beside(function(stopped)
  local n = 0
  while not stopped() do for i = 1, 1000 do n = n + i end end
end)
beside(function(stopped)
  coroutine.wrap(function() while not stopped() do end end)()
end)
beside(function(stopped)
  local co = coroutine.create(function()
    while not stopped() do end
    coroutine.yield(1)
  end)
  assert(coroutine.resume(co))
  assert(coroutine.resume(co))
  assert(not coroutine.resume(co))
end)
beside(function(stopped)
  repeat
    local t = { 5, 3, 4, 1, 2 }
    table.sort(t, function(a, b) for _ = 1, 1000 do end return a < b end)
    for i = 1, 5 do assert(t[i] == i) end
  until stopped()
end)
beside(function(stopped)
  repeat
    eq((("abc"):gsub(".", function(c) for _ = 1, 1000 do end return c:upper() end)), "ABC")
  until stopped()
end)
beside(function(stopped)
  local m = setmetatable({}, { __index = function(_, k) for _ = 1, 1000 do end return k end })
  repeat eq(m[3], 3) until stopped()
end)
beside(function(stopped)
  repeat
    eq({ pcall(function() for _ = 1, 1000 do end error("x", 0) end) }, { false, "x" })
  until stopped()
end)

test("a loop can be canceled", function()
  local g = go(function() while true do end end)
  yield()
  g:cancel()
  local ok, err = pcall(g.join, g)
  assert(not ok and err == thrum.canceled)
end)

-- Ends only if the loop that it runs in another state can be canceled.
local function canceled(loop)
  local ready = thrum.channel()
  local g = thrum.spawn(function(loop, ready)
    ready:send(true)
    loop()
  end, loop, ready)
  ready:recv()
  g:cancel()
  local ok, err = pcall(g.join, g)
  assert(not ok and err == thrum.canceled)
  eq(g:status(), "canceled")
end

test("a loop in another state can be canceled", function()
  for _ = 1, 5 do
    canceled(function() while true do end end)
    canceled(function() coroutine.wrap(function() while true do end end)() end)
    canceled(function() require("thrum").go(function() yield() end) while true do end end)
    canceled(function() local s = 0 while true do s = s + #tostring(s) end end)
  end
  local host = go(function() while true do end end)
  spawn(function(g) g:cancel() end, host)
  assert(not pcall(host.join, host))
  local inner = spawn(function()
    local thrum = require "thrum"
    return thrum.go(function() while true do end end)
  end):join()
  inner:cancel()
  assert(not pcall(inner.join, inner))
  eq(inner:status(), "canceled")
end)

test("a hook of the script's own is left alone", function()
  local stop, ended = false, false
  local g = go(function()
    local began = os.clock()
    debug.sethook(function()
      if os.clock() - began > 0.05 then -- some slices of its own time
        ended = true
        debug.sethook()
      end
    end, "l")
    repeat until stop
  end)
  yield()
  yield()
  stop = true
  g:join()
  assert(ended)
end)

test("wrap and resume are as before", function()
  local gen = coroutine.wrap(function(...) local a = coroutine.yield(...) return a end)
  eq({ gen(1, nil, 3) }, { 1, nil, 3 })
  eq(gen("x"), "x")
  fails("dead coroutine", gen)
  local value = {}
  local ok, err = pcall(coroutine.wrap(function() error(value) end))
  assert(not ok and err == value)
  eq({ coroutine.resume(coroutine.create(function() error("e", 0) end)) }, { false, "e" })
  fails("coroutine expected", coroutine.resume, 1)
  local self
  self = coroutine.create(function() return coroutine.resume(self) end)
  eq({ coroutine.resume(self) }, { true, false, "cannot resume non-suspended coroutine" })
end)

-- At the end loops are interrupted that nothing else would end.
thrum.run(function()
  spawn(function() while true do end end)
  spawn(function() while true do pcall(function() while true do end end) end end)
  spawn(function()
    while true do pcall(coroutine.wrap(function() while true do end end)) end
  end)
  spawn(function() require("thrum").go(function() while true do end end) while true do end end)
  thrum.sleep(0.005)
end)
ENDS = true -- runner.c: no thread is left
