-- Every function of the standard library inside Gs of isolated states, which move
-- between threads at their waits (in the stress build at each of them).
-- SPDX-License-Identifier: MIT

-- Calls everything that a name of the library leads to, with a wait before and
-- in callbacks. Returns what was called.
local function everything(round)
  local thrum = require "thrum"
  local called = {}
  local unpack = table.unpack or unpack
  local function use(name, f)
    thrum.yield()
    local ok, err = pcall(f)
    if not ok then error(name .. ": " .. tostring(err), 0) end
    called[name] = true
  end
  local function both(v) thrum.yield() return v end
  use("assert", function() assert(assert(1) == 1) end)
  use("error", function() assert(select(2, pcall(error, both({ 1 })))[1] == 1) end)
  use("pcall", function() assert(pcall(both)) end)
  use("xpcall", function() assert(not xpcall(function() both() error "x" end, both)) end)
  use("collectgarbage", function() collectgarbage("step") assert(collectgarbage("count") > 0) end)
  use("getmetatable", function() assert(getmetatable("").__index == string) end)
  use("setmetatable", function() setmetatable({}, {}) end)
  use("ipairs", function() for i, v in ipairs { 1, 2 } do both(i) assert(i == v) end end)
  use("pairs", function() for k, v in pairs { a = 1 } do both(k) end end)
  use("next", function() assert(next({ 5 }) == 1) end)
  use("select", function() assert(select("#", 1, both(nil)) == 2) end)
  use("tonumber", function() assert(tonumber("ff", 16) == 255) end)
  use("tostring", function()
    assert(tostring(setmetatable({}, { __tostring = function() return both("t") end })) == "t")
  end)
  use("type", function() assert(type(both({})) == "table") end)
  use("rawget", function() assert(rawget({ 1 }, 1) == 1) end)
  use("rawset", function() assert(rawset({}, 1, 2)[1] == 2) end)
  use("rawequal", function() assert(rawequal(1, 1)) end)
  use("rawlen", function() assert(not rawlen or rawlen { 1 } == 1) end)
  use("load", function() assert((loadstring or load)("return ...")(both(3)) == 3) end)
  use("loadfile", function() assert(not loadfile("/nonexistent/x.lua")) end)
  use("dofile", function() assert(not pcall(dofile, "/nonexistent/x.lua")) end)
  use("require", function()
    package.preload["round" .. round] = function() return both({}) end
    assert(require("round" .. round) == require("round" .. round))
  end)
  use("print", function()
    local old = tostring
    assert(type(print) == "function")
  end)
  use("warn", function() if warn then warn("@off") end end)
  -- string
  use("string.byte", function() assert(("a"):byte() == 97) end)
  use("string.char", function() assert(string.char(both(97)) == "a") end)
  use("string.dump", function() assert(#string.dump(both) > 0) end)
  use("string.find", function() assert(("hello"):find("l+") == 3) end)
  use("string.format", function() assert(("%5.2f|%q|%s"):format(1.5, "x", both("y")) == ' 1.50|"x"|y') end)
  use("string.gmatch", function() for w in ("a b c"):gmatch("%a") do both(w) end end)
  use("string.gsub", function() assert(("abc"):gsub(".", function(c) return both(c) .. c end) == "aabbcc") end)
  use("string.len", function() assert(("abc"):len() == 3) end)
  use("string.lower", function() assert(("ABC"):lower() == "abc") end)
  use("string.match", function() assert(("k=v"):match("(%w)=(%w)") == "k") end)
  use("string.rep", function() assert(#("ab"):rep(both(1000)) == 2000) end)
  use("string.reverse", function() assert(("abc"):reverse() == "cba") end)
  use("string.sub", function() assert(("abc"):sub(2) == "bc") end)
  use("string.upper", function() assert(("abc"):upper() == "ABC") end)
  if string.pack then
    use("string.pack", function() assert(("<i4"):packsize() == 4) end)
    use("string.unpack", function() assert(string.unpack("<i8", string.pack("<i8", -5)) == -5) end)
    use("string.packsize", function() assert(string.packsize("i1") == 1) end)
  end
  -- table
  use("table.concat", function() assert(table.concat({ 1, 2, both(3) }, ",") == "1,2,3") end)
  use("table.insert", function() local t = {} table.insert(t, both(1)) assert(t[1] == 1) end)
  use("table.remove", function() assert(table.remove { 1, 2 } == 2) end)
  use("table.sort", function()
    local t = {}
    for i = 1, 30 do t[i] = (i * 37) % 31 end
    table.sort(t, function(a, b) return both(a) < b end)
    for i = 2, 30 do assert(t[i - 1] <= t[i]) end
  end)
  if table.pack then
    use("table.pack", function() assert(table.pack(1, both(2)).n == 2) end)
    use("table.unpack", function() assert(select("#", table.unpack({}, 1, 3)) == 3) end)
  end
  if table.move and not jit then
    use("table.move", function()
      assert(table.move(setmetatable({}, { __index = function(_, k) return both(k) end }), 1, 3, 1, {})[3] == 3)
    end)
  end
  -- math
  for name, f in pairs(math) do
    if type(f) == "function" then
      use("math." .. name, function()
        if name == "random" then assert(f(both(10)) <= 10)
        elseif name == "randomseed" then f(both(1))
        elseif name == "tointeger" or name == "type" then assert(f(1) and true)
        elseif name == "ldexp" then assert(f(1, 2) == 4)
        else
          local ok, v = pcall(f, both(0.5), 1)
          assert(ok and v ~= nil or name == "ult", name)
        end
      end)
    end
  end
  -- utf8
  if utf8 then
    use("utf8.char", function() assert(utf8.char(228, both(8364)) == "ä€") end)
    use("utf8.codes", function() for _, c in utf8.codes("ä€") do both(c) end end)
    use("utf8.codepoint", function() assert(utf8.codepoint("ä") == 228) end)
    use("utf8.len", function() assert(utf8.len("ä€") == 2) end)
    use("utf8.offset", function() assert(utf8.offset("ä€", 2) == 3) end)
  end
  -- coroutine
  use("coroutine.create", function() assert(coroutine.status(coroutine.create(both)) == "suspended") end)
  use("coroutine.resume", function() assert(select(2, coroutine.resume(coroutine.create(both), 5)) == 5) end)
  use("coroutine.wrap", function() assert(coroutine.wrap(both)(6) == 6) end)
  use("coroutine.yield", function()
    local co = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(both(i)) end end)
    assert(co() + co() + co() == 6)
  end)
  use("coroutine.status", function()
    local co
    co = coroutine.create(function() both() return coroutine.status(co) end)
    assert(select(2, coroutine.resume(co)) == "running")
  end)
  use("coroutine.running", function() assert(coroutine.wrap(function() return coroutine.running() end)()) end)
  use("coroutine.isyieldable", function() if coroutine.isyieldable then coroutine.isyieldable() end end)
  use("coroutine.close", function()
    if coroutine.close then assert(coroutine.close(coroutine.create(both))) end
  end)
  -- os, io
  use("os.clock", function() assert(os.clock() >= 0) end)
  use("os.date", function() assert(#os.date() > 0 and os.date("!*t", both(0)).year == 1970) end)
  use("os.time", function() assert(os.time() > 1e9) end)
  use("os.difftime", function() assert(os.difftime(2, 1) == 1) end)
  use("os.getenv", function() os.getenv("HOME") end)
  use("os.setlocale", function() assert(os.setlocale(nil)) end)
  use("io", function()
    local name = os.tmpname()
    local f = assert(io.open(name, "w"))
    f:setvbuf("full")
    f:write("one\n", both(2), "\n")
    assert(f:seek("cur") == 6)
    f:flush()
    f:close()
    for line in io.lines(name) do both(line) end
    f = io.open(name)
    assert(f:read(4) == "one\n" and (f:read("*n") == 2))
    assert(io.type(f) == "file")
    f:close()
    assert(io.type(f) == "closed file")
    assert(os.rename(name, name .. ".x"))
    assert(os.remove(name .. ".x"))
    assert(io.input() and io.output())
    local p = io.popen("echo hi")
    both()
    assert(p:read("*l") == "hi")
    p:close()
    assert(io.tmpfile()):close()
  end)
  -- debug
  use("debug.traceback", function() assert(debug.traceback("x"):find("x")) end)
  use("debug.getinfo", function() assert(debug.getinfo(1).what and debug.getinfo(both, "S").short_src) end)
  use("debug.getlocal", function() local here = 1 assert(debug.getlocal(1, 1)) end)
  use("debug.setlocal", function() local here = 1 debug.setlocal(1, 1, 2) assert(here == 2) end)
  use("debug.getupvalue", function() assert(debug.getupvalue(both, 1)) end)
  use("debug.sethook", function()
    local n = 0
    debug.sethook(function() n = n + 1 end, "l")
    both()
    local x = 1
    debug.sethook()
    assert(n > 0)
  end)
  use("debug.gethook", function() debug.gethook() end)
  use("debug.getregistry", function() assert(debug.getregistry()) end)
  use("debug.getmetatable", function() assert(debug.getmetatable("")) end)
  return called
end

test("the whole library, in states that move", function()
  local all = {}
  for i = 1, 4 do all[i] = thrum.spawn(everything, i) end
  for i = 1, 4 do all[i]:join() end
end)

test("the whole library, in Gs of one state", function()
  local all = {}
  for i = 1, 4 do all[i] = thrum.go(everything, 10 + i) end
  local called
  for i = 1, 4 do called = all[i]:join() end
  -- The list is whole: each function of these modules was called, or is one that
  -- ends the process, or has no callback and no state.
  local spared = { ["os.exit"] = 1, ["os.execute"] = 1, ["os.tmpname"] = 1, ["os.rename"] = 1,
    ["os.remove"] = 1 }
  for _, name in ipairs { "string", "table", "math", "coroutine", "os", "utf8" } do
    for k, f in pairs(_G[name] or {}) do
      local full = name .. "." .. k
      if type(f) == "function" and not called[full] and not spared[full] then
        if _VERSION ~= "Lua 5.1" then error("never called: " .. full) end
      end
    end
  end
end)
