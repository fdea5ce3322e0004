-- Writes a session anew. When it began stays, and it is never used earlier than it was.
--
-- KEYS[1]  the session's hash
-- ARGV[1]  its userId
-- ARGV[2]  lastUsed, in ms
-- ARGV[3]  it ends when it was not used for so long, in ms
-- ARGV[4]  when it ends, in ms
-- ARGV[5…] its fields and their values, these among them
--
-- Returns createdAt, or nil where there is no such session, or it is another user's.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local before = redis.call('HMGET', KEYS[1], 'userId', 'createdAt', 'lastUsed')
if before[1] ~= ARGV[1] then return false end
local used = ARGV[2]
if tonumber(before[3]) > tonumber(used) then used = before[3] end
-- Fields that it has no more must not stay.
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], unpack(ARGV, 5))
redis.call('HSET', KEYS[1], 'createdAt', before[2], 'lastUsed', used)
local ends = math.min(tonumber(used) + tonumber(ARGV[3]), tonumber(ARGV[4]))
redis.call('PEXPIRE', KEYS[1], ends - now)
return before[2]
