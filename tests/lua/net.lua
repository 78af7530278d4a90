-- Sockets, in one state and between states.
-- SPDX-License-Identifier: MIT
local net = thrum.net

local function read_all(c)
  local parts = {}
  repeat
    local part = assert(c:read())
    parts[#parts + 1] = part
  until part == ""
  return table.concat(parts)
end

test("echo", function()
  local l = assert(net.listen("127.0.0.1", 0))
  local server = thrum.go(function()
    for _ = 1, 4 do
      local c = assert(l:accept())
      thrum.go(function()
        repeat
          local s = assert(c:read(7))
          c:write(s)
        until s == ""
        c:shutdown()
      end)
    end
  end)
  local all = {}
  for i = 1, 4 do
    all[i] = thrum.go(function()
      local c = assert(net.dial("127.0.0.1", l:port()))
      eq({ c:peer() }, { "127.0.0.1", l:port() })
      local text = ("line %d\0\n"):format(i):rep(1000)
      local out = thrum.go(function() assert(c:write(text)) c:shutdown() end)
      eq(read_all(c), text)
      out:join()
      eq(c:close(), true)
    end)
  end
  for i = 1, 4 do all[i]:join() end
  server:join()
  l:close()
  eq({ l:accept() }, { nil, "closed" })
end)

test("connections go to other states", function()
  local l = assert(net.listen("127.0.0.1", 0))
  for _ = 1, 2 do
    thrum.spawn(function(l)
      local c = l:accept()
      c:write(c:read():upper())
      c:close()
    end, l)
  end
  for _ = 1, 2 do
    local c = assert(net.dial("127.0.0.1", l:port()))
    c:write("hello")
    eq(read_all(c), "HELLO")
  end
end)

test("deadlines, cancel, errors", function()
  local l = assert(net.listen("127.0.0.1", 0))
  eq({ l:accept(0) }, { nil, "timeout" })
  eq({ l:accept(0.001) }, { nil, "timeout" })
  local c = assert(net.dial("127.0.0.1", l:port(), 5))
  eq({ c:read(10, 0.001) }, { nil, "timeout" })
  local g = thrum.go(function() c:read() end)
  thrum.yield()
  g:cancel()
  local ok, err = pcall(g.join, g)
  assert(not ok and err == thrum.canceled)
  local port = l:port()
  l:close()
  c:close()
  eq({ c:read() }, { nil, "closed" })
  local none, why = net.dial("127.0.0.1", port)
  assert(none == nil and why:find("refused"), why)
  fails("not a port", net.dial, "127.0.0.1", 70000)
end)

test("datagrams", function()
  local a, b = assert(net.udp("127.0.0.1", 0)), assert(net.udp("127.0.0.1", 0))
  local host, port = b:address()
  eq(a:send("ping\0", host, port), true)
  local text, from, from_port = b:recv()
  eq(text, "ping\0")
  b:send("pong", from, from_port)
  eq((a:recv(5)), "pong")
  eq({ a:recv(0) }, { nil, "timeout" })
  a:close()
  eq({ a:recv() }, { nil, "closed" })
end)
