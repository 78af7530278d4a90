-- Every function of the standard library inside Gs of isolated states, which move
-- between threads at their waits (in the stress build at each of them).
-- SPDX-License-Identifier: MIT

-- Calls everything in the library, with a wait before and in callbacks. Returns how
-- often it was on another thread than before, and with `watched` the names of what was
-- never called: a function that takes note is put in the place of each.
local function everything(round, watched)
  local thrum = require "thrum"
  local unpack = table.unpack or unpack
  local spared = { ["os.exit"] = true, ["debug.debug"] = true } -- they end it, or ask somebody
  local levels = { ["_G.getfenv"] = true, ["_G.setfenv"] = true, ["_G.module"] = true }
  local missed, kind, after = {}, type, next
  local function watch(module, t)
    for name, f in after, t do
      local full = module .. "." .. name
      levels[full] = levels[full] or module == "debug" -- they count calls: taken at their word
      if kind(f) == "function" and not spared[full] then
        missed[full] = true
        t[name] = levels[full] and f or function(...)
          missed[full] = nil
          return f(...)
        end
      end
    end
  end
  -- The thread that runs this, where the system tells.
  local moved, last = 0, nil
  local open = io.open
  local function look()
    local file = open("/proc/thread-self/stat")
    local now = file and file:read("*n")
    if file then file:close() end
    moved = moved + (last and now ~= last and 1 or 0)
    last = now
  end
  local function both(v) thrum.sleep(1e-6) return v end
  local function use(name, f)
    both()
    look()
    local ok, err = pcall(f)
    if not ok then error(name .. ": " .. tostring(err), 0) end
    local full = name:find(".", 1, true) and name or "_G." .. name
    missed[full] = not levels[full] and missed[full] or nil
  end
  local library = {}
  for _, name in ipairs { "_G", "string", "table", "math", "coroutine", "io", "os", "debug",
    "package", "utf8", "bit" } do
    library[name] = watched and _G[name] or nil
  end
  for name, t in after, library do watch(name, t) end
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
  use("load", function()
    local parts = { "return ", "...", nil }
    local i = 0
    assert(load(function() i = i + 1 return both(parts[i]) end)(3) == 3)
    if loadstring then assert(loadstring("return ...")(both(4)) == 4) end
  end)
  use("loadfile", function() assert(not loadfile("/nonexistent/x.lua")) end)
  use("dofile", function() assert(not pcall(dofile, "/nonexistent/x.lua")) end)
  use("require", function()
    package.preload["round" .. round] = function() return both({}) end
    assert(require("round" .. round) == require("round" .. round))
  end)
  use("print", function() print("round", both(round)) end)
  use("warn", function() if warn then warn("@off") end end)
  use("getfenv", function() if getfenv then assert(getfenv(both) == _G and getfenv(1) == _G) end end)
  use("setfenv", function()
    if setfenv then assert(setfenv(function() return x end, { x = both(5) })() == 5) end
  end)
  use("module", function()
    if module then
      local name = "made" .. round
      setfenv(function() module(name, package.seeall) y = both(6) end, _G)()
      assert(require(name).y == 6)
    end
  end)
  for _, name in ipairs { "gcinfo", "newproxy", "unpack" } do
    use(name, function()
      local f = rawget(_G, name)
      if f then f(name == "unpack" and { both(1) } or nil) end
    end)
  end
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
    use("string.pack", function() assert(string.pack("<i4", both(1)) == "\1\0\0\0") end)
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
  use("string.gfind", function()
    if string.gfind and not jit then for w in string.gfind("a b", "%a") do both(w) end end
  end)
  for _, name in ipairs { "foreach", "foreachi", "getn", "maxn", "setn" } do
    use("table." .. name, function()
      local f = table[name]
      if name == "setn" then assert(not (f and pcall(f, { 1 }, 1))) -- obsolete, says 5.1
      elseif f then f({ both(1) }, both)
      end
    end)
  end
  if table.pack then
    use("table.pack", function() assert(table.pack(1, both(2)).n == 2) end)
    use("table.unpack", function() assert(select("#", table.unpack({}, 1, 3)) == 3) end)
  end
  if table.move then
    use("table.move", function()
      local from = jit and { 1, 2, 3 } or setmetatable({}, { __index = function(_, k) return both(k) end })
      assert(table.move(from, 1, 3, 1, {})[3] == 3)
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
  for name, f in pairs(bit or {}) do
    if type(f) == "function" then use("bit." .. name, function() assert(f(both(5), 1)) end) end
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
    assert(os.execute("true"))
    local out, into = io.output(), io.input()
    local kept = assert(io.tmpfile())
    io.output(kept)
    io.write("three\n", 4) -- no wait: all Gs of a state have these two files
    io.flush()
    kept:seek("set")
    io.input(kept)
    assert(io.read() == "three" and io.read("*n") == 4)
    io.output(out)
    io.input(into)
    io.close(kept)
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
  use("debug.setmetatable", function()
    local t = setmetatable({}, { __metatable = "locked" })
    debug.setmetatable(t, { x = both(1) })
    assert(debug.getmetatable(t).x == 1)
  end)
  use("debug.setupvalue", function()
    local up = 1
    local function f() return up end
    debug.setupvalue(f, 1, both(2))
    assert(f() == 2)
  end)
  if debug.upvalueid then
    local a, b = 1, 2
    local function f() return a end
    local function g() return b end
    use("debug.upvalueid", function() assert(debug.upvalueid(f, 1) ~= debug.upvalueid(g, 1)) end)
    use("debug.upvaluejoin", function() debug.upvaluejoin(f, 1, g, 1) assert(f() == 2) end)
  end
  for _, name in ipairs { "getuservalue", "setuservalue", "getfenv", "setfenv", "setcstacklimit" } do
    use("debug." .. name, function()
      local f = debug[name]
      local of = name:match("value") and io.stdout or name:match("fenv") and function() end or 200
      if f then f(of, name:match("^set") and {} or nil) end
    end)
  end
  -- package
  use("package.loadlib", function() assert(not package.loadlib("/nonexistent/x.so", "f")) end)
  use("package.searchpath", function()
    if package.searchpath then assert(not package.searchpath("x", both("/nonexistent/?"))) end
  end)
  local names = {}
  for name in pairs(missed) do names[#names + 1] = name end
  return moved, table.concat(names, " ")
end

test("the whole library, in states that move", function()
  local all, moved = {}, 0
  for i = 1, 4 do all[i] = thrum.spawn(everything, i, true) end
  for i = 1, 4 do
    local times, missed = all[i]:join()
    eq(missed, "")
    moved = moved + times
  end
  print("from thread to thread: " .. moved .. " times")
  assert(not (os.getenv("STRESS") and PROCS > 1) or moved > 0)
end)

test("the whole library, in Gs of one state", function()
  local all = {}
  for i = 1, 4 do all[i] = thrum.go(everything, 10 + i) end
  for i = 1, 4 do all[i]:join() end
end)
