-- What the tests share. Globals, for test files to use: thrum, test, eq, fails,
-- LONG (how much more a loop should do).
-- SPDX-License-Identifier: MIT
thrum = require "thrum"
thrum.setup { procs = PROCS, preempt = PREEMPT }
unpack = table.unpack or unpack
V54 = _VERSION == "Lua 5.4"
HAS_INTEGERS = math.type ~= nil

local here = debug.getinfo(1, "S").source:match("^@(.*)tests/lua/check%.lua$")

--- The text of a file of bindings/lua.
function of_binding(name)
  local file = assert(io.open(here .. "bindings/lua/" .. name))
  local text = file:read("*a")
  file:close()
  return text
end

--- Runs f in a G, and names it if it fails.
function test(name, f)
  local ok, err = xpcall(function() thrum.run(f) end, function(e)
    return debug.traceback(tostring(e), 2)
  end)
  if not ok then
    error(name .. ": " .. tostring(err), 0)
  end
end

local function same(a, b, seen)
  if a == b or a ~= a and b ~= b then
    return not HAS_INTEGERS or math.type(a) == math.type(b)
  end
  if type(a) ~= "table" or type(b) ~= "table" then
    return false
  end
  if seen[a] then
    return seen[a] == b
  end
  seen[a] = b
  for k, v in pairs(a) do
    if not same(v, b[type(k) == "table" and seen[k] or k], seen) then
      return false
    end
  end
  for k in pairs(b) do
    if type(k) ~= "table" and a[k] == nil then
      return false
    end
  end
  return true
end

--- Deep: cycles, numbers by their types.
function equal(a, b)
  return same(a, b, {})
end

function eq(got, want)
  if not equal(got, want) then
    error(("got %s, want %s"):format(tostring(got), tostring(want)), 2)
  end
end

--- f(...) raises a text that has `part` in it.
function fails(part, f, ...)
  local ok, err = pcall(f, ...)
  if ok or not tostring(err):find(part, 1, true) then
    error(("expected an error with %q, got %s"):format(part,
      ok and "none" or tostring(err)), 2)
  end
  return err
end
