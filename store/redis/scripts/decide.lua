-- Decides on one request: a circuit's admission and any number of sliding windows, taken from
-- all or from none. Follows core/circuit and core/limits/src/sliding_window.rs line by line.
--
-- KEYS[1]      the circuit's hash, or the empty string for none
-- KEYS[2..n]   one hash a window: i (window index), c (its count), p (the count before it)
-- ARGV[1]      how long a probe is waited for, in ms (0 without a circuit)
-- ARGV[2..]    limit, period in ms, cost; three a window
--
-- Returns {admission, retry_after_ms, allowed, index, current, previous, …, now}:
-- admission 0 pass, 1 probe, 2 refused; then four numbers a window; last, Redis' time in ms.
-- Keys live as long as they can matter: two periods a window, an hour an idle circuit.
-- Cardinality: one key a caller and limit, one a service.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local admission = 0
local probe_wait = tonumber(ARGV[1])
if KEYS[1] ~= '' then
  local circuit = redis.call('HMGET', KEYS[1], 'state', 'recoveryTime')
  if circuit[1] == 'OPEN' or circuit[1] == 'HALF_OPEN' then
    local at = tonumber(circuit[2]) or 0
    if now < at then
      return {2, at - now, now}
    end
    admission = 1
  end
end

local answer = {admission, 0}
local windows = {}
local all = true
for w = 2, #KEYS do
  local a = 2 + (w - 2) * 3
  local limit, period, cost = tonumber(ARGV[a]), tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2])
  local index, into = math.floor(now / period), now % period
  local stored = redis.call('HMGET', KEYS[w], 'i', 'c', 'p')
  local i, c, p = tonumber(stored[1]), tonumber(stored[2]) or 0, tonumber(stored[3]) or 0
  if i == nil then
    i, c, p = index, 0, 0
  elseif index == i + 1 then
    i, c, p = index, 0, c
  elseif index > i then
    i, c, p = index, 0, 0
  elseif index < i then
    into = 0
  end
  local allowed = (c + cost) * period + p * (period - into) <= limit * period
  if not allowed then
    all = false
  end
  windows[w] = {allowed, i, c, p, period, cost}
end
for w = 2, #KEYS do
  local allowed, i, c, p, period, cost = unpack(windows[w])
  if all then
    c = c + cost
    redis.call('HSET', KEYS[w], 'i', i, 'c', c, 'p', p)
    redis.call('PEXPIRE', KEYS[w], period * 2)
  end
  answer[#answer + 1] = allowed and 1 or 0
  answer[#answer + 1] = i
  answer[#answer + 1] = c
  answer[#answer + 1] = p
end
if all and admission == 1 then
  redis.call('HSET', KEYS[1], 'state', 'HALF_OPEN', 'recoveryTime', now + probe_wait)
  redis.call('PEXPIRE', KEYS[1], 3600000)
end
answer[#answer + 1] = now
return answer
