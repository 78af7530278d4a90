-- Isolated states: spawn, what goes along, what they find.
-- SPDX-License-Identifier: MIT
local go, spawn, yield = thrum.go, thrum.spawn, thrum.yield

test("arguments, upvalues, results", function()
  local up, deep = 5, { list = { 1, 2 }, f = function(x) return x + 1 end }
  local g = spawn(function(a, b, ...)
    return a + up, deep.f(deep.list[2]), b, select("#", ...), ...
  end, 1, nil, nil, "x")
  eq({ g:join() }, { 6, 3, nil, 2, nil, "x" })
  eq({ g:join() }, { 6, 3, nil, 2, nil, "x" })
  up = 6
  eq(spawn(function() return up end):join(), 6)
  local function fact(n) return n <= 1 and 1 or n * fact(n - 1) end
  eq(spawn(fact, 10):join(), 3628800)
end)

test("upvalues that functions share stay shared", function()
  if not debug.upvalueid then return end
  local n = 0
  local function inc() n = n + 1 end
  local function get() return n end
  eq(spawn(function() inc() inc() return get() end):join(), 2)
  eq(n, 0)
end)

test("states are apart, and new each time", function()
  here = 1
  eq(spawn(function() here = 2 return here end):join(), 2)
  eq(here, 1)
  for _ = 1, 3 do
    eq(spawn(function()
      local clean = here == nil and string.here == nil and print ~= nil and
        math.pi > 3 and getmetatable(_G) == nil and package.loaded.here == nil and
        getmetatable("").here == nil and ("x").rep == string.rep
      here, string.here, print, math.pi = 1, 2, nil, 3
      setmetatable(_G, { __index = function() return 5 end })
      package.loaded.here = {}
      getmetatable("").here = 1
      string.rep = nil
      return clean
    end):join(), true)
  end
  here = nil
end)

test("errors", function()
  local value = { code = 7, { 1 } }
  local g = spawn(function(v) yield = nil error(v) end, value)
  local ok, err = pcall(g.join, g)
  assert(not ok)
  eq(err, value)
  eq(g:status(), "failed")
  fails("boom", function() spawn(function() error("boom") end):join() end)
  local t = spawn(function() local function inner() error("deep") end inner() return 1 end)
  pcall(t.join, t)
  assert(t:traceback():find("stack traceback"), t:traceback())
  fails("cannot send userdata at .f", function()
    spawn(function() return { f = io.stdout } end):join()
  end)
  fails("cannot send userdata", function() spawn(function() error(io.stdout) end):join() end)
end)

test("errors that are no texts", function()
  for _, value in ipairs { 42, 1.5, true } do
    local g = spawn(function(v) error(v, 0) end, value)
    local _, err = pcall(g.join, g)
    eq(err, value)
    eq(type(err), type(value))
  end
end)

test("cancel", function()
  local g = spawn(function() require("thrum").sleep(100) end)
  yield()
  g:cancel()
  local ok, err = pcall(g.join, g)
  assert(not ok and err == thrum.canceled)
  eq(g:status(), "canceled")
end)

test("modules by their names", function()
  local m, s = math, string.format
  eq(spawn(function() return m.floor(2.5), s("%d", 3), m == math, s == string.format end):join(), 2)
  eq(spawn(function() return thrum == nil, require("thrum").channel ~= nil end):join(), true)
  local module = thrum
  eq(spawn(function() return module == require("thrum") end):join(), true)
  eq(spawn(pcall, error, "x"):join(), false)
end)

test("handles are shared", function()
  local ch, m, wg, sem = thrum.channel(), thrum.mutex(), thrum.wg(), thrum.sem(1)
  wg:add(2)
  for i = 1, 2 do
    spawn(function(all)
      for k = 1, 20 do
        all.m:lock()
        all.ch:send({ i, k, all.ch == all.back })
        all.m:unlock()
      end
      all.wg:done()
    end, { ch = ch, m = m, wg = wg, back = ch })
  end
  local seen = { 0, 0 }
  for _ = 1, 40 do
    local v = ch:recv()
    assert(v[3] and v[2] == seen[v[1]] + 1)
    seen[v[1]] = v[2]
  end
  wg:wait()
  -- A channel through a channel, and a G.
  spawn(function(c) c:recv():send(spawn(function() return 9 end)) end, ch)
  local reply = thrum.channel()
  ch:send(reply)
  eq(reply:recv():join(), 9)
end)

