-- States of the pool are as good as new each time, whatever was done in them.
-- SPDX-License-Identifier: MIT
local spawn = thrum.spawn

-- Often enough that each state of the pool has had it.
local function again(f, ...)
  for _ = 1, 8 do spawn(f, ...):join() end
end

test("what no table of a module shows", function()
  local name = os.tmpname()
  again(function(name)
    assert(io.output() == io.stdout and debug.getmetatable(0) == nil)
    assert(debug.getregistry().here == nil and debug.gethook() == nil)
    assert(rawget(_G, "here") == nil and #package.path > 0)
    io.output(name)
    debug.setmetatable(0, { __index = { here = 1 } })
    debug.getregistry().here = 1
    debug.sethook(function() end, "l")
    rawset(_G, "here", 1)
    package.path = ""
    collectgarbage("stop")
  end, name)
  os.remove(name)
end)

test("much memory, little memory", function()
  again(function()
    local all = {}
    for i = 1, 20000 do all[i] = { i, tostring(i) } end
    local text = ("x"):rep(1e6)
    for i = 1, 20000, 2 do all[i] = nil end
    collectgarbage()
    local cos = {}
    for i = 1, 100 do
      cos[i] = coroutine.wrap(function() coroutine.yield(#text) end)
      assert(cos[i]() == 1e6)
    end
    for i = 2, 20000, 2 do assert(all[i][1] == i and all[i][2] == tostring(i)) end
    for i = 1, 2000 do _G["g" .. i] = all[i] end
    table.concat({ text, text })
  end)
  eq(spawn(function() return g2, #("x"):rep(3) end):join(), nil)
end)

test("numbers are not drawn twice", function()
  local seen = {}
  for _ = 1, 20 do
    local n = spawn(function() return math.random(1, 2 ^ 30) end):join()
    assert(not seen[n])
    seen[n] = true
  end
end)

-- What a finalizer does is seen by the file that it makes.
local function made(name)
  for _ = 1, 2000 do
    local f = io.open(name)
    if f then
      f:close()
      os.remove(name)
      return true
    end
    thrum.sleep(0.005)
  end
end

test("finalizers run", function()
  local name = os.tmpname()
  os.remove(name)
  if _VERSION ~= "Lua 5.1" then
    for _ = 1, 3 do
      spawn(function(name)
        setmetatable({}, { __gc = function() io.open(name, "w"):close() end })
      end, name)
      assert(made(name))
      spawn(function(name)
        debug.setmetatable({}, { __gc = function() io.open(name, "w"):close() end })
      end, name)
      assert(made(name))
    end
  end
  for i = 1, 3 do -- a file that was not closed is written
    spawn(function(name) io.open(name, "w"):write("here") end, name):join()
    for _ = 1, 2000 do
      local f = io.open(name)
      local text = f and f:read("*a")
      if f then f:close() end
      if text == "here" then break end
      thrum.sleep(0.005)
    end
    assert(os.remove(name))
  end
end)

test("a finalizer starts no G in a state that closes", function()
  for _ = 1, 20 do
    spawn(function()
      local thrum = require "thrum"
      local function late()
        thrum.go(function()
          for i = 1, 100 do
            local t = { i }
            thrum.yield()
          end
        end)
      end
      if newproxy then
        keep = newproxy(true)
        getmetatable(keep).__gc = late
      else
        keep = setmetatable({}, { __gc = late })
      end
    end):join()
    thrum.sleep(0.001)
  end
end)

test("setmetatable is as before", function()
  spawn(function()
    local t = setmetatable({}, { __metatable = 1 })
    assert(getmetatable(t) == 1)
    local ok, err = pcall(setmetatable, t, {})
    assert(not ok and err:find("protected metatable"))
    ok, err = pcall(setmetatable, 1, {})
    assert(not ok and err:find("table expected"))
    ok, err = pcall(setmetatable, {}, 1)
    assert(not ok and err:find("nil or table expected"))
    assert(not pcall(setmetatable, {}))
    local m = {}
    local s = {}
    assert(setmetatable(s, m) == s and getmetatable(s) == m)
    assert(setmetatable(s, nil) == s and getmetatable(s) == nil)
  end):join()
end)

test("handles of a state that is gone", function()
  local back = thrum.channel(1)
  for _ = 1, 8 do
    local g = spawn(function()
      local g = require("thrum").go(function() return 7, { 8 } end)
      g:join()
      return g
    end):join()
    eq({ g:join() }, { 7, { 8 } })
    for _ = 1, 4 do
      eq({ spawn(function(g) return g:join() end, g):join() }, { 7, { 8 } })
    end
  end
  spawn(function(ch) here = ch end, back):join()
  eq(back:send(1), true)
  eq(back:recv(), 1)
end)

test("a failed use", function()
  again(function()
    local ok = pcall(function() local function f() return f() + 1 end f() end)
    assert(not ok and broken == nil)
    broken = 1
  end)
  for _ = 1, 8 do
    local g = spawn(function()
      assert(broken == nil)
      broken = 1
      setmetatable(_G, { __index = error, __newindex = error })
      error({ broken })
    end)
    local ok, err = pcall(g.join, g)
    assert(not ok)
    eq(err, { 1 })
  end
end)

test("what it held is let go", function()
  local b = thrum.buffer("abc")
  for _ = 1, 3 do
    spawn(function(b) here = b assert(b:sub() == "abc") end, b):join()
    b:put(1, "abc") -- not shared any more
  end
end)
