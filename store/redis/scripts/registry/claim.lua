-- Takes the turn to check a service, or goes on with it.
--
-- KEYS[1]  whose turn it is: a text of theirs
-- ARGV[1]  who wants it
-- ARGV[2]  for how long, in ms
--
-- Returns 1, or 0 where it is somebody else's.
local whose = redis.call('GET', KEYS[1])
if whose and whose ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
