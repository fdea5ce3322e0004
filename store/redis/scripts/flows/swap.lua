-- Puts one value in the place of another, until the end that one had.
--
-- KEYS[1]  the key
-- ARGV[1]  what has to stand there
-- ARGV[2]  what stands there then
--
-- Returns 1, or 0 where something else stands, or nothing.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
return 1
