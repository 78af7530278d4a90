-- Of conform.lua: what Gs share: channels, select, locks, net.
-- SPDX-License-Identifier: MIT
local go, spawn, yield, channel = thrum.go, thrum.spawn, thrum.yield, thrum.channel

-- ---- channels ----------------------------------------------------------------------------
show["chan.shapes"] = function()
  for cap = 0, 3 do
    local ch = channel(cap)
    local all = { 1, 2.5, true, "", "a\0b", ("x"):rep(16), ("y"):rep(17), ("z"):rep(1e5), { { {} } }, { a = 1, 2 } }
    go(function() for i = 1, #all do ch:send(all[i]) end end)
    for i = 1, #all do eq(ch:recv(), all[i]) end
  end
end
show["chan.len_cap"] = function()
  local ch = channel(3)
  eq({ ch:len(), ch:cap() }, { 0, 3 })
  ch:send(1)
  ch:send(1)
  eq({ ch:len(), ch:cap() }, { 2, 3 })
end
show["chan.rendezvous"] = function()
  local ch, sent = channel(), false
  begun(function() ch:send(1) sent = true end)
  eq(sent, false)
  ch:recv()
  wait(function() return sent end)
end
show["chan.receivers_fifo"] = function()
  local ch, order, all = channel(), {}, {}
  for i = 1, 5 do all[i] = begun(function() order[ch:recv()] = i end) end
  for k = 1, 5 do ch:send(k) end
  for i = 1, 5 do all[i]:join() end
  eq(order, { 1, 2, 3, 4, 5 })
end
show["chan.senders_fifo"] = function()
  local ch = channel(1)
  ch:send(0)
  for i = 1, 5 do begun(ch.send, ch, i) end
  for i = 0, 5 do eq(ch:recv(), i) end
end
show["chan.gaps"] = function()
  local ch, all = channel(), {}
  for i = 1, 6 do all[i] = begun(ch.send, ch, i) end
  for i = 2, 6, 2 do
    all[i]:cancel()
    assert(canceled(all[i]))
  end
  for i = 1, 5, 2 do eq(ch:recv(), i) end
  eq({ ch:recv(0) }, { nil, "timeout" })
end
show["chan.close_wakes"] = function()
  local a, b, all = channel(), channel(), {}
  for i = 1, 3 do
    all[i] = begun(a.recv, a)
    all[i + 3] = begun(b.send, b, 1)
  end
  a:close()
  b:close()
  for i = 1, 6 do eq({ all[i]:join() }, { nil, "closed" }) end
end
show["chan.close_drains"] = function()
  local ch = channel(2)
  ch:send(1)
  eq(ch:close(), true)
  eq(ch:recv(), 1)
  eq({ ch:recv() }, { nil, "closed" })
  eq({ ch:send(1) }, { nil, "closed" })
  eq(ch:close(), false)
end
show["chan.close_loses_nothing"] = function()
  local ch, sent, got = channel(2), 0, 0
  local all = {}
  for i = 1, 8 do
    all[i] = go(function() while ch:send(1) do sent = sent + 1 end end)
  end
  for _ = 1, 100 do
    assert(ch:recv())
    got = got + 1
  end
  ch:close()
  for i = 1, 8 do all[i]:join() end
  while ch:recv() do got = got + 1 end
  eq(got, sent)
end
show["chan.value_before_close"] = function()
  for _ = 1, 50 do
    local ch = channel(1)
    spawn(function(ch) ch:send(1) ch:close() end, ch)
    local v, why
    repeat
      v, why = ch:recv(0)
      if why == "timeout" then yield() end
    until v or why == "closed"
    eq(v, 1)
  end
end
show["chan.failure_moves_nothing"] = function()
  local ch = channel()
  eq({ ch:send({}, 0.001) }, { nil, "timeout" })
  local g = begun(ch.send, ch, {})
  g:cancel()
  assert(canceled(g))
  eq({ ch:recv(0) }, { nil, "timeout" })
end
show["chan.many_to_many"] = function()
  local ch, done = channel(4), channel(100)
  for s = 1, 4 do
    spawn(function(ch, s) for i = 1, 100 do ch:send({ s, i }) end ch:send("end") end, ch, s)
  end
  for _ = 1, 4 do
    spawn(function(ch, done)
      local last = { 0, 0, 0, 0 }
      local n = 0
      for v in ch:iter() do
        if v == "end" then break end
        assert(v[2] > last[v[1]])
        last[v[1]] = v[2]
        n = n + 1
      end
      done:send(n)
    end, ch, done)
  end
  local n = 0
  for _ = 1, 4 do n = n + done:recv() end
  eq(n, 400)
end

-- ---- select --------------------------------------------------------------------------------
show["select.uniform"] = function()
  local a, b, n = channel(1), channel(1), { 0, 0 }
  a:send(1)
  b:send(1)
  for _ = 1, 2000 do
    local i = thrum.select { { recv = a }, { recv = b } }
    n[i] = n[i] + 1;
    (i == 1 and a or b):send(1)
  end
  assert(n[1] > 800 and n[2] > 800, n[1])
end
show["select.mixed_arms"] = function()
  local a, b = channel(1), channel(1)
  eq(thrum.select { { recv = a }, { send = b, "x" } }, 2)
  eq(thrum.select { { recv = b }, { recv = a } }, 1)
end
show["select.same_channel"] = function()
  local ch = channel(2)
  ch:send(1)
  ch:send(2)
  thrum.select { { recv = ch }, { recv = ch }, { recv = ch } }
  eq(ch:len(), 1)
end
show["select.not_itself"] = function()
  local ch = channel()
  eq(thrum.select { { recv = ch }, { send = ch, 1 }, { after = 0.001 } }, 3)
  local g = begun(thrum.select, { { recv = ch } })
  eq(thrum.select { { send = ch, 5 } }, 1)
  eq({ g:join() }, { 1, 5 })
end
show["select.no_live_arm"] = function()
  fails("never end", thrum.select, {})
  eq(thrum.select { { default = true } }, 1)
  eq(thrum.select { { after = 0.001 } }, 1)
end
show["select.closed_arm"] = function()
  local ch = channel()
  ch:close()
  eq({ thrum.select { { recv = channel() }, { recv = ch } } }, { 2, nil, "closed" })
end
show["select.losers"] = function()
  local a, b = channel(), channel()
  local g = begun(thrum.select, { { recv = a }, { recv = b } })
  a:send(1)
  g:join()
  eq({ b:send(1, 0) }, { nil, "timeout" })
  g = begun(thrum.select, { { send = a, 1 }, { send = b, 1 } })
  g:cancel()
  assert(canceled(g))
  eq({ a:recv(0) }, { nil, "timeout" })
end
show["select.place"] = function()
  local ch, first = channel(), nil
  begun(function() thrum.select { { recv = ch } } first = first or "select" end)
  begun(function() ch:recv() first = first or "recv" end)
  ch:send(1)
  ch:send(2)
  wait(function() return first end)
  eq(first, "select")
end
show["select.value_once"] = function()
  local a, b, n = channel(), channel(), 0
  for _, ch in ipairs { a, b } do begun(function() if ch:recv() then n = n + 1 end end) end
  thrum.select { { send = a, 1 }, { send = b, 1 } }
  a:close()
  b:close()
  for _ = 1, 5 do yield() end
  eq(n, 1)
end
show["select.opposite_orders"] = function()
  local a, b, all = channel(), channel(), {}
  for i = 1, 4 do
    all[i] = go(function()
      for _ = 1, 100 do
        if i % 2 == 0 then
          thrum.select { { send = a, 1 }, { recv = b } }
        else
          thrum.select { { send = b, 1 }, { recv = a } }
        end
      end
    end)
  end
  for i = 1, 4 do
    while not all[i]:join(0) and all[i]:status() == "running" do
      thrum.select { { recv = a }, { recv = b }, { send = a, 1 }, { send = b, 1 }, { after = 0.001 } }
    end
  end
end
show["select.fair_floods"] = show["select.uniform"]

-- ---- locks ------------------------------------------------------------------------------------
show["mutex.rules"] = function()
  local m = thrum.mutex()
  fails("unlock", m.unlock, m)
  m:lock()
  fails("never end", m.lock, m)
  eq({ m:lock(0) }, { nil, "timeout" })
  local g = go(function() m:unlock() end)
  fails("another G", g.join, g)
  m:unlock()
end
show["mutex.excludes"] = function()
  local m, inside, all = thrum.mutex(), channel(1), {}
  for i = 1, 4 do
    all[i] = spawn(function(m, inside)
      for _ = 1, 100 do
        m:lock()
        assert(inside:send(1, 0)) -- room for one
        assert(inside:recv(0))
        m:unlock()
      end
    end, m, inside)
  end
  for i = 1, 4 do all[i]:join() end
  local n, bad = 0, 0
  for i = 1, 4 do
    all[i] = go(function()
      for _ = 1, 50 do
        m:lock()
        n = n + 1
        bad = bad + (n ~= 1 and 1 or 0)
        yield()
        n = n - 1
        m:unlock()
      end
    end)
  end
  for i = 1, 4 do all[i]:join() end
  eq(bad, 0)
end
show["mutex.fifo"] = function()
  local m, order, all = thrum.mutex(), {}, {}
  m:lock()
  for i = 1, 5 do
    all[i] = begun(function() m:lock() order[#order + 1] = i m:unlock() end)
  end
  thrum.sleep(0.003) -- they have waited long
  m:unlock()
  for i = 1, 5 do all[i]:join() end
  eq(order, { 1, 2, 3, 4, 5 })
end
show["mutex.hog"] = function()
  local m, stop = thrum.mutex(), false
  local hog = go(function()
    while not stop do
      m:lock()
      yield()
      m:unlock()
    end
  end)
  yield()
  m:lock()
  stop = true
  m:unlock()
  hog:join()
end
show["mutex.given_up"] = function()
  local m = thrum.mutex()
  m:lock()
  local g = begun(m.lock, m, 0.001)
  eq({ g:join() }, { nil, "timeout" })
  g = begun(m.lock, m, 1000)
  g:cancel()
  assert(canceled(g))
  m:unlock()
  assert(m:lock(0))
  m:unlock()
end
show["wg.counts"] = function()
  local wg = thrum.wg()
  wg:wait()
  wg:add(2)
  eq({ wg:wait(0) }, { nil, "timeout" })
  wg:done()
  wg:done()
  wg:wait()
  fails("without add", wg.done, wg)
  fails("range", wg.add, wg, -1)
  wg:wait()
end
show["wg.many_waiters"] = function()
  local wg = thrum.wg()
  for _ = 1, 2 do
    wg:add(1)
    local all = {}
    for i = 1, 10 do all[i] = begun(wg.wait, wg) end
    wg:done()
    for i = 1, 10 do eq(all[i]:join(), true) end
  end
end
show["sem.counts"] = function()
  local sem = thrum.sem(2)
  sem:acquire()
  sem:acquire()
  eq({ sem:acquire(0) }, { nil, "timeout" })
  sem:release()
  assert(sem:acquire(0))
end
show["sem.conserved"] = function()
  local sem = thrum.sem(0)
  local g = begun(sem.acquire, sem)
  g:cancel()
  assert(canceled(g))
  eq({ sem:acquire(0.001) }, { nil, "timeout" })
  sem:release()
  assert(sem:acquire(0))
  eq({ sem:acquire(0) }, { nil, "timeout" })
end

-- ---- net ---------------------------------------------------------------------------------------
local function pair()
  local l = assert(thrum.net.listen("127.0.0.1", 0))
  local a = assert(thrum.net.dial("127.0.0.1", l:port()))
  return a, assert(l:accept()), l
end
show["net.echo"] = function()
  for _, host in ipairs { "127.0.0.1", "localhost" } do
    local l = assert(thrum.net.listen(host, 0))
    local a = assert(thrum.net.dial(host, l:port()))
    local b = l:accept()
    a:write("hello\0")
    eq(b:read(), "hello\0")
  end
end
show["net.deadlines"] = function()
  local a, b = pair()
  eq({ a:read(1, 0) }, { nil, "timeout" })
  eq({ a:read(1, 0.001) }, { nil, "timeout" })
  b:write("x")
  wait(function() local s = a:read(1, 0) return s == "x" end)
end
show["net.close"] = function()
  local a, _, l = pair()
  local reader, accepter = begun(a.read, a), begun(l.accept, l)
  a:close()
  l:close()
  eq({ reader:join() }, { nil, "closed" })
  eq({ accepter:join() }, { nil, "closed" })
  a:close()
  l:close()
end
show["net.cancel"] = function()
  local a = pair()
  local g = begun(a.read, a)
  g:cancel()
  assert(canceled(g))
end
show["net.half_close"] = function()
  local a, b = pair()
  a:write("last")
  a:shutdown()
  eq(b:read(), "last")
  eq(b:read(), "")
  b:write("back")
  eq(a:read(), "back")
end
show["net.refused"] = function()
  local _, _, l = pair()
  local port = l:port()
  l:close()
  local none, why = thrum.net.dial("127.0.0.1", port)
  assert(none == nil and why:find("refused"))
end
show["net.no_sigpipe"] = function()
  local a, b = pair()
  b:close()
  local ok, why
  repeat ok, why = a:write(("x"):rep(1e5)) until not ok
  assert(why)
end
show["net.udp"] = function()
  local a, b = thrum.net.udp("127.0.0.1", 0), thrum.net.udp("127.0.0.1", 0)
  local host, port = b:address()
  a:send("one", host, port)
  a:send("", host, port)
  local text, from, from_port = b:recv()
  eq(text, "one")
  eq((b:recv()), "")
  b:send("two", from, from_port)
  eq((a:recv()), "two")
end
