-- Adds a session to the list of its user's.
--
-- KEYS[1]  the list: a sorted set, from when a session ends to its id
-- ARGV[1]  the session's id
-- ARGV[2]  when it ends, in ms
-- ARGV[3]  how many the list holds
--
-- Returns how many there are. Who ends first leaves first; the list is gone when the last one ends.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%d', now))
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
local many = redis.call('ZCARD', KEYS[1]) - tonumber(ARGV[3])
if many > 0 then
  redis.call('ZREM', KEYS[1], unpack(redis.call('ZRANGE', KEYS[1], 0, many - 1)))
end
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
redis.call('PEXPIRE', KEYS[1], tonumber(last[2]) - now)
return redis.call('ZCARD', KEYS[1])
