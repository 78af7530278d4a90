-- Of conform.lua: errors, time, runtime, green threads, cancel.
-- SPDX-License-Identifier: MIT
local go, spawn, yield, channel = thrum.go, thrum.spawn, thrum.yield, thrum.channel
local _, flat = pcall(require, "thrum.flat")

-- ---- errors, time -----------------------------------------------------------------
show["errors.names"] = function()
  local texts, n = {}, 0
  for name, code in pairs(flat) do
    if name:match("^THRUM_E%u+$") then
      n = n + 1
      eq(flat.thrum_errname(code), name:sub(7))
      local text = flat.thrum_strerror(code)
      assert(#text > 0 and not texts[text])
      texts[text] = true
    end
  end
  assert(n > 10)
end
show["errors.unknown_code"] = function()
  assert(flat.thrum_errname(-99999) and flat.thrum_strerror(-99999))
end
show["time.monotonic"] = function()
  local last = thrum.now()
  for _ = 1, 1000 do
    local now = thrum.now()
    assert(now >= last)
    last = now
  end
end
show["time.after_saturates"] = function()
  assert(flat.thrum_after(flat.THRUM_FOREVER) == flat.THRUM_FOREVER)
  assert(flat.thrum_after(-5) ~= 0)
end
show["time.sleep_not_early"] = function()
  local began = thrum.now()
  thrum.sleep(0.002)
  assert(thrum.now() - began >= 0.00199)
  thrum.sleep(0)
  thrum.sleep(-1)
end
show["time.deadline_past"] = function()
  eq({ channel():recv(-1) }, { nil, "timeout" })
  eq({ channel():recv(0) }, { nil, "timeout" })
end
show["time.deadline_at_once"] = function()
  local ch = channel(1)
  ch:send(7)
  eq(ch:recv(-1), 7)
  local partner = channel()
  begun(partner.send, partner, 8)
  eq(partner:recv(0), 8)
end
show["time.shorter_sleep"] = function()
  local long = begun(thrum.sleep, 1000)
  thrum.sleep(0.001)
  eq(long:status(), "running")
  long:cancel()
  assert(canceled(long))
end
show["time.busy_neighbour"] = function()
  local stop = channel(1)
  local hog = spawn(function(stop) while not stop:recv(0) do end end, stop)
  for _ = 1, 3 do thrum.sleep(0.001) end
  eq(hog:status(), "running")
  stop:send(true)
  hog:join()
end
show["time.cancelled_timers"] = function()
  local order, all = {}, {}
  for i = 1, 20 do
    all[i] = go(function()
      thrum.sleep(i % 2 == 0 and 1000 or i * 0.002) -- on no machine before its cancel
      order[#order + 1] = i
    end)
  end
  yield()
  for i = 2, 20, 2 do all[i]:cancel() end
  for i = 1, 20 do eq(pcall(all[i].join, all[i]), i % 2 == 1) end
  for i = 1, 10 do eq(order[i], 2 * i - 1) end
end

-- ---- runtime (outside: not inside a run) ---------------------------------------------
outside["errors.only_in_a_g"] = function() fails("only inside a G", yield) end
outside["runtime.run_returns"] = function()
  for i = 1, 3 do eq({ thrum.run(function(...) return i, ... end, "x") }, { i, "x" }) end
end
outside["runtime.others_go_on"] = function()
  local ch = thrum.run(function()
    local ch = channel(1)
    spawn(function(ch) require("thrum").sleep(0.002) ch:send("on") end, ch)
    return ch
  end)
  eq(thrum.run(function() return ch:recv() end), "on")
end
outside["runtime.current"] = function()
  eq(thrum.self(), nil)
  assert(thrum.run(function() return thrum.self() end))
end
outside["runtime.no_false_deadlock"] = function()
  eq(thrum.run(function() thrum.sleep(0.002) return 1 end), 1)
end
outside["runtime.procs_default"] = function() eq(thrum.procs(), PROCS) end
outside["runtime.leaves_nothing"] = function() ENDS = true end -- runner.c looks
show["runtime.run_in_g"] = function()
  fails("inside a G", thrum.run, function() end)
  fails("inside a G", thrum.pump, 0)
end
show["runtime.set_procs"] = function()
  local was = flat.thrum_set_procs(nil, 3)
  eq(was, PROCS)
  eq(thrum.procs(), 3)
  eq(flat.thrum_set_procs(nil, was), 3)
end

-- ---- green threads -----------------------------------------------------------------
show["g.spawn_join"] = function()
  for _, start in ipairs { go, spawn } do
    local g = start(function(a) return a + 1 end, 1)
    for _ = 1, 3 do eq(g:join(), 2) end
  end
end
show["g.join_deadlines"] = function()
  local stop = channel()
  local g = begun(stop.recv, stop)
  eq({ g:join(0) }, { nil, "timeout" })
  eq({ g:join(0.001) }, { nil, "timeout" })
  stop:send("x")
  eq(g:join(), "x")
  eq(g:join(0), "x")
end
show["g.join_self"] = function()
  local g
  g = go(function() yield() return g:join() end)
  fails("never end", g.join, g)
end
show["g.join_many"] = function()
  local g = go(function() yield() yield() return 5 end)
  local all = {}
  for i = 1, 10 do all[i] = (i % 2 == 0 and go or spawn)(function(g) return g:join() end, g) end
  for i = 1, 10 do eq(all[i]:join(), 5) end
end
show["g.many"] = function()
  local n, all = 0, {}
  for i = 1, 3000 do all[i] = go(function() n = n + 1 end) end
  for i = 1, 3000 do all[i]:join() end
  eq(n, 3000)
end
show["g.tree"] = function()
  local function tree(n)
    if n == 0 then return 1 end
    local a, b = go(tree, n - 1), go(tree, n - 1)
    return a:join() + b:join()
  end
  eq(tree(8), 256)
end
show["g.chain"] = function()
  local first = thrum.localchannel()
  local last = first
  for _ = 1, 1000 do
    local from, to = last, thrum.localchannel()
    go(function() to:send(from:recv() + 1) end)
    last = to
  end
  first:send(0)
  eq(last:recv(), 1000)
end
show["g.stale_handle"] = function()
  local old = go(function() return 1 end)
  old:join()
  local fresh = begun(thrum.sleep, 1000)
  eq(old:cancel(), false)
  eq(old:join(), 1)
  eq(fresh:status(), "running")
  fresh:cancel()
  assert(canceled(fresh))
end
show["g.yield"] = function()
  local n = { 0, 0, 0 }
  for i = 1, 3 do
    go(function() while n[i] < 100 do n[i] = n[i] + 1 yield() end end)
  end
  wait(function() return n[1] + n[2] + n[3] == 300 end)
end
show["g.pair_fairness"] = function()
  local a, b, stop = channel(), channel(), false
  local one = go(function() while not stop do a:send(1) b:recv() end a:close() end)
  local two = go(function() while a:recv() do b:send(1) end end)
  for _ = 1, 100 do yield() end
  stop = true
  one:join()
  two:join()
end
show["g.blocking"] = function()
  local g = spawn(function()
    return require("thrum").blocking(function()
      os.execute("sleep 0.01")
      return 1
    end)
  end)
  for _ = 1, 5 do yield() end
  eq(g:join(), 1)
end

-- ---- cancel ----------------------------------------------------------------------------
show["cancel.each_wait"] = function()
  local ch, m, wg, sem = channel(), thrum.mutex(), thrum.wg(), thrum.sem(0)
  m:lock()
  wg:add(1)
  local other = begun(thrum.sleep, 1000)
  for _, f in ipairs {
    function() thrum.sleep(1000) end,
    function() ch:recv() end,
    function() channel():send(1) end,
    function() thrum.select { { recv = ch } } end,
    function() m:lock(1000) end,
    function() wg:wait() end,
    function() sem:acquire() end,
    function() other:join() end,
    function() thrum.net.listen("127.0.0.1", 0):accept() end,
  } do
    local g = begun(f)
    g:cancel()
    assert(canceled(g))
  end
  other:cancel()
  assert(canceled(other))
end
show["cancel.one_request"] = function()
  local g = begun(function()
    assert(not pcall(thrum.sleep, 1000))
    return thrum.sleep(0.001)
  end)
  g:cancel()
  g:cancel()
  eq(g:join(), true)
end
show["cancel.pending_completes"] = function()
  local ch, g = channel(1), nil
  ch:send(9)
  g = go(function()
    g:cancel() -- itself: now one is pending
    local try = { channel():recv(0) }
    local got = ch:recv()
    return try, got, pcall(thrum.sleep, 1000)
  end)
  local try, got, ok, err = g:join()
  eq(try, { nil, "timeout" })
  eq(got, 9)
  assert(not ok and err == thrum.canceled)
end
show["cancel.after_the_fact"] = function()
  local ch = channel()
  local g = begun(function() return ch:recv(), pcall(thrum.sleep, 1000) end)
  ch:send(3)
  g:cancel()
  local got, ok = g:join()
  eq(got, 3)
  eq(ok, false)
end
show["cancel.not_these"] = function()
  local m = thrum.mutex()
  m:lock()
  local g = begun(function() m:lock() m:unlock() return pcall(thrum.sleep, 1000) end)
  g:cancel()
  yield()
  eq(g:status(), "running")
  m:unlock()
  eq((g:join()), false)
end
show["cancel.clear"] = function()
  local g = begun(function()
    local ok = pcall(thrum.sleep, 1000)
    return ok, flat.thrum_cancel_clear(), flat.thrum_cancel_clear(), thrum.sleep(0.001)
  end)
  g:cancel()
  eq({ g:join() }, { false, 1, 0, true })
end
show["cancel.unstarted"] = function()
  local g = go(function() return pcall(thrum.sleep, 1000) end)
  g:cancel()
  eq((g:join()), false)
end
show["cancel.shield"] = function()
  local ch = channel()
  local g = begun(function()
    return thrum.shield(function() return ch:recv() end), pcall(thrum.sleep, 1000)
  end)
  g:cancel()
  yield()
  ch:send(4)
  local got, ok = g:join()
  eq({ got, ok }, { 4, false })
end
show["cancel.limit"] = function()
  eq({ go(function()
    flat.thrum_limit(flat.thrum_after(1000000))
    return channel():recv()
  end):join() }, { nil, "timeout" })
end
