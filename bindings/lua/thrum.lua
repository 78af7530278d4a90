-- thrum for Lua: what is easier to say in Lua than in C. The C part comes as the
-- one argument.
-- SPDX-License-Identifier: MIT
local thrum = ...
local go, spawn, sleep = thrum.go, thrum.spawn, thrum.sleep
local localchannel = thrum.localchannel
local core = { select = thrum.select } -- so do its errors call it

local function chosen(cases, n, ...)
  local case = n and cases[n]
  local f = case and (case.send and case[2] or not case.send and case[1])
  if f then
    return f(...)
  end
  return n, ...
end

--- Waits for the first case that can go on, calls its function with what came,
--- and returns what that returns; without a function the case's number and what
--- came. Cases: {recv = ch, f}, {send = ch, value, f}, {after = seconds, f},
--- {default = true, f}.
function thrum.select(cases)
  return chosen(cases, core.select(cases))
end

--- Calls f in a state of its own and waits for it: for C functions that block.
function thrum.offload(f, ...)
  return spawn(f, ...):join()
end

--- Calls f(...) after so many seconds; cancel() of what it returns stops that.
function thrum.timer(seconds, f, ...)
  if type(seconds) ~= "number" or type(f) ~= "function" then
    error("timer: a number and a function expected", 2)
  end
  local args, n = { ... }, select("#", ...)
  return go(function()
    sleep(seconds)
    return f((table.unpack or unpack)(args, 1, n))
  end)
end

-- Scopes ------------------------------------------------------------------------

local Scope = {}
Scope.__index = Scope

-- Runs f, and tells the scope how it ended.
local function watch(scope, g)
  scope.all[#scope.all + 1] = g
  go(function()
    local ok, err = pcall(g.join, g)
    scope.ended:send({ ok = ok, err = err })
  end)
  return g
end

--- A G of this state that the scope waits for.
function Scope:go(f, ...)
  return watch(self, go(f, ...))
end

--- One in a state of its own.
function Scope:spawn(f, ...)
  return watch(self, spawn(f, ...))
end

function Scope:cancel()
  for i = 1, #self.all do
    self.all[i]:cancel()
  end
end

--- Waits for all. The first error, or one of the block's own, cancels the others;
--- it is raised when all have ended.
function Scope:wait(err)
  local failed = err ~= nil
  if failed then
    self:cancel()
  end
  while self.waited < #self.all do
    local ok, one = pcall(self.ended.recv, self.ended)
    if not ok then -- this G was canceled: so are the others
      one = { err = one }
    else
      self.waited = self.waited + 1
    end
    if not one.ok and not failed then
      failed, err = true, one.err
      self:cancel()
    end
  end
  if failed then
    error(err, 0)
  end
end

Scope.__close = Scope.wait

--- scope(f, ...) calls f(scope, ...) and waits for all that it has started;
--- scope() is for `local s <close> = thrum.scope()`.
function thrum.scope(f, ...)
  local scope = setmetatable(
    { all = {}, ended = localchannel(1), waited = 0 }, Scope)
  if not f then
    return scope
  end
  local results = { pcall(f, scope, ...) }
  local n = #results
  if results[1] then
    scope:wait()
    return (table.unpack or unpack)(results, 2, n)
  end
  scope:wait(results[2] == nil and "nil" or results[2])
end

package.loaded["thrum.net"] = thrum.net

return thrum
