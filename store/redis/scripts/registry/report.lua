-- Says how an instance does.
--
-- KEYS[1]  the instance's hash
-- KEYS[2]  the service's state, both as register.lua has them
-- KEYS[3]  whose turn it is to check
-- ARGV[1]  who has checked
-- ARGV[2]  health
-- ARGV[3]  since when, in ms
-- ARGV[4]  failures
-- ARGV[5]  attempts
-- ARGV[6]  lastCheck, in ms, or nothing
-- ARGV[7]  responseTime, in ms
-- ARGV[8]  the address that was checked
--
-- Returns 2 where its health is another one now, 1 where not, and 0 where it does not count: it is
-- somebody else's turn, or there is no such instance, or none at that address any more.
if redis.call('GET', KEYS[3]) ~= ARGV[1] then return 0 end
local known = redis.call('HMGET', KEYS[1], 'health', 'address')
local health = known[1]
if not health or known[2] ~= ARGV[8] then return 0 end
redis.call('HSET', KEYS[1], 'health', ARGV[2], 'since', ARGV[3], 'failures', ARGV[4], 'attempts', ARGV[5], 'lastCheck', ARGV[6], 'responseTime', ARGV[7])
if health == ARGV[2] then return 1 end
local state = redis.call('HMGET', KEYS[2], 'epoch', 'number')
if state[1] then
  redis.call('HSET', KEYS[2], 'number', string.format('%d', tonumber(state[2]) + 1))
end
return 2
