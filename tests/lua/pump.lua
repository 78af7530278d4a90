-- A host that pumps: what it starts runs in its pumps and nowhere else.
-- SPDX-License-Identifier: MIT
local n, ch = 0, thrum.channel()
eq(thrum.pump(0.001), "done")
local g = thrum.go(function()
  for i = 1, 3 do n = n + 1 thrum.yield() end
  n = n + ch:recv()
  thrum.sleep(0.001)
  return n
end)
eq(n, 0)
eq(thrum.pump(0), "busy")
eq(n, 1)
eq(thrum.pump(), "idle")
eq(n, 3)
eq(g:status(), "running")
-- An isolated state answers while nobody pumps.
thrum.spawn(function(ch) ch:send(10) end, ch)
while thrum.pump(0.001) ~= "done" do end
eq({ g:join() }, { 13 })

-- run() pumps until its function has ended, and leaves the others.
local other = thrum.go(function() ch:recv() return "other" end)
eq(thrum.run(function()
  thrum.yield()
  return thrum.spawn(function() return 5 end):join()
end), 5)
eq(other:status(), "running")
eq(ch:send(1, 0) or "nobody", true)
eq(thrum.pump(), "done")
eq(other:join(), "other")

-- A budget is kept among Gs that never stop.
local stop = false
for _ = 1, 10 do thrum.go(function() while not stop do thrum.yield() end end) end
eq(thrum.pump(0.002), "busy")
stop = true
eq(thrum.pump(), "done")
fails("pump() inside a G", thrum.run, function() thrum.pump(1) end)
-- What waits for ever is forgotten with the state.
thrum.go(function() thrum.channel():recv() end)
thrum.pump()
