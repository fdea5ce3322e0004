-- Begins a family of refresh tokens.
--
-- KEYS[1]  the family's hash, as family.lua has it
-- ARGV[1]  the hash of its lock
-- ARGV[2]  the hash of its first token's secret
-- ARGV[3]  which token of the row that is
-- ARGV[4]  the grant
-- ARGV[5]  when it ends, in ms
-- ARGV[6]  it ends when nothing was exchanged for so long, in ms
--
-- Returns 1, or 0 where it is there already.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('HGET', KEYS[1], 'lock') then return 0 end
redis.call('HSET', KEYS[1], 'lock', ARGV[1], 'current', ARGV[2], 'generation', ARGV[3], 'grant', ARGV[4], 'ends', ARGV[5])
redis.call('PEXPIRE', KEYS[1], math.min(tonumber(ARGV[6]), tonumber(ARGV[5]) - now))
return 1
