-- Says that something is different about a service, or that it is still there.
--
-- KEYS[1]  all services: a sorted set, from the number of their last change to their names. The
--          first number is the time in ms, so that after a flush they go on from above
-- ARGV[1]  the service
-- ARGV[2]  1 for a change, 0 where it only has to be on the list
-- ARGV[3]  how many services are listed at most
-- ARGV[4]  how long the list stays, in ms
--
-- Returns the number of its last change.
local known = redis.call('ZSCORE', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
if known and ARGV[2] == '0' then return known end
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
local time = redis.call('TIME')
local number = last[2] and tonumber(last[2]) + 1 or time[1] * 1000 + math.floor(time[2] / 1000)
number = string.format('%d', number)
redis.call('ZADD', KEYS[1], number, ARGV[1])
local many = redis.call('ZCARD', KEYS[1]) - tonumber(ARGV[3])
if many > 0 then
  redis.call('ZREM', KEYS[1], unpack(redis.call('ZRANGE', KEYS[1], 0, many - 1)))
end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return number
