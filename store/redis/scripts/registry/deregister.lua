-- Takes an instance out.
--
-- KEYS[1]  the instance's hash
-- KEYS[2]  the service's instances
-- KEYS[3]  the service's state, all three as register.lua has them
-- ARGV[1]  the instance's id
-- ARGV[2]  how long the state of a service without instances is remembered, in ms
--
-- Returns 1, 2 where it was the last one, or 0 where there was none.
local known = redis.call('DEL', KEYS[1])
local listed = redis.call('ZREM', KEYS[2], ARGV[1])
if known + listed == 0 then return 0 end
local is_last = redis.call('ZCARD', KEYS[2]) == 0
local state = redis.call('HMGET', KEYS[3], 'epoch', 'number')
if state[1] then
  redis.call('HSET', KEYS[3], 'number', string.format('%d', tonumber(state[2]) + 1))
  if is_last then redis.call('PEXPIRE', KEYS[3], ARGV[2]) end
end
if known == 1 and is_last then return 2 end
return known
