-- Which instances a service has, and which state that is.
--
-- KEYS[1]  the service's instances
-- KEYS[2]  the service's state, both as register.lua has them
--
-- Returns {now in ms, epoch, number, id, when its time is over, id, …}. Whose time is over is taken
-- out, which is another state.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local gone = redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%d', now))
local state = redis.call('HMGET', KEYS[2], 'epoch', 'number')
local number = tonumber(state[2]) or 0
if state[1] and gone > 0 then
  number = number + 1
  redis.call('HSET', KEYS[2], 'number', string.format('%d', number))
end
local answer = {string.format('%d', now), state[1] or '0', string.format('%d', number)}
for _, part in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')) do
  answer[#answer + 1] = part
end
return answer
