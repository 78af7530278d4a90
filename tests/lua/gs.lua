-- Gs in one state: go, join, errors, cancel, and parks where Lua does not expect
-- one: in C functions that call back.
-- SPDX-License-Identifier: MIT
local go, yield = thrum.go, thrum.yield

test("results", function()
  eq({ go(function(...) yield() return ... end, 1, nil, "x"):join() }, { 1, nil, "x" })
  local g = go(function() return 7 end)
  eq(g:join(), 7)
  eq(g:join(), 7)
  eq(g:status(), "done")
  eq(select("#", go(function() end):join()), 0)
end)

test("run gives results and errors", function() end)
eq({ thrum.run(function(a) return a, 2 end, 1) }, { 1, 2 })
do
  local value = {}
  local ok, err = pcall(thrum.run, function() error(value) end)
  assert(not ok and err == value)
end

test("errors pass unharmed", function()
  local value = setmetatable({ code = 7 }, { __tostring = function() return "T" end })
  local g = go(function() yield() error(value) end)
  local ok, err = pcall(g.join, g)
  assert(not ok and rawequal(err, value))
  eq(g:status(), "failed")
  assert(g:traceback():find("T\nstack traceback", 1, true), g:traceback())
  fails("boom", function() go(function() error("boom") end):join() end)
  local n = go(function() error(nil) end)
  eq({ pcall(n.join, n) }, { false })
  local bad = setmetatable({}, { __tostring = function() error("inner") end })
  for _, each in ipairs { 42, 1.5, true, print, bad } do
    local one = go(error, each, 0)
    local _, raised = pcall(one.join, one)
    assert(type(raised) == type(each) and rawequal(raised, each))
  end
end)

test("more results than fit twice into a stack", function()
  local n = 600000
  if not pcall(unpack, {}, 1, n) then return end
  local g = go(function() return unpack({}, 1, n) end)
  for _ = 1, 2 do eq(select("#", g:join()), n) end
end)

-- Its Lua thread is used again; whoever kept it finds a dead coroutine.
test("the coroutine of a G that has ended", function()
  for _, touch in ipairs { coroutine.resume, coroutine.close or coroutine.resume } do
    local mine
    go(function() mine = coroutine.running() end):join()
    eq(coroutine.status(mine), "dead")
    touch(mine)
    for _ = 1, 3 do
      eq({ go(function(...) return ... end, 1, 2):join() }, { 1, 2 })
      fails("boom", function() go(error, "boom"):join() end)
    end
    local kept = go(function()
      mine = coroutine.running()
      return 1, function() yield() end
    end)
    while kept:status() == "running" do yield() end
    local toucher = go(touch, mine)
    yield()
    fails("is lost", kept.join, kept)
    toucher:join()
    kept = nil
    collectgarbage()
    collectgarbage()
    eq({ go(function(...) return ... end, 1, 2):join() }, { 1, 2 })
  end
end)

test("a hook ends with its G", function()
  if jit then return end -- there all threads have one
  local n = 0
  go(function() debug.sethook(function() n = n + 1 end, "l") end):join()
  local before = n
  go(function()
    local a = 1
    yield()
    return a
  end):join()
  eq(n, before)
end)

test("state is shared", function()
  local n = 0
  local all = {}
  for i = 1, 100 do
    all[i] = go(function() for _ = 1, 10 do n = n + 1 yield() end end)
  end
  for i = 1, 100 do all[i]:join() end
  eq(n, 1000)
end)

