-- Ends a family.
--
-- KEYS[1]  the family's hash
-- KEYS[2]  what was answered for its spent tokens
-- ARGV[1]  the hash of the lock that was presented; nothing, where it is ended by who needs none
--
-- Returns the grant, or nil where there is no such family or the lock is another.
local family = redis.call('HMGET', KEYS[1], 'lock', 'grant')
if not family[1] then return false end
if ARGV[1] ~= '' and ARGV[1] ~= family[1] then return false end
redis.call('DEL', KEYS[1], KEYS[2])
return family[2]
