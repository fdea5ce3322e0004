-- Uses an authorization code once.
--
-- KEYS[1]  the code: f and what was kept, or u and the mark of whoever used it
-- ARGV[1]  the mark of whoever uses it now
--
-- Returns {1, what was kept} the first time, {2, the mark} from then on until the code's end, and
-- else {0}.
local code = redis.call('GET', KEYS[1])
if not code then return {0} end
local first, rest = string.sub(code, 1, 1), string.sub(code, 2)
if first == 'u' then return {2, rest} end
redis.call('SET', KEYS[1], 'u' .. ARGV[1], 'KEEPTTL')
return {1, rest}
