-- The generated layer: numbers of 64 bits come back as they went.
-- SPDX-License-Identifier: MIT
local ok, flat = pcall(require, "thrum.flat")
if not ok then
  print("skipped: built without SWIG")
  os.exit(77)
end
local integer = flat.integer or math.tointeger

-- A decimal text as a number of 64 bits.
local function number(text)
  if flat.integer then
    return flat.integer(text)
  end
  local n = 0
  for digit in text:gmatch("%d") do
    n = n * 10 + math.tointeger(digit)
  end
  return text:sub(1, 1) == "-" and -n or n
end

eq(tostring(flat.THRUM_FOREVER), "9223372036854775807")
assert(flat.THRUM_FOREVER == number("9223372036854775807"))
eq(flat.THRUM_TRY, 0)
eq(flat.thrum_version_string(), thrum.version)
eq(flat.thrum_errname(flat.THRUM_ETIMEDOUT), "ETIMEDOUT")
assert(flat.thrum_after(flat.THRUM_FOREVER) == flat.THRUM_FOREVER)

if flat.integer then
  for _, text in ipairs { "9223372036854775808", "18446744073709551615", "-9223372036854775808" } do
    eq(tostring(number(text)), text)
  end
  for _, text in ipairs { "-9223372036854775809", "18446744073709551616" } do
    fails("more than 64 bits", number, text)
  end
  for _, text in ipairs { "", "-", " 5", "--5", "5x" } do
    fails("not a whole number", number, text)
  end
end

test("a limit is the number that was set", function()
  flat.thrum_shield(1)
  for _, text in ipairs { "9007199254740993", "9223372036854775807", "9223372036854775806",
    "4611686018427387905", "1", "0" } do
    flat.thrum_limit(number(text))
    local back = flat.thrum_limit(flat.THRUM_FOREVER)
    eq(tostring(back), text)
    assert(back == number(text))
  end
  flat.thrum_shield(-1)
end)

test("handles of Gs", function()
  local stop = thrum.channel()
  local handle
  local g = thrum.go(function()
    handle = flat.thrum_self()
    stop:recv()
  end)
  thrum.yield()
  eq(flat.thrum_join(nil, handle, flat.THRUM_TRY), flat.THRUM_EAGAIN)
  stop:send(1)
  eq(flat.thrum_join(nil, handle, flat.THRUM_FOREVER), 0)
  g:join()
end)

fails("int64_t", flat.thrum_after, "1")
fails("int64_t", flat.thrum_after, 1.5)
fails("int64_t", flat.thrum_after, {})
