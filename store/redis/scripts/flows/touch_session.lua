-- Says when a session was used last, and moves its idle end.
--
-- KEYS[1]  the session's hash
-- ARGV[1]  when it was used, in ms
--
-- Returns 1, or 0 where there is none. Nobody makes it earlier than it is.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local session = redis.call('HMGET', KEYS[1], 'lastUsed', 'idle', 'ends')
if not session[1] then return 0 end
local used = tonumber(ARGV[1])
if used <= tonumber(session[1]) then return 1 end
redis.call('HSET', KEYS[1], 'lastUsed', ARGV[1])
local ends = math.min(used + tonumber(session[2]), tonumber(session[3]))
redis.call('PEXPIRE', KEYS[1], ends - now)
return 1
