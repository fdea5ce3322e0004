-- Records what a service answered. Follows core/circuit/src/simple.rs line by line.
--
-- KEYS[1]  the circuit's hash: state, failures, lastFailure, recoveryTime (times in ms)
-- ARGV[1]  1 for success, 0 for failure
-- ARGV[2]  failures in a row that open it
-- ARGV[3]  recovery in ms
--
-- Returns {state, failures, lastFailure, recoveryTime}. The key lives an hour after its last
-- failure; a closed circuit without failures has none.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local stored = redis.call('HMGET', KEYS[1], 'state', 'failures', 'lastFailure', 'recoveryTime')
local state = stored[1] or 'CLOSED'
local failures, last, at = tonumber(stored[2]) or 0, tonumber(stored[3]) or 0, tonumber(stored[4]) or 0

if ARGV[1] == '1' then
  if state ~= 'OPEN' then
    redis.call('DEL', KEYS[1])
    return {'CLOSED', 0, 0, 0}
  end
  return {state, failures, last, at}
end

failures, last = failures + 1, now
if state == 'HALF_OPEN' or (state == 'CLOSED' and failures >= tonumber(ARGV[2])) then
  state, at = 'OPEN', now + tonumber(ARGV[3])
end
redis.call('HSET', KEYS[1], 'state', state, 'failures', failures, 'lastFailure', last, 'recoveryTime', at)
redis.call('PEXPIRE', KEYS[1], 3600000)
return {state, failures, last, at}
