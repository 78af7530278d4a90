-- The scenarios of tests/conform/scenarios.txt as Lua says them: each is here by its
-- name, or is skipped with the reason. Needs $SCENARIOS, the list. They stand in
-- conform_gs.lua and conform_shared.lua.
-- SPDX-License-Identifier: MIT
local go, yield = thrum.go, thrum.yield
local has_flat = pcall(require, "thrum.flat")
local skip = {}
show, outside = {}, {} -- what runs in a G, and what does not

local function skips(reason, names)
  for name in names:gmatch("%S+") do skip[name] = reason end
end

skips("a state has one runtime, which ends with it", [[runtime.stop_twice runtime.stop_own
  runtime.stop_deadline runtime.stop_waits runtime.stop_cancels runtime.stop_drops
  runtime.after_stop runtime.several chan.outlives_runtime g.foreign_handle net.stop]])
skips("Lua has no threads, and no fork", [[runtime.two_threads runtime.fork cancel.from_thread
  chan.threads chan.threads_queue g.outside_fairness net.threads net.fork permit.from_thread]])
skips("not in the Lua module", [[g.name g.drop_last g.drop_not_on_failure g.pin_started g.pin_m
  g.lock_thread g.blocking_unpaired rwmutex.rules rwmutex.writer_first rwmutex.invariant
  cond.broadcast cond.signal cond.mutex_held cond.given_up once.once once.recursion
  seed.replays seed.differs seed.virtual_time seed.deadlock_report permit.one local.values
  net.deterministic]])
skips("a thread waits in run(), and could wake others", "runtime.deadlock")
skips("shown by left.lua, which ends so", "runtime.exit")
skips("the channels are those of C", "chan.queue_history")
skips("the sockets are those of C", "net.order net.reset net.no_descriptors")
if not has_flat then
  skips("built without SWIG", [[errors.names errors.unknown_code time.after_saturates
    runtime.set_procs cancel.clear cancel.limit]])
end

-- Until `f` is true; others run meanwhile.
function wait(f)
  while not f() do yield() end
end

function canceled(g)
  local ok, err = pcall(g.join, g)
  return not ok and err == thrum.canceled
end

-- A G that runs f, once it has begun to.
function begun(f, ...)
  local there = false
  local args, n = { ... }, select("#", ...)
  local g = go(function()
    there = true
    return f(unpack(args, 1, n))
  end)
  wait(function() return there end)
  yield()
  return g
end

local dir = debug.getinfo(1, "S").source:match("^@(.*)/")
for _, file in ipairs { "conform_gs.lua", "conform_shared.lua" } do
  assert(loadfile(dir .. "/" .. file))()
end

-- ---- all of the list, and nothing else -----------------------------------------------------------
local listed = {}
local list = assert(os.getenv("SCENARIOS"), "no $SCENARIOS")
for line in io.lines(list) do
  local name, who = line:match("^([%w_.]+) | (%w+) | ")
  if who == "all" then
    listed[name] = true
    local f = show[name] or outside[name]
    if skip[name] then
      print("skipped: " .. name .. ": " .. skip[name])
    elseif not f then
      error(name .. " is neither shown nor skipped")
    elseif show[name] then
      test(name, f)
      print("passed: " .. name)
    else
      f()
      print("passed: " .. name)
    end
  end
end
for _, names in ipairs { show, outside, skip } do
  for name in pairs(names) do assert(listed[name], name .. " is not on the list") end
end
