-- Values that are sent compare equal to what they were.
-- SPDX-License-Identifier: MIT
local copy = thrum.copy

test("each kind", function()
  for _, v in ipairs { true, false, 0, -1, 1.5, 1 / 0, -1 / 0, 0 / 0, "", "a\0b\255",
    ("x"):rep(1e5), {}, { {} }, { 1, 2, nil, 4 }, { [1.5] = 1, [true] = 2, x = { y = {} } } } do
    eq(copy(v), v)
  end
  for _, v in ipairs { { nil, 2 }, { [0] = 0, 1, 2, [4] = 4, x = 5 }, { [2] = 2, [1] = 1 }, { [-1] = 1, n = 0 } } do
    eq(copy(v), v)
  end
  local shrunk = { 1, 2, 3, 4, 5, 6 }
  shrunk[2], shrunk[6], shrunk.x = nil, nil, { shrunk[3] }
  eq(copy(shrunk), shrunk)
  eq(select("#", copy()), 0)
  eq({ copy(1, nil, 2) }, { 1, nil, 2 })
  local zero = 0.0
  eq(1 / copy(-zero), -1 / 0)
  if HAS_INTEGERS then
    local odd = math.tointeger(2 ^ 53) + 1
    for _, v in ipairs { math.maxinteger, math.mininteger, 2 ^ 53, odd, 1.0, 1 } do
      eq(copy(v), v)
    end
  end
end)

test("cycles and aliases", function()
  local t = { name = "t" }
  t.self, t.list = t, { t, { t } }
  local key = {}
  t[key], t.key = 1, key
  local c = copy(t)
  assert(c ~= t and c.self == c and c.list[1] == c and c.list[2][1] == c and c[c.key] == 1)
  local f = function() end
  local a, b = copy(f, f)
  assert(a == b and a ~= f)
  a, b = copy(t, t)
  assert(a == b)
end)

test("functions", function()
  local n = 1
  local function count() n = n + 1 return n end
  local other = copy(count)
  eq(other(), 2)
  eq(other(), 3)
  eq(n, 1)
  local self
  self = function(k) return k == 0 and self or nil end
  local twin = copy(self)
  assert(twin(0) == twin and twin ~= self)
  assert(copy(print) == print and copy(string.format) == string.format)
  assert(copy(math) == math and copy(_G) == _G)
  eq(copy(function(...) return select("#", ...) end)(1, nil, nil), 3)
end)

test("what cannot be sent is named", function()
  fails("cannot send userdata", copy, io.stdout)
  fails("cannot send userdata at .cfg.file", copy, { cfg = { file = io.stdout } })
  fails("cannot send a coroutine at [3]", copy, { 1, 2, coroutine.create(function() end) })
  fails("cannot send a table with a metatable at .x", copy, { x = setmetatable({}, {}) })
  fails("cannot send userdata at [table]", copy, { [{}] = io.stdout })
  fails("cannot send userdata at [boolean]", copy, { [true] = io.stdout })
  fails("cannot send userdata at (upvalue 'up')", function()
    local up = io.stdout
    copy(function() return up end)
  end)
  fails("cannot send a C function", copy, ("x"):gmatch("x"))
  local deep = {}
  for _ = 1, 1000 do deep = { deep } end
  fails("nested too deep", copy, deep)
  -- And nothing is left of it.
  eq(copy({ 1 }), { 1 })
end)

-- Random values: as many as `ROUNDS` messages, by copy and through a channel to
-- another state and back.
local seed = 12345
local function random(n)
  seed = (seed * 1103515245 + 12345) % 2147483648
  return math.floor(seed / 65536) % n
end

local function value(depth, made)
  local kind = random(depth > 0 and 12 or 8)
  if kind == 0 then return random(2) == 0 end
  if kind <= 2 then return random(1000) - 500 end
  if kind == 3 then return random(32768) * 2 ^ (random(80) - 40) end
  if kind == 4 and HAS_INTEGERS then
    return random(32768) * random(32768) * random(32768) * (random(32768) * 262144)
  end
  if kind <= 6 then
    local s = {}
    for i = 1, random(24) do s[i] = string.char(random(256)) end
    return table.concat(s)
  end
  if kind == 7 then return #made > 0 and made[random(#made) + 1] or 0 end
  local t = {}
  made[#made + 1] = t
  for _ = 1, random(6) do t[#t + 1] = value(depth - 1, made) end
  for _ = 1, random(4) do
    local k = value(0, {})
    if k == k then t[k] = value(depth - 1, made) end
  end
  return t
end

test("random values", function()
  local rounds = os.getenv("THRUM_LONG") and 1e6 or 20000
  local there, back = thrum.channel(16), thrum.channel(16)
  local echo = thrum.spawn(function(from, to)
    for v in from:iter() do to:send(v) end
  end, there, back)
  local i = 0
  while i < rounds do
    local v = { value(3, {}) }
    assert(equal(copy(v), v))
    there:send(v)
    assert(equal(back:recv(), v))
    i = i + 1
  end
  there:close()
  echo:join()
end)

if V54 then
  test("a finalizer that sends while something is packed", function()
    local inner = thrum.channel(1000)
    local sent, refused = 0, 0
    for i = 1, 200 do
      setmetatable({}, { __gc = function()
        local ok = pcall(inner.send, inner, { i }, 0)
        if ok then sent = sent + 1 else refused = refused + 1 end
      end })
      local v = { ("x"):rep(100), { i, { i } }, function() return i end }
      local c = copy(v)
      assert(c[1] == v[1] and c[2][2][1] == i and c[3]() == i)
    end
    collectgarbage()
    eq(sent + refused, 200)
  end)
end
