-- A loop that nothing ends, for there is no preemption: the host ends all the same.
-- SPDX-License-Identifier: MIT
thrum.run(function()
  thrum.spawn(function() while true do end end)
  thrum.sleep(0.005)
end)
