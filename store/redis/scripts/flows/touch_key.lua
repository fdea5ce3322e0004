-- Says when an API key was used last, and how often since that was said.
--
-- KEYS[1]  the key's hash: userId, clientId where it has one, scopes, lastUsed (ms), requestCount
-- ARGV[1]  when it was used, in ms
-- ARGV[2]  how often
-- ARGV[3]  how long this is kept, in ms
-- ARGV[4…] the other fields and their values
--
-- Returns how often in all. Nobody makes lastUsed earlier than it is.
local before = redis.call('HMGET', KEYS[1], 'lastUsed', 'requestCount')
local used = math.max(tonumber(ARGV[1]), tonumber(before[1] or 0))
local count = tonumber(ARGV[2]) + tonumber(before[2] or 0)
redis.call('DEL', KEYS[1])
local call = {'HSET', KEYS[1], 'lastUsed', string.format('%.0f', used), 'requestCount', string.format('%.0f', count)}
for at = 4, #ARGV do call[#call + 1] = ARGV[at] end
redis.call(unpack(call))
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return count
