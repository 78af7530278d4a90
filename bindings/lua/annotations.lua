---@meta thrum
-- For the Lua language server: what `require "thrum"` gives.
-- SPDX-License-Identifier: MIT

---@class thrum
---@field canceled table what a canceled wait raises
---@field version string
---@field net thrum.net
local thrum = {}

---@class thrum.G
local G = {}
---What the function returned; raises its error. nil, "timeout" if it goes on.
---@param timeout? number seconds
---@return any ...
function G:join(timeout) end
---@return boolean had_not_ended
function G:cancel() end
---@return "running"|"done"|"failed"|"canceled"
function G:status() end
---@return string?
function G:traceback() end

---@class thrum.channel
local Channel = {}
---@param value any
---@param timeout? number seconds
---@return true? sent
---@return "timeout"|"closed"|nil why
function Channel:send(value, timeout) end
---@param timeout? number seconds
---@return any value
---@return "timeout"|"closed"|nil why
function Channel:recv(timeout) end
---@return fun(): any
function Channel:iter() end
---@return boolean was_open
function Channel:close() end
---@return integer
function Channel:len() end
---@return integer
function Channel:cap() end

---@class thrum.mutex
local Mutex = {}
---@param timeout? number seconds
---@return thrum.mutex? held
---@return "timeout"|nil why
function Mutex:lock(timeout) end
function Mutex:unlock() end

---@class thrum.wg
local WaitGroup = {}
---@param n? integer
function WaitGroup:add(n) end
function WaitGroup:done() end
---@param timeout? number seconds
---@return true?
---@return "timeout"|nil why
function WaitGroup:wait(timeout) end

---@class thrum.sem
local Semaphore = {}
---@param n? integer
function Semaphore:release(n) end
---@param timeout? number seconds
---@return true?
---@return "timeout"|nil why
function Semaphore:acquire(timeout) end

---@class thrum.buffer
local Buffer = {}
---@param i? integer
---@param j? integer
---@return string
function Buffer:sub(i, j) end
---@param i integer
---@param bytes string
---@return thrum.buffer
function Buffer:put(i, bytes) end
---@param i integer
---@return integer?
function Buffer:byte(i) end
---@return integer
function Buffer:len() end

---@class thrum.scope
local Scope = {}
---@param f function
---@return thrum.G
function Scope:go(f, ...) end
---@param f function
---@return thrum.G
function Scope:spawn(f, ...) end
function Scope:cancel() end
function Scope:wait() end

---@class thrum.case
---@field recv? thrum.channel
---@field send? thrum.channel
---@field after? number seconds
---@field default? boolean
---@field [1] any for send the value, else a function
---@field [2]? function for send

---@param options {procs?: integer, slice?: number, stack_size?: integer, preempt?: boolean}
function thrum.setup(options) end
---@param f function
---@return any ...
function thrum.run(f, ...) end
---@param seconds? number
---@return "done"|"idle"|"busy"
function thrum.pump(seconds) end
---@param f function
---@return thrum.G
function thrum.go(f, ...) end
---@param f function
---@return thrum.G
function thrum.spawn(f, ...) end
---@param f function
---@return any ...
function thrum.offload(f, ...) end
---@param f function
---@return any ...
function thrum.blocking(f, ...) end
---@param f function
---@return any ...
function thrum.shield(f, ...) end
---@param seconds number
---@param f function
---@return thrum.G
function thrum.timer(seconds, f, ...) end
---@param cases thrum.case[]
---@return any ...
function thrum.select(cases) end
---@param f? fun(scope: thrum.scope, ...): ...
---@return any ...
function thrum.scope(f, ...) end
---@param capacity? integer
---@return thrum.channel
function thrum.channel(capacity) end
---@param capacity? integer
---@return thrum.channel
function thrum.localchannel(capacity) end
---@return thrum.mutex
function thrum.mutex() end
---@return thrum.wg
function thrum.wg() end
---@param permits? integer
---@return thrum.sem
function thrum.sem(permits) end
---@param from integer|string
---@return thrum.buffer
function thrum.buffer(from) end
---Deep copies, as if they had been sent.
---@return any ...
function thrum.copy(...) end
---@param seconds number
function thrum.sleep(seconds) end
function thrum.yield() end
function thrum.check() end
---@return number seconds
function thrum.now() end
---@return integer
function thrum.procs() end
---@return string? number of the calling G
function thrum.self() end
---@return boolean
function thrum.iscanceled() end

---@class thrum.net
local net = {}
---@param host string?
---@param port integer
---@param backlog? integer
---@return thrum.listener?
---@return string? why
function net.listen(host, port, backlog) end
---@param host string?
---@param port integer
---@param timeout? number seconds
---@return thrum.conn?
---@return string? why
function net.dial(host, port, timeout) end
---@param host string
---@param port integer
---@return thrum.udp?
---@return string? why
function net.udp(host, port) end

---@class thrum.listener
local Listener = {}
---@param timeout? number seconds
---@return thrum.conn?
---@return string? why
function Listener:accept(timeout) end
---@return integer
function Listener:port() end
function Listener:close() end

---@class thrum.conn
local Conn = {}
---@param most? integer bytes
---@param timeout? number seconds
---@return string? bytes "" at the end
---@return string? why
function Conn:read(most, timeout) end
---@param bytes string
---@param timeout? number seconds
---@return true?
---@return string? why
---@return integer? written
function Conn:write(bytes, timeout) end
function Conn:shutdown() end
function Conn:close() end
---@return string host
---@return integer port
function Conn:peer() end

---@class thrum.udp
local Udp = {}
---@param bytes string
---@param host string
---@param port integer
---@param timeout? number seconds
---@return true?
---@return string? why
function Udp:send(bytes, host, port, timeout) end
---@param timeout? number seconds
---@return string? bytes
---@return string why_or_host
---@return integer? port
function Udp:recv(timeout) end
---@return string host
---@return integer port
function Udp:address() end
function Udp:close() end

return thrum