test("parks in sort, gsub, metamethods, iterators and pcall", function()
  local function busy()
    local t = {}
    for i = 1, 50 do t[i] = (i * 7919) % 101 end
    table.sort(t, function(a, b) yield() return a < b end)
    for i = 2, 50 do assert(t[i - 1] <= t[i]) end
    eq((("a-b-c"):gsub("%a", function(c) yield() return c:upper() end)), "A-B-C")
    local m = setmetatable({}, {
      __index = function(_, k) yield() return k * 2 end,
      __add = function(a, b) yield() return 5 end,
      __eq = function() yield() return true end,
      __lt = function() yield() return true end,
      __concat = function() yield() return "cat" end,
      __call = function(_, x) yield() return x end,
      __newindex = function(t, k, v) yield() rawset(t, k, v + 1) end,
    })
    eq(m[21], 42)
    eq(m + 1, 5)
    assert(m < m)
    eq(m .. "x", "cat")
    eq(m(3), 3)
    m.z = 1
    eq(rawget(m, "z"), 2)
    for i in (function(n) return function(_, k) yield() k = k + 1 if k <= n then return k end end, nil, 0 end)(3) do
      eq({ pcall(function() yield() error({ i }) end) }, { false, { i } })
    end
    eq({ xpcall(function() yield() error("e", 0) end, function(e) yield() return e .. "!" end) }, { false, "e!" })
    local loaded = (loadstring or load)("local y = ... y() return 1")
    eq(loaded(yield), 1)
    if V54 then
      local parts = { "return ", "1", "+1" }
      local i = 0
      eq(load(function() yield() i = i + 1 return parts[i] end)(), 2)
    end
  end
  local all = {}
  for i = 1, 8 do all[i] = go(busy) end
  for i = 1, 8 do all[i]:join() end
end)

test("coroutines inside Gs, and Gs inside coroutines", function()
  local all = {}
  for i = 1, 20 do
    all[i] = go(function()
      local gen = coroutine.wrap(function()
        for k = 1, 10 do yield() coroutine.yield(k * i) end
        error("end " .. i, 0)
      end)
      for k = 1, 10 do eq(gen(), k * i) yield() end
      fails("end " .. i, gen)
      local co = coroutine.create(function()
        return go(function() yield() return i end):join()
      end)
      eq({ coroutine.resume(co) }, { true, i })
      eq(coroutine.status(co), "dead")
    end)
  end
  for i = 1, 20 do all[i]:join() end
end)