test("a G of this state, joined in another", function()
  local before = go(function() return { 1, "x" } end)
  before:join()
  local after = go(function() yield() yield() return { 2 } end)
  local bad = go(function() return io.stdout end)
  local failed = go(function() error({ 3 }) end)
  eq({ spawn(function(a, b, c, d)
    local ok, why = pcall(c.join, c)
    local ok2, why2 = pcall(d.join, d)
    return a:join(), b:join(), why, why2
  end, before, after, bad, failed):join() }, { { 1, "x" }, { 2 }, "cannot send userdata", { 3 } })
end)

test("Gs inside an isolated state", function()
  eq(spawn(function()
    local thrum = require "thrum"
    local n, all = 0, {}
    for i = 1, 10 do
      all[i] = thrum.go(function() for _ = 1, 10 do thrum.yield() n = n + 1 end end)
    end
    for i = 1, 10 do all[i]:join() end
    return n
  end):join(), 100)
  -- One that outlives the function that has started it.
  local ch = thrum.channel()
  spawn(function(ch)
    local thrum = require "thrum"
    thrum.go(function() for i = 1, 5 do thrum.yield() end ch:send(here == nil) end)
  end, ch)
  eq(ch:recv(), true)
end)

test("buffers go without a copy, and are fixed then", function()
  local b = thrum.buffer(8)
  b:put(1, "abc"):put(6, "xyz")
  eq(b:sub(), "abc\0\0xyz")
  eq({ #b == 8 or b:len() == 8, b:sub(2, 3), b:sub(-2), b:byte(1), b:byte(9) }, { true, "bc", "yz", 97 })
  eq(b:sub(-100, 100), "abc\0\0xyz")
  eq(b:sub(5, 2), "")
  fails("out of range", b.put, b, 7, "xyz")
  fails("out of range", b.put, b, 0, "x")
  local g = spawn(function(b) return b:sub(1, 3), b end, b)
  local text, again = g:join()
  eq(text, "abc")
  assert(again == b)
  fails("is shared", b.put, b, 1, "x")
  eq(thrum.buffer("text"):sub(), "text")
end)

test("offload and blocking", function()
  eq({ thrum.offload(function(a) return a, 2 end, 1) }, { 1, 2 })
  eq({ thrum.blocking(function(a) return a, 2 end, 1) }, { 1, 2 })
  fails("no", thrum.blocking, error, "no")
end)

test("many, as a tree", function()
  local function tree(n)
    if n == 0 then return 1 end
    local t = require "thrum"
    local a, b = t.spawn(tree, n - 1), t.spawn(tree, n - 1)
    return a:join() + b:join()
  end
  eq(spawn(tree, 6):join(), 64)
end)

test("fan out", function()
  local jobs, done = thrum.channel(8), thrum.channel(8)
  for _ = 1, 4 do
    spawn(function(jobs, done)
      for j in jobs:iter() do
        local s = 0
        for k = 1, j.n do s = s + k end
        done:send({ id = j.id, sum = s })
      end
    end, jobs, done)
  end
  go(function()
    for i = 1, 200 do jobs:send({ id = i, n = i }) end
    jobs:close()
  end)
  local ids = {}
  for _ = 1, 200 do
    local r = done:recv()
    assert(r.sum == r.id * (r.id + 1) / 2)
    assert(not ids[r.id])
    ids[r.id] = true
  end
end)

test("what was sent to nobody is dropped", function()
  for i = 1, 50 do
    local ch = thrum.channel(4)
    ch:send({ ch = thrum.channel(), b = thrum.buffer(1000) })
    ch:send(("x"):rep(1000))
  end
  collectgarbage()
end)

test("bad arguments", function()
  fails("function expected", spawn, 7)
  fails("cannot send userdata at [2].x(upvalue 'f')", function()
    local f = io.stdout
    spawn(function() end, 1, { 0, { x = function() return f end } })
  end)
  fails("cannot send a coroutine", spawn, function() end, coroutine.create(function() end))
end)
