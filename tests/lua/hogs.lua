-- Lua that does not stop by itself.
-- SPDX-License-Identifier: MIT

-- Others go on beside an isolated state that computes.
test("a hog in a state of its own", function()
  local stop = thrum.channel(1)
  local hog = thrum.spawn(function(stop)
    local n = 0
    while true do
      n = n + 1
      if n % 1000 == 0 and stop:recv(0) then return n end
    end
  end, stop)
  for _ = 1, 20 do thrum.sleep(0.001) end
  stop:send(true)
  assert(hog:join() > 0)
end)