test("a coroutine moves from G to G", function()
  local co = coroutine.create(function(...)
    local got = { ... }
    while true do
      yield()
      got = { coroutine.yield(#got) }
    end
  end)
  for i = 1, 10 do
    go(function()
      eq({ coroutine.resume(co, unpack({ 1, 2, 3 }, 1, i % 4)) }, { true, i % 4 })
    end):join()
  end
end)

test("stack overflow and deep recursion are caught", function()
  local all = {}
  for i = 1, 4 do
    all[i] = go(function()
      local function deep(n) yield() return 1 + deep(n + 1) end
      fails("stack overflow", deep, 1)
      local function nested(n)
        return n == 0 and 0 or (select(2, pcall(nested, n - 1)) or 0) + 1
      end
      eq(nested(100), 100)
      -- Nested C calls end in an error of Lua's, not of the C stack's. LuaJIT does
      -- not count them, and dies of this everywhere.
      if jit then return end
      local s = string.rep("x", 10)
      local function dig() return (s:gsub(".", dig)) end
      assert(not pcall(dig))
    end)
  end
  for i = 1, 4 do all[i]:join() end
end)

test("cancel", function()
  local log = {}
  local g = go(function()
    local ok, err = pcall(thrum.sleep, 100)
    log[1] = not ok and err == thrum.canceled
    error(err, 0)
  end)
  yield()
  assert(g:cancel())
  local ok, err = pcall(g.join, g)
  assert(not ok and err == thrum.canceled and log[1])
  eq(g:status(), "canceled")
  eq(g:cancel(), false)
  eq(tostring(thrum.canceled), "canceled")
  local shielded = go(function()
    thrum.shield(thrum.sleep, 0.001)
    thrum.shield(yield)
    return pcall(yield)
  end)
  yield()
  shielded:cancel()
  eq((shielded:join()), false)
end)

test("join with a timeout", function()
  local ch = thrum.channel()
  local g = go(function() ch:recv() end)
  eq({ g:join(0) }, { nil, "timeout" })
  eq({ g:join(0.001) }, { nil, "timeout" })
  eq(g:status(), "running")
  ch:close()
  g:join()
  fails("could never end", function()
    local me
    me = go(function() yield() me:join() end)
    me:join()
  end)
end)

-- What is left of a run is canceled, again and again, and waited for.
do
  local ended = 0
  thrum.run(function()
    for i = 1, 5 do
      go(function()
        local tries = 0
        repeat
          local ok = pcall(thrum.sleep, 1000)
          tries = tries + 1
        until tries == 3
        local ok, err = pcall(go, yield)
        assert(not ok and err == thrum.canceled)
        ended = ended + 1
      end)
    end
    yield()
  end)
  eq(ended, 5)
end

-- A shield and a scope do what they say at the end of a run, too.
do
  local rest, member
  thrum.run(function()
    go(function()
      pcall(thrum.sleep, 100)
      rest = thrum.shield(thrum.sleep, 0.001)
    end)
    go(thrum.scope, function(s)
      s:go(function() member = { pcall(thrum.sleep, 100) } end)
    end)
    yield()
    yield()
  end)
  eq(rest, true)
  assert(member[2] == thrum.canceled)
end

fails("only inside a G", yield)
fails("function expected", function() thrum.run(7) end)
-- Another thread would run it, in the midst of what this one does in the state.
fails("go() outside run()", go, function() end)
fails("go() outside run()", thrum.timer, 1, function() end)
test("bad arguments", function()
  fails("run() inside a G", thrum.run, function() end)
  fails("function expected", go, 7)
  fails("number", thrum.sleep, "x")
  fails("NaN", thrum.sleep, 0 / 0)
  fails("thrum.G expected, got table", go(function() end).join, {})
  fails("expected", go(function() end).join, io.stdout)
  eq({ go(setmetatable({}, { __call = function(_, x) return x end }), 4):join() }, { 4 })
end)

test("sleep is never short", function()
  local t = thrum.now()
  thrum.sleep(0.002)
  assert(thrum.now() - t >= 0.002)
end)

test("many at once, and their memory is used again", function()
  for _ = 1, 3 do
    local wg = thrum.wg()
    local n = 0
    for i = 1, 2000 do
      wg:add()
      go(function() yield() n = n + i wg:done() end)
    end
    wg:wait()
    assert(n == 2001000)
    collectgarbage()
  end
end)

if V54 then
  assert(load [[
    test("to-be-closed variables around parks", function()
      local log = {}
      local function res(name)
        return setmetatable({}, {__close = function(_, e)
          thrum.yield()
          log[#log + 1] = name .. (e and "!" or "")
        end})
      end
      local g = thrum.go(function()
        local a <close> = res "a"
        thrum.yield()
        local b <close> = res "b"
        error("x", 0)
      end)
      fails("x", g.join, g)
      eq(log, {"b!", "a!"})
      local m = thrum.mutex()
      do
        local held <close> = m:lock()
        fails("could never end", m.lock, m)
      end
      local ended = false
      do
        local g <close> = thrum.go(function() thrum.yield() ended = true end)
      end
      assert(ended)
      ended = nil
      fails("out", function()
        local g <close> = thrum.go(function() ended = pcall(thrum.sleep, 100) end)
        thrum.yield()
        error("out", 0)
      end)
      eq(ended, false)
    end)
    test("a finalizer must not wait", function()
      local said = {}
      local function drop(f)
        setmetatable({}, {__gc = function() said[#said + 1] = {pcall(f)} end})
        collectgarbage() collectgarbage()
      end
      drop(thrum.yield)
      drop(function() thrum.channel():recv() end)
      drop(function() coroutine.wrap(thrum.yield)() end)
      local full = thrum.channel(1)
      full:send("x")
      drop(function() full:send({"y"}) end)
      eq(#said, 4)
      for _, s in ipairs(said) do
        assert(not s[1] and tostring(s[2]):find("finalizer must not wait"), s[2])
      end
      -- What needs no wait is done.
      said = {}
      drop(function() return full:recv() end)
      drop(function() return full:send({"z"}) end)
      drop(function() return full:send("late", 0) end)
      eq(said, { { true, "x" }, { true, true }, { true, nil, "timeout" } })
      eq(full:recv(), { "z" })
      -- Nor does a stopped collector look like one.
      collectgarbage("stop")
      thrum.yield()
      collectgarbage("restart")
      thrum.yield()
    end)
  ]])()
end

test("garbage while others are parked anywhere", function()
  local all = {}
  for i = 1, 20 do
    all[i] = go(function()
      local keep = {}
      for k = 1, 50 do
        keep[k] = { tostring(k), function() return k end }
        table.sort({ 3, 1, 2, k }, function(a, b) yield() return a < b end)
        if k % 10 == 0 then collectgarbage("step") end
      end
      for k = 1, 50 do assert(keep[k][1] == tostring(k) and keep[k][2]() == k) end
    end)
  end
  for i = 1, 20 do all[i]:join() end
end)
