-- Rings for all replicas: the durable store has revocations up to a number.
--
-- KEYS[1]  the stream; each entry has one field, seq
-- ARGV[1]  seq
-- ARGV[2]  how many entries stay, about
-- ARGV[3]  how long an entry stays, in ms
--
-- Returns the entry's id. The key is gone when its last entry would be too old. An entry that
-- nobody read in time is not missed: the durable store has what it spoke of.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 'seq', ARGV[1])
redis.call('XTRIM', KEYS[1], 'MINID', '~', string.format('%d', now - tonumber(ARGV[3])))
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return id
