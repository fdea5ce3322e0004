-- Begins a session.
--
-- KEYS[1]  the session's hash
-- ARGV[1]  when it ends if it is not used, in ms
-- ARGV[2…] its fields and their values: id, userId, createdAt, lastUsed, idle and ends among them
--          (times in ms)
--
-- Returns 1, or 0 where it is there already.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('HGET', KEYS[1], 'id') then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
redis.call('PEXPIRE', KEYS[1], tonumber(ARGV[1]) - now)
return 1
