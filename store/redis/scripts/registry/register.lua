-- Registers an instance, or renews it, and makes it what it says.
--
-- KEYS[1]  the instance's hash: what it is (definition, address and the other fields of ARGV), and
--          how it does (health, since, failures, attempts, lastCheck, responseTime; times in ms)
-- KEYS[2]  the service's instances: a sorted set, from when their time is over, in ms, to their ids
-- KEYS[3]  the service's state: epoch (since when it is remembered, in µs), number (of changes)
-- ARGV[1]  the instance's id
-- ARGV[2]  how long it is there unless it is renewed, in ms
-- ARGV[3]  how many instances a service has at most
-- ARGV[4]  what it is but for its address, hashed
-- ARGV[5]  how much longer than its instances a service's state is remembered, in ms
-- ARGV[6]  its address
-- ARGV[7…] its other fields and their values
--
-- Returns 1 when it is new or another one now, 0 when it was that already, 2 when there is no room.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ttl = tonumber(ARGV[2])
local before = redis.call('HMGET', KEYS[1], 'definition', 'address')
local gone = redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('%d', now))
if not before[1] and redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[3]) then return 2 end
local changed = before[1] ~= ARGV[4] or before[2] ~= ARGV[6]
if changed then
  redis.call('HSET', KEYS[1], 'definition', ARGV[4], 'address', ARGV[6], unpack(ARGV, 7))
  -- At another address it has never been checked.
  if before[2] ~= ARGV[6] then
    redis.call('HSET', KEYS[1], 'health', 'unknown', 'since', string.format('%d', now), 'failures', '0', 'attempts', '0', 'lastCheck', '', 'responseTime', '0')
  end
end
redis.call('PEXPIRE', KEYS[1], ttl)
redis.call('ZADD', KEYS[2], string.format('%d', now + ttl), ARGV[1])
local state = redis.call('HMGET', KEYS[3], 'epoch', 'number')
if changed or gone > 0 or not state[1] then
  local epoch = state[1] or string.format('%.0f', time[1] * 1000000 + time[2])
  redis.call('HSET', KEYS[3], 'epoch', epoch, 'number', string.format('%d', (tonumber(state[2]) or 0) + 1))
end
local last = redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')
local left = tonumber(last[2]) - now
redis.call('PEXPIRE', KEYS[2], left)
redis.call('PEXPIRE', KEYS[3], left + tonumber(ARGV[5]))
if changed then return 1 end
return 0
