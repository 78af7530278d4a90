-- thrum for Lua: what is easier to say in Lua than in C. The C part comes as the
-- one argument.
-- SPDX-License-Identifier: MIT
local thrum = ...
local go, spawn, sleep, shield = thrum.go, thrum.spawn, thrum.sleep, thrum.shield
local unpack = table.unpack or unpack
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
    return f(unpack(args, 1, n))
  end)
end

-- Scopes ------------------------------------------------------------------------

local Scope = {}
Scope.__index = Scope

-- The first error counts, and cancels the others.
local function fail(scope, err)
  if not scope.failed then
    scope.failed, scope.err = true, err
    scope:cancel()
  end
end

local function watch(scope, g)
  local all = scope.all
  all[#all + 1] = g
  go(function()
    local ok, err = pcall(g.join, g)
    if not ok and scope.all == all then
      fail(scope, err)
    end
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
  if err ~= nil then
    fail(self, err)
  end
  local i = 1
  while i <= #self.all do -- one that ends may begin others
    local g = self.all[i]
    local ok
    if self.failed then
      g:cancel()
      shield(pcall, g.join, g)
    else
      ok, err = pcall(g.join, g)
      if not ok then -- or this G was canceled: so are the others
        fail(self, err)
      end
    end
    i = g:status() == "running" and i or i + 1
  end
  local failed
  failed, err = self.failed, self.err
  self.all, self.failed, self.err = {}, false, nil
  if failed then
    error(err, 0)
  end
end

Scope.__close = Scope.wait

local function packed(...)
  return { n = select("#", ...), ... }
end

--- scope(f, ...) calls f(scope, ...) and waits for all that it has started;
--- scope() is for `local s <close> = thrum.scope()`.
function thrum.scope(f, ...)
  local scope = setmetatable({ all = {}, failed = false }, Scope)
  if not f then
    return scope
  end
  local results = packed(pcall(f, scope, ...))
  if results[1] then
    scope:wait()
    return unpack(results, 2, results.n)
  end
  scope:wait(results[2] == nil and "nil" or results[2])
end

package.loaded["thrum.net"] = thrum.net

return thrum
