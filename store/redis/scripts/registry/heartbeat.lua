-- Renews an instance.
--
-- KEYS[1]  the instance's hash
-- KEYS[2]  the service's instances
-- KEYS[3]  the service's state, all three as register.lua has them
-- ARGV[1]  the instance's id
-- ARGV[2]  how much longer than its instances a service's state is remembered, in ms
--
-- Returns for how long, in ms, or 0 where there is none.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ttl = tonumber(redis.call('HGET', KEYS[1], 'ttl') or '')
if not ttl then return 0 end
redis.call('PEXPIRE', KEYS[1], ttl)
redis.call('ZADD', KEYS[2], string.format('%d', now + ttl), ARGV[1])
local last = redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')
local left = tonumber(last[2]) - now
redis.call('PEXPIRE', KEYS[2], left)
redis.call('PEXPIRE', KEYS[3], left + tonumber(ARGV[2]))
return ttl
