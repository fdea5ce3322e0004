-- Ends a session.
--
-- KEYS[1]  the session's hash
--
-- Returns its fields and their values, or nothing where there is none.
local session = redis.call('HGETALL', KEYS[1])
redis.call('DEL', KEYS[1])
return session
