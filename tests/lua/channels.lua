-- Channels, select, locks, scopes.
-- SPDX-License-Identifier: MIT
local go, yield = thrum.go, thrum.yield

for _, make in ipairs { thrum.channel, thrum.localchannel } do
  test("a handle is known by itself", function()
  local ch = thrum.channel(1)
  for _, other in ipairs { io.stdout, {}, "x", 1, thrum.mutex() } do
    fails("thrum.channel expected", ch.len, other)
  end
  local mt, file = debug.getmetatable(ch), assert(io.tmpfile())
  local of_file = debug.getmetatable(file)
  debug.setmetatable(file, mt)
  fails("thrum.channel expected", ch.len, file)
  mt.__gc(file)
  debug.setmetatable(file, of_file)
  file:close()
  mt.__gc(ch)
  fails("thrum.channel expected", ch.len, ch)
  mt.__gc(ch)
end)

test("order, capacity, close", function()
    for cap = 0, 3 do
      local ch = make(cap)
      local g = go(function()
        for i = 1, 20 do assert(ch:send(i)) end
        eq(ch:close(), true)
        eq(ch:close(), false)
      end)
      local got = {}
      for v in ch:iter() do got[#got + 1] = v end
      g:join()
      eq(#got, 20)
      for i = 1, 20 do eq(got[i], i) end
      eq({ ch:recv() }, { nil, "closed" })
      eq({ ch:send(1) }, { nil, "closed" })
      eq(ch:cap(), cap)
    end
  end)

  test("values of each kind", function()
    local ch = make(1)
    for _, v in ipairs { true, false, 0, -1, 1.5, "", "a\0b", ("long"):rep(100),
      { 1, { 2 } }, 2 ^ 53 } do
      ch:send(v)
      eq(#ch == nil and 0 or ch:len(), 1)
      eq(ch:recv(), v)
    end
    ch:send(nil)
    eq({ ch:recv() }, {})
  end)

  test("timeouts and cancel move nothing", function()
    local ch = make()
    eq({ ch:send({}, 0) }, { nil, "timeout" })
    eq({ ch:send("a long string that is a parcel", 0.001) }, { nil, "timeout" })
    eq({ ch:recv(0) }, { nil, "timeout" })
    local g = go(function() ch:send({ 1 }) end)
    yield()
    g:cancel()
    eq((pcall(g.join, g)), false)
    eq({ ch:recv(0) }, { nil, "timeout" })
  end)

  test("select", function()
    local a, b = make(1), make(1)
    b:send("b")
    eq({ thrum.select { { recv = a }, { recv = b } } }, { 2, "b" })
    eq(thrum.select { { recv = a }, { default = true, function() return "none" end } }, "none")
    eq(thrum.select { { recv = a }, { after = 0.001, function() return "late" end } }, "late")
    eq(thrum.select { { send = a, { 5 }, function(ok) return ok end } }, true)
    eq({ thrum.select { { send = a, 6 }, { after = 0 } } }, { 2 })
    eq(thrum.select { { recv = a, function(v) return v[1] end }, { send = b, {} } } and 1, 1)
    a, b = make(), make()
    local g = go(function()
      return thrum.select { { recv = a, function(v) return "a" .. v end },
        { send = b, { "x" }, function() return "sent" end } }
    end)
    yield()
    eq(b:recv(), { "x" })
    eq(g:join(), "sent")
    a:close()
    eq({ thrum.select { { recv = a } } }, { 1, nil, "closed" })
    eq({ thrum.select { { send = a, 1 } } }, { 1, nil, "closed" })
  end)
end

test("a local channel passes the value itself", function()
  local ch = thrum.localchannel(2)
  local t, f = {}, function() end
  ch:send(t)
  ch:send(f)
  assert(ch:recv() == t and ch:recv() == f)
  fails("cannot send a local channel at .x[1]", thrum.copy, { x = { ch } })
end)

test("a list that changes while select waits", function()
  for _, kind in ipairs { thrum.channel, thrum.localchannel } do
    local recv, send = { recv = kind() }, { send = kind(), {} }
    local list = { recv, send, { after = 0.01 } }
    local g = go(thrum.select, list)
    yield()
    recv.recv, send.send, list[1], list[2] = nil, 7, nil, nil
    collectgarbage()
    collectgarbage()
    for _ = 1, 50 do kind() end
    eq(g:join(), 3)
  end
end)

test("select errors", function()
  local many = {}
  for i = 1, 500 do many[i] = { recv = thrum.channel() } end
  fails("too many cases", thrum.select, many)
  fails("none of recv", thrum.select, { {} })
  fails("case 1: recv: thrum.channel expected, got number", thrum.select, { { recv = 1 } })
  fails("case 2: send: thrum.channel expected, got userdata", thrum.select,
    { { default = true }, { send = thrum.mutex(), 1 } })
  fails("case 1: after: seconds expected, got table", thrum.select, { { after = {} } })
  fails("case 1 is a number, not a table", thrum.select, { 7 })
  fails("cannot send a coroutine", thrum.select,
    { { send = thrum.channel(1), { 1 } }, { send = thrum.channel(), coroutine.create(function() end) } })
  fails("could never end", thrum.select, {})
end)

test("fan in, fan out", function()
  local jobs, done = thrum.channel(4), thrum.channel(4)
  for _ = 1, 4 do
    go(function() for j in jobs:iter() do yield() done:send({ j, j * j }) end end)
  end
  go(function() for i = 1, 200 do jobs:send(i) end jobs:close() end)
  local sum = 0
  for _ = 1, 200 do local r = done:recv() eq(r[2], r[1] * r[1]) sum = sum + r[1] end
  eq(sum, 20100)
end)

test("mutex", function()
  local m, inside = thrum.mutex(), 0
  local all = {}
  for i = 1, 20 do
    all[i] = go(function()
      for _ = 1, 10 do
        assert(m:lock() == m)
        inside = inside + 1
        eq(inside, 1)
        yield()
        inside = inside - 1
        m:unlock()
      end
    end)
  end
  for i = 1, 20 do all[i]:join() end
  fails("another G has, or none", m.unlock, m)
  m:lock()
  eq({ go(function() return m:lock(0.001) end):join() }, { nil, "timeout" })
  m:unlock()
end)

test("waitgroup and semaphore", function()
  local wg, n = thrum.wg(), 0
  eq(wg:wait(), true)
  for _ = 1, 10 do wg:add() go(function() yield() n = n + 1 wg:done() end) end
  eq({ wg:wait(0) }, { nil, "timeout" })
  wg:wait()
  eq(n, 10)
  fails("done() without add()", wg.done, wg)
  local s, most, now = thrum.sem(3), 0, 0
  for _ = 1, 12 do
    wg:add()
    go(function()
      s:acquire()
      now = now + 1
      most = math.max(most, now)
      yield()
      now = now - 1
      s:release()
      wg:done()
    end)
  end
  wg:wait()
  eq(most, 3)
end)

test("scope", function()
  local seen = 0
  eq({ thrum.scope(function(s)
    for i = 1, 5 do s:go(function() yield() seen = seen + i end) end
    s:spawn(function() return 1 end)
    return "x", 2
  end) }, { "x", 2 })
  eq(select("#", thrum.scope(function() return nil, nil, 3, nil end)), 4)
  eq(seen, 15)
  local ended
  fails("first", thrum.scope, function(s)
    s:go(function() ended = pcall(thrum.sleep, 100) end)
    s:go(function() yield() error("first", 0) end)
  end)
  eq(ended, false)
  ended = nil
  fails("own", thrum.scope, function(s)
    s:go(function() ended = pcall(thrum.sleep, 100) end)
    yield()
    error("own", 0)
  end)
  eq(ended, false)
  ended = nil
  fails("own", thrum.scope, function(s) -- one that is canceled begins another
    s:go(function()
      pcall(thrum.sleep, 100)
      s:go(function() ended = pcall(thrum.sleep, 100) end)
    end)
    yield()
    error("own", 0)
  end)
  eq(ended, false)
end)

test("a scope that goes on after an error", function()
  local s = thrum.scope()
  for round = 1, 3 do
    s:go(error, round, 0)
    s:go(thrum.sleep, 100)
    eq({ pcall(s.wait, s) }, { false, round })
    s:go(yield)
    s:wait()
  end
end)

test("timer", function()
  local ch = thrum.channel(1)
  thrum.timer(0.001, ch.send, ch, "late"):join()
  eq(ch:recv(), "late")
  local t = thrum.timer(100, error, "never")
  t:cancel()
  eq((pcall(t.join, t)), false)
end)
