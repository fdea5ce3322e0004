-- Says that something is different about a service, or that it is still there.
--
-- KEYS[1]  all services: a sorted set, from the number of their last change to their names. The
--          first number is the time in ms, so that after a flush they go on from above
-- KEYS[2]  a sorted set, from when nobody runs them any more, in ms, to their names
-- ARGV[1]  the service
-- ARGV[2]  1 for a change, 0 where it only has to be on the list
-- ARGV[3]  how many services are listed at most
-- ARGV[4]  how long the lists stay, in ms
-- ARGV[5]  for how long somebody runs it, in ms; 0 where nobody does any more, empty where that is
--          as it was
--
-- Returns 1, or 0 where there is no room for it: none goes that somebody runs.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = redis.call('ZSCORE', KEYS[1], ARGV[1])
local most = tonumber(ARGV[3])
if not known and redis.call('ZCARD', KEYS[1]) >= most then
  -- No more than can be named in one call.
  local gone = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', string.format('%d', now), 'LIMIT', 0, 1000)
  if #gone > 0 then
    redis.call('ZREM', KEYS[1], unpack(gone))
    redis.call('ZREM', KEYS[2], unpack(gone))
  end
  if redis.call('ZCARD', KEYS[1]) >= most then return 0 end
end
local ends = redis.call('ZSCORE', KEYS[2], ARGV[1])
local later = now + (tonumber(ARGV[5]) or 0)
if not ends or ARGV[5] == '0' or later > tonumber(ends) then
  redis.call('ZADD', KEYS[2], string.format('%d', later), ARGV[1])
end
if not known or ARGV[2] == '1' then
  local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
  local number = last[2] and tonumber(last[2]) + 1 or now
  redis.call('ZADD', KEYS[1], string.format('%d', number), ARGV[1])
end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
return 1
